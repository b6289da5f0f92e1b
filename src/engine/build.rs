//! Image builds from a Dockerfile and its context, with the engine's own (classic) builder.

use std::collections::{BTreeMap, VecDeque};

use bollard::query_parameters::BuildImageOptionsBuilder;
use bytes::Bytes;
use futures_util::StreamExt;

use super::{Cause, Engine, EngineError, FileEntry};

/// How many of a failed step's last lines are kept for the error.
const KEPT_LINES: usize = 25;

/// An image to build.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// `name:tag` of the result.
    pub tag: String,
    /// The context, `Dockerfile` included.
    pub context: Vec<FileEntry>,
    /// A program that goes into the context, with its name there.
    pub program: Option<(&'static str, Vec<u8>)>,
    /// Build arguments.
    pub arguments: BTreeMap<String, String>,
}

impl Engine {
    /// Builds an image. `progress` gets every line of output.
    ///
    /// # Errors
    /// The failing step with its last lines in the message (cause [`Cause::Stream`]), or the engine's.
    pub async fn build_image(
        &self,
        request: &BuildRequest,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), EngineError> {
        let arguments = request.arguments.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let options =
            BuildImageOptionsBuilder::default().t(&request.tag).buildargs(&arguments).rm(true).forcerm(true).build();
        let program = request.program.as_ref().map(|(name, content)| (*name, content.as_slice()));
        let body = bollard::body_full(Bytes::from(super::archive::pack_with(&request.context, program)));
        let mut stream = self.slow.build_image(options, None, Some(body));
        let mut step = String::new();
        let mut lines: VecDeque<String> = VecDeque::new();
        while let Some(item) = stream.next().await {
            match item {
                Ok(info) => {
                    for line in info.stream.unwrap_or_default().lines().map(str::trim_end).filter(|l| !l.is_empty()) {
                        if line.starts_with("Step ") {
                            step = line.to_owned();
                            lines.clear();
                        }
                        lines.push_back(line.to_owned());
                        if lines.len() > KEPT_LINES {
                            lines.pop_front();
                        }
                        progress(line);
                    }
                }
                Err(error) => {
                    let error = EngineError::from(error);
                    if error.cause == Cause::DiskFull {
                        return Err(error);
                    }
                    let mut message = format!("{} at {step}", error.message.trim());
                    for line in &lines {
                        message.push_str("\n  ");
                        message.push_str(line);
                    }
                    return Err(EngineError { cause: Cause::Stream, message, hint: error.hint });
                }
            }
        }
        Ok(())
    }
}

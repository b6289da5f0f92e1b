//! Containers' logs, line by line.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;

use super::{Engine, EngineError};

/// Which lines.
#[derive(Debug, Clone)]
pub struct LogQuery {
    /// Container name.
    pub container: String,
    /// Go on with new lines.
    pub follow: bool,
    /// How many of the last lines; all when absent.
    pub tail: Option<u32>,
    /// Only lines after this time, seconds since the epoch.
    pub since: Option<i32>,
    /// Begin each line with its time.
    pub timestamps: bool,
}

/// A line of a container's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// Written to standard error.
    pub stderr: bool,
    /// Its text, without the line end.
    pub text: &'a str,
}

impl Engine {
    /// Calls `line` for each line of both streams until the end (or, following, until the container ends).
    ///
    /// # Errors
    /// The engine's.
    pub async fn logs(&self, query: &LogQuery, line: &mut (dyn FnMut(LogLine) + Send)) -> Result<(), EngineError> {
        let tail = query.tail.map_or_else(|| "all".to_owned(), |n| n.to_string());
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .follow(query.follow)
            .timestamps(query.timestamps)
            .since(query.since.unwrap_or(0))
            .tail(&tail)
            .build();
        let mut stream = self.slow.logs(&query.container, Some(options));
        // A line may come in several frames, and the two streams interleave: each has its own buffer.
        let mut buffers = [Vec::new(), Vec::new()];
        while let Some(frame) = stream.next().await {
            let (which, message) = match frame? {
                LogOutput::StdErr { message } => (1, message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => (0, message),
                LogOutput::StdIn { .. } => continue,
            };
            let buffer: &mut Vec<u8> = &mut buffers[which];
            buffer.extend_from_slice(&message);
            while let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let rest = buffer.split_off(end + 1);
                line(LogLine { stderr: which == 1, text: String::from_utf8_lossy(buffer).trim_end() });
                *buffer = rest;
            }
        }
        for (which, buffer) in buffers.iter().enumerate().filter(|(_, b)| !b.is_empty()) {
            line(LogLine { stderr: which == 1, text: String::from_utf8_lossy(buffer).trim_end() });
        }
        Ok(())
    }

    /// The last lines of a container's log, for an error message; empty when they cannot be had.
    pub async fn last_lines(&self, container: &str, count: u32) -> Vec<String> {
        let query = LogQuery {
            container: container.to_owned(),
            follow: false,
            tail: Some(count),
            since: None,
            timestamps: false,
        };
        let mut lines = Vec::new();
        match self.logs(&query, &mut |line| lines.push(line.text.to_owned())).await {
            Ok(()) => lines,
            // The log is an extra to an error that is reported anyway.
            Err(_) => Vec::new(),
        }
    }
}

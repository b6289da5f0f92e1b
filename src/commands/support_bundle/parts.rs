//! The parts of a bundle: each collected by itself, within a time and a size, and without secrets.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::Part;
use crate::commands::config::Shown;
use crate::commands::context::{Context, machine};
use crate::commands::doctor::{self, Checks};
use crate::commands::status::{Drift, Status};
use crate::engine::{Engine, LogQuery, Object};
use crate::error::{Error, Result};
use crate::journal;
use crate::observed::Observed;
use crate::plan::{self, render};
use crate::report::output::Document;
use crate::report::redact::Redactor;

/// How long one part may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Lines of each log, the last ones.
const LINES: u32 = 2000;
/// Most bytes of each log, the last ones.
const LOG_BYTES: usize = 2 << 20;
/// Runs of the journal, the last ones.
const RUNS: usize = 50;
/// Where our images find their secrets.
const SECRETS: &str = "/etc/pupperware/secrets";

/// What takes secrets out, and whether it knows the platform's own by their values. They are held here only to be
/// taken out.
pub(super) async fn redactor(engine: &Engine, observed: Option<&Observed>) -> (Redactor, bool) {
    let mut known = Vec::new();
    for (name, _) in observed.into_iter().flat_map(Observed::services) {
        if let Ok(Some(files)) = engine.get_files(name, SECRETS).await {
            known.extend(files.into_iter().map(|(_, content)| String::from_utf8_lossy(&content).into_owned()));
        }
    }
    let any = !known.is_empty();
    (Redactor::new(known), any)
}

/// All parts.
pub(super) async fn collect(
    context: &Result<Context>,
    engine: &Engine,
    project: &str,
    observed: Result<&Observed, &Error>,
    redactor: &Redactor,
) -> Vec<Part> {
    let mut parts = Parts { parts: vec![], redactor };
    parts.add("version.json", async { document(&versions(engine).await?) }).await;
    let context = context.as_ref();
    let settings = || context.map_err(again);
    parts.add("config.json", async { config(settings()?).await }).await;
    parts.add("doctor.json", async { document(&Checks::of(doctor::examine(settings()?).await?)) }).await;
    parts
        .add("journal.jsonl", async {
            journal::read::last(engine, project, RUNS).await?.ok_or_else(|| Error::failed("there is no journal yet"))
        })
        .await;
    let observed = match observed {
        Ok(observed) => observed,
        Err(error) => {
            for file in ["status.json", "plan.json", "inspect/", "logs/"] {
                parts.add(file, async { Err(again(error)) }).await;
            }
            return parts.parts;
        }
    };
    let status = Status::of(project, observed, Drift::of(context, observed));
    parts.add("status.json", async { document(&status) }).await;
    parts.add("plan.json", async { planned(settings()?).await }).await;
    for (folder, object, names) in [
        ("containers", Object::Container, observed.containers.keys().collect::<Vec<_>>()),
        ("networks", Object::Network, observed.networks.keys().collect()),
        ("volumes", Object::Volume, observed.volumes.keys().chain(&observed.record_volumes).collect()),
    ] {
        for name in names {
            let inspected = async { text(&engine.inspect(object, name).await?) };
            parts.add(&format!("inspect/{folder}/{name}.json"), inspected).await;
        }
    }
    for (name, _) in observed.services() {
        parts.add(&format!("logs/{name}.log"), log(engine, name)).await;
    }
    parts.parts
}

/// Parts so far.
struct Parts<'r> {
    parts: Vec<Part>,
    redactor: &'r Redactor,
}

impl Parts<'_> {
    /// Adds a part, without secrets.
    async fn add(&mut self, file: &str, content: impl Future<Output = Result<String>>) {
        let content = tokio::time::timeout(PATIENCE, content).await;
        let content = content.unwrap_or_else(|_| Err(Error::failed("it took too long")));
        let clean = |content: String| match serde_json::from_str::<Value>(&content) {
            Ok(value) => text(&self.redactor.json(value)),
            Err(_) => Ok(self.redactor.text(&content)),
        };
        self.parts.push(Part { file: file.to_owned(), content: content.and_then(clean) });
    }
}

/// The same failure once more, for another part.
fn again(error: &Error) -> Error {
    Error::new(error.kind, error.to_string()).details(error.details.iter().cloned())
}

fn text(value: &Value) -> Result<String> {
    serde_json::to_string_pretty(value).map_err(|e| Error::failed("cannot write JSON").because(e))
}

fn document<T: Serialize>(body: &T) -> Result<String> {
    crate::report::output::json(&Document::new(body))
}

async fn versions(engine: &Engine) -> Result<Value> {
    let program = json!({
        "version": env!("CARGO_PKG_VERSION"), "os": std::env::consts::OS, "arch": std::env::consts::ARCH,
    });
    let info = engine.info().await?;
    Ok(json!({
        "program": program,
        "engine": {
            "version": info.version,
            "api": format!("{}.{}", info.api.0, info.api.1),
            "os": info.os,
            "cpus": info.cpus,
            "memory_bytes": info.memory_bytes,
            "storage_driver": info.storage_driver,
            "system_time": info.system_time,
            "local": engine.is_local(),
        },
    }))
}

async fn config(context: &Context) -> Result<String> {
    document(&Shown::of(context, &context.platform().await?))
}

/// What `up` would do now.
async fn planned(context: &Context) -> Result<String> {
    let supply = context.supply().await?;
    let (_, desired) = context.desired(&supply.release, machine(&supply.info), &supply.observed)?;
    let plan = plan::reconcile(&desired, &supply.observed)?;
    crate::report::output::json(&render::document(context.project(), &plan))
}

/// The end of a container's log, with times.
async fn log(engine: &Engine, container: &str) -> Result<String> {
    let query =
        LogQuery { container: container.to_owned(), follow: false, tail: Some(LINES), since: None, timestamps: true };
    let mut lines = String::new();
    engine
        .logs(&query, &mut |line| {
            lines.push_str(line.text);
            lines.push('\n');
        })
        .await?;
    Ok(tail(lines, LOG_BYTES))
}

/// The last lines of a text that fit.
fn tail(text: String, bytes: usize) -> String {
    if text.len() <= bytes {
        return text;
    }
    let from = text.len() - bytes;
    let end = text.as_bytes()[from..].iter().position(|b| *b == b'\n');
    text[end.map_or(text.len(), |end| from + end + 1)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_long_log_is_kept() {
        assert_eq!(tail("one\ntwo\nthree\n".into(), 10), "three\n");
        assert_eq!(tail("one\n".into(), 10), "one\n");
        assert_eq!(tail("é\né\n".into(), 4), "é\n");
    }
}

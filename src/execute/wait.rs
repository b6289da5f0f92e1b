//! Waiting until a service says that it is ready, where it lives: one probe loop inside its container.
//!
//! The loop ends the moment the service is ready, so nothing is polled from here, on remote engines either.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Context, death, timed_out};
use crate::engine::ExecRequest;
use crate::error::{Error, Result};

/// The exit code of a process that SIGKILL ended.
const KILLED: i64 = 137;

/// Returns when the service is ready.
pub(super) async fn ready(context: &Context, id: usize, name: &str, service: &str) -> Result<()> {
    let seconds = context.seconds_left();
    let request = ExecRequest {
        container: name.to_owned(),
        command: vec!["/usr/local/bin/pupperware-ready".into(), "--wait".into(), seconds.to_string()],
        ..ExecRequest::default()
    };
    let last = Arc::new(Mutex::new(String::new()));
    let output = {
        let last = last.clone();
        let mut line = move |text: &str| {
            text.clone_into(&mut last.lock().expect("not held over a panic"));
            context.progress(id, text);
        };
        context.engine.exec(&request, &mut line).await
    };
    let reason = last.lock().expect("not held over a panic").clone();
    match output {
        Ok(output) if output.code == 0 => Ok(()),
        // The probe's own end of patience; anything else means that the container went away under it.
        Ok(output) if output.code == 1 => {
            let mut error = timed_out(format!("{service} did not get ready in time"), &reason);
            let lines = context.engine.last_lines(name, 15).await;
            error =
                error.details([format!("last lines of {name}:")]).details(lines.into_iter().map(|l| format!("  {l}")));
            Err(error.hint(format!(
                "see all with `pupperware --project {} logs {service}`, or wait longer with `--timeout`",
                context.project
            )))
        }
        // Killed with its container, whose own end the engine tells a moment later, or has restarted by now.
        Ok(output) if output.code == KILLED => {
            for _ in 0..20 {
                if context.engine.inspect_container(name).await?.is_none_or(|detail| !detail.running) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(death::explain(context, name, None).await)
        }
        Err(error) if error.is_conflict() || error.is_not_found() => Err(death::explain(context, name, None).await),
        ended => match (context.engine.inspect_container(name).await?, ended) {
            (Some(detail), Ok(output)) if detail.running => {
                Err(Error::failed(format!("the readiness probe of {service} failed with exit code {}", output.code))
                    .details([output.stderr.trim().to_owned()])
                    .hint(format!("see `pupperware --project {} logs {service}`", context.project)))
            }
            (Some(detail), Err(error)) if detail.running => Err(error.into()),
            _ => Err(death::explain(context, name, None).await),
        },
    }
}

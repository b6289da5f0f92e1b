//! Services that die while a plan runs: noticed at once by the engine's events, explained from what the engine knows.

use futures_util::{Stream, StreamExt};

use super::Context;
use crate::desired::labels;
use crate::engine::Died;
use crate::error::Error;

/// How many log lines an explanation shows.
const LOG_LINES: u32 = 15;

/// Deaths of the platform's service containers, from now on. A lost event stream ends it: waiting steps notice a
/// death by themselves, only later.
pub(super) fn watch(context: &Context) -> impl Stream<Item = Died> + Send + use<> {
    let selectors = [labels::selector(&context.project), format!("{}=service", labels::ROLE)];
    context.engine.deaths(&selectors).filter_map(|event| async move { event.ok() })
}

/// Why a service died, as an error: exit code, memory, the last log lines, and what to type next.
pub(super) async fn explain(context: &Context, died: &Died) -> Error {
    let service = service_of(&context.project, &died.name);
    let detail = context.engine.inspect_container(&died.name).await.ok().flatten();
    let oom = detail.as_ref().is_some_and(|d| d.oom_killed);
    let code = died.exit_code.or(detail.as_ref().map(|d| d.exit_code));
    let why = match (oom, code) {
        (true, _) => "the kernel killed it because its memory limit was reached".to_owned(),
        (false, Some(137)) => "it was killed (exit code 137)".to_owned(),
        (false, Some(code)) => format!("exit code {code}"),
        (false, None) => "the engine does not say why".to_owned(),
    };
    let mut error = Error::failed(format!("{service} died: {why}"));
    let lines = context.engine.last_lines(&died.name, LOG_LINES).await;
    if !lines.is_empty() {
        error = error
            .details([format!("last lines of {}:", died.name)])
            .details(lines.into_iter().map(|l| format!("  {l}")));
    }
    error.hint(if oom {
        format!("give it more with `{service}.memory` in pupperware.yaml, then run `pupperware up` again")
    } else {
        format!(
            "see all with `pupperware --project {} logs {service}`; then run `pupperware up` again",
            context.project
        )
    })
}

/// `demo-puppetdb-1` -> `puppetdb`.
pub(super) fn service_of<'n>(project: &str, container: &'n str) -> &'n str {
    let inner = container.strip_prefix(project).and_then(|rest| rest.strip_prefix('-')).unwrap_or(container);
    inner.rsplit_once('-').map_or(inner, |(service, _)| service)
}

#[cfg(test)]
mod tests {
    #[test]
    fn services_are_found_in_container_names() {
        assert_eq!(super::service_of("my-lab", "my-lab-puppetdb-1"), "puppetdb");
        assert_eq!(super::service_of("x", "odd"), "odd");
    }
}

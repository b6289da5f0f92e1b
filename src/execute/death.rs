//! Services that die while a plan runs: noticed at once by the engine's events, explained from what the engine knows.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use futures_util::{Stream, StreamExt};
use jiff::Timestamp;

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

/// Deaths that alarm nobody: of containers that were stopped on purpose, until they were started again.
#[derive(Default)]
pub(super) struct Expected(Mutex<BTreeMap<String, Option<Timestamp>>>);

impl Expected {
    /// A container is being stopped: whenever it dies from now on, that was wanted.
    pub(super) fn stopping(&self, name: &str) {
        self.lock().insert(name.to_owned(), None);
    }

    /// True when a death of this container would alarm nobody now.
    pub(super) fn stopped(&self, name: &str) -> bool {
        self.lock().get(name) == Some(&None)
    }

    /// It runs again since this time. Its former death may be heard of only now: events come after answers.
    pub(super) fn started(&self, name: &str, at: Timestamp) {
        self.lock().insert(name.to_owned(), Some(at));
    }

    /// True when the death was wanted.
    pub(super) fn covers(&self, died: &Died) -> bool {
        match self.lock().get(&died.name) {
            None => false,
            Some(None) => true,
            Some(Some(started)) => died.at < *started,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<Timestamp>>> {
        self.0.lock().expect("not held over a panic")
    }
}

/// Why a service died, as an error: exit code, memory, the last log lines, and what to type next.
pub(super) async fn explain(context: &Context, name: &str, exit_code: Option<i64>) -> Error {
    let service = service_of(&context.project, name);
    let detail = context.engine.inspect_container(name).await.ok().flatten();
    let oom = detail.as_ref().is_some_and(|d| d.oom_killed);
    let code = exit_code.or(detail.as_ref().map(|d| d.exit_code));
    let why = match (oom, code) {
        (true, _) => "the kernel killed it because its memory limit was reached".to_owned(),
        (false, Some(137)) => "it was killed (exit code 137)".to_owned(),
        (false, Some(code)) => format!("exit code {code}"),
        (false, None) => "the engine does not say why".to_owned(),
    };
    let mut error = Error::failed(format!("{service} died: {why}"));
    let lines = context.engine.last_lines(name, LOG_LINES).await;
    if !lines.is_empty() {
        error = error.details([format!("last lines of {name}:")]).details(lines.into_iter().map(|l| format!("  {l}")));
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
    use super::*;

    #[test]
    fn services_are_found_in_container_names() {
        assert_eq!(service_of("my-lab", "my-lab-puppetdb-1"), "puppetdb");
        assert_eq!(service_of("x", "odd"), "odd");
    }

    #[test]
    fn a_death_is_expected_until_the_container_lives_again() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let died = |second| Died { name: "demo-puppetdb-1".into(), exit_code: Some(143), at: at(second) };
        let expected = Expected::default();
        assert!(!expected.covers(&died(1)));
        expected.stopping("demo-puppetdb-1");
        assert!(expected.covers(&died(2)) && expected.stopped("demo-puppetdb-1"));
        expected.started("demo-puppetdb-1", at(4));
        // Heard of late.
        assert!(expected.covers(&died(3)));
        assert!(!expected.covers(&died(4)) && !expected.stopped("demo-puppetdb-1"));
    }
}

//! Scripted sequences of events that the renderers' tests share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Event, Stage};

/// Events with the time at which each happens.
pub(super) type Script = Vec<(Duration, Event)>;

pub(super) fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(super) fn plan(steps: &[(Stage, usize)]) -> Event {
    let stages: BTreeMap<Stage, usize> = steps.iter().copied().collect();
    Event::PlanStarted { command: "up".into(), steps: stages.values().sum(), stages }
}

pub(super) fn start(id: usize, stage: Stage, kind: &str, resource: &str, service: Option<&str>) -> Event {
    let service = service.map(Into::into);
    Event::StepStarted { id, stage, kind: kind.into(), resource: resource.into(), service, cause: "missing".into() }
}

pub(super) fn progress(id: usize, text: &str) -> Event {
    Event::StepProgress { id, text: text.into() }
}

pub(super) fn finish(id: usize, elapsed_ms: u64, outcome: Option<&str>) -> Event {
    Event::StepFinished { id, elapsed_ms, outcome: outcome.map(Into::into) }
}

/// Succeeds; the second image comes only after the services have begun to start.
pub(super) fn out_of_order() -> Script {
    use Stage::*;
    vec![
        (at(0.0), plan(&[(Images, 2), (Credentials, 1), (Services, 2)])),
        (at(0.0), start(0, Images, "pull_image", "image puppetdb", None)),
        (at(0.1), start(1, Images, "build_image", "image puppetserver", None)),
        (at(1.0), finish(0, 1_000, None)),
        (at(1.0), start(2, Credentials, "place_files", "volume ca", None)),
        (at(2.0), finish(2, 1_000, Some("3 certificates"))),
        (at(2.0), start(3, Services, "create_container", "container puppetdb-1", Some("puppetdb"))),
        (at(2.1), progress(1, "step 4/9: installing puppetserver")),
        (at(2.2), finish(3, 200, None)),
        (at(2.2), start(4, Services, "wait_ready", "container puppetdb-1", Some("puppetdb"))),
        (at(2.5), progress(4, "waiting for postgres")),
        (at(3.0), progress(4, "waiting for postgres")),
        (at(9.5), finish(1, 9_400, None)),
        (at(10.5), finish(4, 8_300, Some("puppetdb 8.8.1"))),
        (at(10.5), Event::PlanFinished { ok: true, done: 5, elapsed_ms: 10_500 }),
    ]
}

/// A service dies while another one is still waited for.
pub(super) fn failing() -> Script {
    use Stage::*;
    vec![
        (at(0.0), plan(&[(Foundation, 1), (Services, 3), (Record, 1)])),
        (at(0.0), start(0, Foundation, "create_volume", "volume ca", None)),
        (at(0.1), finish(0, 100, None)),
        (at(0.1), start(1, Services, "wait_ready", "container puppetserver-1", Some("puppetserver"))),
        (at(0.1), start(2, Services, "wait_ready", "container compiler-2", Some("compiler"))),
        (at(0.2), Event::Warning { text: "little memory: 3 GiB".into(), hint: Some("give the engine 4 GiB".into()) }),
        (at(12.2), Event::StepFailed { id: 1, elapsed_ms: 12_100, error: "exited with code 137".into() }),
        (at(12.3), Event::Note { text: "waiting for running steps; press Ctrl-C to stop now".into() }),
        (at(14.0), finish(2, 13_900, None)),
        (at(14.0), Event::PlanFinished { ok: false, done: 2, elapsed_ms: 14_000 }),
    ]
}

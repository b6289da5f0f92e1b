//! `pupperware smoke`: the end-to-end proof for CI, with a throw-away agent.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::change::{self, Change};
use super::context::{Context, Extra};
use crate::cli::global::GlobalArgs;
use crate::cli::smoke::{SmokeArgs, SmokeOutput};
use crate::error::{Error, Result};
use crate::plan;
use crate::report::event::Event;
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::{Report, Reporter, junit, terminal};

#[derive(Debug, Clone, Serialize)]
struct Smoke {
    certname: String,
    passed: bool,
    cases: Vec<Case>,
}

/// One thing that was proved, or not.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Case {
    /// What.
    pub name: String,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Why it failed; nothing when it passed.
    pub failure: Option<String>,
}

impl Tabular for Smoke {
    fn table(&self) -> Table {
        let mut table = Table::new(["PROVED", "RESULT", "SECONDS"]);
        for case in &self.cases {
            let (word, tone) = if case.failure.is_none() { ("passed", Tone::Good) } else { ("FAILED", Tone::Bad) };
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few minutes")]
            let seconds = format!("{:.1}", case.elapsed_ms as f64 / 1000.0);
            table.row([case.name.as_str().into(), Cell::toned(word, tone), seconds.into()]);
        }
        table
    }
}

/// Listens to the plans' events, and turns the steps that prove something into cases.
struct Cases {
    inner: Report,
    tally: Arc<Mutex<Tally>>,
}

/// What was tried so far.
#[derive(Default)]
struct Tally {
    /// True once a plan was begun: before that, nothing was touched.
    begun: bool,
    open: Vec<Open>,
    done: Vec<Case>,
    /// How many of them are of plans that ended.
    earlier: usize,
}

/// A case under way.
struct Open {
    id: usize,
    name: &'static str,
    since: Instant,
}

/// What a step proves.
fn proves(kind: &str) -> Option<&'static str> {
    match kind {
        "issue_credentials" => Some("a one-time token is made for a new agent"),
        "start_container" => Some("a new agent starts"),
        "prove" => Some("its request is signed by policy, its catalog applied, its report in PuppetDB"),
        "run_agent" => Some("a second run changes nothing"),
        "revoke_certificate" => Some("its certificate is revoked"),
        "remove_certificate" => Some("its certificate is removed"),
        "deactivate_node" => Some("its node is deactivated in PuppetDB"),
        _ => None,
    }
}

impl Tally {
    fn take(&mut self, event: &Event) {
        match event {
            Event::PlanStarted { .. } => self.begun = true,
            Event::StepStarted { id, kind, .. } => {
                if let Some(name) = proves(kind) {
                    self.open.push(Open { id: *id, name, since: Instant::now() });
                }
            }
            Event::StepFinished { id, elapsed_ms, .. } => self.close(*id, *elapsed_ms, None),
            Event::StepFailed { id, elapsed_ms, error } => self.close(*id, *elapsed_ms, Some(error.clone())),
            _ => {}
        }
    }

    fn close(&mut self, id: usize, elapsed_ms: u64, failure: Option<String>) {
        if let Some(at) = self.open.iter().position(|open| open.id == id) {
            let name = self.open.remove(at).name.to_owned();
            self.done.push(Case { name, elapsed_ms, failure });
        }
    }

    /// A plan ended. What was under way when it was cut short has no event of its own, and has failed with it; and a
    /// failure outside of all cases is one itself, named `part`: no failure may look green to who reads only the cases.
    fn ended<T>(&mut self, part: &str, outcome: &Result<T>) {
        if let Err(error) = outcome {
            let failure = Some(error.what.clone());
            for open in self.open.drain(..) {
                let elapsed_ms = u64::try_from(open.since.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.done.push(Case { name: open.name.to_owned(), elapsed_ms, failure: failure.clone() });
            }
            if self.done[self.earlier..].iter().all(|case| case.failure.is_none()) {
                self.done.push(Case { name: part.to_owned(), elapsed_ms: 0, failure });
            }
        }
        self.earlier = self.done.len();
    }
}

impl Reporter for Cases {
    fn event(&self, event: &Event) {
        self.tally.lock().expect("not held over a panic").take(event);
        self.inner.event(event.clone());
    }
}

/// Proves the platform with an agent that nobody knew before, and cleans up whatever comes of it.
pub(super) async fn run(global: &GlobalArgs, args: &SmokeArgs, report: &Report) -> Result<u8> {
    let mut context = Context::new(global, &Extra::default(), report)?;
    let platform = context.platform().await?;
    let tally = Arc::new(Mutex::new(Tally::default()));
    context.report = Report::new(Cases { inner: report.clone(), tally: tally.clone() });
    let certname = format!("{}-smoke-{}", context.project(), random()?);
    let change =
        Change { command: "smoke", engine: &platform.engine, release: platform.release.version.clone(), channel: None };
    let patience = Duration::from_secs(60);
    let proved = change::locked(&context, &change, patience, args.timeout, async |observed| {
        plan::smoke(&platform.desired, observed, &certname)
    })
    .await;
    // A platform that does not run was never touched; everything else is cleaned up, a failed smoke too.
    let begun = tally.lock().expect("not held over a panic").begun;
    let proved = match proved {
        Err(error) if !begun => return Err(error),
        outcome => outcome,
    };
    tally.lock().expect("not held over a panic").ended("the proof goes through", &proved);
    let cleaned =
        change::locked(&context, &change, patience, args.timeout, async |o| plan::smoke_cleanup(&platform.desired, o))
            .await;
    tally.lock().expect("not held over a panic").ended("nothing is left behind", &cleaned);

    let cases = tally.lock().expect("not held over a panic").done.clone();
    let passed = proved.is_ok() && cleaned.is_ok() && cases.iter().all(|c| c.failure.is_none());
    let smoke = Smoke { certname, passed, cases };
    match args.output {
        SmokeOutput::Table => print_data(Output::Table, &smoke)?,
        SmokeOutput::Json => print_data(Output::Json, &Document::new(smoke.clone()))?,
        SmokeOutput::Junit => {
            terminal::out(&junit::suite(&format!("pupperware smoke {}", context.project()), &junit_cases(&smoke)))?
        }
    }
    proved.and(cleaned).map(|_| 0)
}

fn junit_cases(smoke: &Smoke) -> Vec<junit::Case<'_>> {
    smoke
        .cases
        .iter()
        .map(|c| junit::Case { name: &c.name, elapsed_ms: c.elapsed_ms, failure: c.failure.as_deref() })
        .collect()
}

/// Six random hex digits.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0_u8; 3];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::failed("the system gives no random numbers").because(anyhow::anyhow!("{e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::event::Stage;

    fn started(id: usize, kind: &str) -> Event {
        let (kind, resource) = (kind.to_owned(), String::new());
        Event::StepStarted { id, stage: Stage::Proof, kind, resource, service: None, cause: String::new() }
    }

    fn finished(id: usize) -> Event {
        Event::StepFinished { id, elapsed_ms: 5, outcome: None }
    }

    fn tally(events: &[Event]) -> Tally {
        let mut tally = Tally::default();
        for event in events {
            tally.take(event);
        }
        tally
    }

    fn failures(tally: &Tally) -> Vec<(&str, &str)> {
        tally.done.iter().filter_map(|c| Some((c.name.as_str(), c.failure.as_deref()?))).collect()
    }

    #[test]
    fn a_proof_that_is_cut_short_fails_its_case() {
        let mut tally = tally(&[started(1, "issue_credentials"), finished(1), started(4, "prove")]);
        tally.ended("the proof goes through", &Err::<(), _>(Error::failed("puppetdb died: exit code 1")));
        assert_eq!(failures(&tally), [(proves("prove").unwrap(), "puppetdb died: exit code 1")]);
        let suite =
            junit::suite("s", &junit_cases(&Smoke { certname: String::new(), passed: false, cases: tally.done }));
        assert!(suite.contains("tests=\"2\" failures=\"1\""), "{suite}");
    }

    #[test]
    fn a_failure_outside_of_all_cases_is_one_itself() {
        let mut tally = tally(&[started(1, "issue_credentials"), finished(1), started(2, "create_container")]);
        tally.ended("the proof goes through", &Err::<(), _>(Error::failed("no space left on device")));
        assert_eq!(failures(&tally), [("the proof goes through", "no space left on device")]);
    }

    #[test]
    fn a_failed_case_is_counted_once() {
        let failed = Event::StepFailed { id: 4, elapsed_ms: 5, error: "no catalog".into() };
        let mut tally = tally(&[started(4, "prove"), failed]);
        tally.ended("the proof goes through", &Err::<(), _>(Error::failed("no catalog")));
        assert_eq!(failures(&tally), [(proves("prove").unwrap(), "no catalog")]);
        tally.ended("nothing is left behind", &Err::<(), _>(Error::refused("another change is under way")));
        assert_eq!(failures(&tally).len(), 2, "the clean-up has a failure of its own");
    }
}

//! `pupperware smoke`: the end-to-end proof for CI, with a throw-away agent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

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

/// Listens to the plan's events, and turns the steps that prove something into cases.
struct Cases {
    inner: Report,
    open: Mutex<Vec<(usize, &'static str)>>,
    done: Arc<Mutex<Vec<Case>>>,
}

/// What a step proves.
fn proves(kind: &str) -> Option<&'static str> {
    match kind {
        "issue_credentials" => Some("a one-time token is made for a new agent"),
        "start_container" => Some("a new agent starts"),
        "prove" => Some("its request is signed by policy, its catalog applied, its report in PuppetDB"),
        "run_agent" => Some("a second run changes nothing"),
        "clean_certificate" => Some("its certificate is revoked and removed"),
        "deactivate_node" => Some("its node is deactivated in PuppetDB"),
        _ => None,
    }
}

impl Reporter for Cases {
    fn event(&self, event: &Event) {
        let close = |id: usize, elapsed_ms: u64, failure: Option<String>| {
            let open = self.open.lock().expect("not held over a panic");
            if let Some((_, name)) = open.iter().find(|(i, _)| *i == id) {
                let case = Case { name: (*name).to_owned(), elapsed_ms, failure };
                self.done.lock().expect("not held over a panic").push(case);
            }
        };
        match event {
            Event::PlanStarted { .. } => self.open.lock().expect("not held over a panic").clear(),
            Event::StepStarted { id, kind, .. } => {
                if let Some(name) = proves(kind) {
                    self.open.lock().expect("not held over a panic").push((*id, name));
                }
            }
            Event::StepFinished { id, elapsed_ms, .. } => close(*id, *elapsed_ms, None),
            Event::StepFailed { id, elapsed_ms, error } => close(*id, *elapsed_ms, Some(error.clone())),
            _ => {}
        }
        self.inner.event(event.clone());
    }
}

/// Proves the platform with an agent that nobody knew before, and cleans up whatever comes of it.
pub(super) async fn run(global: &GlobalArgs, args: &SmokeArgs, report: &Report) -> Result<u8> {
    let mut context = Context::new(global, &Extra::default(), report)?;
    let platform = context.platform().await?;
    let done = Arc::new(Mutex::new(Vec::new()));
    context.report = Report::new(Cases { inner: report.clone(), open: Mutex::default(), done: done.clone() });
    let certname = format!("{}-smoke-{}", context.project(), random()?);
    let change =
        Change { command: "smoke", engine: &platform.engine, release: platform.release.version.clone(), channel: None };
    let patience = Duration::from_secs(60);
    let proved = change::locked(&context, &change, patience, args.timeout, |observed| {
        plan::smoke(&platform.desired, observed, &certname)
    })
    .await;
    // A platform that does not run was never touched; everything else is cleaned up, a failed smoke too.
    let touched = !done.lock().expect("not held over a panic").is_empty();
    let cleaned = if touched {
        change::locked(&context, &change, patience, args.timeout, |o| plan::smoke_cleanup(&platform.desired, o))
            .await
            .map(|_| ())
    } else {
        Ok(())
    };
    let failure = match proved {
        Err(error) if !touched => return Err(error),
        outcome => outcome.err(),
    };
    let cases = done.lock().expect("not held over a panic").clone();
    let passed = cases.iter().all(|c| c.failure.is_none());
    let smoke = Smoke { certname, passed, cases };
    match args.output {
        SmokeOutput::Table => print_data(Output::Table, &smoke)?,
        SmokeOutput::Json => print_data(Output::Json, &Document::new(smoke.clone()))?,
        SmokeOutput::Junit => {
            terminal::out(&junit::suite(&format!("pupperware smoke {}", context.project()), &junit_cases(&smoke)))?
        }
    }
    match failure {
        Some(error) => Err(error),
        None => cleaned.map(|()| 0),
    }
}

fn junit_cases(smoke: &Smoke) -> Vec<junit::Case<'_>> {
    smoke
        .cases
        .iter()
        .map(|c| junit::Case { name: &c.name, elapsed_ms: c.elapsed_ms, failure: c.failure.as_deref() })
        .collect()
}

/// Six random hex digits.
fn random() -> Result<String> {
    let mut bytes = [0_u8; 3];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::failed("the system gives no random numbers").because(anyhow::anyhow!("{e}")))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

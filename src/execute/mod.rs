//! Carries a plan out: every step as soon as the steps that it needs have succeeded, several side by side.
//!
//! Nothing is decided here but the order. After a failure or an interruption no step is begun any more, waiting is cut
//! short, and steps that change something are let finish, so that the journal tells what is.

mod backup_steps;
mod ca_steps;
pub mod cancel;
mod code_steps;
mod compare_steps;
mod compiler_steps;
mod crl_steps;
mod death;
mod hook_steps;
mod image_steps;
mod node_steps;
mod prove;
mod record_steps;
mod restore_steps;
mod secret_steps;
mod steps;
mod upgrade_steps;
mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use semver::Version;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::journal::{self, Entry, Journal, PlannedStep};
use crate::plan::timeline::Span;
use crate::plan::{Action, Plan, Step};
use crate::report::Report;
use crate::report::event::Event;
use cancel::Cancel;

/// Most steps under way at once. Engine calls are cheap; what costs is inside the containers.
const PARALLEL: usize = 12;

/// What steps need to know besides themselves.
pub struct Context {
    /// The engine.
    pub engine: Engine,
    /// Project name.
    pub project: String,
    /// Release that the platform had when the plan was made.
    before: Option<Version>,
    /// Release that the record names when the plan is done, unless that is an upgrade.
    pub release: Version,
    /// Channel that the user named.
    pub channel: Option<String>,
    /// Where events go.
    pub report: Report,
    /// Id of the lock's container.
    lock: String,
    /// How long may be waited, from the first wait on: what comes before it (image builds) has no deadline.
    timeout: Duration,
    /// When the first wait began.
    first_wait: OnceLock<Instant>,
    /// Milliseconds since then that went into work of unknown length, which has limits of its own or none.
    worked: AtomicU64,
    /// Deaths of containers that are stopped on purpose.
    expected: death::Expected,
    /// At most two image builds at once: each keeps a core busy.
    builds: tokio::sync::Semaphore,
    /// The hash of the report that the proof found, for the record.
    proof: Mutex<Option<String>>,
    /// The ends of the certificates that were issued or kept, by subject, for the record.
    ends: Mutex<BTreeMap<String, String>>,
}

impl Context {
    /// A context for one run, under this lock.
    pub fn new(
        engine: Engine,
        project: String,
        release: Version,
        channel: Option<String>,
        report: Report,
        lock: String,
        timeout: Duration,
    ) -> Self {
        Context {
            engine,
            project,
            before: None,
            release,
            channel,
            report,
            lock,
            timeout,
            first_wait: OnceLock::new(),
            worked: AtomicU64::new(0),
            expected: death::Expected::default(),
            builds: tokio::sync::Semaphore::new(2),
            proof: Mutex::default(),
            ends: Mutex::default(),
        }
    }

    /// The same, of a platform that had this release.
    pub fn of(self, before: Option<Version>) -> Self {
        Context { before, ..self }
    }

    /// Seconds left for waiting, at least one.
    fn seconds_left(&self) -> u64 {
        let began = self.first_wait.get_or_init(Instant::now);
        let worked = Duration::from_millis(self.worked.load(Ordering::Relaxed));
        (self.timeout + worked).saturating_sub(began.elapsed()).as_secs().max(1)
    }

    /// Does work that takes as long as its data needs: a fetch, a restore. It is not counted as waiting.
    async fn work<T>(&self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.worked.fetch_add(millis(began), Ordering::Relaxed);
        done
    }

    fn progress(&self, id: usize, text: &str) {
        self.report.event(Event::StepProgress { id, text: text.to_owned() });
    }
}

/// Carries out the plan under the lock's journal, and tells when each step was under way.
///
/// # Errors
/// The first step's failure, a service's death, the deadline, or the user's interruption. What was done stays done.
pub async fn execute(
    context: Context,
    plan: &Plan,
    journal: Journal,
    command: &str,
    cancel: &Cancel,
) -> Result<Vec<Span>> {
    let began = Instant::now();
    let context = Arc::new(context);
    context.report.event(Event::PlanStarted {
        command: command.to_owned(),
        steps: plan.steps.len(),
        stages: plan.stages(),
    });
    journal.add(planned(&context, plan, command));
    // The intention is on record before anything happens.
    journal.flush().await?;
    let outcome = run(&context, plan, &journal, cancel).await;
    let done = match &outcome {
        Ok(_) => plan.steps.len(),
        Err((_, done)) => *done,
    };
    let by_the_user = |error: &Error| matches!(error.kind, Kind::Interrupted | Kind::Terminated);
    let why = outcome.as_ref().err().filter(|(error, _)| !by_the_user(error));
    let error = why.map(|(error, _)| error.what.lines().next().unwrap_or_default().to_owned());
    journal.add(Entry::Ended { at: journal::now(), ok: outcome.is_ok(), error });
    let flushed = journal.flush().await;
    context.report.event(Event::PlanFinished { ok: outcome.is_ok(), done, elapsed_ms: millis(began) });
    let spans = outcome.map_err(|(error, _)| *error)?;
    flushed?;
    Ok(spans)
}

/// The loop. On failure: the error, and how many steps had succeeded.
async fn run(
    context: &Arc<Context>,
    plan: &Plan,
    journal: &Journal,
    cancel: &Cancel,
) -> Result<Vec<Span>, (Box<Error>, usize)> {
    let began = Instant::now();
    let mut spans = Vec::new();
    let mut waiting: Vec<&Step> = plan.steps.iter().collect();
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut running = JoinSet::new();
    let mut handles: Vec<(tokio::task::AbortHandle, bool)> = Vec::new();
    let mut failure: Option<Error> = None;
    let mut deaths = Box::pin(death::watch(context));
    let mut watching = true;
    loop {
        // Before anything is begun: the user may have asked while the lock was taken or the plan made.
        if failure.is_none() && cancel.is_requested() && done.len() < plan.steps.len() {
            if !running.is_empty() {
                context.report.note("finishing the steps under way; press Ctrl-C again to stop at once");
            }
            stop(&mut failure, cancel.error(), &handles);
        }
        if failure.is_none() {
            while running.len() < PARALLEL {
                let Some(next) = waiting.iter().position(|s| s.needs.iter().all(|n| done.contains(n))) else { break };
                let step = waiting.remove(next).clone();
                let waits = step.action.only_waits();
                handles.push((running.spawn(one(context.clone(), journal.clone(), step)), waits));
            }
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            Some(finished) = running.join_next() => match finished {
                Ok((id, Ok(at))) => {
                    let began_ms = u64::try_from((at - began).as_millis()).unwrap_or(u64::MAX);
                    spans.push(Span { id, began_ms, ended_ms: millis(began) });
                    done.insert(id);
                }
                Ok((_, Err(error))) => stop(&mut failure, error, &handles),
                // Aborted by us after another failure.
                Err(e) if e.is_cancelled() => {}
                Err(e) => stop(&mut failure, Error::failed("a step broke down").because(e), &handles),
            },
            death = deaths.next(), if watching => match death {
                Some(died) if context.expected.covers(&died) => {}
                Some(died) => {
                    stop(&mut failure, death::explain(context, &died.name, died.exit_code).await, &handles);
                }
                None => watching = false,
            },
            () = cancel.requested(), if failure.is_none() => {}
            () = cancel.insisted() => {
                running.abort_all();
                return Err((Box::new(failure.unwrap_or_else(|| cancel.error())), done.len()));
            }
        }
    }
    match failure {
        None => Ok(spans),
        Some(error) => Err((Box::new(error), done.len())),
    }
}

/// Keeps the first failure, and cuts short what only waits.
fn stop(failure: &mut Option<Error>, error: Error, handles: &[(tokio::task::AbortHandle, bool)]) {
    if failure.is_none() {
        *failure = Some(error);
        for (handle, only_waits) in handles {
            if *only_waits {
                handle.abort();
            }
        }
    }
}

/// One step, with its events and journal entries; when it began.
async fn one(context: Arc<Context>, journal: Journal, step: Step) -> (usize, Result<Instant>) {
    let began = Instant::now();
    let id = step.id;
    context.report.event(Event::StepStarted {
        id,
        stage: step.action.stage(),
        kind: step.action.kind().to_owned(),
        resource: step.action.resource(),
        service: step.action.service().map(ToOwned::to_owned),
        cause: step.cause.clone(),
    });
    journal.add(Entry::Started { id, at: journal::now() });
    match steps::run(&context, id, &step.action).await {
        Ok(outcome) => {
            journal.add(Entry::Done { id, at: journal::now() });
            context.report.event(Event::StepFinished { id, elapsed_ms: millis(began), outcome });
            (id, Ok(began))
        }
        Err(error) => {
            journal.add(Entry::Failed { id, at: journal::now(), error: error.to_string() });
            context.report.event(Event::StepFailed { id, elapsed_ms: millis(began), error: error.what.clone() });
            (id, Err(error))
        }
    }
}

fn planned(context: &Context, plan: &Plan, command: &str) -> Entry {
    let commits = plan.steps.iter().find_map(|s| match &s.action {
        Action::CommitUpgrade { running, .. } | Action::FinishRollback { running, .. } => {
            Some(running.release.version.clone())
        }
        _ => None,
    });
    let steps = plan.steps.iter().map(|s| PlannedStep {
        id: s.id,
        kind: s.action.kind().to_owned(),
        resource: s.action.resource(),
        cause: s.cause.clone(),
    });
    Entry::Planned {
        schema_version: journal::SCHEMA_VERSION,
        at: journal::now(),
        command: command.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        by: format!("process {} on {}", std::process::id(), journal::host()),
        user: journal::user(),
        from: context.before.clone(),
        to: Some(commits.or(context.before.clone()).unwrap_or_else(|| context.release.clone())),
        steps: steps.collect(),
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The deadline passed while a service was waited for.
fn timed_out(what: String, reason: &str) -> Error {
    let error = Error::new(Kind::TimedOut, what);
    if reason.is_empty() { error } else { error.details([format!("last word: {reason}")]) }
}

/// True for steps after which a container may die without anyone being alarmed.
fn ends_container(action: &Action) -> Option<&str> {
    match action {
        Action::StopContainer { name, .. } | Action::RemoveContainer { name, .. } => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

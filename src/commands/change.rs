//! The one way in which a command changes a platform: observe, plan, show or lock, plan again under the lock, execute.

use std::time::{Duration, Instant};

use semver::Version;

use super::context::Context;
use crate::cli::change::ChangeArgs;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::execute::cancel::Cancel;
use crate::execute::{self, Context as Run};
use crate::journal::{Journal, lock};
use crate::observed::{self, Observed};
use crate::plan::timeline::{Span, Timeline};
use crate::plan::{Plan, render, timeline};
use crate::report::output::{Output, json, yaml};
use crate::report::terminal;

/// What a change is of.
pub struct Change<'a> {
    /// As typed.
    pub command: &'a str,
    /// The engine.
    pub engine: &'a Engine,
    /// The release that the platform runs afterwards.
    pub release: Version,
    /// The channel that the user named.
    pub channel: Option<String>,
}

/// How it went.
pub enum Outcome {
    /// Everything was said in the way that was asked for: a plan, or times. True when the plan was empty.
    Shown(bool),
    /// There was nothing to do.
    Nothing,
    /// The plan was carried out, and this is how it went.
    Done(Timeline),
}

/// Plans and carries out. `observed` is the state that the caller already has. `plan` is called again under the lock, and
/// may first look there at what the snapshot does not hold; what it makes of that is pure.
///
/// # Errors
/// The planner's refusal, a held lock, or the first failing step.
pub async fn run(
    context: &Context,
    change: &Change<'_>,
    args: &ChangeArgs,
    observed: &Observed,
    plan: impl AsyncFn(&Observed) -> Result<Plan>,
) -> Result<Outcome> {
    run_or_undo(context, change, args, observed, plan, nothing_to_undo).await
}

/// The same for a change that is undone when it fails: `undo` plans that from what is there then, or says that there is
/// nothing to undo. The lock is held until that is over.
///
/// # Errors
/// As [`run`]. What was undone is told as such.
pub async fn run_or_undo(
    context: &Context,
    change: &Change<'_>,
    args: &ChangeArgs,
    observed: &Observed,
    plan: impl AsyncFn(&Observed) -> Result<Plan>,
    undo: impl Fn(&Observed) -> Result<Option<Plan>>,
) -> Result<Outcome> {
    let first = plan(observed).await?;
    let speaks = !matches!(args.output, Output::Table);
    if args.dry_run {
        show(context.project(), &first, args.output)?;
        return Ok(Outcome::Shown(first.is_empty()));
    }
    let outcome = match first.is_empty() {
        true => Outcome::Nothing,
        false => {
            let patience = args.wait_lock.unwrap_or_default();
            locked_or_undo(context, change, patience, args.timeout, plan, undo).await?
        }
    };
    if !args.timings {
        return Ok(outcome);
    }
    let nothing = timeline::timeline(context.project(), &Plan::default(), 0, &[]);
    let times = if let Outcome::Done(times) = &outcome { times } else { &nothing };
    match args.output {
        Output::Json => terminal::out(&json(times)?)?,
        Output::Yaml => terminal::out(&yaml(times)?)?,
        Output::Table if times.steps.is_empty() => {}
        Output::Table => terminal::out(&timeline::text(times))?,
    }
    Ok(if speaks { Outcome::Shown(times.steps.is_empty()) } else { outcome })
}

/// Takes the lock, plans with what is true under it, and executes.
///
/// # Errors
/// As [`run`].
pub async fn locked(
    context: &Context,
    change: &Change<'_>,
    wait_lock: Duration,
    timeout: Duration,
    plan: impl AsyncFn(&Observed) -> Result<Plan>,
) -> Result<Outcome> {
    locked_or_undo(context, change, wait_lock, timeout, plan, nothing_to_undo).await
}

async fn locked_or_undo(
    context: &Context,
    change: &Change<'_>,
    wait_lock: Duration,
    timeout: Duration,
    plan: impl AsyncFn(&Observed) -> Result<Plan>,
    undo: impl Fn(&Observed) -> Result<Option<Plan>>,
) -> Result<Outcome> {
    let engine = change.engine;
    let came = Instant::now();
    let cancel = Cancel::listen();
    let give_up = async {
        cancel.requested().await;
        cancel.error()
    };
    let lock = lock::take(engine, context.project(), change.command, wait_lock, give_up).await?;
    let outcome: Result<Outcome> = async {
        let observed = observed::snapshot(engine, context.project(), &context.references()?).await?;
        same_release(change.command, &change.release, &observed)?;
        let plan = plan(&observed).await?;
        if plan.is_empty() {
            return Ok(Outcome::Nothing);
        }
        let under_lock = UnderLock { context, change, lock: &lock.container, timeout };
        let before = u64::try_from(came.elapsed().as_millis()).unwrap_or(u64::MAX);
        let spans = match under_lock.execute(change.command, &plan, &observed, &cancel).await {
            Ok(spans) => spans,
            Err(error) => return Err(under_lock.undo(error, &cancel, undo).await),
        };
        Ok(Outcome::Done(timeline::timeline(context.project(), &plan, before, &spans)))
    }
    .await;
    let released = lock.release().await;
    let outcome = outcome?;
    released?;
    Ok(outcome)
}

/// Commands that go by no release on record: images of any release are made, a restore brings a record with it, and an old
/// archive is verified beside what runs. The way back from an upgrade leads to another release than the one on record.
const OF_ANY_RELEASE: [&str; 4] = ["images", "backup restore", "backup verify", "upgrade --rollback"];

/// Refuses what was begun for a release that the platform has left while the lock was waited for.
fn same_release(command: &str, release: &Version, observed: &Observed) -> Result<()> {
    match &observed.record {
        Some(record) if record.release != *release && !OF_ANY_RELEASE.contains(&command) => Err(Error::refused(
            format!("the platform runs release {} now, and this was begun for {release}", record.release),
        )
        .hint("another command has moved it meanwhile: run this one again")),
        _ => Ok(()),
    }
}

/// How long an engine that went away is waited for before what failed with it is undone.
const ENGINE_SECONDS: u32 = 60;

/// What plans that are carried out under one lock share.
struct UnderLock<'a> {
    context: &'a Context,
    change: &'a Change<'a>,
    /// Id of the lock's container.
    lock: &'a str,
    timeout: Duration,
}

impl UnderLock<'_> {
    async fn execute(&self, command: &str, plan: &Plan, observed: &Observed, cancel: &Cancel) -> Result<Vec<Span>> {
        let (engine, change) = (self.change.engine, self.change);
        // Several plans of a process may begin in the same second.
        let run = format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.3f"), std::process::id());
        let journal = Journal::open(engine.clone(), self.lock.to_owned(), run);
        let project = self.context.project().to_owned();
        let (release, channel) = (change.release.clone(), change.channel.clone());
        let (report, held) = (self.context.report.clone(), self.lock.to_owned());
        let run = Run::new(engine.clone(), project, release, channel, report, held, self.timeout)
            .of(observed.record.as_ref().map(|r| r.release.clone()));
        execute::execute(run, plan, journal, command, cancel).await
    }

    /// An engine that restarts is away for a moment, and what failed because of that can be undone when it answers again.
    async fn engine_is_back(&self, error: &Error, cancel: &Cancel) {
        let back = async {
            for attempt in 0..ENGINE_SECONDS {
                if self.change.engine.info().await.is_ok() {
                    return;
                }
                if attempt == 0 {
                    self.context.report.warn(format!("{error}; waiting for it, for {ENGINE_SECONDS} s at most"));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = back => {}
            () = cancel.insisted() => {}
        }
    }

    /// Undoes what failed, where there is something to undo; the error that the command ends with.
    async fn undo(&self, error: Error, cancel: &Cancel, undo: impl Fn(&Observed) -> Result<Option<Plan>>) -> Error {
        let context = self.context;
        if error.kind == Kind::Engine {
            self.engine_is_back(&error, cancel).await;
        }
        let undone = async {
            let references = context.references()?;
            let observed = observed::snapshot(self.change.engine, context.project(), &references).await?;
            let Some(plan) = undo(&observed)? else { return Ok(false) };
            context.report.warn(format!("{error}; going back to what was before"));
            let command = format!("{} --rollback", self.change.command);
            // What the user ended is the change, not its undoing.
            self.execute(&command, &plan, &observed, &cancel.anew()).await.map(|_| true)
        };
        match undone.await {
            Ok(false) => error,
            Ok(true) => rolled_back(self.change.command, error),
            Err(second) => not_undone(self.change.command, &error, second),
        }
    }
}

fn nothing_to_undo(_: &Observed) -> Result<Option<Plan>> {
    Ok(None)
}

/// It failed, and all is as it was.
fn rolled_back(command: &str, error: Error) -> Error {
    let what = format!("{command} was undone, and everything is as it was before: {}", error.what);
    let undone = Error { kind: Kind::RolledBack, what, hint: None, ..error };
    undone.hint(format!("when the cause is gone, type `pupperware {command}` again"))
}

/// It failed, and so did its undoing.
fn not_undone(command: &str, error: &Error, second: Error) -> Error {
    let what = format!("{command} failed, and so did its undoing: {}", second.what);
    let details = [format!("{command} had failed with: {error}")];
    Error { kind: second.kind, what, hint: None, ..second }
        .details(details)
        .hint(format!("when the cause is gone, go back with `pupperware {command} --rollback`"))
}

/// Shows a plan on stdout.
///
/// # Errors
/// Stdout's.
pub fn show(project: &str, plan: &Plan, output: Output) -> Result<()> {
    let document = render::document(project, plan);
    let text = match output {
        Output::Json => json(&document)?,
        Output::Yaml => yaml(&document)?,
        Output::Table if plan.is_empty() => "nothing to do\n".to_owned(),
        Output::Table => render::text(plan),
    };
    terminal::out(&text)
}

/// Asks before something is lost, where someone can answer; refuses where nobody can.
///
/// # Errors
/// Refused, with the flag that allows it.
pub fn confirm(context: &Context, question: &str) -> Result<()> {
    use std::io::IsTerminal;
    if context.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::refused(format!("{question} needs a yes")).hint("add `--yes`"));
    }
    terminal::err(&format!("{question}? [y/N] "));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|e| Error::failed("cannot read the answer").because(e))?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Error::refused("not confirmed; nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::record::Record;

    #[test]
    fn work_for_a_release_that_was_left_is_refused() {
        let (old, new) = (Version::new(7, 0, 0), Version::new(8, 0, 0));
        let record = Some(Record::next(None, new.clone(), None));
        let observed = Observed { record, ..Observed::default() };
        assert_eq!(same_release("code deploy", &old, &observed).unwrap_err().kind, Kind::Refused);
        assert!(same_release("code deploy", &new, &observed).is_ok());
        assert!(same_release("images", &old, &observed).is_ok());
        assert!(same_release("up", &old, &Observed::default()).is_ok(), "nothing is on record yet");
    }
}

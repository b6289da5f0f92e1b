//! The one way in which a command changes a platform: observe, plan, show or lock, plan again under the lock, execute.

use std::time::{Duration, Instant};

use semver::Version;

use super::context::Context;
use crate::cli::change::ChangeArgs;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::execute::cancel::Cancel;
use crate::execute::{self, Context as Run};
use crate::journal::{Journal, lock};
use crate::observed::{self, Observed};
use crate::plan::timeline::Timeline;
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
    let first = plan(observed).await?;
    let speaks = !matches!(args.output, Output::Table);
    if args.dry_run {
        show(context.project(), &first, args.output)?;
        return Ok(Outcome::Shown(first.is_empty()));
    }
    let outcome = match first.is_empty() {
        true => Outcome::Nothing,
        false => locked(context, change, args.wait_lock.unwrap_or_default(), args.timeout, plan).await?,
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
        let plan = plan(&observed).await?;
        if plan.is_empty() {
            return Ok(Outcome::Nothing);
        }
        let run = format!("{}-{}", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S"), std::process::id());
        let journal = Journal::open(engine.clone(), lock.container.clone(), run);
        let project = context.project().to_owned();
        let (release, channel) = (change.release.clone(), change.channel.clone());
        let (report, held) = (context.report.clone(), lock.container.clone());
        let run = Run::new(engine.clone(), project, release, channel, report, held, timeout);
        let before = u64::try_from(came.elapsed().as_millis()).unwrap_or(u64::MAX);
        let spans = execute::execute(run, &plan, journal, change.command, &cancel).await?;
        Ok(Outcome::Done(timeline::timeline(context.project(), &plan, before, &spans)))
    }
    .await;
    let released = lock.release().await;
    let outcome = outcome?;
    released?;
    Ok(outcome)
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

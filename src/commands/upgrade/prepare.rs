//! `upgrade --prepare`: the images of the new release, and a rehearsal. A copy of the platform is made from a backup, under a
//! name that nobody knows, upgraded, proved, and taken away. The platform itself is only read.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Platform, words};
use crate::cli::global::GlobalArgs;
use crate::cli::upgrade::UpgradeArgs;
use crate::commands::backup::restoration;
use crate::commands::change::{self, Change, Outcome};
use crate::commands::context::{Context, Extra, machine};
use crate::commands::smoke::random;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::images::COMPONENTS;
use crate::observed::Observed;
use crate::plan::backup::Order;
use crate::plan::{self, Upgrade};
use crate::report::terminal;

/// How long a lock is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// What the journal and the lock call it.
const COMMAND: &str = "upgrade --prepare";

/// Prepares, rehearses, and tells how long each part took.
pub(super) async fn run(
    global: &GlobalArgs,
    args: &UpgradeArgs,
    context: &Context,
    platform: &Platform,
    what: &Upgrade<'_>,
) -> Result<u8> {
    let report = &context.report;
    let (engine, timeout) = (&platform.engine, args.change.timeout);
    let live = |release: &str| {
        let release = release.parse().map_err(|e| Error::failed("the platform runs no release").because(e))?;
        Ok::<_, Error>(Change { command: COMMAND, engine, release, channel: None })
    };
    let live = live(&what.from.release)?;
    let folder = tempfile::tempdir().map_err(|e| Error::failed("cannot make a temporary directory").because(e))?;
    let file = |name: &str| folder.path().join(name).display().to_string();

    let began = Instant::now();
    let components: Vec<String> = COMPONENTS.iter().map(|c| (*c).to_owned()).collect();
    let wanted = |component: &String| {
        platform.desired.replicas.iter().any(|r| r.component == *component) || component == "provision"
    };
    let components: Vec<String> = components.into_iter().filter(wanted).collect();
    let images =
        async |o: &Observed| Ok(plan::images(&platform.desired.images, &platform.desired.debian, o, &components));
    change::locked(context, &live, PATIENCE, timeout, images).await?;
    let copied = Instant::now();
    // Not for keeping, and never of others: the directory is this user's alone, and goes.
    let order = Order { file: file("copy.pupperware"), recipients: vec![], ..what.backup.clone() };
    change::locked(context, &live, PATIENCE, timeout, async |o| plan::backup::copy(what.from, o, &order)).await?;
    let saved = copied.elapsed();

    let archive = crate::commands::backup::whole(Path::new(&order.file), None, report)?;
    let config = folder.path().join("pupperware.yaml");
    std::fs::write(&config, archive.configuration()?.unwrap_or_default())
        .map_err(|e| Error::failed(format!("cannot write {}", config.display())).because(e))?;
    let project = format!("pwrehearse-{}", random()?);
    report.note(format!("rehearsing with a copy, {project}, which is removed afterwards"));
    let theirs = GlobalArgs { config: Some(config), project: Some(project), ..global.clone() };
    let copy = Context::new(&theirs, &Extra { elsewhere: true, ..Extra::default() }, report)?;
    let rehearsed = rehearse(&copy, args, platform, what, &archive, file("before.pupperware")).await;
    let clear = Change { command: COMMAND, engine, release: platform.release.version.clone(), channel: None };
    let removed = take_away(&copy, &clear, timeout).await;
    let (restored, upgraded, gap) = rehearsed.and_then(|times| removed.map(|()| times))?;
    terminal::out(&format!(
        "the rehearsal went well: a copy of {} was upgraded from {} to {}, and proved\n\
         images and backup {} s, of which the backup {} s; restoring the copy {} s; its upgrade {} s{}\n\
         the platform itself is as it was\n",
        context.project(),
        what.from.release,
        what.to.release,
        (began.elapsed() - restored - upgraded).as_secs(),
        saved.as_secs(),
        restored.as_secs(),
        upgraded.as_secs(),
        gap.map(|seconds| format!(", {seconds} s without an answer to agents")).unwrap_or_default()
    ))?;
    Ok(0)
}

/// Restores, upgrades, proves: how long the first two took, and the time without service.
async fn rehearse(
    copy: &Context,
    args: &UpgradeArgs,
    platform: &Platform,
    what: &Upgrade<'_>,
    archive: &crate::backup::Archive,
    backup: String,
) -> Result<(Duration, Duration, Option<u64>)> {
    let (engine, timeout) = (&platform.engine, args.change.timeout);
    let began = Instant::now();
    let (_, observed) = copy.observe().await?;
    let before = desired(copy, &what.from.definition, platform, &observed)?;
    let old = Change { command: COMMAND, engine, release: before.definition.version.clone(), channel: None };
    let restoration = restoration(archive, None, &[])?;
    change::locked(copy, &old, PATIENCE, timeout, async |o| plan::restore(&before, o, &restoration)).await?;
    let restored = began.elapsed();

    let began = Instant::now();
    let (_, observed) = copy.observe().await?;
    let before = desired(copy, &what.from.definition, platform, &observed)?;
    let after = desired(copy, &platform.release, platform, &observed)?;
    let theirs = Upgrade {
        from: &before,
        to: &after,
        backup: Order { file: backup, ..Order::default() },
        channel: None,
        kept_seconds: what.kept_seconds,
        ignore_code: what.ignore_code,
        canary: what.canary.clone(),
        // Nobody is to be told of a rehearsal.
        before: None,
    };
    let outcome = change::locked(copy, &old, PATIENCE, timeout, async |o| plan::upgrade(&theirs, o)).await?;
    let upgraded = began.elapsed();
    let gap = match outcome {
        Outcome::Done(times) if before.database != after.database || after.compilers().count() == 0 => {
            words::gap(&times, &after)
        }
        _ => None,
    };
    let new = Change { command: COMMAND, engine, release: after.definition.version.clone(), channel: None };
    let certname = format!("{}-smoke", copy.project());
    change::locked(copy, &new, PATIENCE, timeout, async |o| plan::enrol(&after, o, &certname)).await?;
    Ok((restored, upgraded, gap))
}

/// The copy as it should be of a release. The platform that it is of holds the ports.
fn desired(
    copy: &Context,
    release: &crate::release::Release,
    platform: &Platform,
    observed: &Observed,
) -> Result<Desired> {
    let (_, mut desired) = copy.desired(release, machine(&platform.info), observed)?;
    for replica in &mut desired.replicas {
        replica.spec.ports.clear();
    }
    Ok(desired)
}

/// Removes the copy, whichever release it came to.
async fn take_away(copy: &Context, change: &Change<'_>, timeout: Duration) -> Result<()> {
    let (_, observed) = copy.observe().await?;
    let release = observed.record.as_ref().map_or_else(|| change.release.clone(), |r| r.release.clone());
    let engine: &Engine = change.engine;
    let change = Change { command: COMMAND, engine, release, channel: None };
    let all = ["ALL".to_owned()];
    change::locked(copy, &change, PATIENCE, timeout, async |o| plan::down(o, &all)).await.map(|_| ())
}

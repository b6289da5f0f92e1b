//! `pupperware upgrade`: to another release, undone by itself where it fails; or back from one that was interrupted.

mod back;
mod prepare;
mod words;

use semver::Version;

use super::change::{self, Change, Outcome, confirm};
use super::context::{Context, Extra, machine};
use crate::checks;
use crate::cli::global::GlobalArgs;
use crate::cli::release::ReleaseArgs;
use crate::cli::upgrade::UpgradeArgs;
use crate::config::Config;
use crate::config::types::Place;
use crate::desired::Desired;
use crate::engine::{Engine, EngineInfo};
use crate::error::{Error, Kind, Result};
use crate::hook::{self, Occasion};
use crate::observed::Observed;
use crate::plan::{self, Plan, Upgrade};
use crate::release::path::{self, Ask};
use crate::release::{Manifest, Release};
use crate::report::{Report, terminal};
use crate::settings::Origin;

/// Goes there, or back, or prepares for it.
pub(super) async fn run(global: &GlobalArgs, args: &UpgradeArgs, report: &Report) -> Result<u8> {
    let release = ReleaseArgs { channel: args.channel.clone(), release: args.to.clone(), ..ReleaseArgs::default() };
    let extra = Extra { release: Some(&release), manifest: Some(&args.manifest), ..Extra::default() };
    let context = Context::new(global, &extra, report)?;
    if args.rollback {
        return back::run(&context, args).await;
    }
    if args.prune {
        return back::prune(&context, args).await;
    }
    context.fetch_manifest()?;
    let (engine, info, observed) = context.look().await?;
    let manifest = context.manifest(&observed)?;
    let now = running(&context, &observed)?;
    let machine = machine(&info);
    let (_, before) = context.desired(manifest.exactly(&now)?, machine, &observed)?;
    let Some(to) = destination(&context, &manifest, &now, &observed)? else {
        if args.change.dry_run {
            change::show(context.project(), &Plan::default(), args.change.output)?;
        } else {
            terminal::out(&words::nothing_to_do(context.project(), &manifest, &now))?;
        }
        return Ok(0);
    };
    let (_, after) = context.desired(to, machine, &observed)?;
    let config = &context.settings.config;
    let occasion = |phase: &str| Occasion {
        project: context.project().to_owned(),
        command: "upgrade".into(),
        from: now.to_string(),
        to: to.version.to_string(),
        phase: phase.into(),
    };
    let hook = |place: &Option<Place>| place.as_ref().map(|place| place.below(context.folder()));
    let what = Upgrade {
        from: &before,
        to: &after,
        backup: super::backup::order(&context, None)?,
        channel: named_channel(config, to, &manifest),
        kept_seconds: kept_seconds(config),
        ignore_code: args.ignore_code_check,
        canary: super::ca::canary()?,
        before: hook(&config.upgrade.before).map(|hook| (hook, occasion("before"))),
    };
    let plan = plan::upgrade(&what, &observed)?;
    let outlook = checks::before_upgrade(&engine, &info, &after, &observed, &plan, to.agents.as_ref()).await?;
    words::prepare_the_user(&context, &now, to, &outlook);
    let platform = Platform { engine, info, release: to.clone(), desired: after.clone(), observed };
    if args.prepare {
        return prepare::run(global, args, &context, &platform, &what).await;
    }
    let begun = platform.observed.record.as_ref().is_some_and(|r| r.upgrading.is_some());
    if !args.change.dry_run {
        if !begun {
            in_window(config, args.outside_window)?;
        }
        if path::crosses(&now, &to.version) {
            confirm(
                &context,
                &format!(
                    "upgrading {} from release {now} to {}, another major version,",
                    context.project(),
                    to.version
                ),
            )?;
        }
    }
    let went = forward(&context, args, &platform, &what, &now).await;
    if let (Some(hook), false) = (hook(&config.upgrade.after), args.change.dry_run) {
        let phase = match &went {
            Ok(_) => "done",
            Err(error) if error.kind == Kind::RolledBack => "rolled_back",
            Err(_) => "failed",
        };
        if let Err(error) = hook::call(&hook, &occasion(phase)) {
            report.warn(format!("{error}; the upgrade is over all the same"));
        }
    }
    if went? {
        words::warn_of_the_file(&context, to, &manifest);
    }
    Ok(0)
}

/// What is gone to.
struct Platform {
    engine: Engine,
    info: EngineInfo,
    release: Release,
    desired: Desired,
    observed: Observed,
}

/// Carries it out, undone where it fails; true when it was.
async fn forward(
    context: &Context,
    args: &UpgradeArgs,
    platform: &Platform,
    what: &Upgrade<'_>,
    now: &Version,
) -> Result<bool> {
    let Platform { engine, observed, desired: after, .. } = platform;
    let change = Change { command: "upgrade", engine, release: now.clone(), channel: None };
    let forward = async |o: &Observed| plan::upgrade(what, o);
    let undo = |o: &Observed| match o.record.as_ref().and_then(|r| r.upgrading.as_ref()) {
        Some(_) => plan::rollback(what.from, after, o).map(Some),
        // It failed before anything was touched.
        None => Ok(None),
    };
    let outcome = change::run_or_undo(context, &change, &args.change, observed, forward, undo).await?;
    let Outcome::Done(times) = outcome else { return Ok(false) };
    // One that went on was saved when it began.
    let begun = observed.record.as_ref().and_then(|r| r.upgrading.as_ref()).map(|u| u.backup.as_str());
    let backup = begun.unwrap_or(&what.backup.file);
    terminal::out(&words::summary(what.from, after, backup, &times, context.settings.config.upgrade.keep))?;
    Ok(true)
}

/// Refuses outside of the window, unless that is meant.
fn in_window(config: &Config, outside: bool) -> Result<()> {
    let Some(window) = config.upgrade.window.as_ref().filter(|_| !outside) else { return Ok(()) };
    let now = jiff::Zoned::now();
    if window.open(now.weekday(), now.hour(), now.minute()) {
        return Ok(());
    }
    Err(Error::refused(format!("it is {}, and the window for upgrades is {window}", now.strftime("%a %H:%M %Z"))).hint(
        "wait until it opens, or go on all the same with `--outside-window`; `--prepare` may be done at any time",
    ))
}

/// The release on record.
fn running(context: &Context, observed: &Observed) -> Result<Version> {
    observed.record.as_ref().map(|r| r.release.clone()).ok_or_else(|| not_known(context.project()))
}

fn not_known(project: &str) -> Error {
    Error::refused(format!("nothing tells which release {project} runs, so it is not upgraded"))
        .hint(format!("create it, or let it be found again, with `pupperware --project {project} up`"))
}

/// Where it leads: what was asked for by flag, variable or file, in this order. An interrupted upgrade goes on to where it
/// was going.
fn destination<'m>(
    context: &Context,
    manifest: &'m Manifest,
    now: &Version,
    observed: &Observed,
) -> Result<Option<&'m Release>> {
    let config = &context.settings.config;
    let upgrading = observed.record.as_ref().and_then(|r| r.upgrading.as_ref());
    let outside = |key| matches!(context.settings.origins.of(key), Origin::Outside(_));
    if let Some(upgrading) = upgrading.filter(|_| !outside("channel") && !outside("release")) {
        return manifest.exactly(&upgrading.to).map(Some);
    }
    let channel = config.channel().map(ToString::to_string);
    let ask = match (config.release(), &channel) {
        (Some(version), _) => Ask::Release(version),
        (None, Some(channel)) => Ask::Channel(channel),
        (None, None) => Ask::Newest,
    };
    match (path::target(manifest, now, ask)?, upgrading) {
        // Half-way to another release, staying is no answer.
        (None, Some(upgrading)) => Err(plan::half_upgraded(now, upgrading)),
        (target, _) => Ok(target),
    }
}

/// The channel to remember: the one that was named, when it is one of the release's.
fn named_channel(config: &Config, to: &Release, manifest: &Manifest) -> Option<String> {
    let channel = config.channel()?.to_string();
    manifest.channels_of(to).contains(&channel.as_str()).then_some(channel)
}

/// For how long PuppetDB keeps everything that it is told.
fn kept_seconds(config: &Config) -> u64 {
    let p = &config.puppetdb;
    let ttls = [p.node_ttl, p.node_purge_ttl, p.report_ttl].map(|ttl| ttl.seconds());
    // Zero stands for ever.
    ttls.into_iter().filter(|seconds| *seconds > 0).min().unwrap_or(FOR_EVER)
}

/// Ten years.
const FOR_EVER: u64 = 10 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::{Setting, Ttl, Window};

    #[test]
    fn what_is_kept_longest_by_all_is_recent() {
        let mut config = Config::default();
        assert_eq!(kept_seconds(&config), 7 * 86_400);
        config.puppetdb.node_ttl = Ttl::days(0);
        assert_eq!(kept_seconds(&config), 14 * 86_400);
    }

    #[test]
    fn outside_of_the_window_it_is_refused() {
        let mut config = Config::default();
        assert!(in_window(&config, false).is_ok());
        config.upgrade.window = Some(Window::parse("00:00-24:00").unwrap());
        assert!(in_window(&config, false).is_ok());
        // Whatever the clock of this machine says, one of the two halves of a day is not now.
        let closed = ["00:00-12:00", "12:00-24:00"].map(|half| {
            config.upgrade.window = Some(Window::parse(half).unwrap());
            assert!(in_window(&config, true).is_ok());
            in_window(&config, false).err()
        });
        let refused: Vec<&Error> = closed.iter().flatten().collect();
        assert!(!refused.is_empty() && refused.iter().all(|e| e.kind == Kind::Refused));
    }
}

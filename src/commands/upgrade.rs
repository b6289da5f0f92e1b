//! `pupperware upgrade`: to another release, undone by itself where it fails; or back from one that was interrupted.

use semver::Version;

use super::change::{self, Change, Outcome, confirm};
use super::context::{Context, Extra, machine};
use crate::backup::show_bytes;
use crate::checks;
use crate::cli::global::GlobalArgs;
use crate::cli::release::ReleaseArgs;
use crate::cli::upgrade::UpgradeArgs;
use crate::config::Config;
use crate::desired::{Desired, labels};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::plan::timeline::Timeline;
use crate::plan::{self, Plan, Upgrade};
use crate::release::path::{self, Ask};
use crate::release::{Manifest, Release};
use crate::report::{Report, terminal};
use crate::settings::Origin;

/// Goes there, or back.
pub(super) async fn run(global: &GlobalArgs, args: &UpgradeArgs, report: &Report) -> Result<u8> {
    let release = ReleaseArgs { channel: args.channel.clone(), release: args.to.clone() };
    let context = Context::new(global, &Extra { release: Some(&release), ..Extra::default() }, report)?;
    let (engine, info, observed) = context.look().await?;
    let manifest = Manifest::embedded()?;
    let now = observed.record.as_ref().map(|r| r.release.clone()).ok_or_else(|| not_known(context.project()))?;
    let from = manifest.exactly(&now)?;
    let machine = machine(&info);
    let (_, before) = context.desired(from, machine, &observed)?;
    if args.rollback {
        return back(&context, args, &engine, &manifest, (&now, &before), &observed).await;
    }
    let Some(to) = destination(&context, &manifest, &now, &observed)? else {
        if args.change.dry_run {
            change::show(context.project(), &Plan::default(), args.change.output)?;
        } else {
            terminal::out(&nothing_to_do(context.project(), &manifest, &now))?;
        }
        return Ok(0);
    };
    let (_, after) = context.desired(to, machine, &observed)?;
    let what = Upgrade {
        from: &before,
        to: &after,
        backup: super::backup::order(&context, None)?,
        channel: named_channel(&context.settings.config, to, &manifest),
        kept_seconds: kept_seconds(&context.settings.config),
    };
    let plan = plan::upgrade(&what, &observed)?;
    let outlook = checks::before_upgrade(&engine, &info, &after, &observed, &plan, to.agents.as_ref()).await?;
    prepare_the_user(&context, &now, to, &outlook);
    if !args.change.dry_run && path::crosses(&now, &to.version) {
        confirm(
            &context,
            &format!("upgrading {} from release {now} to {}, another major version,", context.project(), to.version),
        )?;
    }
    let change = Change { command: "upgrade", engine: &engine, release: now.clone(), channel: None };
    let forward = async |o: &Observed| plan::upgrade(&what, o);
    let undo = |o: &Observed| match o.record.as_ref().and_then(|r| r.upgrading.as_ref()) {
        Some(_) => plan::rollback(&before, &after, o).map(Some),
        // It failed before anything was touched.
        None => Ok(None),
    };
    let outcome = change::run_or_undo(&context, &change, &args.change, &observed, forward, undo).await?;
    if let Outcome::Done(times) = outcome {
        let gap = after.primary().and_then(|primary| gap(&times, &primary.spec.name));
        // One that went on was saved when it began.
        let begun = observed.record.as_ref().and_then(|r| r.upgrading.as_ref()).map(|u| u.backup.as_str());
        terminal::out(&summary(&before, &after, begun.unwrap_or(&what.backup.file), gap))?;
        warn_of_the_file(&context, to, &manifest);
    }
    Ok(0)
}

async fn back(
    context: &Context,
    args: &UpgradeArgs,
    engine: &Engine,
    manifest: &Manifest,
    (now, before): (&Version, &Desired),
    observed: &Observed,
) -> Result<u8> {
    let upgrading = observed.record.as_ref().and_then(|r| r.upgrading.as_ref());
    let after = match (upgrading, observed.machine()) {
        (Some(upgrading), Some(machine)) => context.desired(manifest.exactly(&upgrading.to)?, machine, observed)?.1,
        (Some(upgrading), None) => {
            let info = engine.info().await?;
            context.desired(manifest.exactly(&upgrading.to)?, machine(&info), observed)?.1
        }
        // The plan says that there is nothing to undo.
        (None, _) => before.clone(),
    };
    let change = Change { command: "upgrade --rollback", engine, release: now.clone(), channel: None };
    let plan = async |o: &Observed| plan::rollback(before, &after, o);
    if let Outcome::Done(_) = change::run(context, &change, &args.change, observed, plan).await? {
        terminal::out(&format!(
            "{} runs release {now} again, as before the upgrade, and is proved\n",
            context.project()
        ))?;
    }
    Ok(0)
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

/// What somebody wants to know before saying yes.
fn prepare_the_user(context: &Context, now: &Version, to: &Release, outlook: &checks::Outlook) {
    let report = &context.report;
    let Some(bytes) = outlook.database_bytes else { return };
    report.note(format!(
        "{now} to {}: agents get no answer while the data moves and the services start; the database has {}",
        to.version,
        show_bytes(bytes)
    ));
    for note in &to.notes {
        report.note(note.clone());
    }
    if !outlook.too_old.is_empty() {
        let list: Vec<String> =
            outlook.too_old.iter().map(|v| format!("{} with Puppet {}", v.count, v.version)).collect();
        report.warn_with_hint(
            format!("release {} does not serve agents that are so old: {}", to.version, list.join(", ")),
            "upgrade Puppet on them first".to_owned(),
        );
    }
}

fn nothing_to_do(project: &str, manifest: &Manifest, now: &Version) -> String {
    let later = manifest.channels.iter().find(|(_, c)| c.stream == now.major + 1);
    let more = match later.and_then(|(name, _)| Some((name, manifest.in_channel(name).ok()?))) {
        Some((name, release)) => {
            format!("; channel {name} is at {}: `pupperware upgrade --channel {name}`", release.version)
        }
        None => String::new(),
    };
    format!("nothing to do: {project} runs release {now}{more}\n")
}

/// Seconds in which the server gave no answer: from its stop until its successor was ready. Nothing when it did not stop,
/// as where an interrupted upgrade goes on.
fn gap(times: &Timeline, server: &str) -> Option<u64> {
    let resource = format!("container {server}");
    let of = |kind| times.steps.iter().filter(move |s| s.kind == kind);
    let stopped = of("stop_container").filter(|s| s.resource == resource).map(|s| s.began_ms).min()?;
    let ready = of("wait_ready").filter(|s| s.resource == resource).map(|s| s.began_ms + s.took_ms).max()?;
    Some(ready.checked_sub(stopped)?.div_ceil(1000))
}

/// What is there now, and what is kept of before.
fn summary(before: &Desired, after: &Desired, backup: &str, gap: Option<u64>) -> String {
    let mut text = format!(
        "{} runs release {}, upgraded from {} and proved; everything that was counted is there\n",
        after.project, after.release, before.release
    );
    if let Some(seconds) = gap {
        text += &format!("agents got no answer for {seconds} s\n");
    }
    if before.database != after.database {
        let volume = labels::scoped(&before.project, &before.database);
        text += &format!(
            "the database of before is kept in the volume {volume}; when nobody wants it any more: `docker volume rm {volume}`\n"
        );
    }
    text + &format!("the backup of before is {backup}\n")
}

/// A file that names another line would have the next `up` refused.
fn warn_of_the_file(context: &Context, to: &Release, manifest: &Manifest) {
    let Ok(settings) = context.without_flags() else { return };
    let channels = manifest.channels_of(to);
    for (key, value, fits) in [
        (
            "channel",
            settings.config.channel().map(ToString::to_string),
            settings.config.channel().is_none_or(|c| channels.contains(&c.to_string().as_str())),
        ),
        (
            "release",
            settings.config.release().map(ToString::to_string),
            settings.config.release().is_none_or(|r| *r == to.version),
        ),
    ] {
        if let (Some(value), false) = (value, fits) {
            let place = settings.origins.of(key).to_string();
            context.report.warn_with_hint(
                format!("{place} still says `{key}: {value}`"),
                format!("change it to what runs now, or `up` is refused: {}", to.version),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::Ttl;
    use crate::plan::timeline::TimedStep;

    #[test]
    fn what_is_kept_longest_by_all_is_recent() {
        let mut config = Config::default();
        assert_eq!(kept_seconds(&config), 7 * 86_400);
        config.puppetdb.node_ttl = Ttl::days(0);
        assert_eq!(kept_seconds(&config), 14 * 86_400);
    }

    #[test]
    fn the_time_without_service_is_told() {
        let step = |kind, resource: &str, began_ms, took_ms| TimedStep {
            id: 0,
            kind,
            resource: resource.into(),
            began_ms,
            took_ms,
            waited_for: None,
            critical: true,
        };
        let steps = vec![
            step("stop_container", "container demo-puppetserver-1", 1000, 500),
            step("wait_ready", "container demo-postgres-1", 9000, 90_000),
            step("wait_ready", "container demo-puppetserver-1", 30_000, 11_100),
        ];
        let mut times = Timeline { schema_version: 1, project: "demo".into(), before_ms: 0, steps_ms: 99_000, steps };
        assert_eq!(gap(&times, "demo-puppetserver-1"), Some(41));
        times.steps.remove(0);
        assert_eq!(gap(&times, "demo-puppetserver-1"), None);
    }

    #[test]
    fn who_has_the_newest_hears_of_the_next_channel() {
        let manifest = Manifest::embedded().unwrap();
        assert_eq!(
            nothing_to_do("demo", &manifest, &Version::new(7, 0, 0)),
            "nothing to do: demo runs release 7.0.0; channel stable is at 8.0.0: `pupperware upgrade --channel stable`\n"
        );
        assert_eq!(
            nothing_to_do("demo", &manifest, &Version::new(8, 0, 0)),
            "nothing to do: demo runs release 8.0.0\n"
        );
    }
}

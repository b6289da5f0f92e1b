//! `upgrade --rollback`: back from one that was interrupted, or that is over; and `upgrade --prune`, which gives that up.

use jiff::{SignedDuration, Timestamp};
use semver::Version;

use super::words;
use crate::cli::upgrade::UpgradeArgs;
use crate::commands::change::{self, Change, Outcome, confirm};
use crate::commands::context::{Context, machine};
use crate::engine::{Engine, EngineInfo, ExecRequest};
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::observed::record::{Upgraded, Upgrading};
use crate::plan;
use crate::puppet::inventory;
use crate::report::terminal;

/// What the command works with.
struct Ground<'a> {
    context: &'a Context,
    args: &'a UpgradeArgs,
    engine: Engine,
    info: EngineInfo,
    observed: Observed,
    now: Version,
}

impl Ground<'_> {
    fn change<'c>(&'c self, command: &'c str, release: &Version) -> Change<'c> {
        Change { command, engine: &self.engine, release: release.clone(), channel: None }
    }
}

async fn ground<'a>(context: &'a Context, args: &'a UpgradeArgs) -> Result<Ground<'a>> {
    let (engine, info, observed) = context.look().await?;
    let now = super::running(context, &observed)?;
    Ok(Ground { context, args, engine, info, observed, now })
}

/// Goes back.
pub(super) async fn run(context: &Context, args: &UpgradeArgs) -> Result<u8> {
    let ground = ground(context, args).await?;
    let record = ground.observed.record.as_ref();
    match (record.and_then(|r| r.upgrading.as_ref()), record.and_then(|r| r.upgraded.as_ref())) {
        (Some(upgrading), _) => interrupted(&ground, upgrading).await,
        (None, Some(upgraded)) => over(&ground, upgraded).await,
        (None, None) => Err(Error::refused("no upgrade is under way, and none is on record, so there is none to undo")
            .hint("a backup of before can be put back under another name: `pupperware backup restore FILE --as NAME`")),
    }
}

/// Back from one that is not over.
async fn interrupted(ground: &Ground<'_>, upgrading: &Upgrading) -> Result<u8> {
    let Ground { context, args, observed, now, .. } = ground;
    let manifest = context.manifest(observed)?;
    let (_, before) = context.desired(manifest.exactly(now)?, machine(&ground.info), observed)?;
    let sized = observed.machine().unwrap_or_else(|| machine(&ground.info));
    let (_, after) = context.desired(manifest.exactly(&upgrading.to)?, sized, observed)?;
    let change = ground.change("upgrade --rollback", now);
    let plan = async |o: &Observed| plan::rollback(&before, &after, o);
    if let Outcome::Done(_) = change::run(context, &change, &args.change, observed, plan).await? {
        let project = context.project();
        terminal::out(&format!("{project} runs release {now} again, as before the upgrade, and is proved\n"))?;
    }
    Ok(0)
}

/// Back from one that is over: what came since is put aside.
async fn over(ground: &Ground<'_>, upgraded: &Upgraded) -> Result<u8> {
    let Ground { context, args, observed, now, .. } = ground;
    let to = &upgraded.from.version;
    let machine = machine(&ground.info);
    let manifest = context.manifest(observed)?;
    let (_, before) = context.desired(&upgraded.from, machine, observed)?;
    let (_, after) = context.desired(manifest.exactly(now)?, machine, observed)?;
    let order = crate::commands::backup::order(context, None)?;
    if before.database == after.database {
        context.report.note("both releases use the same database: nothing that came since is lost");
    } else {
        let came = came_since(ground, &after, upgraded).await?;
        context.report.warn(format!(
            "the database of before is used again; since {} {came}: they are not in it, and are kept in the backup {}",
            upgraded.at.split('.').next().unwrap_or_default(),
            order.file
        ));
    }
    if !args.change.dry_run {
        confirm(context, &format!("going back from release {now} to {to}"))?;
    }
    let change = ground.change("upgrade --rollback", to);
    let plan = async |o: &Observed| plan::leave(&before, &after, o, &order);
    if let Outcome::Done(times) = change::run(context, &change, &args.change, observed, plan).await? {
        terminal::out(&format!(
            "{project} runs release {to} again, and is proved\n{noticed}\
             what came under release {now} is in {file}; put it beside with `pupperware backup restore {file} --as NAME`\n",
            project = context.project(),
            noticed = words::noticed(&times, &after, &before),
            file = order.file
        ))?;
    }
    Ok(0)
}

/// What came into the database since, for people.
async fn came_since(ground: &Ground<'_>, after: &crate::desired::Desired, upgraded: &Upgraded) -> Result<String> {
    let at: Timestamp =
        upgraded.at.parse().map_err(|e| Error::failed("the record tells no time of the upgrade").because(e))?;
    let postgres = after.replicas.iter().find(|r| r.service == "postgres").map(|r| r.spec.name.clone());
    let container = postgres.ok_or_else(|| Error::failed("the platform has no postgres"))?;
    let request = ExecRequest { container, command: inventory::count(at), ..ExecRequest::default() };
    let output = ground.engine.exec(&request, &mut |_| {}).await?;
    if output.code != 0 {
        return Err(Error::failed("the database cannot be asked what came since")
            .details(output.stderr.lines().map(ToOwned::to_owned))
            .hint("start the platform with `pupperware up`"));
    }
    let recent = inventory::read(&output.stdout, at)?.recent;
    Ok(format!("{} reports came, and {} nodes reported", recent.reports, recent.nodes))
}

/// Gives up the way back.
pub(super) async fn prune(context: &Context, args: &UpgradeArgs) -> Result<u8> {
    let ground = ground(context, args).await?;
    let Ground { observed, now, .. } = &ground;
    let manifest = context.manifest(observed)?;
    let (_, desired) = context.desired(manifest.exactly(now)?, machine(&ground.info), observed)?;
    let plan = async |o: &Observed| plan::forget(&desired, o);
    if !args.change.dry_run
        && let Some(upgraded) = observed.record.as_ref().and_then(|r| r.upgraded.as_ref())
        && let Some(until) = kept_until(upgraded, context.settings.config.upgrade.keep.seconds())
    {
        confirm(
            context,
            &format!("the way back to {} is to be kept until {until}; giving it up now", upgraded.from.version),
        )?;
    }
    let change = ground.change("upgrade --prune", now);
    match change::run(context, &change, &args.change, observed, plan).await? {
        Outcome::Nothing => terminal::out("nothing to do: nothing is kept of before an upgrade\n")?,
        Outcome::Done(_) => {
            terminal::out(&format!("nothing is kept of before release {now} but backups\n"))?;
        }
        Outcome::Shown(_) => {}
    }
    Ok(0)
}

/// Until when the way back should stay open, where that is not over; zero seconds: for ever.
fn kept_until(upgraded: &Upgraded, seconds: u64) -> Option<String> {
    if seconds == 0 {
        return Some("you say otherwise".into());
    }
    let at: Timestamp = upgraded.at.parse().ok()?;
    let until = at.checked_add(SignedDuration::from_secs(i64::try_from(seconds).ok()?)).ok()?;
    (Timestamp::now() < until).then(|| until.strftime("%F %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Manifest;

    #[test]
    fn a_way_back_is_kept_for_its_time() {
        let from = Manifest::embedded().unwrap().in_channel("lts").unwrap().clone();
        let of = |at: Timestamp| Upgraded {
            from: from.clone(),
            at: at.to_string(),
            backup: String::new(),
            database: "postgres-data".into(),
            inventory: None,
        };
        let long_ago = of("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(kept_until(&long_ago, 86_400), None);
        assert!(kept_until(&long_ago, 0).is_some());
        assert!(kept_until(&of(Timestamp::now()), 86_400).is_some());
    }
}

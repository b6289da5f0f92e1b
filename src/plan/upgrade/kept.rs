//! An upgrade that is over: back from it on demand, or no way back any more.

use super::super::backup::{Order, source};
use super::super::builder::Builder;
use super::super::{Action, Plan, lifecycle, unfinished};
use super::back::undo;
use crate::desired::{Desired, labels};
use crate::error::{Error, Result};
use crate::observed::record::{Phase, Upgraded, Upgrading};
use crate::observed::{self, Observed};

/// Leaves the release that an upgrade led to, for the one of before and its data. What came since is in a backup that is
/// written first.
///
/// # Errors
/// No upgrade is on record, its old data is gone, or no backup can be made.
pub fn leave(from: &Desired, to: &Desired, observed: &Observed, order: &Order) -> Result<Plan> {
    let kept = on_record(observed)?;
    let saved = source(to, observed, order)?;
    // As if it were still under way: the way back is the same.
    let mut marked = observed.clone();
    if let Some(record) = &mut marked.record {
        record.release = kept.from.version.clone();
        record.upgrading = Some(Upgrading {
            to: to.definition.version.clone(),
            definition: Some(to.definition.clone()),
            phase: Phase::Switching,
            backup: order.file.clone(),
            inventory: kept.inventory.clone(),
            left: true,
        });
    }
    undo(from, to, &marked, Some(saved))
}

/// Removes the databases of before, and forgets the upgrade.
///
/// # Errors
/// Something else is under way.
pub fn forget(now: &Desired, observed: &Observed) -> Result<Plan> {
    unfinished::refuse(observed)?;
    let mut plan = Builder::default();
    let mut removed = lifecycle::remove_tasks(&mut plan, observed);
    for (name, volume) in &observed.volumes {
        let label = |key: &str| volume.labels.get(key).map_or("", String::as_str);
        let key = label(labels::KEY);
        if label(labels::ROLE) != "volume" || !observed::is_database(key) || key == now.database {
            continue;
        }
        let action = Action::RemoveVolume { key: key.to_owned(), name: name.clone(), throw_away: true };
        removed.push(plan.add(action, "the database of before an upgrade, which has copied it", removed.clone()));
    }
    if observed.record.as_ref().is_some_and(|r| r.upgraded.is_some()) {
        plan.add(Action::ForgetUpgrade, "its data of before is gone", removed);
    }
    Ok(plan.finish())
}

fn on_record(observed: &Observed) -> Result<&Upgraded> {
    unfinished::refuse(observed)?;
    observed.record.as_ref().and_then(|r| r.upgraded.as_ref()).ok_or_else(|| {
        Error::refused("no upgrade is under way, and none is on record, so there is none to undo")
            .hint("a backup of before can be put back under another name: `pupperware backup restore FILE --as NAME`")
    })
}

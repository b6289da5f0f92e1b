//! Back: the old release, from its own volumes, in the place of whatever an upgrade left. It is the plan of `up` for what
//! was; what the upgrade made goes, what it counted is compared, and the record ends as it began.

use std::collections::BTreeMap;

use super::super::backup::Source;
use super::super::builder::Builder;
use super::super::converge::reconcile;
use super::super::{Action, Plan, lifecycle};
use super::{ground, issued, mark, moves, new_ground, replica, verify, verify_ca};
use crate::desired::{Desired, PRIMARY, labels};
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::observed::record::Phase;
use crate::puppet::inventory::Part;

/// The plan that undoes an upgrade that is not over.
///
/// # Errors
/// There is none, or the data of before is gone.
pub fn rollback(from: &Desired, to: &Desired, observed: &Observed) -> Result<Plan> {
    undo(from, to, observed, None)
}

/// The same, after a backup of what is there now.
pub(super) fn undo(from: &Desired, to: &Desired, observed: &Observed, save: Option<Source>) -> Result<Plan> {
    let Some((_, mark)) = mark(observed) else {
        return Err(Error::refused("no upgrade is under way, and none is on record, so there is none to undo").hint(
            "a backup of before can be put back under another name: `pupperware backup restore FILE --as NAME`",
        ));
    };
    let old = labels::scoped(&from.project, &from.database);
    if !observed.volumes.contains_key(&old) {
        return Err(Error::refused(format!("the volume {old}, with the database of before, is missing"))
            .details([format!("the backup of before the upgrade is {}", mark.backup)])
            .hint(format!(
                "give up what is left and put the backup back: `pupperware --yes down --destroy-data ALL`, then `pupperware backup restore {}`",
                mark.backup
            )));
    }
    let mut plan = Builder::default();
    let removed = lifecycle::remove_tasks(&mut plan, observed);
    let left = mark.left;
    let mut begun = removed;
    if let Some(source) = save {
        let action = Action::WriteBackup { source: Box::new(source) };
        begun = vec![plan.add(action, "what came since is only in it", begun)];
    }
    let backup = left.then(|| mark.backup.clone());
    let action = Action::MarkUpgrade { to: Box::new(to.definition.clone()), phase: Phase::Undoing, backup, left };
    let gate = plan.add(action, "so that it is finished whatever happens", begun);

    let (postgres, puppetdb) = (&replica(from, "postgres")?.spec.name, &replica(from, "puppetdb")?.spec.name);
    // One that was over has left the credentials of the new release on record, which both share.
    let ground = if left { new_ground(from, observed) } else { ground(observed) };
    let rest = reconcile(from, &ground)?;
    // One that runs on has been asked by others since.
    let starts = |name: &str| {
        rest.steps.iter().any(|s| matches!(&s.action, Action::StartContainer { name: n, .. } if n == name))
    };
    // Of an upgrade that was over, PuppetDB may have cleared things away since; but not where nobody had touched the data.
    let comparable = !left || moves(from, to) && mark.phase != Phase::Undoing;
    let counted = mark.inventory.is_some() && starts(puppetdb) && comparable;
    // Nobody wrote it since, unless both releases have the same one, or an earlier return had got so far that agents
    // reported.
    let untouched = moves(from, to) && mark.phase != Phase::Undoing;
    let part = if untouched { Part::All } else { Part::AtLeast };
    let compare = |plan: &mut Builder| {
        let needs = plan.find("wait_ready", postgres).into_iter().chain([gate]).collect();
        verify(plan, postgres, part, "it is all as it was", needs)
    };
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    for step in &rest.steps {
        let mut needs: Vec<usize> = step.needs.iter().map(|n| moved[n]).chain([gate]).collect();
        let id = match &step.action {
            Action::RecordProof { certname, running } => {
                let mut needs = [needs, plan.all("remove_container")].concat();
                needs.extend(discard(&mut plan, from, to, observed, needs.clone()));
                let (request, volumes) = issued(from);
                let (running, certname) = (running.clone(), certname.clone());
                let action = Action::FinishRollback { running, certname, request, volumes };
                plan.add(action, "it is proved", needs)
            }
            action => {
                match action {
                    Action::StartContainer { name, .. } if counted && name == puppetdb => {
                        needs.push(compare(&mut plan))
                    }
                    Action::StartContainer { service, .. } if counted && service == PRIMARY => {
                        needs.push(compare(&mut plan));
                    }
                    // Certificates that were cleaned since an upgrade was over are gone for good.
                    Action::Prove { .. } if mark.inventory.is_some() && !left => {
                        let ready = [plan.all("wait_ready"), vec![gate]].concat();
                        needs.push(verify_ca(&mut plan, from, ready));
                    }
                    _ => {}
                }
                plan.add(action.clone(), step.cause.as_str(), needs)
            }
        };
        moved.insert(step.id, id);
    }
    Ok(plan.finish())
}

/// The new release's copy of the database goes when nobody has it mounted any more, and the old one is proved.
fn discard(plan: &mut Builder, from: &Desired, to: &Desired, observed: &Observed, needs: Vec<usize>) -> Option<usize> {
    let name = labels::scoped(&to.project, &to.database);
    if !moves(from, to) || !observed.volumes.contains_key(&name) {
        return None;
    }
    let action = Action::RemoveVolume { key: to.database.clone(), name, throw_away: true };
    Some(plan.add(action, "a copy; the database of before is in use again", needs))
}

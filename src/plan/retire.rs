//! What is left of a service that is not part of the platform any more: its certificate, volume and network. Pure.
//!
//! Its container goes in `converge`, with whatever else is not wanted.

use super::builder::Builder;
use super::{Action, ca, issue};
use crate::config::types::Addon;
use crate::desired::{Desired, addons, credentials, labels};
use crate::observed::Observed;

/// Steps that revoke the certificate, make the CA and the record forget it, and remove the volume with the key. All that
/// starts in the plan must be in it already.
pub(super) fn retire(plan: &mut Builder, desired: &Desired, observed: &Observed) {
    let Some(primary) = desired.primary().map(|r| r.spec.name.clone()) else { return };
    for addon in &desired.absent {
        let volume = addons::parts(*addon).volume;
        let name = labels::scoped(&desired.project, volume);
        if !observed.volumes.contains_key(&name) {
            continue;
        }
        let cause = format!("{addon} is not part of the platform any more");
        let certname = addons::certname(&desired.project, *addon);
        // Only a CA that serves can revoke, and one list is pushed after the other.
        let before = ["wait_ready", "record_issued", "push_crl"].map(|kind| plan.all(kind)).concat();
        // First: were this run killed later, and the service asked for again, it would be taken for certified.
        let action = Action::RecordRetired { certname: certname.clone(), volume: volume.to_owned() };
        let forgotten = plan.add(action, cause.as_str(), before);
        let action = Action::RevokeCertificate { primary: primary.clone(), certname: certname.clone() };
        let revoked = plan.add(action, cause.as_str(), vec![forgotten]);
        ca::push(plan, desired, &ca::without_pause(desired.crl_copies()), &cause, &[revoked]);
        let action = Action::RemoveCertificate { primary: primary.clone(), certname };
        let cleaned = plan.add(action, cause.as_str(), plan.all("push_crl"));
        // Last: as long as the volume is there, an interrupted run is taken up.
        let mut needs = [plan.all("remove_container"), vec![cleaned]].concat();
        if *addon == Addon::Bridge {
            needs.extend(close_ssh(plan, desired, observed, &cause, cleaned));
        }
        plan.add(Action::RemoveVolume { key: volume.to_owned(), name, throw_away: true }, cause, needs);
    }
    networks(plan, desired, observed);
}

/// The step that takes the bridge's key from all agents that there are, and were. None where there was none.
fn close_ssh(plan: &mut Builder, desired: &Desired, observed: &Observed, cause: &str, before: usize) -> Option<usize> {
    let agents = observed.volumes.values().filter_map(|volume| volume.labels.get(labels::KEY));
    let agents: Vec<&str> = agents.map(String::as_str).filter(|key| key.starts_with("agent-")).collect();
    if agents.is_empty() {
        return None;
    }
    let mounts = issue::scoped(desired, &[vec!["state"], agents.clone()].concat());
    let task = Box::new(issue::task(desired, &mounts));
    let action = Action::CloseSsh { task, request: credentials::close_ssh(&agents) };
    Some(plan.add(action, cause, vec![before]))
}

/// Networks that nobody of the platform is on any more. The very last: a stranger's container keeps one from going, and
/// by then everything else is as it should be.
fn networks(plan: &mut Builder, desired: &Desired, observed: &Observed) {
    let before = ["wait_ready", "remove_container", "record_issued", "push_crl", "remove_volume"];
    let before = before.map(|kind| plan.all(kind)).concat();
    for name in observed.networks.keys().filter(|name| !desired.networks.values().any(|n| n.name == **name)) {
        let action = Action::RemoveNetwork { name: name.clone() };
        plan.add(action, "not part of the platform any more", before.clone());
    }
}

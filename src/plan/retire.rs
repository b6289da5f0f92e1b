//! What is left of a service that is not part of the platform any more: its certificate, volumes and network, and what
//! PuppetDB knows of it. Pure.
//!
//! Its container goes in `converge`, with whatever else is not wanted.

use super::builder::Builder;
use super::{Action, ca, issue};
use crate::config::types::Addon;
use crate::desired::{BALANCER, COMPILER, Desired, addons, compilers, credentials, labels};
use crate::observed::Observed;

/// Somebody who is gone.
struct Gone {
    /// What it was.
    what: String,
    /// Its certname.
    certname: String,
    /// Keys of its volumes; as long as the last of them is there, an interrupted run is taken up.
    volumes: Vec<String>,
    /// Its container, where it has to go first.
    container: Option<String>,
    /// Agents and servers are nodes in PuppetDB.
    node: bool,
    /// Agents let it in over SSH.
    ssh: bool,
}

/// Who is gone, and was not cleared away yet.
fn gone(desired: &Desired, observed: &Observed) -> Vec<Gone> {
    let project = &desired.project;
    let there = |key: &str| observed.volumes.contains_key(&labels::scoped(project, key));
    let addons = desired.absent.iter().map(|addon| Gone {
        what: addon.to_string(),
        certname: addons::certname(project, *addon),
        volumes: vec![addons::parts(*addon).volume.to_owned()],
        container: None,
        node: false,
        ssh: *addon == Addon::Bridge,
    });
    let mut numbers: Vec<u32> = observed
        .volumes
        .values()
        .filter_map(|v| compilers::number_of(v.labels.get(labels::KEY)?))
        .filter(|n| !desired.compilers().any(|r| r.number == *n))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let compilers = numbers.into_iter().map(|number| Gone {
        what: format!("{COMPILER} {number}"),
        certname: compilers::certname(project, number),
        volumes: vec![compilers::config_volume(number), compilers::ssl_volume(number)],
        container: Some(labels::container_name(project, COMPILER, number)),
        node: true,
        ssh: false,
    });
    let balancer = desired.balancer().is_none().then(|| Gone {
        what: "the balancer".into(),
        certname: compilers::balancer_certname(project),
        volumes: vec![compilers::BALANCER_VOLUME.to_owned()],
        container: Some(labels::container_name(project, BALANCER, 1)),
        node: false,
        ssh: false,
    });
    let mut all: Vec<Gone> = addons.chain(compilers).chain(balancer).collect();
    all.retain(|gone| gone.volumes.iter().any(|key| there(key)));
    all
}

/// Steps that revoke the certificate, make the CA and the record forget it, and remove the volume with the key. All that
/// starts in the plan must be in it already.
pub(super) fn retire(plan: &mut Builder, desired: &Desired, observed: &Observed) {
    let Some(primary) = desired.primary().map(|r| r.spec.name.clone()) else { return };
    let puppetdb = desired.replicas.iter().find(|r| r.service == "puppetdb").map(|r| r.spec.name.clone());
    for Gone { what, certname, volumes, container, node, ssh } in gone(desired, observed) {
        let cause = format!("{what} is not part of the platform any more");
        // Only a CA that serves can revoke, and one list is pushed after the other.
        let mut before = ["wait_ready", "record_issued", "push_crl"].map(|kind| plan.all(kind)).concat();
        // Until it is gone, it works with its certificate.
        before.extend(container.and_then(|name| plan.find("remove_container", &name)));
        // First: were this run killed later, and the service asked for again, it would be taken for certified.
        let volume = volumes.last().cloned().unwrap_or_default();
        let action = Action::RecordRetired { certname: certname.clone(), volume };
        let forgotten = plan.add(action, cause.as_str(), before);
        let action = Action::RevokeCertificate { primary: primary.clone(), certname: certname.clone() };
        let revoked = plan.add(action, cause.as_str(), vec![forgotten]);
        ca::push(plan, desired, &ca::without_pause(desired.crl_copies()), &cause, &[revoked]);
        let action = Action::RemoveCertificate { primary: primary.clone(), certname: certname.clone() };
        let mut done = vec![plan.add(action, cause.as_str(), plan.all("push_crl"))];
        if let (true, Some(puppetdb)) = (node, &puppetdb) {
            let action = Action::DeactivateNode { puppetdb: puppetdb.clone(), certname };
            done.push(plan.add(action, cause.as_str(), vec![forgotten]));
        }
        if ssh {
            done.extend(close_ssh(plan, desired, observed, &cause, done[0]));
        }
        // Last: as long as the volume is there, an interrupted run is taken up.
        for key in volumes {
            let name = labels::scoped(&desired.project, &key);
            if observed.volumes.contains_key(&name) {
                let needs = [plan.all("remove_container"), done.clone()].concat();
                let action = Action::RemoveVolume { key, name, throw_away: true };
                done.push(plan.add(action, cause.as_str(), needs));
            }
        }
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

//! What has to go before anything comes: containers, and networks whose definition changed. Pure.
//!
//! What is replaced behind the back of compilers that serve goes later, when its turn comes (`rolling`).

use super::builder::Builder;
use super::fate::Fate;
use super::rolling::Rolling;
use super::{Action, compilers, lifecycle};
use crate::desired::{BALANCER, COMPILER, Desired, PRIMARY, Replica, labels};
use crate::observed::{Container, Observed};

/// What must go: leftovers of an interrupted run, containers that are not wanted any more, containers to be replaced.
///
/// The server goes only after the code that its successor is to serve is there.
pub(super) fn clear(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    fates: &[(&Replica, Fate)],
    code: Option<usize>,
    rolling: Rolling,
) {
    // A balancer that goes does so when all compilers have left it.
    let mut all: Vec<(&String, &Container)> = observed.containers.iter().collect();
    all.sort_by_key(|(_, c)| c.label(labels::SERVICE) == BALANCER);
    for (name, container) in all {
        match container.label(labels::ROLE) {
            "smoke" => {
                plan.add(
                    Action::RemoveContainer { name: name.clone(), service: None },
                    "left over from an interrupted smoke",
                    vec![],
                );
            }
            "service" if desired.container(name).is_none() => {
                let service = container.label(labels::SERVICE).to_owned();
                let grace = lifecycle::grace(&service);
                let cause = "not part of the platform any more";
                let left = match service.as_str() {
                    BALANCER => plan.all("drain_compiler").last().copied(),
                    _ => compilers::leave(plan, observed, container, cause, vec![]),
                };
                remove(plan, name, &service, container, grace, cause, left.into_iter().collect());
            }
            _ => {}
        }
    }
    for (replica, fate) in fates {
        let name = &replica.spec.name;
        if let (Fate::Recreate(cause), Some(container)) = (fate, observed.containers.get(name))
            && !rolling.later(replica, container)
        {
            let grace = replica.spec.stop_grace_seconds;
            let after = match replica.service.as_str() {
                PRIMARY => code.into_iter().collect(),
                // Compilers that go for good leave through it.
                BALANCER => plan.all("drain_compiler"),
                // Nothing is sent to it any more then.
                COMPILER => compilers::cut_off(plan, desired),
                _ => vec![],
            };
            remove(plan, name, &replica.service, container, grace, cause, after);
        }
    }
    // A network whose definition changed: all its members have another hash then, and are being replaced.
    let removed = plan.all("remove_container");
    for spec in desired.networks.values() {
        let changed = observed
            .networks
            .get(&spec.name)
            .filter(|n| n.labels.get(labels::SPEC_HASH) != spec.labels.get(labels::SPEC_HASH));
        if changed.is_some() {
            plan.add(Action::RemoveNetwork { name: spec.name.clone() }, "its definition changed", removed.clone());
        }
    }
}

fn remove(
    plan: &mut Builder,
    name: &str,
    service: &str,
    container: &Container,
    grace_seconds: u32,
    cause: &str,
    after: Vec<usize>,
) {
    let mut needs = after;
    if container.alive() {
        let stop = Action::StopContainer { name: name.into(), service: service.into(), grace_seconds };
        needs = vec![plan.add(stop, cause, needs)];
    }
    plan.add(Action::RemoveContainer { name: name.into(), service: Some(service.into()) }, cause, needs);
}

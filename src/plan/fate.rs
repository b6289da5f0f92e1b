//! What happens to each container of a platform: kept, waited for, started, restarted, made, or made anew. Pure.

use crate::desired::{Desired, Replica, labels};
use crate::engine::found::ContainerState;
use crate::observed::{Container, Observed};

/// What happens to a replica.
pub(super) enum Fate {
    /// It runs as it should, and the last proof covers it.
    Keep,
    /// It runs as it should, and nobody has seen it ready since it started.
    Wait(String),
    /// It is as it should be, but does not run.
    Start(String),
    /// It is frozen, unwell, or ends again and again: stop it and start it again.
    Restart(String),
    /// It is not there.
    Create(String),
    /// It is there, and not as it should be.
    Recreate(String),
}

/// Judges one replica by what is there.
pub(super) fn fate(desired: &Desired, observed: &Observed, replica: &Replica) -> Fate {
    let Some(container) = observed.containers.get(&replica.spec.name) else {
        return Fate::Create("no container".into());
    };
    if container.label(labels::SPEC_HASH) != replica.hash {
        return Fate::Recreate(difference(container, replica));
    }
    for network in replica.networks.iter().map(|key| labels::scoped(&desired.project, key)) {
        if !observed.networks.contains_key(&network) {
            // The engine keeps the id of the lost network: the container never starts with another of that name.
            return Fate::Recreate(format!("network {network} is missing"));
        }
        if !container.found.networks.contains(&network) {
            return Fate::Recreate(format!("not attached to network {network}"));
        }
    }
    match container.found.state {
        ContainerState::Running if container.health == "unhealthy" => Fate::Restart("it is unhealthy".into()),
        ContainerState::Running => {
            let proof = observed.record.as_ref().and_then(|r| r.proof.as_ref());
            let proved = proof.and_then(|p| p.started.get(&replica.spec.name));
            if proved.is_some() && proved == container.started_at.as_ref() {
                Fate::Keep
            } else {
                Fate::Wait("not seen ready since it started".into())
            }
        }
        ContainerState::Created => Fate::Start("created, not started".into()),
        ContainerState::Exited => Fate::Start(format!("not running: {}", container.found.status.to_lowercase())),
        // It ended by itself, and nothing can be asked in it between two tries.
        ContainerState::Restarting => {
            Fate::Restart(format!("it keeps ending: {}", container.found.status.to_lowercase()))
        }
        ContainerState::Paused => Fate::Restart("it is paused".into()),
        ContainerState::Dead | ContainerState::Removing => {
            Fate::Recreate(format!("the container is {}", container.found.state.name()))
        }
    }
}

/// What a person would call the difference.
fn difference(container: &Container, replica: &Replica) -> String {
    if container.found.image != replica.spec.image {
        return format!("image changes from {} to {}", container.found.image, replica.spec.image);
    }
    "its configuration changed".into()
}

//! `stop`, `start`, `restart`, `down`: plans that need no desired state, only what exists. Pure.

use super::builder::Builder;
use super::{Action, Plan, compilers};
use crate::cli::service::ServiceRef;
use crate::desired::{COMPILER, labels};
use crate::engine::found::ContainerState;
use crate::error::{Error, Result};
use crate::observed::{Container, Observed};

/// Services in the order in which they may stop; each needs those after it.
const STOP_ORDER: [&str; 9] =
    ["bridge", "relay", "agent", "puppetboard", "balancer", "compiler", "puppetserver", "puppetdb", "postgres"];

/// Seconds until a container is killed. PostgreSQL gets longer, to write its checkpoint.
pub(super) fn grace(service: &str) -> u32 {
    if service == "postgres" { 60 } else { 30 }
}

/// The service containers, narrowed to those named when any are.
///
/// # Errors
/// One that is named does not exist.
pub fn chosen<'o>(observed: &'o Observed, services: &[ServiceRef]) -> Result<Vec<(&'o String, &'o Container)>> {
    if let Some(wrong) = services.iter().find(|s| !observed.services().any(|(n, c)| matches(n, c, s))) {
        let mut names: Vec<&str> = observed.services().map(|(_, c)| c.label(labels::SERVICE)).collect();
        names.sort_unstable();
        names.dedup();
        return Err(Error::usage(format!("there is no \"{wrong}\" in this platform")).hint(if names.is_empty() {
            "nothing runs here yet; start with `pupperware up`".into()
        } else {
            format!("it has {}", names.join(", "))
        }));
    }
    let wanted = |n: &str, c: &Container| services.is_empty() || services.iter().any(|s| matches(n, c, s));
    Ok(observed.services().filter(|(n, c)| wanted(n, c)).collect())
}

/// True when the reference names this container: by its service, or as `status` and `docker ps` show it.
fn matches(name: &str, container: &Container, reference: &ServiceRef) -> bool {
    if reference.replica.is_none() && reference.service == name {
        return true;
    }
    let number = container.label("com.docker.compose.container-number").parse().ok();
    container.label(labels::SERVICE) == reference.service && reference.replica.is_none_or(|n| Some(n.get()) == number)
}

/// The refusal to use somebody else's network.
pub fn not_our_network(name: &str) -> Error {
    Error::refused(format!("there is a network {name} already, and it is not of this platform"))
        .hint(format!("if nobody needs it, remove it with `docker network rm {name}`; or choose another `--project`"))
}

/// Removes one-shot containers that an interrupted run left. Before anything starts: one that still issues certificates
/// must not do so beside the CA's server.
pub(super) fn remove_tasks(plan: &mut Builder, observed: &Observed) -> Vec<usize> {
    let tasks = observed.containers.iter().filter(|(_, c)| c.left_over());
    let remove = |(name, _): (&String, &Container)| {
        let action = Action::RemoveContainer { name: name.clone(), service: None };
        plan.add(action, "left over from an interrupted run", vec![])
    };
    tasks.map(remove).collect()
}

/// Stops containers, those that need others first. Nothing is removed.
///
/// # Errors
/// A named service does not exist.
pub fn stop(observed: &Observed, services: &[ServiceRef]) -> Result<Plan> {
    let mut plan = Builder::default();
    stop_steps(&mut plan, &chosen(observed, services)?, "asked to stop");
    Ok(plan.finish())
}

pub(super) fn stop_steps(plan: &mut Builder, containers: &[(&String, &Container)], cause: &str) {
    let mut before: Vec<usize> = vec![];
    for service in STOP_ORDER {
        let mut these = vec![];
        for (name, container) in containers {
            if container.label(labels::SERVICE) == service && container.alive() {
                let action = Action::StopContainer {
                    name: (*name).clone(),
                    service: service.into(),
                    grace_seconds: grace(service),
                };
                these.push(plan.add(action, cause, before.clone()));
            }
        }
        if !these.is_empty() {
            before = these;
        }
    }
}

/// Starts stopped containers and waits until all are ready.
///
/// # Errors
/// A named service does not exist, or there is nothing to start.
pub fn start(observed: &Observed, services: &[ServiceRef]) -> Result<Plan> {
    super::unfinished::refuse(observed)?;
    let containers = chosen(observed, services)?;
    if containers.is_empty() {
        return Err(Error::failed("there are no containers to start").hint("create the platform with `pupperware up`"));
    }
    let mut plan = Builder::default();
    // The engine starts no paused container, and nothing can be asked in one between two of its tries to start it; one
    // that stopped in order is as good.
    for (state, cause) in [(ContainerState::Paused, "it is paused"), (ContainerState::Restarting, "it keeps ending")] {
        let stuck: Vec<_> = containers.iter().copied().filter(|(_, c)| c.found.state == state).collect();
        stop_steps(&mut plan, &stuck, cause);
    }
    let (up, down): (Vec<_>, Vec<_>) = containers.into_iter().partition(|(_, c)| c.running());
    // Somebody else may have started it a moment ago: all are ready when this ends, not only what it started.
    for (name, container) in up {
        if matches!(container.health.as_str(), "starting" | "unhealthy") {
            let service = container.label(labels::SERVICE).to_owned();
            plan.add(Action::WaitReady { name: name.clone(), service }, "it runs and is not ready", vec![]);
        }
    }
    if down.is_empty() {
        return Ok(plan.finish());
    }
    let removed = remove_tasks(&mut plan, observed);
    for (name, container) in down {
        let needs = removed.iter().copied().chain(plan.find("stop_container", name)).collect();
        start_steps(&mut plan, name, container, "asked to start", needs);
    }
    Ok(plan.finish())
}

fn start_steps(plan: &mut Builder, name: &str, container: &Container, cause: &str, needs: Vec<usize>) {
    let service = container.label(labels::SERVICE).to_owned();
    let started = plan.add(Action::StartContainer { name: name.into(), service: service.clone() }, cause, needs);
    plan.add(Action::WaitReady { name: name.into(), service }, "it starts", vec![started]);
}

/// Stops and starts containers, and waits until they are ready.
///
/// # Errors
/// A named service does not exist, or there is nothing to restart.
pub fn restart(observed: &Observed, services: &[ServiceRef]) -> Result<Plan> {
    super::unfinished::refuse(observed)?;
    let containers = chosen(observed, services)?;
    if containers.is_empty() {
        return Err(
            Error::failed("there are no containers to restart").hint("create the platform with `pupperware up`")
        );
    }
    let mut plan = Builder::default();
    // Compilers that all serve restart one after the other, where a balancer goes on that they can leave.
    let is_compiler = |c: &Container| c.label(labels::SERVICE) == COMPILER && c.running();
    let stays = compilers::running_balancer(observed).filter(|b| !containers.iter().any(|(name, _)| *name == b));
    let (rolling, containers): (Vec<_>, Vec<_>) =
        containers.into_iter().partition(|(_, c)| stays.is_some() && is_compiler(c));
    stop_steps(&mut plan, &containers, "asked to restart");
    let needs = [remove_tasks(&mut plan, observed), plan.all("stop_container")].concat();
    compilers::restart(&mut plan, observed, &rolling, &needs);
    for (name, container) in containers {
        start_steps(&mut plan, name, container, "asked to restart", needs.clone());
    }
    Ok(plan.finish())
}

/// Removes containers and networks. Volumes stay, but for those named in `destroy` (keys, or `ALL`).
///
/// # Errors
/// A named volume does not exist: nothing is removed then.
pub fn down(observed: &Observed, destroy: &[String]) -> Result<Plan> {
    let key = |labels: &crate::engine::spec::Labels, name: &str| {
        labels.get(labels::KEY).cloned().unwrap_or_else(|| name.to_owned())
    };
    let volumes: Vec<(String, &String)> =
        observed.volumes.iter().map(|(name, v)| (key(&v.labels, name), name)).collect();
    let all = destroy.iter().any(|d| d == "ALL");
    if let Some(wrong) = destroy.iter().find(|d| *d != "ALL" && !volumes.iter().any(|(k, _)| k == *d)) {
        let names: Vec<&str> = volumes.iter().map(|(k, _)| k.as_str()).collect();
        return Err(Error::usage(format!("there is no volume \"{wrong}\" in this platform"))
            .hint(format!("it has {}", names.join(", "))));
    }
    let mut plan = Builder::default();
    let services: Vec<_> = observed.services().collect();
    stop_steps(&mut plan, &services, "asked to take the platform down");
    for (name, container) in &observed.containers {
        let role = container.label(labels::ROLE);
        if role == "lock" {
            continue;
        }
        let needs: Vec<usize> = plan.find("stop_container", name).into_iter().collect();
        let service = (role == "service").then(|| container.label(labels::SERVICE).to_owned());
        plan.add(Action::RemoveContainer { name: name.clone(), service }, "asked to take the platform down", needs);
    }
    let removed = plan.all("remove_container");
    for name in observed.networks.keys() {
        plan.add(Action::RemoveNetwork { name: name.clone() }, "asked to take the platform down", removed.clone());
    }
    let doomed: Vec<&(String, &String)> = volumes.iter().filter(|(key, _)| all || destroy.contains(key)).collect();
    let cause = "named with --destroy-data";
    let mut destroyed = removed.clone();
    for (key, name) in doomed.iter().filter(|(key, _)| key != "state") {
        let action = Action::RemoveVolume { key: key.clone(), name: (*name).clone(), throw_away: false };
        destroyed.push(plan.add(action, cause, removed.clone()));
    }
    if doomed.len() == volumes.len() && !observed.record_volumes.is_empty() {
        let action = Action::RemoveRecord { volumes: observed.record_volumes.clone() };
        destroyed.push(plan.add(action, "nothing is left of the platform", destroyed.clone()));
    }
    // Last: the journal of this very plan is in it.
    if let Some((key, name)) = doomed.iter().find(|(key, _)| key == "state") {
        let action = Action::RemoveVolume { key: key.clone(), name: (*name).clone(), throw_away: false };
        plan.add(action, cause, destroyed);
    }
    Ok(plan.finish())
}

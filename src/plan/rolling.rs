//! Changes that agents do not notice: compilers behind a balancer serve while everything else is replaced, and are replaced
//! one after the other in the end. Pure.
//!
//! The order: the balancer first, for whatever follows goes through it; then the database and PuppetDB, while requests wait at
//! the balancer, for no catalog is compiled without them; then the primary, which has only the CA to do meanwhile; then the
//! compilers (`compilers::bring_up`), each drained. So a compiler of the old release talks to a PuppetDB and a CA of the new
//! one, as Puppet's own order of upgrading has it: the clients of PuppetDB are never newer than PuppetDB.

use super::Action;
use super::builder::Builder;
use super::fate::Fate;
use super::images::image_step;
use crate::desired::{BALANCER, COMPILER, Desired, PRIMARY, Replica, labels};
use crate::observed::{Container, Observed};

/// How long requests wait while the database or PuppetDB restarts, and those under way before may take to end. Afterwards
/// they go on and fail where PuppetDB is not back: agents wait for ten minutes at most.
const HOLD_SECONDS: u32 = 240;
/// What is replaced when its turn comes.
const IN_TURN: [&str; 4] = [BALANCER, "postgres", "puppetdb", PRIMARY];
/// Nothing is compiled without these.
const STORES: [&str; 2] = ["postgres", "puppetdb"];

/// What goes on while a plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rolling {
    /// Compilers can go one after the other.
    pub compilers: bool,
    /// What they need is replaced behind their back.
    pub services: bool,
}

impl Rolling {
    /// Judges by what is there. `anew` are credentials that are issued anew, for which services stop at once; with a new
    /// certificate of the balancer (`stranger`), compilers would not know it.
    pub(super) fn of(desired: &Desired, observed: &Observed, anew: bool, stranger: bool) -> Self {
        let compilers = !stranger && possible(desired, observed);
        Rolling { compilers, services: compilers && !anew }
    }

    /// True when this replica's container goes when its turn comes, and not with all that must go.
    pub(super) fn later(self, replica: &Replica, container: &Container) -> bool {
        match replica.service.as_str() {
            COMPILER => self.compilers && container.alive(),
            service => self.services && IN_TURN.contains(&service),
        }
    }
}

/// True when compilers serve through a balancer, and what is wanted can take their place one by one: on the same networks,
/// and of the same release line, for those of another one cannot use the same PuppetDB.
fn possible(desired: &Desired, observed: &Observed) -> bool {
    let running = |r: &Replica| observed.containers.get(&r.spec.name).filter(|c| c.running());
    let mut serving = desired.compilers().filter_map(running).peekable();
    let networks = desired.networks.values().all(|n| {
        let found = observed.networks.get(&n.name);
        found.is_some_and(|f| f.labels.get(labels::SPEC_HASH) == n.labels.get(labels::SPEC_HASH))
    });
    let major = desired.definition.version.major.to_string();
    let same_line = |c: &Container| c.label(labels::RELEASE).split('.').next() == Some(&*major);
    desired.balancer().and_then(running).is_some() && networks && serving.peek().is_some() && serving.all(same_line)
}

/// The replicas in the order in which their steps come.
pub(super) fn in_turn<'f, 'd>(
    fates: &'f [(&'d Replica, Fate)],
    rolling: Rolling,
) -> impl Iterator<Item = &'f (&'d Replica, Fate)> {
    let first = move |service: &str| rolling.services && service == BALANCER;
    let balancer = fates.iter().filter(move |(r, _)| first(&r.service));
    balancer.chain(fates.iter().filter(move |(r, _)| !first(&r.service)))
}

/// Steps after which a replica's successor may come, when that was left for now. `code` is the step after which the code is
/// there that a new server is to serve.
pub(super) fn make_way(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    fates: &[(&Replica, Fate)],
    (replica, fate): (&Replica, &Fate),
    code: Option<usize>,
) {
    let service = replica.service.as_str();
    if !IN_TURN.contains(&service) {
        return;
    }
    if STORES.contains(&service) && !matches!(fate, Fate::Keep | Fate::Wait(_)) {
        hold(plan, desired);
    }
    let (Fate::Recreate(cause) | Fate::Restart(cause)) = fate else { return };
    let name = &replica.spec.name;
    let Some(container) = observed.containers.get(name) else { return };
    let mut needs: Vec<usize> = match service {
        _ if STORES.contains(&service) => plan.all("hold_requests"),
        PRIMARY => [waits(plan, desired, &[BALANCER]), go_on(plan, desired, fates).into_iter().collect()].concat(),
        // Compilers that go for good leave through it.
        _ => plan.all("drain_compiler"),
    };
    needs.extend(code.filter(|_| service == PRIMARY));
    // Whatever takes its place is at hand.
    needs.extend(image_step(plan, &replica.component));
    if container.alive() {
        let action = Action::StopContainer {
            name: name.clone(),
            service: service.to_owned(),
            grace_seconds: replica.spec.stop_grace_seconds,
        };
        needs = vec![plan.add(action, cause.as_str(), needs)];
    }
    if matches!(fate, Fate::Recreate(_)) {
        let action = Action::RemoveContainer { name: name.clone(), service: Some(service.to_owned()) };
        plan.add(action, cause.as_str(), needs);
    }
}

/// The step after which requests wait.
fn hold(plan: &mut Builder, desired: &Desired) {
    let Some(balancer) = desired.balancer().map(|b| b.spec.name.clone()) else { return };
    if plan.find("hold_requests", &balancer).is_some() {
        return;
    }
    let mut needs = waits(plan, desired, &[BALANCER]);
    needs.extend(STORES.iter().filter_map(|component| image_step(plan, component)));
    let action = Action::HoldRequests { balancer, seconds: HOLD_SECONDS };
    plan.add(action, "nothing is compiled without PuppetDB", needs);
}

/// The step after which requests are answered again, where they wait. Everything of the stores must be in the plan already.
pub(super) fn go_on(plan: &mut Builder, desired: &Desired, fates: &[(&Replica, Fate)]) -> Option<usize> {
    let balancer = desired.balancer()?.spec.name.clone();
    let held = plan.find("hold_requests", &balancer)?;
    let members = desired.compilers().map(|r| r.certname.clone()).collect();
    plan.find("balance", &balancer).or_else(|| {
        let stores = fates.iter().filter(|(r, _)| STORES.contains(&r.service.as_str()));
        let ready = stores.filter_map(|(r, _)| plan.find("wait_ready", &r.spec.name));
        let needs = ready.chain([held]).collect();
        Some(plan.add(Action::Balance { balancer, members }, "PuppetDB answers again", needs))
    })
}

/// Steps of the plan after which these services are ready.
pub(super) fn waits(plan: &Builder, desired: &Desired, services: &[&str]) -> Vec<usize> {
    let these = desired.replicas.iter().filter(|r| services.contains(&r.service.as_str()));
    these.filter_map(|r| plan.find("wait_ready", &r.spec.name)).collect()
}

//! `upgrade`: from one release to the next, and back where that fails. Pure.
//!
//! Nothing of the old release is written by the new one: where it keeps its data in another way, the database is copied
//! into a new volume, and the old volume stays as it is. CA, code and keys are the same files for both. The record names
//! the old release until the new one is proved; a mark in it tells how far the upgrade is, so that whoever comes after a
//! crash can go on (`forward`) or go back (`back`).
//!
//! Where there are compilers and the data stays where it is, they serve throughout: what is done then is what `up` does for a
//! change (`plan::rolling`), between a mark and a commit. Where data moves, they stop with everybody else.

mod back;
mod code;
mod forward;
mod kept;

use semver::Version;

use crate::config::types::Place;
use crate::desired::{Desired, Replica, hash, labels};
use crate::engine::found::ContainerState;
use crate::engine::spec::ContainerSpec;
use crate::error::{Error, Result};
use crate::hook::Occasion;
use crate::observed::record::{Issued, Upgrading};
use crate::observed::{Container, Observed};
use crate::puppet::inventory;

use super::Action;
use super::backup::{Order, helper};
use super::builder::Builder;

pub use back::rollback;
pub use forward::upgrade;
pub use kept::{forget, leave};

/// An upgrade.
#[derive(Debug)]
pub struct Upgrade<'a> {
    /// The platform of the release that runs.
    pub from: &'a Desired,
    /// The same platform, of the release that it goes to.
    pub to: &'a Desired,
    /// The backup that is written first.
    pub backup: Order,
    /// The channel that the user named.
    pub channel: Option<String>,
    /// For how long PuppetDB keeps what it is told, in seconds.
    pub kept_seconds: u64,
    /// Go on where the new release does not compile what the old one does.
    pub ignore_code: bool,
    /// Name of a certificate that the new release signs and revokes to show that it can: one that never was.
    pub canary: String,
    /// What is called before anything is changed, and what it hears.
    pub before: Option<(Place, Occasion)>,
}

/// The interrupted upgrade that is on record, and the release that it is from.
fn mark(observed: &Observed) -> Option<(&Version, &Upgrading)> {
    observed.record.as_ref().and_then(|r| Some((&r.release, r.upgrading.as_ref()?)))
}

/// Whether the database moves into a volume of the new release.
fn moves(from: &Desired, to: &Desired) -> bool {
    from.database != to.database
}

/// Whether compilers serve while the releases change: those that run now go on until others take their places, because the
/// data stays where it is.
fn rolls(from: &Desired, to: &Desired, observed: &Observed) -> bool {
    let runs = |r: &Replica| observed.containers.get(&r.spec.name).is_some_and(Container::running);
    !moves(from, to) && from.balancer().is_some_and(runs) && from.compilers().any(runs)
}

/// A service's first container.
fn replica<'d>(desired: &'d Desired, service: &str) -> Result<&'d Replica> {
    let found = desired.replicas.iter().find(|r| r.service == service);
    found.ok_or_else(|| Error::failed(format!("the platform has no {service}")))
}

/// What looks at the CA, and keeps what it saw beside the journal.
fn looker(desired: &Desired) -> Box<ContainerSpec> {
    let mounts = ["ca", "state"].map(|key| (key.to_owned(), labels::scoped(&desired.project, key)));
    let mut task = helper(desired, "inventory", &mounts);
    for mount in task.mounts.iter_mut().filter(|m| m.target.ends_with("/ca")) {
        mount.read_only = true;
    }
    Box::new(task)
}

/// What is there, as the plan of `up` should see it: without helpers, and without the mark.
fn ground(observed: &Observed) -> Observed {
    let mut ground = observed.clone();
    ground.containers.retain(|_, c| c.label(labels::ROLE) != "task");
    if let Some(record) = &mut ground.record {
        record.upgrading = None;
        record.proof = None;
    }
    ground
}

/// The same with the credentials, which both releases share, on record for the new one.
fn new_ground(desired: &Desired, observed: &Observed) -> Observed {
    let mut ground = ground(observed);
    let (request, keys) = issued(desired);
    let made = |name: &String| labels::made(&observed.volumes.get(name)?.labels).map(ToOwned::to_owned);
    if let Some(record) = &mut ground.record {
        let ends = record.issued.take().map(|i| i.ends).unwrap_or_default();
        let volumes = keys.into_iter().filter_map(|(key, name)| Some((key, made(&name)?)));
        record.issued = Some(Issued { request, volumes: volumes.collect(), ends });
    }
    ground
}

/// Stands for the time at which a volume will be made.
const NEW: &str = "by this plan";

/// What is on record of a platform's credentials: the request's hash, and the volumes that it covers.
fn issued(desired: &Desired) -> (String, Vec<(String, String)>) {
    let keys = desired.credentials.volumes().into_iter();
    let volumes = keys.map(|key| (key.to_owned(), labels::scoped(&desired.project, key))).collect();
    (hash::of(&desired.credentials.lasting()), volumes)
}

/// As a container that was stopped on purpose.
fn stopped(observed: &mut Observed, name: &str) {
    if let Some(container) = observed.containers.get_mut(name).filter(|c| c.alive()) {
        container.found.state = ContainerState::Exited;
        container.found.status = "stopped".into();
        container.started_at = None;
        container.health.clear();
    }
}

/// A step that compares the database with what was counted, as soon as `needs` are done; the same one for all who ask.
fn verify(plan: &mut Builder, postgres: &str, part: inventory::Part, cause: &str, needs: Vec<usize>) -> usize {
    plan.find("compare_inventory", postgres).unwrap_or_else(|| {
        let action = Action::VerifyInventory { postgres: postgres.to_owned(), part };
        plan.add(action, cause, needs)
    })
}

/// The one step that looks for everything of the CA.
fn verify_ca(plan: &mut Builder, desired: &Desired, needs: Vec<usize>) -> usize {
    let found = plan.all("compare_ca").first().copied();
    found.unwrap_or_else(|| {
        plan.add(Action::VerifyCa { task: looker(desired) }, "every certificate and request is kept", needs)
    })
}

//! The check of the code: containers of both releases compile every node's catalog, before anything is touched.

use super::super::Action;
use super::replica;
use crate::desired::{Desired, PRIMARY, labels};
use crate::engine::spec::{ContainerSpec, Restart};
use crate::error::Result;

/// Memory of a container that compiles.
const MEMORY: u64 = 1 << 30;
/// Where the CA is, which has no part in catalogs.
const CA: &str = "/etc/puppet/puppetserver/ca";
/// What a server writes. Libraries that the user put there are not part of the check.
const DATA: &str = "/var/lib/puppetserver";

/// The step that compares.
pub(super) fn compare(from: &Desired, to: &Desired, ignore: bool) -> Result<Action> {
    Ok(Action::CompareCatalogs {
        old: Box::new(compiler(from, "old")?),
        new: Box::new(compiler(to, "new")?),
        puppetdb: replica(from, "puppetdb")?.spec.name.clone(),
        strict: !ignore,
    })
}

/// The primary's image, code, settings and keys, with nothing to write; what it asks PuppetDB for is exported resources. No
/// agent reaches it.
fn compiler(desired: &Desired, which: &str) -> Result<ContainerSpec> {
    let mut spec = replica(desired, PRIMARY)?.spec.clone();
    let back = labels::scoped(&desired.project, "back");
    spec.name = format!("{}-catalogs-{which}", desired.project);
    spec.hostname = "catalogs".into();
    spec.labels = labels::common(&desired.project, "task");
    spec.entrypoint = Some(vec!["/bin/sleep".into(), "infinity".into()]);
    spec.command = Some(vec![]);
    spec.mounts.retain(|mount| ![CA, DATA].contains(&mount.target.as_str()));
    spec.mounts.iter_mut().for_each(|mount| mount.read_only = true);
    spec.networks.retain(|network| network.network == back);
    spec.networks.iter_mut().for_each(|network| network.aliases.clear());
    spec.ports.clear();
    spec.health = None;
    spec.restart = Restart::No;
    spec.init = true;
    spec.stop_grace_seconds = 1;
    spec.memory_bytes = Some(MEMORY);
    Ok(spec)
}

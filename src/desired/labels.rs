//! Labels and names: our own, and those of Compose, so that its tools group and list the platform.
//!
//! Ours begin with `dev.pupperware.`. The hash labels are what a later run compares.

use crate::config::sizing::Machine;
use crate::engine::spec::{Labels, NetworkSpec, VolumeSpec};

use super::Origin;
use super::hash;

/// Label with the project; every object of a platform has it.
pub const PROJECT: &str = "dev.pupperware.project";
/// Label with the hash of a container's or network's specification.
pub const SPEC_HASH: &str = "dev.pupperware.spec-hash";
/// Label with what an object is for: `service`, `task`, `look` (a helper that only looks, beside whatever is done), `lock`,
/// `record`, `volume`, `network`.
pub const ROLE: &str = "dev.pupperware.role";
/// Label with the service.
pub const SERVICE: &str = "dev.pupperware.service";
/// Label with the certname.
pub const CERTNAME: &str = "dev.pupperware.certname";
/// Label with the release.
pub const RELEASE: &str = "dev.pupperware.release";
/// Label with the stream (a release's major version) that a volume was made for; a volume keeps it. Not part of any hash.
pub const STREAM: &str = "dev.pupperware.stream";
/// Label with the time at which a volume was made, RFC 3339.
pub const MADE: &str = "dev.pupperware.made";
/// Label with the machine that a container was sized for: with it, others can tell what is wanted without asking the
/// engine for its machine, which takes it long.
pub const MACHINE: &str = "dev.pupperware.machine";
/// Label with a volume's or network's key.
pub const KEY: &str = "dev.pupperware.key";
const COMPOSE_PROJECT: &str = "com.docker.compose.project";

/// `key=value` that selects all of a project's objects.
pub fn selector(project: &str) -> String {
    format!("{PROJECT}={project}")
}

/// Name of a service's container, as Compose names it.
pub fn container_name(project: &str, service: &str, number: u32) -> String {
    format!("{project}-{service}-{number}")
}

/// Name of a volume or network, as Compose names it.
pub fn scoped(project: &str, key: &str) -> String {
    format!("{project}_{key}")
}

/// When a volume was made, as its label says.
pub fn made(labels: &Labels) -> Option<&str> {
    labels.get(MADE).map(String::as_str)
}

/// The labels that everything of a project has.
pub fn common(project: &str, role: &str) -> Labels {
    Labels::from([(PROJECT.to_owned(), project.to_owned()), (ROLE.to_owned(), role.to_owned())])
}

/// A network's specification.
pub fn network(project: &str, key: &str, internal: bool) -> NetworkSpec {
    let mut labels = common(project, "network");
    labels.insert(KEY.into(), key.into());
    labels.insert(COMPOSE_PROJECT.into(), project.into());
    labels.insert("com.docker.compose.network".into(), key.into());
    labels.insert(SPEC_HASH.into(), hash::of(&(key, internal)));
    NetworkSpec { name: scoped(project, key), internal, labels }
}

/// A volume's specification.
pub fn volume(project: &str, key: &str) -> VolumeSpec {
    let mut labels = common(project, "volume");
    labels.insert(KEY.into(), key.into());
    labels.insert(COMPOSE_PROJECT.into(), project.into());
    labels.insert("com.docker.compose.volume".into(), key.into());
    VolumeSpec { name: scoped(project, key), labels }
}

/// The labels of a service's container that are part of what it is.
pub fn service(project: &str, service: &str, number: u32, certname: &str, depends_on: &str) -> Labels {
    let mut labels = common(project, "service");
    for (name, value) in [
        (SERVICE, service),
        (CERTNAME, certname),
        (COMPOSE_PROJECT, project),
        ("com.docker.compose.service", service),
        ("com.docker.compose.container-number", &number.to_string()),
        ("com.docker.compose.oneoff", "False"),
        ("com.docker.compose.depends_on", depends_on),
    ] {
        labels.insert(name.to_owned(), value.to_owned());
    }
    labels
}

/// Adds what is not part of the hash: the hash itself, the release and the machine that it was made for, where the
/// command was run.
pub fn finish(labels: &mut Labels, hash: &str, release: &str, machine: Machine, origin: &Origin) {
    labels.insert(MACHINE.into(), machine.to_string());
    labels.insert(RELEASE.into(), release.to_owned());
    labels.insert(SPEC_HASH.into(), hash.to_owned());
    labels.insert("com.docker.compose.config-hash".into(), hash.to_owned());
    labels.insert("com.docker.compose.version".into(), "2.26.1".into());
    labels.insert("com.docker.compose.project.working_dir".into(), origin.working_dir.clone());
    labels.insert("com.docker.compose.project.config_files".into(), origin.config_file.clone());
}

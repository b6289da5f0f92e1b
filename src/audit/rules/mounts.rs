//! What containers mount: the engine's socket, directories of the host, volumes; and who else mounts ours.

use super::Theme;
use crate::audit::model::{Container, Evidence, Finding, Rule, Severity};
use crate::engine::found::FoundMount;
use crate::engine::spec::MountSource;

/// The theme.
pub const THEME: Theme = Theme {
    title: "Mounts",
    rules: &[&SOCKET, &HOST_PATH, &CODE_WRITABLE, &VOLUME_UNEXPECTED, &VOLUME_STRANGER],
    check,
};

static SOCKET: Rule = Rule {
    id: "mount-engine-socket",
    severity: Severity::High,
    title: "a container can give the engine orders, which makes it root of the host",
    remedy: "remove the container with `docker rm --force CONTAINER`, then run `pupperware up`",
};
static HOST_PATH: Rule = Rule {
    id: "mount-host-path",
    severity: Severity::High,
    title: "a container mounts a directory of the host that the configuration does not name",
    remedy: "remove the container with `docker rm --force CONTAINER`, then run `pupperware up`",
};
static CODE_WRITABLE: Rule = Rule {
    id: "mount-code-writable",
    severity: Severity::Medium,
    title: "the server can write to the code directory of the host",
    remedy: "remove the container with `docker rm --force CONTAINER`, then run `pupperware up`",
};
static VOLUME_UNEXPECTED: Rule = Rule {
    id: "mount-volume-unexpected",
    severity: Severity::High,
    title: "a service mounts a volume that is not its own",
    remedy: "remove the container with `docker rm --force CONTAINER`, then run `pupperware up`",
};
static VOLUME_STRANGER: Rule = Rule {
    id: "volume-stranger",
    severity: Severity::High,
    title: "a container of somebody else mounts a volume of the platform",
    remedy: "remove that container, and find out what it read: keys and passwords are in there",
};

/// Sockets by which an engine takes orders.
const SOCKETS: [&str; 3] = ["docker.sock", "containerd.sock", "podman.sock"];
/// Directories of the host that such a socket is in or below.
const ABOVE_SOCKETS: [&str; 5] = ["/", "/run", "/var", "/var/run", "/run/containerd"];

fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in &evidence.containers {
        for mount in &container.settings.mounts {
            match &mount.source {
                MountSource::Directory(path) => directory(container, mount, path, &mut findings),
                MountSource::Volume(name) => volume(container, mount, name, &mut findings),
            }
        }
    }
    for neighbour in &evidence.neighbours {
        for key in &neighbour.volumes {
            findings.push(VOLUME_STRANGER.broken(&neighbour.name, format!("mounts the volume {key}")));
        }
    }
    findings
}

fn directory(container: &Container, mount: &FoundMount, path: &str, findings: &mut Vec<Finding>) {
    let file = path.rsplit('/').next().unwrap_or_default();
    let folder = if path == "/" { path } else { path.trim_end_matches('/') };
    let evidence = format!("{path} at {}", mount.target);
    if SOCKETS.contains(&file) || ABOVE_SOCKETS.contains(&folder) {
        findings.push(SOCKET.broken(&container.name, evidence));
        return;
    }
    let wanted = container.wanted.iter().flat_map(|w| &w.spec.mounts).find(|m| m.source == mount.source);
    match wanted {
        None => findings.push(HOST_PATH.broken(&container.name, evidence)),
        Some(wanted) if wanted.read_only && mount.writable => {
            findings.push(CODE_WRITABLE.broken(&container.name, evidence));
        }
        Some(_) => {}
    }
}

fn volume(container: &Container, mount: &FoundMount, name: &str, findings: &mut Vec<Finding>) {
    // A container that nobody configured is found as such; helpers mount what they work on.
    let Some(wanted) = &container.wanted else { return };
    if !wanted.spec.mounts.iter().any(|m| m.source == mount.source) {
        findings.push(VOLUME_UNEXPECTED.broken(&container.name, format!("{name} at {}", mount.target)));
    }
}

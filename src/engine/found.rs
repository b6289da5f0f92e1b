//! What an engine says exists, as plain data: rows of its lists, already parsed.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::spec::{Labels, MountSource};

/// A container on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundContainer {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Image reference as given at creation.
    pub image: String,
    /// Image id.
    pub image_id: String,
    /// State.
    pub state: ContainerState,
    /// The engine's words (`Up 3 minutes (healthy)`).
    pub status: String,
    /// When it was created, seconds since the epoch.
    pub created: i64,
    /// Labels.
    pub labels: Labels,
    /// Published host ports.
    pub ports: Vec<FoundPort>,
    /// Names of the networks it is attached to.
    pub networks: Vec<String>,
    /// Names of the volumes it mounts.
    pub volumes: Vec<String>,
}

/// A port of the host that a container holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundPort {
    /// Host address; unspecified (`0.0.0.0`, `::`) for all of them.
    pub address: IpAddr,
    /// Host port.
    pub port: u16,
    /// True for TCP; others have ports of their own.
    pub tcp: bool,
}

impl FoundPort {
    /// True when nobody else can listen with TCP at this address and port, because this one is held.
    pub fn bars(self, address: IpAddr, port: u16) -> bool {
        let overlap = self.address == address || self.address.is_unspecified() || address.is_unspecified();
        self.tcp && self.port == port && overlap
    }
}

impl fmt::Display for FoundPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

/// The state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// Frozen.
    Paused,
    /// The engine is restarting it after an exit.
    Restarting,
    /// Being removed.
    Removing,
    /// Its process ended.
    Exited,
    /// The engine could not remove or start it cleanly.
    Dead,
}

impl ContainerState {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            ContainerState::Created => "created",
            ContainerState::Running => "running",
            ContainerState::Paused => "paused",
            ContainerState::Restarting => "restarting",
            ContainerState::Removing => "removing",
            ContainerState::Exited => "exited",
            ContainerState::Dead => "dead",
        }
    }
}

/// What `inspect` adds to a list row, for the few containers where it matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerDetail {
    /// Full id.
    pub id: String,
    /// True while its process runs.
    pub running: bool,
    /// When its process last started, RFC 3339 with nanoseconds.
    pub started_at: String,
    /// Exit code of its last end.
    pub exit_code: i64,
    /// The kernel killed it for want of memory.
    pub oom_killed: bool,
    /// The engine's own error when it could not start.
    pub error: String,
    /// How often the engine restarted it.
    pub restarts: i64,
    /// Result of the engine's own check: `healthy`, `starting`, `unhealthy`, or empty.
    pub health: String,
}

/// How a container is confined, and what it can reach: what `inspect` tells of it, for the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerSettings {
    /// `uid:gid` or a name; empty is root.
    pub user: String,
    /// Environment as `NAME=value`.
    pub environment: Vec<String>,
    /// What it was started with, the program first.
    pub command: Vec<String>,
    /// Capabilities added.
    pub cap_add: Vec<String>,
    /// Capabilities dropped.
    pub cap_drop: Vec<String>,
    /// `no-new-privileges`, `seccomp=...` and the like.
    pub security_opt: Vec<String>,
    /// All barriers are down.
    pub privileged: bool,
    /// The root file system cannot be written.
    pub read_only: bool,
    /// Most processes; nothing is no limit.
    pub pids: Option<u64>,
    /// Memory limit in bytes; nothing is no limit.
    pub memory_bytes: Option<u64>,
    /// Namespaces that are the host's or another container's (`network host`).
    pub shared_namespaces: Vec<String>,
    /// Devices of the host.
    pub devices: Vec<String>,
    /// What is mounted, temporary file systems left out.
    pub mounts: Vec<FoundMount>,
    /// Names of the networks it is attached to.
    pub networks: Vec<String>,
    /// Ports that it publishes, with the port inside.
    pub ports: Vec<(FoundPort, u16)>,
    /// The image that it runs.
    pub image_id: String,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundMount {
    /// A volume's name, or an absolute path of the engine's host.
    pub source: MountSource,
    /// Path inside.
    pub target: String,
    /// Can be written through this mount.
    pub writable: bool,
}

/// A volume on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundVolume {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
}

/// A network on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundNetwork {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// No way out to other networks.
    pub internal: bool,
}

/// An image on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundImage {
    /// Id (`sha256:...`).
    pub id: String,
    /// References: `name:tag`, and `name@digest` when it came from a registry.
    pub references: Vec<String>,
    /// Labels.
    pub labels: Labels,
    /// Size in bytes, shared layers included.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_barred_where_addresses_meet() {
        let held = |address: &str| FoundPort { address: address.parse().unwrap(), port: 8140, tcp: true };
        let bars = |held: FoundPort, address: &str, port| held.bars(address.parse().unwrap(), port);
        assert!(bars(held("10.0.0.1"), "10.0.0.1", 8140));
        assert!(bars(held("0.0.0.0"), "10.0.0.1", 8140));
        assert!(bars(held("10.0.0.1"), "0.0.0.0", 8140));
        assert!(bars(held("::"), "0.0.0.0", 8140));
        assert!(!bars(held("10.0.0.1"), "10.0.0.2", 8140));
        assert!(!bars(held("10.0.0.1"), "10.0.0.1", 8141));
        assert!(!bars(FoundPort { tcp: false, ..held("0.0.0.0") }, "0.0.0.0", 8140));
    }
}

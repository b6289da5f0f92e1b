//! What we can ask an engine to make: containers, networks, volumes, as plain data.
//!
//! These are exactly the parts of the engine's API that the platform uses. They are serialised into hashes
//! (see `desired::hash`) and plans, so they hold no secrets and keep their maps sorted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Labels of any object.
pub type Labels = BTreeMap<String, String>;

/// A container to create.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Its name on the engine, unique there.
    pub name: String,
    /// Image reference or id.
    pub image: String,
    /// Host name inside.
    pub hostname: String,
    /// `name` or `uid:gid`; the image's own when absent.
    pub user: Option<String>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Not for secrets: anyone who may inspect sees it.
    pub environment: BTreeMap<String, String>,
    /// Labels.
    pub labels: Labels,
    /// Volumes and, only where the user names one, a directory of the host.
    pub mounts: Vec<Mount>,
    /// Path -> mount options.
    pub tmpfs: BTreeMap<String, String>,
    /// Networks to join; none at all means no network.
    pub networks: Vec<Attachment>,
    /// Ports published on the host.
    pub ports: Vec<PublishedPort>,
    /// How the engine itself checks it (for `docker ps` and others; our own waiting does not depend on it).
    pub health: Option<HealthCheck>,
    /// Capabilities to drop.
    pub cap_drop: Vec<String>,
    /// Capabilities to keep.
    pub cap_add: Vec<String>,
    /// `no-new-privileges` and the like.
    pub security_opt: Vec<String>,
    /// The root file system cannot be written.
    pub read_only: bool,
    /// A small init as process 1 that reaps children.
    pub init: bool,
    /// What the engine does when it exits.
    pub restart: Restart,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_grace_seconds: u32,
    /// Memory limit in bytes.
    pub memory_bytes: Option<u64>,
    /// CPU limit in units of 1e-9 cores.
    pub nano_cpus: Option<u64>,
    /// Weight among containers that want more processor than there is; the engine's default is 1024.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cpu_shares: Option<u32>,
    /// Most processes and threads.
    pub pids: Option<u32>,
    /// Size of /dev/shm in bytes.
    pub shm_bytes: Option<u64>,
}

/// Something mounted into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// A volume's name on the engine, or an absolute path on the engine's host.
    pub source: MountSource,
    /// Absolute path inside.
    pub target: String,
    /// Cannot be written through this mount.
    pub read_only: bool,
    /// Labels of the volume, if it has yet to be made.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A named volume.
    Volume(String),
    /// A directory of the engine's host.
    Directory(String),
}

/// Membership in a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The network's name on the engine.
    pub network: String,
    /// Names by which others on it find the container.
    pub aliases: Vec<String>,
}

/// A TCP port published on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Host address.
    pub address: IpAddr,
    /// Host port.
    pub port: u16,
    /// Port inside.
    pub target: u16,
}

/// The engine's own check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Command, not a shell line.
    pub test: Vec<String>,
    /// Seconds between checks.
    pub interval_seconds: u32,
    /// Seconds a check may take.
    pub timeout_seconds: u32,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
    /// Seconds at the start in which failures do not count.
    pub start_period_seconds: u32,
}

/// What happens when a container exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Nothing.
    #[default]
    No,
    /// Restarted, also with the engine, unless it was stopped on purpose.
    UnlessStopped,
}

/// A network to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Its name on the engine.
    pub name: String,
    /// No way out to other networks.
    pub internal: bool,
    /// Labels.
    pub labels: Labels,
}

/// A volume to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name on the engine.
    pub name: String,
    /// Labels.
    pub labels: Labels,
}

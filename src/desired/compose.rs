//! The Compose files of `compose/`, embedded: the subset that we read, and how it becomes typed.
//!
//! The subset is described in `docs/reference/compose.md`; a key outside it is an error, so nothing that someone
//! writes into those files is silently ignored. Turning services into containers happens in `services`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::interpolate::{Variables, interpolate};
use crate::error::{Error, Result};

/// One embedded file: its path in the source tree and its text.
pub type Source = (&'static str, &'static str);

/// Networks and volumes.
pub const PLATFORM: Source = ("compose/platform.yaml", include_str!("../../compose/platform.yaml"));
/// The services that exist once, in the order in which they depend on each other.
pub const SERVICES: [Source; 3] = [
    ("compose/postgres.yaml", include_str!("../../compose/postgres.yaml")),
    ("compose/puppetdb.yaml", include_str!("../../compose/puppetdb.yaml")),
    ("compose/puppetserver.yaml", include_str!("../../compose/puppetserver.yaml")),
];
/// Puppetboard; read when it is asked for.
pub const PUPPETBOARD: Source = ("compose/puppetboard.yaml", include_str!("../../compose/puppetboard.yaml"));
/// The balancer; read when agents come to it.
pub const BALANCER: Source = ("compose/balancer.yaml", include_str!("../../compose/balancer.yaml"));
/// A compiler; read once for each replica.
pub const COMPILER: Source = ("compose/compiler.yaml", include_str!("../../compose/compiler.yaml"));
/// The Relay server; read unless it is switched off.
pub const RELAY: Source = ("compose/relay.yaml", include_str!("../../compose/relay.yaml"));
/// The bridge; read with the server.
pub const BRIDGE: Source = ("compose/bridge.yaml", include_str!("../../compose/bridge.yaml"));
/// The agent; read once for each replica.
pub const AGENT: Source = ("compose/agent.yaml", include_str!("../../compose/agent.yaml"));

/// A Compose file of ours.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComposeFile {
    /// Services by name.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// Networks by key.
    #[serde(default)]
    pub networks: BTreeMap<String, Network>,
    /// Volumes by key.
    #[serde(default)]
    pub volumes: BTreeMap<String, Volume>,
}

/// A network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// No way out to other networks.
    #[serde(default)]
    pub internal: bool,
}

/// A volume.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// What we need to know and Compose does not.
    #[serde(rename = "x-pupperware")]
    pub pupperware: VolumeNote,
}

/// What a volume is for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeNote {
    /// What is lost with it.
    pub holds: Holds,
    /// For people.
    pub about: String,
}

/// What is lost with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// Something that nobody can make again.
    Data,
    /// Certificates or secrets that the CA can issue again.
    Credentials,
    /// Files that we render at every start.
    Config,
}

/// A service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Image reference.
    pub image: String,
    /// Host name inside, and certname.
    pub hostname: String,
    /// `uid:gid`.
    pub user: Option<String>,
    /// Init as process 1.
    #[serde(default)]
    pub init: bool,
    /// Environment; never secret.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Networks by key.
    #[serde(default)]
    pub networks: BTreeMap<String, ServiceNetwork>,
    /// `ADDRESS:PORT:TARGET`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// `KEY-OR-PATH:TARGET`, with `:ro` where it is only read.
    #[serde(default)]
    pub volumes: Vec<String>,
    /// `PATH:OPTIONS`.
    #[serde(default)]
    pub tmpfs: Vec<String>,
    /// Root file system cannot be written.
    #[serde(default)]
    pub read_only: bool,
    /// Capabilities to drop.
    #[serde(default)]
    pub cap_drop: Vec<String>,
    /// Capabilities to keep.
    #[serde(default)]
    pub cap_add: Vec<String>,
    /// Security options.
    #[serde(default)]
    pub security_opt: Vec<String>,
    /// Restart policy.
    pub restart: String,
    /// Seconds, written `30s`.
    pub stop_grace_period: String,
    /// Bytes.
    pub mem_limit: Option<u64>,
    /// Cores.
    pub cpus: Option<f64>,
    /// Most processes and threads.
    pub pids_limit: Option<u32>,
    /// Weight among containers that want more processor than there is.
    pub cpu_shares: Option<u32>,
    /// Bytes of /dev/shm.
    pub shm_size: Option<u64>,
    /// What it needs, for Compose users and for the order of stopping.
    #[serde(default)]
    pub depends_on: BTreeMap<String, Dependency>,
    /// The engine's check.
    pub healthcheck: HealthCheck,
    /// What we need to know and Compose does not.
    #[serde(rename = "x-pupperware")]
    pub pupperware: ServiceNote,
}

/// Membership in a network.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceNetwork {
    /// Further names.
    #[serde(default)]
    pub aliases: Vec<String>,
}

/// A dependency.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// `service_started` or `service_healthy`.
    pub condition: String,
}

/// The engine's check.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// `["CMD", ...]`.
    pub test: Vec<String>,
    /// Seconds, written `10s`.
    pub interval: String,
    /// Seconds, written `10s`.
    pub timeout: String,
    /// Failures in a row.
    pub retries: u32,
    /// Seconds, written `120s`.
    pub start_period: String,
}

/// What we need to know about a service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceNote {
    /// Which component image it runs.
    pub component: String,
    /// The volume that our rendered configuration goes into.
    pub config_volume: Option<String>,
}

/// Reads one embedded file with its variables put in.
///
/// # Errors
/// A key outside the subset or a variable that nobody set: a bug in `compose/`, caught by tests.
pub fn read(source: Source, variables: &Variables) -> Result<ComposeFile> {
    typed(source, variables)
}

fn typed<T: DeserializeOwned>((path, text): Source, variables: &Variables) -> Result<T> {
    let broken = |e: serde_yaml::Error| Error::failed(format!("the built-in {path} is broken")).because(e);
    let mut tree: Value = serde_yaml::from_str(text).map_err(broken)?;
    interpolate(&mut tree, variables)
        .map_err(|name| Error::failed(format!("the built-in {path} uses ${{{name}}}, which nothing sets")))?;
    serde_yaml::from_value(tree).map_err(broken)
}

/// `30s` -> 30. Our own files use seconds only.
pub fn seconds(text: &str) -> Result<u32> {
    text.strip_suffix('s').and_then(|n| n.parse().ok()).ok_or_else(|| {
        Error::failed(format!("a built-in Compose file has the duration \"{text}\", which is not in seconds"))
    })
}

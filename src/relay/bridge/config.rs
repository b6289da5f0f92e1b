//! The bridge's own file: where the server is, how nodes are reached, what is allowed. Read once, at the start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::backend::Backend;
use super::backend::bolt::{self, Bolt};
use super::backend::orchestrator::Orchestrator;
use super::backend::orchestrator::api::Api;
use super::backend::ssh::argv::{self, Address, Client};
use super::backend::ssh::{Inventory, Other, Ssh};
use super::drive::{Ambiguous, Rules};
use super::policy::Policy;
use super::reporter::Rhythm;
use super::reports::{PuppetDb, Reports};
use super::service::Manner;
use crate::error::{Error, Result};
use crate::relay::api::{MAX_WAIT_SECONDS, NodeName};
use crate::relay::client::connection::{Connection, Limits};
use crate::relay::client::relay::Relay;
use crate::relay::client::target::Target;
use crate::relay::client::tls::TlsFiles;
use crate::relay::client::token::TokenFile;

/// Everything that a bridge is told. Unknown keys are errors: a mistyped limit must not be no limit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeConfig {
    relay: RelaySection,
    /// Where the journal and the audit log are.
    pub state_dir: PathBuf,
    /// Bolt where it is in `$PATH`, SSH elsewhere, unless it is said.
    #[serde(default)]
    backend: Option<BackendName>,
    #[serde(default = "parallelism")]
    parallelism: usize,
    #[serde(default = "runs")]
    runs: usize,
    #[serde(default)]
    max_failures: Option<u32>,
    #[serde(default = "node_timeout")]
    node_timeout_seconds: u64,
    #[serde(default = "run_timeout")]
    run_timeout_seconds: u64,
    #[serde(default = "recovery")]
    recovery_seconds: u64,
    #[serde(default = "heartbeat")]
    heartbeat_seconds: u64,
    #[serde(default = "ssh_program")]
    openssh_client_path: PathBuf,
    #[serde(default = "bolt_program")]
    bolt_path: PathBuf,
    #[serde(default = "puppet")]
    node_puppet_path: String,
    #[serde(default)]
    ssh: SshSection,
    #[serde(default)]
    orchestrator_api_url: Option<String>,
    #[serde(default)]
    orchestrator: Option<OrchestratorSection>,
    #[serde(default)]
    puppetdb: Option<PuppetDbSection>,
    /// What is allowed here.
    #[serde(default)]
    pub allow: Policy,
    #[serde(default)]
    on_ambiguous_accept: Ambiguous,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RelaySection {
    url: String,
    token_file: PathBuf,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default = "wait")]
    wait_seconds: u64,
    #[serde(default = "interval")]
    interval_seconds: u64,
}

/// How Puppet is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BackendName {
    /// On any node, over SSH.
    Ssh,
    /// On any node, by way of Bolt.
    Bolt,
    /// On whatever Puppet Enterprise's orchestrator knows.
    Orchestrator,
    /// Over SSH, on the nodes that are listed in `ssh.nodes` or whose host keys are in `ssh.known_hosts_file`, and no
    /// others: the platform's own agents.
    Platform,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SshSection {
    user: String,
    port: u16,
    key_file: Option<PathBuf>,
    known_hosts_file: Option<PathBuf>,
    config_file: Option<PathBuf>,
    accept_new_host_keys: bool,
    connect_timeout_seconds: u32,
    nodes: BTreeMap<NodeName, NodeSection>,
}

impl Default for SshSection {
    fn default() -> Self {
        SshSection {
            user: "root".into(),
            port: 22,
            key_file: None,
            known_hosts_file: None,
            config_file: None,
            accept_new_host_keys: false,
            connect_timeout_seconds: 10,
            nodes: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NodeSection {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrchestratorSection {
    token_file: PathBuf,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default = "look")]
    look_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PuppetDbSection {
    url: String,
    #[serde(default)]
    ca_file: Option<PathBuf>,
    #[serde(default)]
    cert_file: Option<PathBuf>,
    #[serde(default)]
    key_file: Option<PathBuf>,
    #[serde(default)]
    report_url: Option<String>,
}

fn parallelism() -> usize {
    5
}
fn runs() -> usize {
    16
}
fn node_timeout() -> u64 {
    3_900
}
fn run_timeout() -> u64 {
    86_400
}
fn recovery() -> u64 {
    600
}
fn heartbeat() -> u64 {
    15
}
fn wait() -> u64 {
    30
}
fn interval() -> u64 {
    30
}
fn ssh_program() -> PathBuf {
    "ssh".into()
}
fn look() -> u64 {
    2
}
fn bolt_program() -> PathBuf {
    "bolt".into()
}
fn puppet() -> String {
    "puppet".into()
}

impl BridgeConfig {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong: what and where.
    pub fn load(path: &Path) -> Result<Self> {
        let wrong = || Error::usage(format!("the bridge's configuration {} cannot be used", path.display()));
        let hint = "docs/guides/relay-bridge.md describes the file";
        let text = std::fs::read_to_string(path).map_err(|e| wrong().because(e).hint(hint))?;
        let config: BridgeConfig = serde_yaml::from_str(&text).map_err(|e| wrong().because(e).hint(hint))?;
        match config.check() {
            Some(why) => Err(wrong().because(anyhow::anyhow!(why)).hint(hint)),
            None => Ok(config),
        }
    }

    /// What is wrong with it, the first thing.
    fn check(&self) -> Option<String> {
        let within = |name: &str, value: u64, least: u64, most: u64| {
            (!(least..=most).contains(&value)).then(|| format!("`{name}` is {value}, and must be {least} to {most}"))
        };
        let counts = [
            within("parallelism", self.parallelism as u64, 1, 1_000),
            within("runs", self.runs as u64, 1, 1_000),
            within("node_timeout_seconds", self.node_timeout_seconds, 1, 604_800),
            within("run_timeout_seconds", self.run_timeout_seconds, 1, 604_800),
            within("recovery_seconds", self.recovery_seconds, 0, 604_800),
            within("heartbeat_seconds", self.heartbeat_seconds, 1, 1_200),
            within("relay.wait_seconds", self.relay.wait_seconds, 0, MAX_WAIT_SECONDS),
            within("relay.interval_seconds", self.relay.interval_seconds, 1, 3_600),
            within("ssh.connect_timeout_seconds", u64::from(self.ssh.connect_timeout_seconds), 1, 600),
        ];
        if let Some(why) = counts.into_iter().flatten().next() {
            return Some(why);
        }
        if let Some(file) = &self.ssh.known_hosts_file
            && file.to_string_lossy().contains(['"', '\\', '%', '\n'])
        {
            return Some("`ssh.known_hosts_file` has a character that OpenSSH reads as something else".into());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
        if self.node_puppet_path.is_empty()
            || !self.node_puppet_path.chars().all(plain)
            || self.node_puppet_path.starts_with('-')
        {
            return Some("`node_puppet_path` is neither a path nor a command's name".into());
        }
        if self.backend == Some(BackendName::Platform) {
            if self.ssh.nodes.is_empty() && self.ssh.known_hosts_file.is_none() {
                return Some("the back-end `platform` needs nodes in `ssh.nodes`, or `ssh.known_hosts_file`".into());
            }
            if self.ssh.accept_new_host_keys {
                let why = "runs on nodes that are known, so `ssh.accept_new_host_keys` is not for it";
                return Some(format!("the back-end `platform` {why}"));
            }
        }
        if self.backend == Some(BackendName::Orchestrator)
            && (self.orchestrator_api_url.is_none() || self.orchestrator.is_none())
        {
            return Some(
                "the back-end `orchestrator` needs `orchestrator_api_url` and `orchestrator.token_file`".into(),
            );
        }
        if self.backend() == BackendName::Bolt && self.ssh.accept_new_host_keys {
            return Some(
                "Bolt takes known host keys only, or all: `ssh.accept_new_host_keys` is for the back-end `ssh`".into(),
            );
        }
        self.inventory().err()
    }

    fn backend(&self) -> BackendName {
        let found = || {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|folder| folder.join(&self.bolt_path).is_file())
        };
        self.backend.unwrap_or_else(|| if found() { BackendName::Bolt } else { BackendName::Ssh })
    }

    fn inventory(&self) -> std::result::Result<Inventory, String> {
        let ssh = &self.ssh;
        let user = argv::user(&ssh.user).map_err(|e| format!("`ssh.user`: {e}"))?;
        let mut nodes = BTreeMap::new();
        for (name, node) in &ssh.nodes {
            let wrong = |e| format!("`ssh.nodes.{name}`: {e}");
            let host = node.host.clone().unwrap_or_else(|| name.to_string());
            let address = Address {
                host: argv::host(&host).map_err(wrong)?,
                port: node.port.unwrap_or(ssh.port),
                user: node.user.as_deref().map_or(Ok(user.clone()), argv::user).map_err(wrong)?,
                // Keys are known by certname, wherever the node is today.
                key_name: Some(name.to_string()),
            };
            nodes.insert(name.clone(), address);
        }
        let open = self.backend != Some(BackendName::Platform);
        let known = ssh.known_hosts_file.clone().filter(|_| !open);
        let others = (open || known.is_some()).then_some(Other { user, port: ssh.port });
        Ok(Inventory { nodes, others, known })
    }

    /// The server's API.
    ///
    /// # Errors
    /// Its URL or its certificates cannot be used.
    pub fn relay(&self) -> Result<Relay> {
        let target = target("relay.url", &self.relay.url)?;
        let files = TlsFiles { ca: self.relay.ca_file.clone(), identity: None };
        let token = TokenFile::new(&self.relay.token_file);
        // Wrong now is wrong later: a token that cannot be read stops us here.
        token.read().map_err(Error::usage)?;
        Connection::new(target, &files, Some(token), Limits::default()).map(Relay::new).map_err(Error::usage)
    }

    /// Where reports are found, if anywhere.
    ///
    /// # Errors
    /// As [`Self::relay`].
    pub fn reports(&self) -> Result<Option<Arc<dyn Reports>>> {
        let Some(section) = &self.puppetdb else { return Ok(None) };
        let identity = match (&section.cert_file, &section.key_file) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => return Err(Error::usage("`puppetdb` needs both `cert_file` and `key_file`, or neither")),
        };
        let files = TlsFiles { ca: section.ca_file.clone(), identity };
        let limits = Limits { body: 1 << 20, time: Duration::from_secs(5) };
        let connection = Connection::new(target("puppetdb.url", &section.url)?, &files, None, limits);
        let connection = connection.map_err(Error::usage)?;
        Ok(Some(Arc::new(PuppetDb::new(&connection, section.report_url.clone()))))
    }

    /// What runs Puppet.
    ///
    /// # Errors
    /// Nodes that are none.
    pub fn runner(&self, reports: Option<Arc<dyn Reports>>) -> Result<Arc<dyn Backend>> {
        if let (Some(BackendName::Orchestrator), Some(url), Some(section)) =
            (self.backend, &self.orchestrator_api_url, &self.orchestrator)
        {
            let files = TlsFiles { ca: section.ca_file.clone(), identity: None };
            let token = TokenFile::new(&section.token_file);
            token.read().map_err(Error::usage)?;
            let target = target("orchestrator_api_url", url.trim_end_matches('/'))?;
            let connection = Connection::new(target, &files, None, Limits::default()).map_err(Error::usage)?;
            let look = Duration::from_secs(section.look_seconds.clamp(1, 60));
            return Ok(Arc::new(Orchestrator { api: Api::new(connection, token), look }));
        }
        let inventory = self.inventory().map_err(Error::usage)?;
        let slots = Arc::new(Semaphore::new(self.parallelism));
        let node_timeout = Duration::from_secs(self.node_timeout_seconds);
        let puppet = self.node_puppet_path.clone();
        if self.backend() == BackendName::Bolt {
            let client = bolt::argv::Client {
                program: self.bolt_path.clone(),
                key: self.ssh.key_file.clone(),
                known_hosts: self.ssh.known_hosts_file.clone(),
                connect_timeout: self.ssh.connect_timeout_seconds,
            };
            let folder = self.state_dir.clone();
            return Ok(Arc::new(Bolt { client, inventory, puppet, folder, node_timeout, slots, reports }));
        }
        Ok(Arc::new(Ssh {
            client: Client {
                program: self.openssh_client_path.clone(),
                key: self.ssh.key_file.clone(),
                known_hosts: self.ssh.known_hosts_file.clone(),
                config: self.ssh.config_file.clone(),
                accept_new: self.ssh.accept_new_host_keys,
                connect_timeout: self.ssh.connect_timeout_seconds,
            },
            inventory,
            puppet,
            node_timeout,
            slots,
            reports,
        }))
    }

    /// How runs are worked on.
    pub fn rules(&self) -> Rules {
        Rules {
            parallelism: self.parallelism,
            max_failures: self.max_failures,
            run_timeout: Duration::from_secs(self.run_timeout_seconds),
            recovery: Duration::from_secs(self.recovery_seconds),
            ambiguous: self.on_ambiguous_accept,
        }
    }

    /// How often to be heard of.
    pub fn rhythm(&self) -> Rhythm {
        let every = Duration::from_secs(self.heartbeat_seconds);
        Rhythm { every, promise: every * 3 }
    }

    /// How the loop goes.
    pub fn manner(&self, once: bool) -> Manner {
        Manner {
            wait: Duration::from_secs(self.relay.wait_seconds),
            interval: Duration::from_secs(self.relay.interval_seconds),
            runs: self.runs,
            once,
        }
    }
}

fn target(key: &str, url: &str) -> Result<Target> {
    Target::parse(url).map_err(|why| Error::usage(format!("`{key}`: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "relay: { url: 'https://relay:8141', token_file: /t }\nstate_dir: /s\n";

    fn load(more: &str) -> std::result::Result<BridgeConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bridge.yaml");
        std::fs::write(&path, format!("{LEAST}{more}")).unwrap();
        BridgeConfig::load(&path).map_err(|e| e.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_rfc() {
        let config = load("").unwrap();
        assert_eq!((config.rules().parallelism, config.manner(false).interval), (5, Duration::from_secs(30)));
        assert_eq!(config.openssh_client_path, PathBuf::from("ssh"));
        assert_eq!(config.node_puppet_path, "puppet");
        assert_eq!(config.rhythm().promise, Duration::from_secs(45));
        let any: NodeName = "web01".parse().unwrap();
        assert!(config.inventory().unwrap().address(&any).is_some());
    }

    #[test]
    fn the_platform_knows_its_nodes_only() {
        let config = load("backend: platform\nssh: { nodes: { agent-1: { host: agent-1.internal } } }\n").unwrap();
        let inventory = config.inventory().unwrap();
        let address = inventory.address(&"agent-1".parse().unwrap()).unwrap();
        assert_eq!((address.host.as_str(), address.key_name.as_deref()), ("agent-1.internal", Some("agent-1")));
        assert_eq!(inventory.address(&"web01".parse().unwrap()), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, why) in [
            ("parallelism: 0\n", "parallelism"),
            ("paralellism: 5\n", "paralellism"),
            ("backend: platform\n", "ssh.nodes"),
            ("backend: platform\nssh: { known_hosts_file: /k, accept_new_host_keys: true }\n", "accept_new_host_keys"),
            ("backend: orchestrator\n", "orchestrator_api_url"),
            ("backend: bolt\nssh: { accept_new_host_keys: true }\n", "accept_new_host_keys"),
            ("backend: telnet\n", "telnet"),
            ("ssh: { user: '-oProxyCommand=x' }\n", "ssh.user"),
            ("ssh: { nodes: { web01: { host: 'root@x' } } }\n", "web01"),
            ("ssh: { nodes: { '-x': {} } }\n", "-x"),
            ("ssh: { known_hosts_file: '/a%h' }\n", "known_hosts_file"),
            ("node_puppet_path: 'puppet; rm -rf /'\n", "node_puppet_path"),
            ("allow: { noop_onyl: true }\n", "noop_onyl"),
            ("allow: { nodes: ['a b'] }\n", "a b"),
            ("heartbeat_seconds: 0\n", "heartbeat_seconds"),
        ] {
            let said = load(bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
    }
}

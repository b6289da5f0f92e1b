//! The configuration as the rest of the program sees it: every value parsed, every default filled in.
//!
//! Plain data. How it is read stands in `validate`; what `auto` comes to on a machine, in `sizing`.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::types::{
    Addon, AgeRecipient, Auto, Autosign, AutosignPolicy, Balancer, ByteSize, ChannelName, Count, Cpus, DnsName,
    EnvironmentTimeout, ImageReference, Place, ProjectName, Publish, PublishHere, PublishRelay, RelayRules,
    RepositoryUrl, Setting, Sha256Sum, SigningKey, Ttl, Window,
};

/// A JVM's heap: at least 256 MiB.
pub type HeapSize = ByteSize<256>;
/// A container's memory limit: at least 128 MiB.
pub type MemorySize = ByteSize<128>;
/// PostgreSQL's shared buffers: at least 16 MiB.
pub type BufferSize = ByteSize<16>;
/// JRuby instances of one server.
pub type Instances = Count<1, 64>;
/// Processes and threads in a container.
pub type Pids = Count<256, 65_536>;
/// Backups that are kept.
pub type Kept = Count<1, 10_000>;
/// Compilers of one platform: as many as the balancer has slots.
pub type Compilers = Count<0, 16>;
/// Agents of the platform.
pub type Agents = Count<1, 50>;

/// The whole configuration. `Config::default()` is what an empty file means.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// The platform's name on the engine.
    pub project: ProjectName,
    /// The channel or release to run.
    pub track: Track,
    /// Services beside those that are always there. Each once.
    pub with: Vec<Addon>,
    /// The primary.
    pub puppetserver: PuppetServer,
    /// PuppetDB.
    pub puppetdb: PuppetDb,
    /// PostgreSQL.
    pub postgres: Postgres,
    /// Servers that compile beside the primary.
    pub compilers: CompilerPool,
    /// The platform's own agents.
    pub agents: AgentPool,
    /// Puppetboard, where it is among `with`.
    pub puppetboard: Puppetboard,
    /// Puppet runs on request.
    pub relay: Relay,
    /// Puppet code.
    pub code: Code,
    /// Backups.
    pub backup: Backup,
    /// Where releases are listed.
    pub releases: Releases,
    /// Upgrades.
    pub upgrade: Upgrades,
    /// Images other than those of the release.
    pub images: Images,
}

/// What decides the release. At most one of the two can be given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Track {
    /// The default channel, or what the platform already runs.
    #[default]
    Unset,
    /// The newest fit release of this channel.
    Channel(ChannelName),
    /// This release.
    Release(semver::Version),
}

/// The primary's settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PuppetServer {
    /// Where agents reach it from outside of the engine.
    pub publish: Publish,
    /// Names in its certificate beside `puppet`, `puppetserver` and `localhost`. Each once, in the user's order.
    pub dns_alt_names: Vec<DnsName>,
    /// Whose requests are signed without being asked about.
    pub autosign: Autosign,
    /// A script that is asked about everybody else.
    pub autosign_policy: Option<AutosignPolicy>,
    /// JRuby instances: requests compiled at the same time.
    pub jruby_instances: Auto<Instances>,
    /// The JVM's heap.
    pub heap: Auto<HeapSize>,
    /// The container's memory limit.
    pub memory: Auto<MemorySize>,
    /// The container's share of processors; all of them when unset.
    pub cpus: Option<Cpus>,
    /// The most processes and threads in the container.
    pub pids: Option<Pids>,
    /// How long compiled environments are kept.
    pub environment_timeout: EnvironmentTimeout,
}

/// PuppetDB's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct PuppetDb {
    /// A node without news for so long is deactivated.
    pub node_ttl: Ttl,
    /// A deactivated node is forgotten after so long.
    pub node_purge_ttl: Ttl,
    /// Reports older than this are deleted.
    pub report_ttl: Ttl,
    /// The JVM's heap.
    pub heap: Auto<HeapSize>,
    /// The container's memory limit.
    pub memory: Auto<MemorySize>,
    /// The container's share of processors; all of them when unset.
    pub cpus: Option<Cpus>,
}

impl Default for PuppetDb {
    fn default() -> Self {
        PuppetDb {
            node_ttl: Ttl::days(7),
            node_purge_ttl: Ttl::days(14),
            report_ttl: Ttl::days(14),
            heap: Auto::Auto,
            memory: Auto::Auto,
            cpus: None,
        }
    }
}

/// PostgreSQL's settings.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Postgres {
    /// The container's memory limit.
    pub memory: Auto<MemorySize>,
    /// The container's share of processors; all of them when unset.
    pub cpus: Option<Cpus>,
    /// Memory that PostgreSQL keeps pages in.
    pub shared_buffers: Auto<BufferSize>,
}

/// Servers that compile, without a CA, behind a balancer.
#[derive(Debug, Clone, PartialEq)]
pub struct CompilerPool {
    /// How many, where `scale` was not asked for another number.
    pub replicas: Compilers,
    /// Whether there is a balancer before there are compilers.
    pub balancer: Balancer,
    /// JRuby instances of each.
    pub jruby_instances: Auto<Instances>,
    /// The JVM's heap of each.
    pub heap: Auto<HeapSize>,
}

impl Default for CompilerPool {
    fn default() -> Self {
        const NONE: Compilers = match Compilers::new(0) {
            Some(none) => none,
            None => panic!("no compiler is in the range"),
        };
        CompilerPool { replicas: NONE, balancer: Balancer::Auto, jruby_instances: Auto::Auto, heap: Auto::Auto }
    }
}

/// How many agents of our own.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentPool {
    /// How many.
    pub replicas: Agents,
}

impl Default for AgentPool {
    fn default() -> Self {
        const ONE: Agents = match Agents::new(1) {
            Some(one) => one,
            None => panic!("one agent is in the range"),
        };
        AgentPool { replicas: ONE }
    }
}

/// Puppetboard's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Puppetboard {
    /// Where people reach it.
    pub publish: PublishHere,
    /// The container's memory limit.
    pub memory: MemorySize,
}

impl Default for Puppetboard {
    fn default() -> Self {
        const MEMORY: MemorySize = match MemorySize::new(256) {
            Some(memory) => memory,
            None => panic!("256m is in the range"),
        };
        Puppetboard { publish: PublishHere::default(), memory: MEMORY }
    }
}

/// Puppet runs on request.
#[derive(Debug, Clone, PartialEq)]
pub struct Relay {
    /// Whether the platform has the Relay server and the bridge without being asked for them in `with`.
    pub enabled: bool,
    /// Where programs outside of the engine reach it; nowhere when unset.
    pub publish: Option<PublishRelay>,
    /// Whether the servers send reports to it; where there are rules when unset.
    pub reports: Option<bool>,
    /// Rules by which it tells others of reports.
    pub rules: Option<RelayRules>,
}

impl Default for Relay {
    /// Their image has this program in it, which must be one for Linux.
    fn default() -> Self {
        Relay { enabled: cfg!(target_os = "linux"), publish: None, reports: None, rules: None }
    }
}

/// Where Puppet code comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Code {
    /// A checked directory with `environments/`; the platform's built-in code when unset. Absolute if the
    /// folder that it is relative to is.
    pub dir: Option<PathBuf>,
    /// The repository that it is deployed from. Not together with `dir`.
    pub control_repo: Option<ControlRepo>,
}

/// A control repository: each branch is an environment.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlRepo {
    /// Where it is. No password is in it.
    pub url: RepositoryUrl,
    /// A file with the private key, checked, absolute.
    pub ssh_key: Option<PathBuf>,
    /// A file with the token, checked, absolute.
    pub token: Option<PathBuf>,
    /// A file with the CA's certificates that the host's own is judged by, absolute; the public ones when unset.
    pub ca: Option<PathBuf>,
    /// A file with the keys of hosts that are trusted, absolute.
    pub known_hosts: Option<PathBuf>,
    /// How long a whole deployment may take; ten minutes when unset.
    pub timeout: Option<Ttl>,
}

impl ControlRepo {
    /// How long a whole deployment may take, in seconds.
    pub fn seconds(&self) -> u64 {
        self.timeout.map_or(600, Ttl::seconds)
    }
}

/// How the platform is backed up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Backup {
    /// How many whole backups `backup create --prune` leaves.
    pub keep: Option<Kept>,
    /// The age above which `doctor` warns of the last good one.
    pub max_age: Option<Ttl>,
    /// Whom new ones are encrypted for; nobody: not encrypted. Each once, in the user's order.
    pub recipients: Vec<AgeRecipient>,
}

/// Where releases are listed, beside the program itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Releases {
    /// The manifest; the program's own when unset.
    pub manifest: Option<Place>,
    /// Its hash.
    pub sha256: Option<Sha256Sum>,
    /// The key that signs it.
    pub public_key: Option<SigningKey>,
}

/// When and how the platform goes to another release.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgrades {
    /// When it may; always when unset.
    pub window: Option<Window>,
    /// What is called before anything is changed, and can say no.
    pub before: Option<Place>,
    /// What is told how it ended.
    pub after: Option<Place>,
    /// For how long the way back stays open.
    pub keep: Ttl,
}

impl Default for Upgrades {
    fn default() -> Self {
        Upgrades { window: None, before: None, after: None, keep: Ttl::days(14) }
    }
}

/// Images to use instead of the release's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Images {
    /// What the others are built on.
    pub base: Option<ImageReference>,
    /// What makes credentials and carries files.
    pub provision: Option<ImageReference>,
    /// What Puppet Server and PuppetDB are built on.
    pub jre: Option<ImageReference>,
    /// PostgreSQL.
    pub postgres: Option<ImageReference>,
    /// PuppetDB.
    pub puppetdb: Option<ImageReference>,
    /// Puppet Server.
    pub puppetserver: Option<ImageReference>,
    /// The agent.
    pub agent: Option<ImageReference>,
    /// What deploys and checks code.
    pub code: Option<ImageReference>,
    /// Puppetboard.
    pub puppetboard: Option<ImageReference>,
    /// The balancer.
    pub balancer: Option<ImageReference>,
    /// The Relay server and the bridge.
    pub relay: Option<ImageReference>,
}

impl Config {
    /// The channel, if one was asked for.
    pub fn channel(&self) -> Option<&ChannelName> {
        match &self.track {
            Track::Channel(channel) => Some(channel),
            _ => None,
        }
    }

    /// The release, if one was asked for.
    pub fn release(&self) -> Option<&semver::Version> {
        match &self.track {
            Track::Release(release) => Some(release),
            _ => None,
        }
    }

    /// True when the platform has this service.
    pub fn has(&self, addon: Addon) -> bool {
        let asked = addon.comes_with();
        self.with.contains(&asked) || (asked == Addon::Relay && self.relay.enabled)
    }

    /// True when the servers send reports to the Relay server.
    pub fn reports_to_relay(&self) -> bool {
        self.has(Addon::Relay) && self.relay.reports.unwrap_or(self.relay.rules.is_some())
    }

    /// True when agents come to a balancer.
    pub fn balanced(&self) -> bool {
        self.compilers.replicas.get() > 0 || self.compilers.balancer == Balancer::Always
    }

    /// Every setting with its dotted path and its value as it would stand in the file (`null` when unset),
    /// in the order of the reference.
    pub fn values(&self) -> Vec<(&'static str, Value)> {
        fn option<T: Setting>(value: Option<&T>) -> Value {
            value.map_or(Value::Null, Setting::to_json)
        }
        let Config { project, track: _, with, puppetserver: server, puppetdb: db, .. } = self;
        let Config {
            postgres,
            compilers,
            agents,
            puppetboard: board,
            relay,
            code,
            backup,
            releases,
            upgrade,
            images,
            ..
        } = self;
        let recipients: Value = backup.recipients.iter().map(Setting::to_json).collect();
        let names: Value = server.dns_alt_names.iter().map(Setting::to_json).collect();
        let path = |path: Option<&PathBuf>| path.map_or(Value::Null, |path| json!(path.to_string_lossy()));
        let repo = code.control_repo.as_ref();
        vec![
            ("project", project.to_json()),
            ("channel", option(self.channel())),
            ("release", option(self.release())),
            ("with", with.iter().map(Setting::to_json).collect()),
            ("puppetserver.publish", server.publish.to_json()),
            ("puppetserver.dns_alt_names", names),
            ("puppetserver.autosign", server.autosign.to_json()),
            ("puppetserver.autosign_policy", option(server.autosign_policy.as_ref())),
            ("puppetserver.jruby_instances", server.jruby_instances.to_json()),
            ("puppetserver.heap", server.heap.to_json()),
            ("puppetserver.memory", server.memory.to_json()),
            ("puppetserver.cpus", option(server.cpus.as_ref())),
            ("puppetserver.pids", option(server.pids.as_ref())),
            ("puppetserver.environment_timeout", server.environment_timeout.to_json()),
            ("puppetdb.node_ttl", db.node_ttl.to_json()),
            ("puppetdb.node_purge_ttl", db.node_purge_ttl.to_json()),
            ("puppetdb.report_ttl", db.report_ttl.to_json()),
            ("puppetdb.heap", db.heap.to_json()),
            ("puppetdb.memory", db.memory.to_json()),
            ("puppetdb.cpus", option(db.cpus.as_ref())),
            ("postgres.memory", postgres.memory.to_json()),
            ("postgres.cpus", option(postgres.cpus.as_ref())),
            ("postgres.shared_buffers", postgres.shared_buffers.to_json()),
            ("compilers.replicas", compilers.replicas.to_json()),
            ("compilers.balancer", compilers.balancer.to_json()),
            ("compilers.jruby_instances", compilers.jruby_instances.to_json()),
            ("compilers.heap", compilers.heap.to_json()),
            ("agents.replicas", agents.replicas.to_json()),
            ("puppetboard.publish", board.publish.to_json()),
            ("puppetboard.memory", board.memory.to_json()),
            ("relay.enabled", relay.enabled.to_json()),
            ("relay.publish", option(relay.publish.as_ref())),
            ("relay.reports", option(relay.reports.as_ref())),
            ("relay.rules", option(relay.rules.as_ref())),
            ("code.dir", path(code.dir.as_ref())),
            ("code.control_repo.url", option(repo.map(|r| &r.url))),
            ("code.control_repo.ssh_key", path(repo.and_then(|r| r.ssh_key.as_ref()))),
            ("code.control_repo.token", path(repo.and_then(|r| r.token.as_ref()))),
            ("code.control_repo.ca", path(repo.and_then(|r| r.ca.as_ref()))),
            ("code.control_repo.known_hosts", path(repo.and_then(|r| r.known_hosts.as_ref()))),
            ("code.control_repo.timeout", option(repo.and_then(|r| r.timeout.as_ref()))),
            ("backup.keep", option(backup.keep.as_ref())),
            ("backup.max_age", option(backup.max_age.as_ref())),
            ("backup.recipients", recipients),
            ("releases.manifest", option(releases.manifest.as_ref())),
            ("releases.sha256", option(releases.sha256.as_ref())),
            ("releases.public_key", option(releases.public_key.as_ref())),
            ("upgrade.window", option(upgrade.window.as_ref())),
            ("upgrade.before", option(upgrade.before.as_ref())),
            ("upgrade.after", option(upgrade.after.as_ref())),
            ("upgrade.keep", upgrade.keep.to_json()),
            ("images.base", option(images.base.as_ref())),
            ("images.provision", option(images.provision.as_ref())),
            ("images.jre", option(images.jre.as_ref())),
            ("images.postgres", option(images.postgres.as_ref())),
            ("images.puppetdb", option(images.puppetdb.as_ref())),
            ("images.puppetserver", option(images.puppetserver.as_ref())),
            ("images.agent", option(images.agent.as_ref())),
            ("images.code", option(images.code.as_ref())),
            ("images.puppetboard", option(images.puppetboard.as_ref())),
            ("images.balancer", option(images.balancer.as_ref())),
            ("images.relay", option(images.relay.as_ref())),
        ]
    }
}

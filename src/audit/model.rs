//! What the audit sees and what it says, as plain data: evidence in, findings out.
//!
//! No secret is ever in here: where one shows is told by the place alone.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::found::ContainerSettings;
use crate::engine::spec::ContainerSpec;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look.
    Low,
    /// A barrier is missing; others still stand.
    Medium,
    /// Data, secrets or the authority to sign are within reach of somebody who should not have them.
    High,
}

impl Severity {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        }
    }
}

/// Something that should hold, and what to do where it does not.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable name (`port-published`).
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

impl Rule {
    /// This rule is broken at `place`, as `evidence` shows.
    pub fn broken(&'static self, place: impl Into<String>, evidence: impl Into<String>) -> Finding {
        Finding {
            id: self.id,
            severity: self.severity,
            title: self.title,
            place: place.into(),
            evidence: evidence.into(),
            remedy: self.remedy,
        }
    }
}

/// One place where the platform is not as the security model says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's id.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// The container, network, volume or file.
    #[serde(rename = "where")]
    pub place: String,
    /// What was seen.
    pub evidence: String,
    /// What to do.
    pub remedy: &'static str,
}

/// Something that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// What.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// Everything that was seen of one platform.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Its containers.
    pub containers: Vec<Container>,
    /// Containers of others that share a network or a volume with it.
    pub neighbours: Vec<Neighbour>,
    /// Its networks.
    pub networks: Vec<Network>,
    /// What is in its volumes; nothing when they could not be looked into.
    pub volumes: Option<Volumes>,
    /// Where secrets show.
    pub leaks: Vec<Leak>,
    /// Sockets that take connections from elsewhere.
    pub listeners: Vec<Listener>,
    /// What was tried, and what came of it.
    pub probes: Vec<Probe>,
    /// PostgreSQL's own view of who may do what.
    pub database: Option<Database>,
    /// Packages with newer versions; only when it was asked for.
    pub updates: Vec<Update>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
    /// Now, seconds since the epoch.
    pub now: i64,
}

impl Evidence {
    /// Notes what could not be looked at.
    pub fn unseen(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.unseen.push(Unseen { what: what.into(), why: why.into() });
    }

    /// Adds what was seen elsewhere.
    pub fn take(&mut self, other: Evidence) {
        self.containers.extend(other.containers);
        self.neighbours.extend(other.neighbours);
        self.networks.extend(other.networks);
        self.volumes = self.volumes.take().or(other.volumes);
        self.leaks.extend(other.leaks);
        self.listeners.extend(other.listeners);
        self.probes.extend(other.probes);
        self.database = self.database.take().or(other.database);
        self.updates.extend(other.updates);
        self.unseen.extend(other.unseen);
    }
}

/// A container that carries the project's label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Container {
    /// Name on the engine.
    pub name: String,
    /// Service.
    pub service: String,
    /// What it is for: `service`, `task`, `lock`.
    pub role: String,
    /// The hash that it was made with.
    pub hash: String,
    /// Confinement and reach.
    pub settings: ContainerSettings,
    /// As it should be; nothing when the configuration knows no such container.
    pub wanted: Option<Wanted>,
    /// Its image; nothing when it could not be looked at.
    pub image: Option<Image>,
}

/// A container as it should be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Its specification.
    pub spec: ContainerSpec,
    /// The specification's hash.
    pub hash: String,
    /// Content key of its image; nothing when the image comes from a registry.
    pub image_key: Option<String>,
}

/// The image that a container runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// The reference that the container was made with.
    pub reference: String,
    /// The image that this reference names now; nothing when it names none.
    pub named: Option<String>,
    /// Content key on the label of the image that runs.
    pub key: Option<String>,
}

/// A container of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Name on the engine.
    pub name: String,
    /// Keys of our networks that it is attached to.
    pub networks: Vec<String>,
    /// Keys of our volumes that it mounts.
    pub volumes: Vec<String>,
}

/// A network of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Name on the engine.
    pub name: String,
    /// It has no way out.
    pub internal: bool,
    /// It should have none; nothing when the configuration knows no such network.
    pub wanted_internal: Option<bool>,
}

/// What is in the volumes, paths as `volume/path/in/it`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volumes {
    /// Who may own what is in a volume, by key.
    pub owners: BTreeMap<String, Vec<u32>>,
    /// Files that matter: configuration, certificates, keys, secrets.
    pub files: Vec<File>,
    /// Private keys by the hash of their public half.
    pub keys: Vec<(String, String)>,
    /// Rendered configuration: path, hash of what is there, hash of what should be.
    pub configuration: Vec<(String, String, String)>,
    /// The CA's own certificate and CRL, and the copies: path, hash of the content without its spelling.
    pub trust: Vec<(String, String)>,
    /// The platform's certificates.
    pub certificates: Vec<Certificate>,
    /// When lists of revoked certificates end: path, seconds since the epoch.
    pub crl_ends: Vec<(String, i64)>,
    /// Lines of the signing policy's list of names.
    pub autosign: Vec<String>,
}

/// A file or directory in a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// `volume/path`.
    pub path: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// It is a directory.
    pub directory: bool,
}

/// A certificate of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// `volume/path`.
    pub path: String,
    /// Subject.
    pub subject: String,
    /// Its end, seconds since the epoch.
    pub not_after: i64,
    /// `RSA` or `EC`, and its bits.
    pub key: (String, usize),
    /// The signature's algorithm, as OpenSSL calls it.
    pub signature: String,
}

/// A place where a secret can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Surface {
    /// The environment of a container.
    Environment,
    /// Labels of a container, network or volume.
    Labels,
    /// The command of a container or process.
    Arguments,
    /// The log of a container.
    Logs,
}

/// A secret that shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Where it can be read.
    pub surface: Surface,
    /// Whose.
    pub place: String,
}

/// A socket that takes connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Container.
    pub container: String,
    /// Service.
    pub service: String,
    /// Port.
    pub port: u16,
}

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attempt {
    /// TLS 1.0 or 1.1.
    OldTls,
    /// A query to PuppetDB without a certificate.
    PuppetdbAnonymous,
    /// A query to PuppetDB with a certificate that is not on its list.
    PuppetdbOrdinary,
    /// A connection to PostgreSQL without TLS.
    PostgresPlain,
    /// A connection to PostgreSQL without a password.
    PostgresNoPassword,
    /// The CA's API with an ordinary certificate, or none.
    CaApi,
    /// The admin API with an ordinary certificate, or none.
    AdminApi,
    /// Another node's data with an ordinary certificate.
    OtherNode,
    /// An identity claimed in a header.
    IdentityByHeader,
    /// A stranger's request for a certificate.
    StrangerSigned,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Refused, as it should be.
    Refused,
    /// It worked.
    Allowed,
    /// It cannot be told.
    Unknown(String),
}

/// An attempt and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What was tried.
    pub attempt: Attempt,
    /// On whom.
    pub place: String,
    /// How, for the evidence.
    pub how: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// PostgreSQL's own view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Lines of `pg_hba.conf`.
    pub rules: Vec<HbaRule>,
    /// Roles that are superusers and may log in.
    pub superusers: Vec<String>,
    /// Roles with a password that is not kept as SCRAM.
    pub weak_passwords: Vec<String>,
}

/// A line of `pg_hba.conf`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HbaRule {
    /// `local`, `hostssl`, `host`, `hostnossl`.
    pub kind: String,
    /// Users.
    pub users: String,
    /// `peer`, `scram-sha-256`, ...
    pub method: String,
    /// The whole line, for the evidence.
    pub text: String,
}

/// A package with a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Container.
    pub container: String,
    /// Package.
    pub package: String,
    /// Version inside.
    pub installed: String,
    /// Version that there is.
    pub available: String,
    /// It comes from the security suite.
    pub security: bool,
}

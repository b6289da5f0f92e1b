//! What a step can do, as data: one variant a kind of step.
//!
//! The words that a kind goes by stand in `describe`; what is done with the engine stands in `execute`.

use std::path::PathBuf;

use serde::Serialize;

use super::backup::Source;
use crate::backup::Part;
use crate::config::types::Place;
use crate::desired::{CrlCopy, Desired, Private};
use crate::engine::FileEntry;
use crate::engine::spec::{ContainerSpec, NetworkSpec, VolumeSpec};
use crate::hook::Occasion;
use crate::images::{Debian, DesiredImage};
use crate::observed::record::Phase;
use crate::puppet::inventory;
use crate::release::Release;

/// How a deployment is undone that was served and did not compile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UndoCode {
    /// The container that serves what was served before.
    pub task: ContainerSpec,
    /// Servers that must forget what they compiled, each with its certname where it is a compiler.
    pub servers: Vec<(String, Option<String>)>,
}

/// What a step does. Each is idempotent: done twice, it does no harm.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Action {
    /// Pull an image from its registry.
    PullImage {
        /// Component.
        component: String,
        /// What to pull.
        reference: String,
    },
    /// Get the Debian below the base image: pulled, or where no registry answers made by mmdebstrap and imported.
    MakeBase {
        /// Which.
        debian: Debian,
    },
    /// Build a component image.
    BuildImage {
        /// Which.
        image: DesiredImage,
    },
    /// Create a network.
    CreateNetwork {
        /// Which.
        spec: NetworkSpec,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Name.
        name: String,
    },
    /// Create a volume.
    CreateVolume {
        /// Key in the platform.
        key: String,
        /// Which.
        spec: VolumeSpec,
    },
    /// Remove a volume with its data.
    RemoveVolume {
        /// Key in the platform.
        key: String,
        /// Name.
        name: String,
        /// Nothing of worth is in it: made for a moment's use, or only of what can be issued again.
        throw_away: bool,
    },
    /// Write rendered configuration into a volume.
    PlaceFiles {
        /// Key in the platform.
        key: String,
        /// The volume's name.
        volume: String,
        /// The files; never secret.
        files: Vec<FileEntry>,
        /// The user's files that go with them, which are read when it is done.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        private: Vec<Private>,
    },
    /// Make CA, certificates and secrets in a one-shot container, as far as they are missing.
    IssueCredentials {
        /// The container.
        task: Box<ContainerSpec>,
        /// What `pupperware-provision` is asked for.
        request: String,
        /// Certificates whose ends are worth remembering: subject, and path in the container.
        certificates: Vec<(String, String)>,
    },
    /// Remember what was issued.
    RecordIssued {
        /// Hash of the whole request.
        request: String,
        /// Volume keys and names that it covers.
        volumes: Vec<(String, String)>,
    },
    /// Forget what was issued to a service that is gone.
    RecordRetired {
        /// Its certname.
        certname: String,
        /// Key of its volume.
        volume: String,
    },
    /// Remember that a secret is being rotated, or that this is over.
    RecordRotation {
        /// Which.
        secret: String,
        /// False when it is over.
        under_way: bool,
    },
    /// Make a new value of a secret in a one-shot container, and give it to all that have a copy.
    RenewSecret {
        /// Which.
        secret: String,
        /// The container.
        task: Box<ContainerSpec>,
        /// What `pupperware-provision` is asked for in it.
        request: String,
    },
    /// Make another key pair of hiera-eyaml in a one-shot container, beside those that there are.
    MakeKeyPair {
        /// The container.
        task: Box<ContainerSpec>,
        /// What `pupperware-provision` is asked for in it.
        request: String,
    },
    /// Let nobody run Puppet over SSH on the platform's agents any more.
    CloseSsh {
        /// The one-shot container.
        task: Box<ContainerSpec>,
        /// What `pupperware-provision` is asked for in it.
        request: String,
    },
    /// Let no one-time token be good any more that was not used yet.
    WithdrawTokens {
        /// The primary's container.
        primary: String,
    },
    /// Put a CA that was made elsewhere into the CA's volume.
    ImportCa {
        /// The container that looks at it and puts it there.
        task: Box<ContainerSpec>,
        /// The next serial number, in hexadecimal digits.
        serial: String,
        /// Everything but the key: certificates, revocation lists, the inventory.
        files: Vec<FileEntry>,
        /// The file with its key.
        key: PathBuf,
    },
    /// Give PuppetDB's role in a running PostgreSQL the password that is in PostgreSQL's copy.
    SetPassword {
        /// PostgreSQL's container.
        postgres: String,
    },
    /// Create a container.
    CreateContainer {
        /// Which.
        spec: Box<ContainerSpec>,
        /// Its service.
        service: String,
    },
    /// Start a container.
    StartContainer {
        /// Name.
        name: String,
        /// Its service.
        service: String,
    },
    /// Wait until a service says that it is ready.
    WaitReady {
        /// Container name.
        name: String,
        /// Its service.
        service: String,
    },
    /// Stop a container.
    StopContainer {
        /// Name.
        name: String,
        /// Its service.
        service: String,
        /// Seconds until it is killed.
        grace_seconds: u32,
    },
    /// Remove a container; its volumes stay.
    RemoveContainer {
        /// Name.
        name: String,
        /// Its service, if it is one's.
        service: Option<String>,
    },
    /// Apply a catalog with an agent, and find its new report in PuppetDB.
    Prove {
        /// The agent's container.
        agent: String,
        /// The agent's certname.
        certname: String,
        /// PuppetDB's container, where the query runs.
        puppetdb: String,
    },
    /// Run an agent that has nothing left to change.
    RunAgent {
        /// The agent's container.
        agent: String,
        /// The agent's certname.
        certname: String,
    },
    /// Have the CA sign a request.
    SignCertificate {
        /// The primary's container.
        primary: String,
        /// Whose.
        certname: String,
    },
    /// Put a certificate on the CA's revocation list. Fine where there is none.
    RevokeCertificate {
        /// The primary's container.
        primary: String,
        /// Whose.
        certname: String,
    },
    /// Have the CA forget a certificate and its request. Fine where there is none.
    RemoveCertificate {
        /// The primary's container.
        primary: String,
        /// Whose.
        certname: String,
    },
    /// Give a service the CA's revocation list, and have it read it.
    PushCrl {
        /// The primary's container.
        primary: String,
        /// The service's copy.
        copy: CrlCopy,
    },
    /// Make a key and a certificate in the primary's memory, to be revoked: what it is to be seen by that a list works.
    MakeCanary {
        /// The primary's container.
        primary: String,
        /// Its name.
        certname: String,
    },
    /// See that a service refuses the revoked canary.
    VerifyRefusal {
        /// The primary's container, where the canary's key is.
        primary: String,
        /// The canary.
        certname: String,
        /// The service, as its copy of the list tells it.
        copy: CrlCopy,
    },
    /// Let one request of this name be signed by policy, if it shows the token.
    PlaceToken {
        /// The primary's container.
        primary: String,
        /// Whose.
        certname: String,
        /// SHA-256 of the token, in hexadecimal digits; the token itself is nowhere in a plan.
        hash: String,
    },
    /// Tell PuppetDB that a node is gone.
    DeactivateNode {
        /// PuppetDB's container.
        puppetdb: String,
        /// The node.
        certname: String,
    },
    /// Fetch code from the control repository and check it, beside what is served.
    StageCode {
        /// The container.
        task: Box<ContainerSpec>,
        /// The repository's secrets: what the container knows them as, and the files that hold them.
        files: Vec<(String, PathBuf)>,
        /// How long it may take.
        seconds: u64,
    },
    /// Serve staged code, or what was served before, at once.
    SwitchCode {
        /// The container.
        task: Box<ContainerSpec>,
    },
    /// Check the code that is served.
    CheckCode {
        /// The container.
        task: Box<ContainerSpec>,
        /// How long it may take.
        seconds: u64,
    },
    /// Make a server read its environments anew.
    FlushEnvironments {
        /// The server's container.
        server: String,
        /// A compiler's certname; the primary has none here.
        #[serde(skip_serializing_if = "Option::is_none")]
        compiler: Option<String>,
    },
    /// Give compilers all that they need before they start: keys, certificates of the CA that serves, whom they trust.
    EnrolCompilers {
        /// The primary's container.
        primary: String,
        /// Certnames.
        certnames: Vec<String>,
        /// The container that makes keys and puts things into their places.
        task: Box<ContainerSpec>,
        /// What `pupperware-provision` is asked for in it.
        request: String,
    },
    /// Tell the balancer that exactly these compilers take requests, those among them that wait.
    Balance {
        /// The balancer's container.
        balancer: String,
        /// Certnames.
        members: Vec<String>,
    },
    /// Let requests of agents wait at the balancer, until it is told where they go, and those under way end.
    HoldRequests {
        /// The balancer's container.
        balancer: String,
        /// How long they wait; afterwards they go on nevertheless. Those under way may take as long, too.
        seconds: u32,
    },
    /// Let a compiler finish what it has, and give it nothing new.
    DrainCompiler {
        /// The balancer's container.
        balancer: String,
        /// The compiler's certname.
        certname: String,
        /// How long that may take; afterwards it goes nevertheless.
        seconds: u32,
    },
    /// Remember how many of what was asked for.
    RecordScale {
        /// Compilers, where they were named.
        compilers: Option<u32>,
        /// Agents, where they were named.
        agents: Option<u32>,
    },
    /// Compile a node's catalog; it is neither applied nor kept.
    CompileCatalog {
        /// The server's container.
        server: String,
        /// The node.
        certname: String,
        /// Its environment.
        environment: String,
        /// What is done when it does not compile.
        undo: Option<Box<UndoCode>>,
    },
    /// Compile every node's catalog with the Puppet of both releases, from its last known facts, and compare.
    CompareCatalogs {
        /// The container of the release that runs.
        old: Box<ContainerSpec>,
        /// The container of the release that is gone to.
        new: Box<ContainerSpec>,
        /// PuppetDB's container, which has the facts.
        puppetdb: String,
        /// Whether a catalog that only the old release compiles is a failure.
        strict: bool,
    },
    /// Remember where deployed code is from.
    RecordCode {
        /// The control repository.
        url: String,
        /// The name of the volume that it is in.
        volume: String,
    },
    /// Remember the proof, and what it is of.
    RecordProof {
        /// The agent's certname.
        certname: String,
        /// What runs.
        running: Box<Running>,
    },
    /// Forget the platform: its record goes with the last of its data.
    RemoveRecord {
        /// Names of the record volumes.
        volumes: Vec<String>,
    },
    /// Write a backup of the platform into a file of this machine, while it serves.
    WriteBackup {
        /// What goes in, and from where.
        source: Box<Source>,
    },
    /// Remember that a backup was written.
    RecordBackup {
        /// The archive.
        file: String,
    },
    /// Remember that the last backup was restored elsewhere, and proved.
    RecordVerification {
        /// When it was finished, which tells it from others.
        finished_at: String,
    },
    /// Remember that data is being put back, and up to which serial number the CA signed that is there now.
    MarkRestore {
        /// The archive.
        file: String,
        /// The file with the keys that open it, when it is encrypted.
        identity: Option<PathBuf>,
        /// Parts, when not everything.
        only: Vec<Part>,
        /// The CA's volume, when it is there and going to be replaced.
        ca: Option<String>,
    },
    /// Put a volume back from an archive.
    RestoreVolume {
        /// Key in the platform.
        key: String,
        /// The archive.
        file: String,
        /// The file with the keys that open it, when it is encrypted.
        identity: Option<PathBuf>,
        /// The container that unpacks, with the volume mounted.
        task: Box<ContainerSpec>,
    },
    /// Let a CA that was put back go on above all serial numbers that it can have used.
    SettleCa {
        /// The CA's volume.
        volume: String,
    },
    /// Put PuppetDB's database back from an archive, into a new cluster.
    RestoreDatabase {
        /// PostgreSQL's container.
        postgres: String,
        /// The archive.
        file: String,
        /// The file with the keys that open it, when it is encrypted.
        identity: Option<PathBuf>,
    },
    /// Write the configuration that a platform is put back with, where there is none.
    PlaceConfiguration {
        /// The file, on this machine.
        path: PathBuf,
        /// Its content.
        text: String,
    },
    /// Remember that all data is back.
    FinishRestore,
    /// Remember that an upgrade is under way, and how far it is.
    MarkUpgrade {
        /// The release that it leads to.
        to: Box<Release>,
        /// How far.
        phase: Phase,
        /// The backup of before, when it is new.
        backup: Option<String>,
        /// It is over, and left on demand.
        left: bool,
    },
    /// Wait until PuppetDB has stored everything that it received.
    DrainQueue {
        /// PuppetDB's container.
        puppetdb: String,
    },
    /// Count what the database holds, and write down everything of the CA.
    TakeInventory {
        /// PostgreSQL's container.
        postgres: String,
        /// The container that looks at the CA.
        task: Box<ContainerSpec>,
        /// For how long PuppetDB keeps what it is told, in seconds.
        kept_seconds: u64,
    },
    /// Copy PuppetDB's database from one PostgreSQL into another.
    CopyDatabase {
        /// The container to read from.
        from: String,
        /// The container to write into.
        into: String,
    },
    /// See that the database holds what was counted.
    VerifyInventory {
        /// PostgreSQL's container.
        postgres: String,
        /// What is compared.
        part: inventory::Part,
    },
    /// See that everything of the CA is there that was written down.
    VerifyCa {
        /// The container that looks at it.
        task: Box<ContainerSpec>,
    },
    /// Remember the new release, its credentials and its proof at once: from here on, it is the platform's.
    CommitUpgrade {
        /// What runs now.
        running: Box<Running>,
        /// What ran before.
        before: Box<Release>,
        /// Key of the volume with the database of before.
        database: String,
        /// The channel that the user named; without one, the one on record stays while it fits.
        channel: Option<String>,
        /// The agent that proved it.
        certname: String,
        /// Hash of the whole request for credentials.
        request: String,
        /// Volume keys and names that it covers.
        volumes: Vec<(String, String)>,
    },
    /// Forget the upgrade, and remember the proof of what is there again.
    FinishRollback {
        /// What runs again.
        running: Box<Running>,
        /// The agent that proved it.
        certname: String,
        /// Hash of the whole request for credentials.
        request: String,
        /// Volume keys and names that it covers.
        volumes: Vec<(String, String)>,
    },
    /// Forget the last upgrade: there is no way back from it any more.
    ForgetUpgrade,
    /// Call the user's hook.
    CallHook {
        /// Which.
        hook: Place,
        /// What it hears.
        occasion: Occasion,
    },
}

/// What a platform runs when a plan is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Running {
    /// The release.
    pub release: Release,
    /// References of the images, by component.
    pub images: Vec<(String, String)>,
}

impl Running {
    /// What this platform runs.
    pub(super) fn of(desired: &Desired) -> Box<Self> {
        let images = desired.images.iter().map(|i| (i.component.clone(), i.reference.clone())).collect();
        Box::new(Running { release: desired.definition.clone(), images })
    }
}

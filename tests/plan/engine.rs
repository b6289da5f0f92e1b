//! An engine of plain data: carries out plans as the executor and a Docker Engine do together.
//!
//! It panics where a real engine or a real service would fail: a container whose volume or network is missing, a
//! network with members removed, a certificate issued beside a running primary, a proof with two different passwords.
//! What no snapshot shows is remembered beside it: what is in volumes, and what processes read when they started.

use std::collections::{BTreeMap, BTreeSet};

use pupperware::desired::{BALANCER, COMPILER, Desired, compilers, hash, labels};
use pupperware::engine::found::{ContainerState, FoundContainer, FoundNetwork, FoundVolume};
use pupperware::engine::reference;
use pupperware::engine::spec::{ContainerSpec, Labels, MountSource, VolumeSpec};
use pupperware::observed::record::{BackedUp, Deployed, Issued, Lock, Proof, Record, Restoring, Upgraded, Upgrading};
use pupperware::observed::{Container, Observed};
use pupperware::plan::{Action, Plan, reconcile};
use pupperware::puppet::inventory::{Counts, Inventory};

/// The database password's name.
const PASSWORD: &str = "puppetdb-password";
/// The secrets that an archive holds.
const ARCHIVED: u64 = 4242;

/// What is in a volume, as far as it matters. Numbers stand for random secrets: another number, another secret.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// The CA's key.
    ca: Option<u64>,
    /// Certificates: certname -> the CA that signed it, its names.
    certificates: BTreeMap<String, (u64, String)>,
    /// Names that the CA signed.
    signed: BTreeSet<String>,
    /// Names whose last certificate the CA revoked.
    revoked: BTreeSet<String>,
    /// A compiler's key, made before its certificate.
    key: bool,
    /// Which certificate of the balancer this volume's holds or trusts.
    balancer: Option<u64>,
    /// The compilers that the balancer was told of, and those among them that leave.
    members: BTreeSet<String>,
    draining: BTreeSet<String>,
    /// Whether requests wait at the balancer.
    holding: bool,
    /// Whether it was told since it started: one that starts beside compilers that stop has nothing to lose.
    told: bool,
    /// Secrets, or copies of them, by name.
    secrets: BTreeMap<String, u64>,
    /// Key pairs of hiera-eyaml, the first one first.
    pairs: Vec<u64>,
    /// Hash of the rendered configuration.
    files: Option<String>,
    /// The CRL, which comes last: services wait for it.
    crl: bool,
    /// The bridge may run Puppet over SSH in it.
    opened: bool,
    /// Agents whose host keys the bridge knows.
    known: BTreeSet<String>,
    /// A PostgreSQL cluster with PuppetDB's database.
    database: Option<Database>,
}

/// PuppetDB's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The release line whose PostgreSQL made it; no other reads it.
    pub line: u64,
    /// The release line whose PuppetDB used it last; no older one can use it.
    pub schema: u64,
    /// Reports in it.
    pub reports: u64,
}

/// The engine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// What a snapshot of it says.
    pub observed: Observed,
    /// What is in its volumes, by name.
    contents: BTreeMap<String, Content>,
    /// The networks that containers were made with: name -> network -> id.
    attachments: BTreeMap<String, BTreeMap<String, String>>,
    /// The secrets that a running container read when it started, or was told.
    read: BTreeMap<String, BTreeMap<String, u64>>,
    /// Running containers that wait for their credentials before they become what they are.
    waiting: BTreeSet<String>,
    /// The balancer's certificate that a running balancer shows, or a running compiler trusts.
    shown: BTreeMap<String, Option<u64>>,
    /// Counts everything that has a time or is random.
    clock: u64,
    project: String,
    release: semver::Version,
}

impl Engine {
    /// The engine with the images of another release, too.
    pub fn and_images(mut self, desired: &Desired) -> Self {
        self.observed.images.extend(desired.images.iter().map(|i| reference::normal(&i.reference)));
        self
    }

    /// An engine without anything.
    pub fn empty(desired: &Desired) -> Self {
        Engine {
            observed: Observed::default(),
            contents: BTreeMap::new(),
            attachments: BTreeMap::new(),
            read: BTreeMap::new(),
            waiting: BTreeSet::new(),
            shown: BTreeMap::new(),
            clock: 0,
            project: desired.project.clone(),
            release: desired.release.parse().expect("a release has a version"),
        }
    }

    /// An engine with the platform's images and nothing else.
    pub fn with_images(desired: &Desired) -> Self {
        let mut engine = Engine::empty(desired);
        engine.observed.images = desired.images.iter().map(|i| reference::normal(&i.reference)).collect();
        engine
    }

    /// What `up` does: takes the lock, which makes the state volume, plans, and carries the plan out.
    pub fn up(&mut self, desired: &Desired) -> Plan {
        self.lock();
        let plan = reconcile(desired, &self.observed).expect("nothing is refused");
        self.carry_out(&plan);
        plan
    }

    /// What taking the lock leaves behind: the state volume, for the journal.
    pub fn lock(&mut self) {
        self.create_volume(&labels::volume(&self.project.clone(), "state"));
    }

    /// Does all of a plan's steps, in their order.
    pub fn carry_out(&mut self, plan: &Plan) {
        for step in &plan.steps {
            self.apply(&step.action);
        }
    }

    fn now(&mut self) -> String {
        self.clock += 1;
        format!("2026-11-21T00:00:00.{:09}Z", self.clock)
    }

    fn random(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// A container that must be there.
    pub fn container(&mut self, name: &str) -> &mut Container {
        self.observed.containers.get_mut(name).unwrap_or_else(|| panic!("no container {name}"))
    }

    /// Puts a container into a state, with the words that the engine has for it.
    pub fn set(&mut self, name: &str, state: ContainerState, status: &str) {
        let container = self.container(name);
        container.found.state = state;
        container.found.status = status.into();
        if state != ContainerState::Running {
            container.started_at = None;
            container.health.clear();
            self.waiting.remove(name);
        }
    }

    /// The engine itself starts it again: with the machine, or after a crash.
    pub fn starts_again(&mut self, name: &str) {
        let now = self.now();
        self.set(name, ContainerState::Running, "Up 1 second");
        self.goes_on(name);
        self.container(name).started_at = Some(now);
    }

    /// A service reads its credentials and becomes what it is; without them it waits.
    fn goes_on(&mut self, name: &str) {
        let waits = self.credentials_of(name).is_some_and(|(volume, _)| !self.volume(&volume).crl);
        if waits {
            self.waiting.insert(name.into());
            self.read.remove(name);
        } else {
            self.waiting.remove(name);
            let secrets = self.secrets_in_reach(name);
            self.read.insert(name.into(), secrets);
            self.serves_database(name);
            self.faces_the_balancer(name);
        }
    }

    /// PostgreSQL makes a cluster in an empty volume, and refuses one of another line, or that another one serves.
    fn serves_database(&mut self, name: &str) {
        let Some(volume) = self.database_of(name) else { return };
        let others = self.users_of(&volume).filter(|n| *n != name && self.observed.containers[*n].alive());
        assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new(), "another container serves {volume}");
        let line = self.line(name);
        let database = self.volume(&volume).database.get_or_insert(Database { line, schema: 0, reports: 0 });
        assert_eq!(database.line, line, "{volume} holds data of another PostgreSQL than {name}");
    }

    /// A balancer shows the certificate that it started with, and forgets who was leaving; a compiler goes on with the
    /// one that it was told to trust.
    fn faces_the_balancer(&mut self, name: &str) {
        let service = self.observed.containers[name].label(labels::SERVICE).to_owned();
        if [BALANCER, COMPILER].contains(&service.as_str()) {
            let (volume, _) = self.credentials_of(name).expect("both have credentials");
            let content = self.volume(&volume);
            content.draining.clear();
            (content.told, content.holding) = (false, false);
            let certificate = content.balancer;
            self.shown.insert(name.into(), certificate);
        }
    }

    /// The volume that a PostgreSQL has its data in.
    fn database_of(&self, name: &str) -> Option<String> {
        let container = self.observed.containers.get(name)?;
        container.found.volumes.iter().find(|v| v.contains("_postgres-data")).cloned()
    }

    /// The release line of a container.
    fn line(&self, name: &str) -> u64 {
        let version: semver::Version =
            self.observed.containers[name].label(labels::RELEASE).parse().expect("a release");
        version.major
    }

    fn alive(&self, service: &str) -> bool {
        let name = labels::container_name(&self.project, service, 1);
        self.observed.containers.get(&name).is_some_and(Container::alive)
    }

    /// True when a server of Puppet runs, the primary or a compiler.
    fn compiles(&self) -> bool {
        let servers = ["puppetserver", COMPILER];
        self.observed.services().any(|(_, c)| c.alive() && servers.contains(&c.label(labels::SERVICE)))
    }

    /// Why an agent that comes now would be turned away, behind a balancer. Nothing where somebody compiles its catalog, or
    /// where it waits until somebody does.
    pub fn turns_away(&self) -> Option<String> {
        let well = |name: &String| {
            let there = |c: &Container| c.running() && c.health == "healthy";
            self.observed.containers.get(name).is_some_and(there) && !self.waiting.contains(name)
        };
        let first = |service: &str| labels::container_name(&self.project, service, 1);
        if !well(&first(BALANCER)) {
            return Some("there is no balancer".into());
        }
        let content = &self.contents[&labels::scoped(&self.project, compilers::BALANCER_VOLUME)];
        if content.holding {
            return None;
        }
        if let Some(down) = ["postgres", "puppetdb"].map(first).iter().find(|name| !well(name)) {
            return Some(format!("{down} is down, and nobody waits for it"));
        }
        let sent = |c: &Container| {
            let certname = c.label(labels::CERTNAME);
            content.members.contains(certname) && !content.draining.contains(certname)
        };
        let compilers = self.observed.services().filter(|(_, c)| c.label(labels::SERVICE) == COMPILER);
        let served = compilers.filter(|(name, c)| well(name) && sent(c)).count() > 0 || well(&first("puppetserver"));
        (!served).then(|| "nobody compiles".into())
    }

    /// PuppetDB and its database, when both run: the first look brings the database to PuppetDB's line.
    fn stored(&mut self) -> Option<&mut Database> {
        let [postgres, puppetdb] = ["postgres", "puppetdb"].map(|s| labels::container_name(&self.project, s, 1));
        let runs = |name: &String| self.observed.containers.get(name).is_some_and(Container::running);
        if !runs(&postgres) || !runs(&puppetdb) {
            return None;
        }
        let (volume, line) = (self.database_of(&postgres)?, self.line(&puppetdb));
        let database = self.volume(&volume).database.as_mut()?;
        assert!(database.schema <= line, "a PuppetDB of line {line} cannot use a database of line {}", database.schema);
        database.schema = line;
        Some(database)
    }

    /// The database in a volume, by the volume's key.
    pub fn database(&self, key: &str) -> Option<&Database> {
        self.contents.get(&labels::scoped(&self.project, key))?.database.as_ref()
    }

    /// The database that a PostgreSQL serves, which must run.
    fn served(&mut self, postgres: &str) -> &mut Database {
        assert!(self.container(postgres).running(), "{postgres} does not run");
        let volume = self.database_of(postgres).expect("it has a volume");
        self.volume(&volume).database.as_mut().expect("it made a cluster")
    }

    fn counted(&mut self, postgres: &str) -> Inventory {
        let reports = self.served(postgres).reports;
        let counts = Counts { nodes: 1, facts: 1, catalogs: 1, reports };
        Inventory { all: counts, recent: counts, since: "2026-11-21T00:00:00Z".into() }
    }

    /// An agent from outside reports, when there is a server to report to.
    pub fn agent_reports(&mut self) {
        if self.compiles()
            && let Some(database) = self.stored()
        {
            database.reports += 1;
        }
    }

    /// The volume with a service's certificate, and its certname.
    fn credentials_of(&self, name: &str) -> Option<(String, String)> {
        let container = &self.observed.containers[name];
        let (key, certname) = match container.label(labels::SERVICE) {
            "postgres" => ("postgres-config", "postgres"),
            "puppetdb" => ("puppetdb-config", "puppetdb"),
            "puppetserver" => ("puppetserver-ssl", "puppet"),
            "puppetboard" => ("puppetboard-config", "demo-puppetboard"),
            BALANCER => (compilers::BALANCER_VOLUME, "demo-balancer"),
            COMPILER => {
                let certname = container.label(labels::CERTNAME);
                return Some((self.compiler_volume(certname), certname.to_owned()));
            }
            "relay" => ("relay-config", "demo-relay"),
            "bridge" => ("bridge-config", "demo-bridge"),
            _ => return None,
        };
        Some((labels::scoped(&self.project, key), certname.to_owned()))
    }

    /// The volume with a compiler's certificate.
    fn compiler_volume(&self, certname: &str) -> String {
        let number = certname.rsplit('-').next().and_then(|n| n.parse().ok()).expect("it ends with a number");
        labels::scoped(&self.project, &compilers::ssl_volume(number))
    }

    /// The volume of a balancer that runs.
    fn balancer(&mut self, name: &str) -> String {
        let there = self.container(name).running() && !self.waiting.contains(name);
        assert!(there, "{name} is told something, and is not there");
        self.credentials_of(name).expect("it has credentials").0
    }

    /// Removes a volume and all containers that have it, as someone must who wants to lose it.
    pub fn lose_volume(&mut self, key: &str) {
        let name = labels::scoped(&self.project, key);
        let users: Vec<String> = self.users_of(&name).cloned().collect();
        for user in users {
            self.remove_container(&user);
        }
        self.remove_volume(&name);
    }

    /// Containers that have a volume mounted.
    pub fn users_of<'e>(&'e self, volume: &str) -> impl Iterator<Item = &'e String> {
        let uses = move |c: &Container| c.found.volumes.iter().any(|v| v == volume);
        self.observed.containers.iter().filter(move |(_, c)| uses(c)).map(|(name, _)| name)
    }

    /// Removes the record, whole.
    pub fn lose_record(&mut self) {
        self.observed.record = None;
        self.observed.record_volumes.clear();
    }

    /// Removes a container, whatever it does.
    pub fn remove_container(&mut self, name: &str) {
        self.observed.containers.remove(name);
        self.attachments.remove(name);
        self.read.remove(name);
        self.waiting.remove(name);
        self.shown.remove(name);
    }

    /// Removes a network by force: live containers are cut off, others keep a name that leads nowhere.
    pub fn lose_network(&mut self, name: &str) {
        self.observed.networks.remove(name);
        for container in self.observed.containers.values_mut().filter(|c| c.alive()) {
            container.found.networks.retain(|n| n != name);
        }
    }

    /// Does one step.
    pub fn apply(&mut self, action: &Action) {
        match action {
            Action::PullImage { reference, .. } => {
                self.observed.images.insert(reference::normal(reference));
            }
            Action::BuildImage { image } => {
                self.observed.images.insert(reference::normal(&image.reference));
            }
            Action::CreateNetwork { spec } => {
                let id = self.now();
                let found =
                    FoundNetwork { id, name: spec.name.clone(), labels: spec.labels.clone(), internal: spec.internal };
                self.observed.networks.entry(spec.name.clone()).or_insert(found);
            }
            Action::RemoveNetwork { name } => {
                let member = |c: &&Container| c.alive() && c.found.networks.contains(name);
                let members: Vec<_> = self.observed.containers.values().filter(member).collect();
                assert!(members.is_empty(), "network {name} has active endpoints: {members:?}");
                self.observed.networks.remove(name);
            }
            Action::CreateVolume { spec, .. } => self.create_volume(spec),
            Action::RemoveVolume { name, .. } => self.remove_volume(name),
            Action::PlaceFiles { volume, files, .. } => {
                self.volume(volume).files = Some(hash::of(files));
            }
            Action::IssueCredentials { task, request, .. } => self.issue(task, request, usize::MAX),
            Action::RecordIssued { request, volumes } => {
                let issued = self.issued(request, volumes);
                self.record(|record| record.issued = Some(issued));
            }
            Action::RecordRetired { certname, volume } => self.record(|record| {
                if let Some(issued) = &mut record.issued {
                    issued.volumes.remove(volume);
                    issued.ends.remove(certname);
                }
            }),
            Action::RecordRotation { secret, under_way } => {
                let over = (!under_way).then(|| (secret.clone(), self.now()));
                self.record(|record| {
                    match under_way {
                        true => record.rotating = Some(secret.clone()),
                        false => drop(record.rotating.take_if(|other| *other == *secret)),
                    }
                    record.rotated.extend(over);
                });
            }
            Action::MakeKeyPair { task, request } | Action::CloseSsh { task, request } => {
                self.issue(task, request, usize::MAX)
            }
            Action::ImportCa { task, .. } => {
                self.create_container(task, "");
                self.remove_container(&task.name);
                let new = self.random();
                let ca = &mut self.volume(&labels::scoped(&self.project.clone(), "ca")).ca;
                assert_eq!(ca.replace(new), None, "a CA is there, and is not replaced");
            }
            Action::RenewSecret { task, request, .. } => self.renew(task, request, usize::MAX),
            Action::SetPassword { postgres } => {
                assert!(self.container(postgres).running(), "{postgres} is told a password and does not run");
                let secrets = self.secrets_in_reach(postgres);
                self.read.insert(postgres.clone(), secrets);
            }
            Action::CreateContainer { spec, service } => self.create_container(spec, service),
            Action::StartContainer { name, .. } => self.start_container(name),
            Action::WaitReady { name, .. } => {
                assert!(!self.waiting.contains(name), "{name} waits for its credentials");
                let container = self.container(name);
                assert!(container.running(), "{name} is waited for and does not run: {container:?}");
                container.health = "healthy".into();
                if container.label(labels::SERVICE) == "puppetdb" {
                    self.stored();
                }
            }
            Action::StopContainer { name, .. } => {
                self.leaves_the_balancer(name);
                if self.observed.containers.get(name).is_some_and(Container::alive) {
                    self.set(name, ContainerState::Exited, "Exited (0) 1 second ago");
                }
            }
            Action::RemoveContainer { name, .. } => self.remove_container(name),
            Action::Prove { agent, certname, puppetdb } => {
                assert!(self.container(agent).running() && self.container(puppetdb).running());
                self.check_trust(agent, certname);
                self.check_passwords();
                self.stored().expect("the report gets into the database").reports += 1;
            }
            Action::RecordProof { certname, running } => {
                let proof = self.proof(certname);
                let lock = Lock { release: running.release.clone(), images: BTreeMap::new() };
                self.record(|record| (record.proof, record.lock) = (Some(proof), Some(lock)));
            }
            Action::CompareCatalogs { old, new, puppetdb, .. } => {
                assert!(self.container(puppetdb).running(), "{puppetdb} is asked and does not run");
                for task in [old, new] {
                    assert!(task.mounts.iter().all(|m| m.read_only), "nothing is written: {task:?}");
                    self.create_container(task, "");
                    self.remove_container(&task.name);
                }
            }
            Action::CallHook { .. } => {
                let marked = self.observed.record.as_ref().is_some_and(|r| r.upgrading.is_some());
                assert!(!marked, "a hook is asked before anything is changed");
            }
            Action::StageCode { task, .. } | Action::SwitchCode { task } | Action::CheckCode { task, .. } => {
                assert!(!self.observed.containers.contains_key(&task.name), "{} is there already", task.name);
                assert!(self.observed.has_image(&task.image), "there is no image {}", task.image);
                let networks = task.networks.iter().all(|n| self.observed.networks.contains_key(&n.network));
                assert!(networks, "a network of {} is missing", task.name);
            }
            Action::FlushEnvironments { server, compiler } => {
                let container = self.container(server);
                assert!(container.running(), "{server} is asked and does not run");
                let is = (container.label(labels::SERVICE) == COMPILER).then(|| container.label(labels::CERTNAME));
                assert_eq!(compiler.as_deref(), is, "a compiler is asked by its name");
            }
            Action::CompileCatalog { server, .. } => {
                assert!(self.container(server).running(), "{server} is asked and does not run");
            }
            Action::EnrolCompilers { primary, certnames, task, request } => {
                self.enrol(primary, certnames, task, request, usize::MAX);
            }
            Action::Balance { balancer, members } => {
                let volume = self.balancer(balancer);
                let content = self.volume(&volume);
                content.members = members.iter().cloned().collect();
                content.draining.clear();
                (content.told, content.holding) = (true, false);
            }
            Action::HoldRequests { balancer, .. } => {
                let volume = self.balancer(balancer);
                self.volume(&volume).holding = true;
            }
            Action::DrainCompiler { balancer, certname, .. } => {
                let volume = self.balancer(balancer);
                self.volume(&volume).draining.insert(certname.clone());
            }
            Action::RecordScale { compilers, agents } => self.record(|record| {
                record.scale.compilers = compilers.or(record.scale.compilers);
                record.scale.agents = agents.or(record.scale.agents);
            }),
            Action::RecordCode { url, volume } => {
                let volume = self.observed.volumes.get(volume).and_then(|v| labels::made(&v.labels));
                let deployed = Deployed { url: url.clone(), volume: volume.expect("a volume of ours").to_owned() };
                self.record(|record| record.code = Some(deployed));
            }
            Action::RemoveRecord { volumes } => {
                assert_eq!(volumes, &self.observed.record_volumes);
                self.lose_record();
            }
            Action::RemoveCertificate { primary, certname } => {
                assert!(self.container(primary).running());
                let ca = labels::scoped(&self.project, "ca");
                self.volume(&ca).signed.remove(certname);
            }
            Action::RevokeCertificate { primary, certname } => {
                assert!(self.container(primary).running());
                let ca = labels::scoped(&self.project, "ca");
                self.volume(&ca).revoked.insert(certname.clone());
            }
            Action::SignCertificate { primary, .. }
            | Action::MakeCanary { primary, .. }
            | Action::WithdrawTokens { primary }
            | Action::PlaceToken { primary, .. } => assert!(self.container(primary).running()),
            Action::PushCrl { primary, copy } | Action::VerifyRefusal { primary, copy, .. } => {
                assert!(self.container(primary).running() && self.container(&copy.container).running());
            }
            Action::MarkRestore { file, identity, only, .. } => {
                let identity = identity.as_ref().map(|path| path.display().to_string());
                let restoring = Restoring { file: file.clone(), identity, only: only.clone(), serial: None };
                self.record(|record| record.restoring = Some(restoring));
            }
            Action::RestoreVolume { key, task, .. } => {
                self.create_container(task, "");
                self.remove_container(&task.name);
                let volume = self.volume(&labels::scoped(&self.project.clone(), key));
                match key.as_str() {
                    "ca" => volume.ca = Some(ARCHIVED),
                    "state" => drop(volume.secrets.insert(PASSWORD.into(), ARCHIVED)),
                    _ => {}
                }
                let compiler = compilers::number_of(key).map(|number| format!("demo-compiler-{number}"));
                if let Some(certname) = compiler {
                    volume.certificates.insert(certname.clone(), (ARCHIVED, "-".into()));
                    self.volume(&labels::scoped(&self.project.clone(), "ca")).signed.insert(certname);
                }
            }
            Action::SettleCa { volume } => assert_eq!(self.volume(volume).ca, Some(ARCHIVED), "a CA of the archive"),
            Action::RestoreDatabase { postgres, .. } => {
                assert!(self.container(postgres).running());
                let users = ["puppetdb", "puppetserver"].map(|s| labels::container_name(&self.project, s, 1));
                let running = |name: &String| self.observed.containers.get(name).is_some_and(Container::alive);
                assert!(!users.iter().any(running), "the database is put back under its users");
            }
            Action::FinishRestore => self.record(|record| record.restoring = None),
            Action::MarkUpgrade { to, phase, backup, left } => {
                let record = self.observed.record.as_ref().expect("what is upgraded has a record");
                let before = record.upgrading.clone();
                let over = record.upgraded.clone().filter(|_| *left);
                let known = before.as_ref().map(|b| b.backup.clone());
                let inventory = before.and_then(|b| b.inventory).or(over.as_ref().and_then(|u| u.inventory.clone()));
                let backup = backup.clone().or(known).expect("an upgrade has a backup");
                let (definition, phase, left) = (Some((**to).clone()), *phase, *left);
                let to = to.version.clone();
                if let Some(over) = over {
                    // The command is of the release that it goes back to.
                    self.release = over.from.version;
                }
                self.record(|record| {
                    record.upgrading = Some(Upgrading { to, definition, phase, backup, inventory, left });
                });
            }
            Action::DrainQueue { puppetdb } => {
                assert!(self.container(puppetdb).running() && !self.compiles());
            }
            Action::TakeInventory { postgres, task, .. } => {
                let record = self.observed.record.as_ref().expect("what is upgraded has a record");
                let crosses = record.upgrading.as_ref().is_none_or(|u| u.to.major != record.release.major);
                // Within a line, compilers may go on.
                let writes = self.alive("puppetdb") && (crosses || !self.compiles()) || crosses && self.compiles();
                assert!(!writes, "it is counted while somebody writes");
                let inventory = self.counted(postgres);
                self.create_container(task, "");
                self.remove_container(&task.name);
                self.record(|record| record.upgrading.as_mut().expect("it is marked").inventory = Some(inventory));
            }
            Action::CopyDatabase { from, into } => {
                assert!(!self.alive("puppetdb") && !self.compiles(), "it is copied while somebody writes");
                let source = self.served(from).clone();
                let target = self.served(into);
                assert_eq!((target.schema, target.reports), (0, 0), "the copy goes into an empty database");
                (target.schema, target.reports) = (source.schema, source.reports);
            }
            Action::VerifyInventory { postgres, part } => {
                let now = self.counted(postgres);
                let record = self.observed.record.as_ref().and_then(|r| r.upgrading.as_ref());
                let before = record.and_then(|u| u.inventory.as_ref()).expect("it was counted before");
                assert_eq!(before.differs(&now, *part), None);
            }
            Action::VerifyCa { task } => {
                self.create_container(task, "");
                self.remove_container(&task.name);
            }
            Action::CommitUpgrade { running, before, database, certname, request, volumes, .. } => {
                let (issued, proof) = (self.issued(request, volumes), self.proof(certname));
                let lock = Lock { release: running.release.clone(), images: BTreeMap::new() };
                self.release = running.release.version.clone();
                let (from, database) = ((**before).clone(), database.clone());
                let at = self.now();
                self.record(|record| {
                    let over = record.upgrading.take().expect("it is marked");
                    let (backup, inventory) = (over.backup, over.inventory);
                    record.upgraded = Some(Upgraded { from, at, backup, database, inventory });
                    (record.issued, record.proof, record.lock) = (Some(issued), Some(proof), Some(lock));
                });
            }
            Action::FinishRollback { running, certname, request, volumes } => {
                let (issued, proof) = (self.issued(request, volumes), self.proof(certname));
                let lock = Lock { release: running.release.clone(), images: BTreeMap::new() };
                self.record(|record| {
                    (record.issued, record.proof, record.lock) = (Some(issued), Some(proof), Some(lock));
                    if record.upgrading.take().is_some_and(|u| u.left) {
                        record.upgraded = None;
                    }
                });
            }
            Action::ForgetUpgrade => self.record(|record| record.upgraded = None),
            Action::WriteBackup { source } => {
                assert!(self.container(&source.postgres).running());
                let mounts = source.task.mounts.iter();
                assert_eq!(mounts.count(), source.volumes.len());
            }
            Action::RecordBackup { file } => {
                let backup = BackedUp { file: file.clone(), finished_at: self.now(), verified_at: None };
                self.record(|record| record.backup = Some(backup));
            }
            Action::RecordVerification { .. } => {
                let now = self.now();
                self.record(|record| record.backup.as_mut().expect("it is the last one").verified_at = Some(now));
            }
            Action::PlaceConfiguration { .. } => assert!(
                self.observed.record.as_ref().is_some_and(|r| r.restoring.is_some()),
                "a configuration comes back with its platform"
            ),
            Action::MakeBase { .. } | Action::RunAgent { .. } | Action::DeactivateNode { .. } => {}
        }
    }

    /// What is on record of volumes that something was issued into.
    fn issued(&self, request: &str, volumes: &[(String, String)]) -> Issued {
        let made = |name: &String| Some(labels::made(&self.observed.volumes.get(name)?.labels)?.to_owned());
        let volumes = volumes.iter().filter_map(|(key, name)| Some((key.clone(), made(name)?))).collect();
        Issued { request: request.to_owned(), volumes, ends: BTreeMap::new() }
    }

    fn proof(&mut self, certname: &str) -> Proof {
        let at = self.now();
        let started = self.observed.start_times();
        Proof { at, certname: certname.to_owned(), report: "report".into(), started }
    }

    /// Does a step half, as far as that can be seen later: the program was killed in it.
    pub fn apply_half(&mut self, action: &Action) {
        match action {
            Action::IssueCredentials { task, request, .. } => {
                self.issue(task, request, request.lines().count() / 2);
                self.create_container(task, "");
                self.set(&task.name, ContainerState::Running, "Up 1 second");
            }
            Action::RenewSecret { task, request, .. } => {
                self.renew(task, request, 1);
                self.create_container(task, "");
                self.set(&task.name, ContainerState::Running, "Up 1 second");
            }
            Action::EnrolCompilers { primary, certnames, task, request } => {
                self.enrol(primary, certnames, task, request, certnames.len() / 2);
                self.create_container(task, "");
                self.set(&task.name, ContainerState::Running, "Up 1 second");
            }
            Action::PlaceFiles { key, volume, .. } => {
                let helper = helper(&self.project, key, volume);
                self.create_container(&helper, "");
            }
            Action::CopyDatabase { from, into } => {
                let source = self.served(from).clone();
                let target = self.served(into);
                (target.schema, target.reports) = (source.schema, source.reports / 2);
            }
            Action::TakeInventory { task, .. } | Action::VerifyCa { task } => {
                self.create_container(task, "");
                self.set(&task.name, ContainerState::Running, "Up 1 second");
            }
            // A single call: done, or not.
            _ => {}
        }
    }

    fn volume(&mut self, name: &str) -> &mut Content {
        assert!(self.observed.volumes.contains_key(name), "no volume {name}");
        self.contents.entry(name.to_owned()).or_default()
    }

    fn create_volume(&mut self, spec: &VolumeSpec) {
        if self.observed.volumes.contains_key(&spec.name) {
            return;
        }
        let mut labels = spec.labels.clone();
        labels.insert(labels::MADE.into(), self.now());
        self.observed.volumes.insert(spec.name.clone(), FoundVolume { name: spec.name.clone(), labels });
        self.contents.insert(spec.name.clone(), Content::default());
    }

    /// Removes a volume, which no container may have.
    pub fn remove_volume(&mut self, name: &str) {
        let users: Vec<_> = self.users_of(name).collect();
        assert!(users.is_empty(), "volume {name} is in use by {users:?}");
        self.observed.volumes.remove(name);
        self.contents.remove(name);
    }

    fn create_container(&mut self, spec: &ContainerSpec, service: &str) {
        let networks: Vec<String> = spec.networks.iter().map(|n| n.network.clone()).collect();
        let volumes: Vec<String> = spec
            .mounts
            .iter()
            .filter_map(|m| match &m.source {
                MountSource::Volume(name) => Some(name.clone()),
                MountSource::Directory(_) => None,
            })
            .collect();
        if !service.is_empty() {
            assert!(self.observed.has_image(&spec.image), "{} is made without its image", spec.name);
        }
        for volume in &volumes {
            assert!(self.observed.volumes.contains_key(volume), "{} is made without volume {volume}", spec.name);
        }
        let attached = networks.iter().map(|n| {
            let network = self.observed.networks.get(n);
            (n.clone(), network.unwrap_or_else(|| panic!("{} is made without network {n}", spec.name)).id.clone())
        });
        let attached = attached.collect();
        let found = FoundContainer {
            id: self.now(),
            name: spec.name.clone(),
            image: spec.image.clone(),
            image_id: String::new(),
            state: ContainerState::Created,
            status: "Created".into(),
            created: 0,
            labels: spec.labels.clone(),
            ports: vec![],
            networks,
            volumes,
        };
        let container = Container { found, started_at: None, health: String::new() };
        let before = self.observed.containers.insert(spec.name.clone(), container);
        assert!(before.is_none(), "the name {} is already in use", spec.name);
        self.attachments.insert(spec.name.clone(), attached);
    }

    fn start_container(&mut self, name: &str) {
        let state = self.container(name).found.state;
        match state {
            ContainerState::Running | ContainerState::Restarting => return,
            ContainerState::Created | ContainerState::Exited => {}
            other => panic!("{name} is {} and cannot be started", other.name()),
        }
        for (network, id) in &self.attachments[name] {
            let now = self.observed.networks.get(network).map(|n| &n.id);
            assert_eq!(now, Some(id), "{name} starts, and the network {network} that it was made with is gone");
        }
        if let Some((volume, certname)) = self.credentials_of(name) {
            let content = self.volume(&volume);
            assert!(
                !content.crl || content.certificates.contains_key(&certname),
                "{name} starts without its certificate"
            );
        }
        let primary = self.credentials_of(name).filter(|(_, certname)| certname == "puppet");
        if primary.is_some_and(|(volume, _)| self.contents[&volume].crl) {
            let ca = labels::scoped(&self.project, "ca");
            let issues =
                |c: &&Container| c.label(labels::ROLE) == "task" && c.running() && c.found.volumes.contains(&ca);
            assert_eq!(self.observed.containers.values().find(issues), None, "{name} starts beside what its CA issues");
        }
        self.starts_again(name);
    }

    /// The secrets that a container would read if it started now.
    fn secrets_in_reach(&self, name: &str) -> BTreeMap<String, u64> {
        let volumes = self.observed.containers[name].found.volumes.iter();
        volumes.filter_map(|v| self.contents.get(v)).flat_map(|content| content.secrets.clone()).collect()
    }

    /// A compiler that is stopped where a balancer goes on has left that before.
    fn leaves_the_balancer(&mut self, name: &str) {
        let balancer = labels::container_name(&self.project, BALANCER, 1);
        let serves = |c: &Container| c.running() && c.health == "healthy";
        let works = self.observed.containers.get(&balancer).is_some_and(serves) && !self.waiting.contains(&balancer);
        let Some(container) = self.observed.containers.get(name).filter(|c| serves(c)) else { return };
        if !works || container.label(labels::SERVICE) != COMPILER || !self.alive("puppetserver") {
            return;
        }
        let certname = container.label(labels::CERTNAME).to_owned();
        let volume = self.balancer(&balancer);
        let content = self.volume(&volume);
        let sent = content.told && content.members.contains(&certname) && !content.draining.contains(&certname);
        assert!(!sent, "{name} is stopped while requests are sent to it");
    }

    /// What the CA and the one-shot container do for the first `finished` of these compilers; one more is half done.
    fn enrol(&mut self, primary: &str, certnames: &[String], task: &ContainerSpec, request: &str, finished: usize) {
        assert!(self.container(primary).running() && !self.waiting.contains(primary), "no CA to ask");
        let ca = labels::scoped(&self.project, "ca");
        let balancer = labels::scoped(&self.project, compilers::BALANCER_VOLUME);
        assert!(self.volume(&balancer).crl, "the balancer has no certificate that compilers could trust");
        self.issue(task, request, usize::MAX);
        for (at, certname) in certnames.iter().enumerate().take(finished.saturating_add(1)) {
            let volume = self.compiler_volume(certname);
            let authority = self.contents[&ca].clone();
            let content = self.volume(&volume);
            let good = |(signer, _): &(u64, String)| Some(*signer) == authority.ca;
            let known = authority.signed.contains(certname) && !authority.revoked.contains(certname);
            let kept = content.certificates.get(certname).is_some_and(good) && known;
            if !kept {
                // A certificate of the name is this compiler's own, signed for its key or to be replaced, or a stranger's.
                let own = content.key || content.certificates.contains_key(certname);
                assert!(own || !authority.signed.contains(certname), "{certname} is somebody else's name");
                content.key = true;
                let authority = self.volume(&ca);
                authority.signed.insert(certname.clone());
                authority.revoked.remove(certname);
                if at == finished {
                    return;
                }
                let certificate = (authority.ca.expect("there is a CA"), "-".to_owned());
                self.volume(&volume).certificates.insert(certname.clone(), certificate);
            }
            let trusted = self.contents[&balancer].balancer;
            let content = self.volume(&volume);
            (content.balancer, content.crl) = (trusted, true);
        }
    }

    /// What `pupperware-provision` does with the first `orders` lines of its request.
    fn issue(&mut self, task: &ContainerSpec, request: &str, orders: usize) {
        let project = self.project.clone();
        let scoped = |key: &str| labels::scoped(&project, key);
        let mounted: BTreeSet<String> = task
            .mounts
            .iter()
            .map(|m| match &m.source {
                MountSource::Volume(name) => name.clone(),
                MountSource::Directory(path) => panic!("{path} is mounted for provisioning"),
            })
            .collect();
        assert!(self.observed.has_image(&task.image), "provisioning without its image");
        for volume in &mounted {
            assert!(self.observed.volumes.contains_key(volume), "provisioning without volume {volume}");
        }
        self.remove_container(&task.name);
        for line in request.lines().take(orders) {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["dir", key, ..] => assert!(mounted.contains(&scoped(key)), "{line}: not mounted"),
                ["ssh", certname, key, bridge, _] => {
                    for key in [key, bridge] {
                        assert!(mounted.contains(&scoped(key)), "{line}: not mounted");
                    }
                    self.volume(&scoped(key)).opened = true;
                    self.volume(&scoped(bridge)).known.insert((*certname).to_owned());
                }
                ["unssh", key] => {
                    assert!(mounted.contains(&scoped(key)), "{line}: not mounted");
                    self.volume(&scoped(key)).opened = false;
                }
                ["secret", name, ..] => {
                    let new = self.random();
                    self.volume(&scoped("state")).secrets.entry((*name).to_owned()).or_insert(new);
                }
                ["copysecret", name, key, ..] => {
                    assert!(mounted.contains(&scoped(key)), "{line}: not mounted");
                    let value = self.volume(&scoped("state")).secrets[*name];
                    self.volume(&scoped(key)).secrets.insert((*name).to_owned(), value);
                }
                ["eyaml", key, _, rest @ ..] => {
                    let new = self.random();
                    // Whichever of the two was lost gets what the other has.
                    let mut pairs = self.volume(&scoped("state")).pairs.clone();
                    if pairs.is_empty() {
                        pairs.clone_from(&self.volume(&scoped(key)).pairs);
                    }
                    if pairs.is_empty() || rest == ["new"] {
                        pairs.push(new);
                    }
                    self.volume(&scoped("state")).pairs.clone_from(&pairs);
                    self.volume(&scoped(key)).pairs = pairs;
                }
                ["ca", ..] => {
                    let primary = self.observed.services().find(|(_, c)| c.label(labels::SERVICE) == "puppetserver");
                    let serves = primary.is_some_and(|(name, c)| c.alive() && !self.waiting.contains(name));
                    assert!(!serves, "the CA issues beside its server");
                    let orphans = mounted.iter().any(|v| !self.volume(v).certificates.is_empty());
                    let new = self.random();
                    let ca = &mut self.volume(&scoped("ca")).ca;
                    assert!(ca.is_some() || !orphans, "the CA is lost, and its certificates are not");
                    ca.get_or_insert(new);
                }
                ["cert", certname, names, _, key, _, _, rest @ ..] => {
                    let new = self.random();
                    let held = self.volume(&scoped(key));
                    let same = held.certificates.get(*certname).is_some_and(|(_, known)| known == names);
                    if *key == compilers::BALANCER_VOLUME && (!same || rest == ["force"]) {
                        held.balancer = Some(new);
                    }
                    let ca = self.volume(&scoped("ca")).ca.expect("the CA comes before its certificates");
                    let certificate = (ca, (*names).to_owned());
                    self.volume(&scoped("ca")).signed.insert((*certname).to_owned());
                    self.volume(&scoped(key)).certificates.insert((*certname).to_owned(), certificate);
                }
                ["enrol", certname, key, ..] => {
                    if self.volume(&scoped(key)).certificates.contains_key(*certname) {
                        continue;
                    }
                    // The agent's first run comes with the token; what it gets is as good as issued.
                    let authority = self.volume(&scoped("ca"));
                    let new = authority.signed.insert((*certname).to_owned());
                    assert!(new, "{certname} already has a signed certificate, and its request is turned down");
                    let certificate = (authority.ca.expect("there is a CA"), "-".to_owned());
                    self.volume(&scoped(key)).certificates.insert((*certname).to_owned(), certificate);
                }
                _ => panic!("unknown order: {line}"),
            }
        }
        // The last thing it does: CA and CRL to everybody who got a certificate.
        if orders == usize::MAX && request.contains("\ncert ") {
            for volume in mounted {
                let content = self.volume(&volume);
                content.crl = !content.certificates.is_empty();
            }
            for name in self.waiting.clone() {
                self.goes_on(&name);
            }
        }
    }

    /// A new value for so many of those that have a copy, and for what is kept when it is all.
    fn renew(&mut self, task: &ContainerSpec, request: &str, copies: usize) {
        assert!(self.observed.has_image(&task.image), "a secret is made without its image");
        self.remove_container(&task.name);
        let new = self.random();
        let secret =
            request.split(' ').nth(1).and_then(|name| name.strip_suffix(".next")).expect("a secret's next value");
        let keys = request.lines().filter_map(|l| l.strip_prefix("copysecret ")?.split(' ').nth(1));
        let keys = keys.take(copies).chain((copies > 1).then_some("state"));
        for volume in keys.map(|key| labels::scoped(&self.project, key)).collect::<Vec<_>>() {
            self.volume(&volume).secrets.insert(secret.to_owned(), new);
        }
    }

    /// The database password that a service started with, or was told.
    pub fn password(&self, service: &str) -> Option<u64> {
        self.secret(service, PASSWORD)
    }

    /// A secret that a service started with, or was told.
    pub fn secret(&self, service: &str, secret: &str) -> Option<u64> {
        self.read.get(&labels::container_name(&self.project, service, 1))?.get(secret).copied()
    }

    /// Every copy of a secret is the one that is kept, and the Relay server started with its own.
    fn check_secrets(&self, desired: &Desired) {
        let kept = &self.contents[&labels::scoped(&self.project, "state")].secrets;
        for (secret, _) in &desired.credentials.secrets {
            let wanted = kept.get(secret);
            assert!(wanted.is_some(), "{secret} was not made");
            for (key, ..) in desired.credentials.copies_of(secret) {
                let copy = self.contents[&labels::scoped(&self.project, key)].secrets.get(secret);
                assert_eq!(copy, wanted, "{key} has another {secret}");
                if key == "relay-config" {
                    assert_eq!(
                        self.secret("relay", secret).as_ref(),
                        wanted,
                        "the server lets in with another {secret}"
                    );
                }
            }
        }
    }

    /// The key pairs that Puppet Server finds.
    pub fn pairs(&self) -> &[u64] {
        &self.contents[&labels::scoped(&self.project, "puppetserver-config")].pairs
    }

    /// The CA in its volume.
    pub fn ca(&self) -> Option<u64> {
        self.contents.get(&labels::scoped(&self.project, "ca"))?.ca
    }

    fn record(&mut self, change: impl FnOnce(&mut Record)) {
        let mut record = Record::next(self.observed.record.as_ref(), self.release.clone(), None);
        change(&mut record);
        self.observed.record_volumes = vec![record.volume(&self.project).name];
        self.observed.record = Some(record);
    }

    /// An agent and the services trust the same CA.
    fn check_trust(&self, agent: &str, certname: &str) {
        let ca = self.contents[&labels::scoped(&self.project, "ca")].ca.expect("there is a CA");
        let volumes = &self.observed.containers[agent].found.volumes;
        let certificate = volumes.iter().find_map(|v| self.contents[v].certificates.get(certname));
        assert_eq!(certificate.map(|(signer, _)| *signer), Some(ca), "{agent} has no certificate of this CA");
    }

    /// PuppetDB reaches its database, with the password that each of them started with.
    fn check_passwords(&self) {
        let (postgres, puppetdb) = (self.password("postgres"), self.password("puppetdb"));
        assert!(postgres.is_some() && postgres == puppetdb, "passwords differ: {postgres:?}, {puppetdb:?}");
    }

    /// Exactly the wanted compilers take requests, and know the balancer that sends them; the CA knows no other.
    fn check_balancer(&self, desired: &Desired) {
        let wanted: BTreeSet<String> = desired.compilers().map(|r| r.certname.clone()).collect();
        let authority = &self.contents[&labels::scoped(&self.project, "ca")];
        let known = authority.signed.iter().filter(|name| name.contains("-compiler-")).cloned().collect();
        assert_eq!(wanted, known, "the CA knows other compilers than there are");
        let Some(balancer) = desired.balancer() else { return };
        let content = &self.contents[&labels::scoped(&self.project, compilers::BALANCER_VOLUME)];
        assert_eq!((&content.members, content.draining.len()), (&wanted, 0), "other compilers take requests");
        for replica in desired.compilers().chain([balancer]) {
            let name = &replica.spec.name;
            assert_eq!(self.shown[name], content.balancer, "{name} knows another balancer");
        }
        for compiler in desired.compilers() {
            let volume = labels::scoped(&self.project, &compilers::config_volume(compiler.number));
            let pairs = &self.contents[&volume].pairs;
            assert_eq!(pairs, self.pairs(), "{} has other keys for Hiera", compiler.certname);
        }
    }

    /// The platform is what it should be, in every place that a snapshot does not show too.
    pub fn check(&self, desired: &Desired) {
        for replica in &desired.replicas {
            let name = &replica.spec.name;
            let container = &self.observed.containers[name];
            assert!(container.running(), "{name} does not run");
            assert_eq!(container.label(labels::SPEC_HASH), replica.hash, "{name} is not as it should be");
            if let Some(key) = &replica.config_volume {
                let files = self.contents[&labels::scoped(&self.project, key)].files.as_ref();
                assert_eq!(files, Some(&hash::of(&desired.files[key])), "{name} has another configuration");
            }
        }
        for certificate in desired.credentials.certificates.iter().filter(|c| !c.is_agent()) {
            let held = &self.contents[&labels::scoped(&self.project, &certificate.volume)].certificates;
            let others: Vec<_> = certificate.names.iter().filter(|n| **n != certificate.certname).cloned().collect();
            let others = if others.is_empty() { "-".to_owned() } else { others.join(",") };
            assert_eq!(held[&certificate.certname].1, others, "{}", certificate.certname);
            let signed = &self.contents[&labels::scoped(&self.project, "ca")].signed;
            assert!(signed.contains(&certificate.certname), "the CA has forgotten {}", certificate.certname);
        }
        let goes = |key: &str| {
            ["puppetboard-config", "relay-config", "bridge-config", compilers::BALANCER_VOLUME].contains(&key)
                || compilers::number_of(key).is_some()
        };
        let of_ours = |name: &String| {
            let key = name.split_once('_').map_or("", |(_, key)| key);
            desired.volumes.values().any(|v| v.spec.name == *name) || !goes(key)
        };
        let strange = self.observed.volumes.keys().find(|name| !of_ours(name));
        assert_eq!(strange, None, "what is not wanted any more is gone");
        let networks: BTreeSet<&String> = desired.networks.values().map(|n| &n.name).collect();
        assert_eq!(self.observed.networks.keys().collect::<BTreeSet<_>>(), networks);
        let leftovers = |c: &&Container| ["task", "smoke"].contains(&c.label(labels::ROLE));
        assert_eq!(self.observed.containers.values().find(leftovers), None);
        self.check_ssh(desired);
        self.check_passwords();
        self.check_secrets(desired);
        assert!(!self.pairs().is_empty(), "Hiera has no key pair");
        self.check_balancer(desired);
    }

    /// The bridge gets to every agent, and where there is none, nobody does.
    fn check_ssh(&self, desired: &Desired) {
        let bridge = self.contents.get(&labels::scoped(&self.project, "bridge-config"));
        for agent in desired.credentials.certificates.iter().filter(|c| c.is_agent()) {
            let opened = self.contents[&labels::scoped(&self.project, &agent.volume)].opened;
            let known = bridge.is_some_and(|bridge| bridge.known.contains(&agent.certname));
            let wanted = desired.credentials.bridge;
            assert_eq!((opened, known), (wanted, wanted), "SSH to {}", agent.certname);
        }
    }
}

/// The container that carries files into a volume.
pub fn helper(project: &str, key: &str, volume: &str) -> ContainerSpec {
    let mounts = [(key.to_owned(), volume.to_owned())];
    pupperware::journal::lock::anchor_container(project, format!("{project}-place-{key}"), "task", &mounts)
}

/// The labels of an object, with another hash: what an older definition left.
pub fn outdated(labels: &mut Labels) {
    labels.insert(labels::SPEC_HASH.into(), "0000000000000000".into());
}

//! Plans: what is to be done, as data. A directed acyclic graph of steps, each with its cause.
//!
//! Plans are made by pure functions (`converge`, `lifecycle`) from desired and observed state, shown by `render`, and
//! carried out by `execute`, which decides nothing.

mod builder;
mod converge;
mod fate;
mod images;
mod lifecycle;
pub mod render;
mod smoke;
pub mod timeline;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::engine::FileEntry;
use crate::engine::spec::{ContainerSpec, NetworkSpec, VolumeSpec};
use crate::images::{Debian, DesiredImage};
use crate::report::event::Stage;

pub use converge::reconcile;
pub use images::images;
pub use lifecycle::{chosen, down, not_our_network, restart, start, stop};
pub use smoke::{smoke, smoke_cleanup};

/// A plan: steps whose `needs` point backwards only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The steps; a step's id is its index.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index in the plan.
    pub id: usize,
    /// What to do.
    pub action: Action,
    /// Why.
    pub cause: String,
    /// Steps that must have succeeded before.
    pub needs: Vec<usize>,
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
        /// Made by ourselves for a moment's use: nothing of worth is in it.
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
    },
    /// Make CA, certificates and secrets in a one-shot container, as far as they are missing.
    IssueCredentials {
        /// The container.
        task: Box<ContainerSpec>,
        /// What `pupperware-provision` is asked for.
        request: String,
    },
    /// Remember what was issued.
    RecordIssued {
        /// Hash of the whole request.
        request: String,
        /// Volume keys and names that it covers.
        volumes: Vec<(String, String)>,
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
    /// Revoke and remove a node's certificate.
    CleanCertificate {
        /// The primary's container.
        primary: String,
        /// The node.
        certname: String,
    },
    /// Tell PuppetDB that a node is gone.
    DeactivateNode {
        /// PuppetDB's container.
        puppetdb: String,
        /// The node.
        certname: String,
    },
    /// Remember the proof.
    RecordProof {
        /// The agent's certname.
        certname: String,
    },
    /// Forget the platform: its record goes with the last of its data.
    RemoveRecord {
        /// Names of the record volumes.
        volumes: Vec<String>,
    },
}

impl Action {
    /// The stable name of what it does.
    pub fn kind(&self) -> &'static str {
        match self {
            Action::PullImage { .. } => "pull_image",
            Action::MakeBase { .. } => "make_base",
            Action::BuildImage { .. } => "build_image",
            Action::CreateNetwork { .. } => "create_network",
            Action::RemoveNetwork { .. } => "remove_network",
            Action::CreateVolume { .. } => "create_volume",
            Action::RemoveVolume { .. } => "remove_volume",
            Action::PlaceFiles { .. } => "place_files",
            Action::IssueCredentials { .. } => "issue_credentials",
            Action::RecordIssued { .. } => "record_issued",
            Action::CreateContainer { .. } => "create_container",
            Action::StartContainer { .. } => "start_container",
            Action::WaitReady { .. } => "wait_ready",
            Action::StopContainer { .. } => "stop_container",
            Action::RemoveContainer { .. } => "remove_container",
            Action::Prove { .. } => "prove",
            Action::RunAgent { .. } => "run_agent",
            Action::CleanCertificate { .. } => "clean_certificate",
            Action::DeactivateNode { .. } => "deactivate_node",
            Action::RecordProof { .. } => "record_proof",
            Action::RemoveRecord { .. } => "remove_record",
        }
    }

    /// What it works on, for people and programs: `container demo-postgres-1`, `volume ca`.
    pub fn resource(&self) -> String {
        match self {
            Action::PullImage { reference, .. } => format!("image {reference}"),
            Action::MakeBase { debian } => format!("image {}", debian.reference),
            Action::BuildImage { image } => format!("image {}", image.reference),
            Action::CreateNetwork { spec } => format!("network {}", spec.name),
            Action::RemoveNetwork { name } => format!("network {name}"),
            Action::CreateVolume { key, .. } | Action::RemoveVolume { key, .. } | Action::PlaceFiles { key, .. } => {
                format!("volume {key}")
            }
            Action::IssueCredentials { .. } | Action::RecordIssued { .. } => "credentials".into(),
            Action::CreateContainer { spec, .. } => format!("container {}", spec.name),
            Action::StartContainer { name, .. }
            | Action::WaitReady { name, .. }
            | Action::StopContainer { name, .. }
            | Action::RemoveContainer { name, .. } => format!("container {name}"),
            Action::Prove { certname, .. } | Action::RunAgent { certname, .. } => format!("agent {certname}"),
            Action::CleanCertificate { certname, .. } => format!("certificate {certname}"),
            Action::DeactivateNode { certname, .. } => format!("node {certname}"),
            Action::RecordProof { .. } | Action::RemoveRecord { .. } => "record".into(),
        }
    }

    /// Where it is shown.
    pub fn stage(&self) -> Stage {
        match self {
            Action::PullImage { .. } | Action::MakeBase { .. } | Action::BuildImage { .. } => Stage::Images,
            Action::StopContainer { .. }
            | Action::RemoveContainer { .. }
            | Action::RemoveNetwork { .. }
            | Action::RemoveVolume { .. }
            | Action::RemoveRecord { .. }
            | Action::CleanCertificate { .. }
            | Action::DeactivateNode { .. } => Stage::Clear,
            Action::CreateNetwork { .. } | Action::CreateVolume { .. } => Stage::Foundation,
            Action::PlaceFiles { .. } | Action::IssueCredentials { .. } | Action::RecordIssued { .. } => {
                Stage::Credentials
            }
            Action::CreateContainer { .. } | Action::StartContainer { .. } | Action::WaitReady { .. } => {
                Stage::Services
            }
            Action::Prove { .. } | Action::RunAgent { .. } => Stage::Proof,
            Action::RecordProof { .. } => Stage::Record,
        }
    }

    /// The service it belongs to.
    pub fn service(&self) -> Option<&str> {
        match self {
            Action::CreateContainer { service, .. }
            | Action::StartContainer { service, .. }
            | Action::WaitReady { service, .. }
            | Action::StopContainer { service, .. } => Some(service),
            Action::RemoveContainer { service, .. } => service.as_deref(),
            _ => None,
        }
    }

    /// True when something is lost that nobody can make again.
    pub fn data_loss(&self) -> bool {
        matches!(self, Action::RemoveVolume { throw_away: false, .. })
    }

    /// True for steps that only look and wait: an interruption may cut them short.
    pub fn only_waits(&self) -> bool {
        matches!(self, Action::WaitReady { .. } | Action::Prove { .. } | Action::RunAgent { .. })
    }
}

impl Plan {
    /// How many steps each stage has.
    pub fn stages(&self) -> BTreeMap<Stage, usize> {
        let mut stages = BTreeMap::new();
        for step in &self.steps {
            *stages.entry(step.action.stage()).or_default() += 1;
        }
        stages
    }

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

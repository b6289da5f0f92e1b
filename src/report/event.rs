//! What happens while a command works, as data. Renderers in the rooms beside this one turn it into lines.
//!
//! Events carry no secrets, no colours and no layout. They are serialised as they are for `--progress json`.

use std::collections::BTreeMap;

use serde::Serialize;

/// The part of the work that a step belongs to; the terminal shows one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Component images are fetched or built.
    Images,
    /// A backup is written.
    Backup,
    /// What must go first: replaced or unwanted containers, networks, volumes.
    Clear,
    /// Networks and volumes are made.
    Foundation,
    /// CA, certificates, secrets and configuration files are placed.
    Credentials,
    /// Code is deployed or checked.
    Code,
    /// Data is put back from a backup.
    Restore,
    /// Data moves to another release.
    Migration,
    /// Services start and become ready.
    Services,
    /// An agent's run is applied and its report found in PuppetDB.
    Proof,
    /// The platform's record is written.
    Record,
}

impl Stage {
    /// What the user reads.
    pub fn title(self) -> &'static str {
        match self {
            Stage::Images => "Preparing images",
            Stage::Clear => "Clearing away",
            Stage::Foundation => "Creating networks and volumes",
            Stage::Credentials => "Placing certificates and configuration",
            Stage::Code => "Deploying and checking code",
            Stage::Backup => "Writing the backup",
            Stage::Restore => "Putting data back",
            Stage::Migration => "Moving data",
            Stage::Services => "Starting services",
            Stage::Proof => "Proving the platform",
            Stage::Record => "Recording",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A plan is about to be carried out.
    PlanStarted {
        /// The command, as typed (`up`, `down`, ...).
        command: String,
        /// How many steps it has.
        steps: usize,
        /// How many of them belong to each stage. Stages overlap, so only the count tells when one is over.
        stages: BTreeMap<Stage, usize>,
    },
    /// A step began.
    StepStarted {
        /// The step's number in the plan.
        id: usize,
        /// Where it is shown.
        stage: Stage,
        /// `create_container`, `wait_ready`, ...
        kind: String,
        /// `container puppetserver-1`, `volume ca`, ...
        resource: String,
        /// The service it belongs to, if any (`puppetserver`).
        service: Option<String>,
        /// Why the plan has it.
        cause: String,
    },
    /// News from a step under way: the reason of waiting, a line of a build's output. Not a tick.
    StepProgress {
        /// The step's number in the plan.
        id: usize,
        /// One line.
        text: String,
    },
    /// A step succeeded.
    StepFinished {
        /// The step's number in the plan.
        id: usize,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// What came of it, when worth a line (`puppetserver 8.7.0-5`, `report found`).
        outcome: Option<String>,
    },
    /// A step failed. The command's error follows at the end.
    StepFailed {
        /// The step's number in the plan.
        id: usize,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// One line.
        error: String,
    },
    /// The plan ended.
    PlanFinished {
        /// True when every step succeeded.
        ok: bool,
        /// How many steps succeeded.
        done: usize,
        /// How long all took, in milliseconds.
        elapsed_ms: u64,
    },
    /// Something the user should know, and can go on.
    Warning {
        /// One line.
        text: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// A plain message for the user (`waiting for running steps; press Ctrl-C again to stop now`).
    Note {
        /// One line.
        text: String,
    },
}

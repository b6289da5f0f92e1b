//! The journal: what was planned and done, kept with the platform, append-only.
//!
//! The whole plan is written before its first step (so a crash can lose the end of a story, never its beginning);
//! what came of each step follows in the background. It is for people, for `status`, and later for rolling back:
//! resuming after a crash needs no journal, because the next plan is made from what is really there.
//! Each write is a file of its own in the state volume, so nothing that was written is ever rewritten.

pub mod history;
mod holder;
pub mod lock;
pub mod read;
mod writer;

use semver::Version;
use serde::{Deserialize, Serialize};

pub use holder::host;
pub use writer::Journal;

/// Format of the entries.
pub const SCHEMA_VERSION: u32 = 1;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// A plan is about to be carried out.
    Planned {
        /// Format of the entries that follow.
        schema_version: u32,
        /// When, RFC 3339.
        at: String,
        /// The command.
        command: String,
        /// Version of the program.
        program: String,
        /// Who, on which host.
        by: String,
        /// The login name that the process told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// The release of before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Version>,
        /// The release of afterwards, when all succeeds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<Version>,
        /// Steps: id, kind, resource, cause.
        steps: Vec<PlannedStep>,
    },
    /// A step began.
    Started {
        /// Step id.
        id: usize,
        /// When, RFC 3339.
        at: String,
    },
    /// A step succeeded.
    Done {
        /// Step id.
        id: usize,
        /// When, RFC 3339.
        at: String,
    },
    /// A step failed.
    Failed {
        /// Step id.
        id: usize,
        /// When, RFC 3339.
        at: String,
        /// One line.
        error: String,
    },
    /// The plan ended.
    Ended {
        /// When, RFC 3339.
        at: String,
        /// True when every step succeeded.
        ok: bool,
        /// Why not, in one line: not every failure is one of a step, as when a container died that none waited for.
        /// Nothing when the user ended it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// A step as the journal remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Index in the plan.
    pub id: usize,
    /// What.
    pub kind: String,
    /// On what.
    pub resource: String,
    /// Why.
    pub cause: String,
}

/// Who runs this process, as its environment tells; nobody proved it.
pub fn user() -> Option<String> {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
}

/// Now, RFC 3339.
pub fn now() -> String {
    jiff::Timestamp::now().to_string()
}

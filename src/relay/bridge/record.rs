//! What the journal holds: one line for each thing that must not be forgotten or done twice.
//!
//! A line is written, and is on the disk, *before* what it announces is done (intent, starting), and *after* what it tells
//! of has happened (everything else). So whatever is killed, [`super::machine`] knows what may have been done.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::relay::api::{AcceptToken, Lease, Line, NodeName, NodeResult, Outcome, Run, RunId};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The run that it is about.
    pub run: RunId,
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Entry {
    /// The run is about to be accepted with this token. What it asks for is kept: the list may not show it again.
    Intent {
        /// Ours for this run, also if we have to ask again.
        token: AcceptToken,
        /// The run as it was offered.
        offered: Box<Run>,
    },
    /// It is ours.
    Accepted {
        /// What the server wants to see with every update.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<Lease>,
    },
    /// It is not ours, or we do not know; nothing was done, and nothing will be.
    Left {
        /// Why.
        reason: Leaving,
    },
    /// Local policy allows it; nodes come next.
    Started,
    /// Puppet is about to be started on these nodes.
    Starting {
        /// Their names.
        nodes: Vec<NodeName>,
    },
    /// What became of a node.
    Node {
        /// All that is known.
        result: NodeResult,
    },
    /// Nothing more will be done on nodes; the server is to be told.
    Completed {
        /// How it ended.
        completion: Completion,
    },
    /// The server knows.
    Acknowledged {
        /// What it said about it, if that was not simply yes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remark: Option<Line>,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// In a word.
    pub outcome: Outcome,
    /// In a line, when there is more to say than the nodes do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Line>,
}

/// Why a run was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leaving {
    /// Another bridge has it.
    Taken,
    /// The server does not know it any more.
    Gone,
    /// The server refuses that we take it.
    Refused,
    /// We asked, the answer was lost, and now the server says that somebody has it: perhaps we.
    Ambiguous,
}

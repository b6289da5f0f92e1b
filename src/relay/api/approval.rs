//! Approval of a run before any bridge may take it. All of it is ours.
//!
//! ```text
//!              the noop run ended            approve
//! previewing ----------------------> waiting --------> approved
//!     |  |                            |   |
//!     |  +--> not_needed: nothing     |   +--> denied, expired
//!     |       would change            |
//!     +--> void <---------------------+   the run was cancelled, or its preview came to nothing
//! ```

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{Line, RunId};

/// What a request says about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalTerms {
    /// A noop run comes first, on the same nodes. What is approved is what it found; the real run goes to the nodes on
    /// which it did not fail, and to no others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Who asked for the run may not approve it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_by_requester: bool,
    /// Seconds that there are to decide; a day when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_seconds: Option<NonZeroU32>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// The noop run has not ended.
    Previewing,
    /// Somebody has to decide.
    Waiting,
    /// A bridge may take the run.
    Approved,
    /// Nobody may.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// The noop run found nothing that would change.
    NotNeeded,
    /// The run ended before there was something to decide.
    Void,
}

impl ApprovalStatus {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            ApprovalStatus::Previewing => "previewing",
            ApprovalStatus::Waiting => "waiting",
            ApprovalStatus::Approved => "approved",
            ApprovalStatus::Denied => "denied",
            ApprovalStatus::Expired => "expired",
            ApprovalStatus::NotNeeded => "not_needed",
            ApprovalStatus::Void => "void",
        }
    }
}

/// What a run says about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// How far it is.
    pub status: ApprovalStatus,
    /// Who asked for the run may not approve it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_by_requester: bool,
    /// The noop run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<RunId>,
    /// Until when somebody can decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// Who did: a token's name, or whom a link was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Line>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
    /// Nodes that were asked for and are left out, as the noop run failed there.
    #[serde(default)]
    pub left_out: u32,
    /// Nodes on which something else happened than was approved; known when the run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<u32>,
}

/// Body of `POST /_puppet/runs/{id}/approve` and `.../deny`; it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Line>,
}

//! How far a run is, and what a bridge says about it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{BadName, JobId, Lease};
use super::nodes::{NodeResult, Progress};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nobody works on it yet, or who accepted it has not said so.
    Pending,
    /// A bridge works on it.
    InProgress,
    /// It ended, well or not.
    Complete,
}

impl Status {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::InProgress => "in-progress",
            Status::Complete => "complete",
        }
    }
}

/// How a run ended. Bridges may have words of their own: `[a-z][a-z_-]{0,31}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Outcome {
    /// No node failed.
    Finished,
    /// At least one node failed.
    Failed,
    /// Nothing could be started: refused, or wrongly configured.
    Error,
    /// Stopped because somebody asked for it.
    Cancelled,
    /// Nobody accepted it in time. Said by the server.
    Expired,
    /// Its bridge was not heard of any more. Said by the server.
    Lost,
    /// Somebody had to agree, and did not want to. Said by the server.
    Denied,
    /// A word of somebody else's.
    Other(String),
}

impl Outcome {
    /// The wire name.
    pub fn as_str(&self) -> &str {
        match self {
            Outcome::Finished => "finished",
            Outcome::Failed => "failed",
            Outcome::Error => "error",
            Outcome::Cancelled => "cancelled",
            Outcome::Expired => "expired",
            Outcome::Lost => "lost",
            Outcome::Denied => "denied",
            Outcome::Other(word) => word,
        }
    }

    /// True when nothing went wrong.
    pub fn is_good(&self) -> bool {
        matches!(self.as_str(), "finished" | "success")
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        outcome.as_str().to_owned()
    }
}

impl TryFrom<String> for Outcome {
    type Error = BadName;

    fn try_from(word: String) -> Result<Self, BadName> {
        let known = [
            Outcome::Finished,
            Outcome::Failed,
            Outcome::Error,
            Outcome::Cancelled,
            Outcome::Expired,
            Outcome::Lost,
            Outcome::Denied,
        ];
        if let Some(outcome) = known.into_iter().find(|outcome| outcome.as_str() == word) {
            return Ok(outcome);
        }
        let fits = |b: u8| b.is_ascii_lowercase() || matches!(b, b'_' | b'-');
        let starts = word.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if starts && word.len() <= 32 && word.bytes().all(fits) {
            Ok(Outcome::Other(word))
        } else {
            Err(BadName::new("an outcome is a word of a-z, `_` and `-`, at most 32 characters"))
        }
    }
}

/// How far a run is, as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// How far.
    pub status: Status,
    /// What the back-end calls the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When the bridge means to be heard of again, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update_before: Option<Timestamp>,
    /// When this last changed, by the server's clock. Our server always says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// What the original bridge says about the nodes; kept and given back as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_results: Option<serde_json::Value>,
    /// Ours: when a bridge took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
    /// Ours: how many nodes are how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Ours: the bridge is asked to stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
}

impl State {
    /// Of a run that was just asked for.
    pub fn pending(now: Timestamp) -> Self {
        State {
            status: Status::Pending,
            job_id: None,
            outcome: None,
            next_update_before: None,
            updated_at: Some(now),
            run_results: None,
            accepted_at: None,
            progress: None,
            cancel_requested: false,
        }
    }
}

/// Body of `PUT /_puppet/runs/{id}/state`. Fields that we do not know are ignored: the original bridge sends back what
/// it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateUpdate {
    /// How far it is now; never `pending`.
    pub status: Status,
    /// What the back-end calls the job. Once said, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// How it ended; `finished` when nothing is said with `complete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// When the bridge means to be heard of again. Required with `in-progress`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update_before: Option<Timestamp>,
    /// What the original bridge says about the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_results: Option<serde_json::Value>,
    /// Ours: what accepting gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// Ours: how many nodes are how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
    /// Ours: the nodes of which something new is known; the others stay as they were. Sent in parts when there are
    /// many, as a body ends at [`super::MAX_BODY`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeResult>,
}

impl StateUpdate {
    /// A sign of life.
    pub fn in_progress(next_update_before: Timestamp) -> Self {
        StateUpdate { next_update_before: Some(next_update_before), ..Self::bare(Status::InProgress) }
    }

    /// The end.
    pub fn complete(outcome: Outcome) -> Self {
        StateUpdate { outcome: Some(outcome), ..Self::bare(Status::Complete) }
    }

    fn bare(status: Status) -> Self {
        StateUpdate {
            status,
            job_id: None,
            outcome: None,
            next_update_before: None,
            run_results: None,
            lease: None,
            progress: None,
            nodes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes() {
        let parse = |word: &str| Outcome::try_from(word.to_owned());
        assert_eq!(parse("finished"), Ok(Outcome::Finished));
        assert_eq!(parse("success"), Ok(Outcome::Other("success".into())));
        assert!(parse("success").unwrap().is_good() && !parse("failure").unwrap().is_good());
        for bad in ["", "Finished", "<b>", "a b", "-a", &"a".repeat(33)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_updates_of_the_rfc() {
        let update: StateUpdate = serde_json::from_str(
            r#"{"status":"in-progress","job_id":"https://orchestrator.example.com:8143/orchestrator/v1/jobs/1234",
                "next_update_before":"2020-09-30T15:00:00Z"}"#,
        )
        .unwrap();
        assert_eq!(update.status, Status::InProgress);
        let update: StateUpdate =
            serde_json::from_str(r#"{"status":"complete","job_id":"1234","outcome":"finished","updated_at":"x"}"#)
                .unwrap();
        assert_eq!(update.outcome, Some(Outcome::Finished));
        assert!(serde_json::from_str::<StateUpdate>(r#"{"status":"done"}"#).is_err());
    }
}

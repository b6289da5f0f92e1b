//! How each node of a run fares. All of it is ours; the original API knows runs only.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::names::{JobId, Line, NodeName, ReportHash};

/// How far one node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    /// Not started yet.
    Pending,
    /// Puppet runs there.
    Running,
    /// Nothing was to change.
    Unchanged,
    /// Something was changed.
    Changed,
    /// A noop run found something to change.
    WouldChange,
    /// The run failed, or some resource did.
    Failed,
    /// The node was not reached.
    Unreachable,
    /// Not started at all: a limit was reached before, or policy forbids it.
    Skipped,
    /// Stopped because somebody asked for it.
    Cancelled,
}

impl NodeStatus {
    /// Each of them, in the order in which they are shown.
    pub const ALL: [NodeStatus; 9] = [
        NodeStatus::Pending,
        NodeStatus::Running,
        NodeStatus::Unchanged,
        NodeStatus::Changed,
        NodeStatus::WouldChange,
        NodeStatus::Failed,
        NodeStatus::Unreachable,
        NodeStatus::Skipped,
        NodeStatus::Cancelled,
    ];

    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeStatus::Pending => "pending",
            NodeStatus::Running => "running",
            NodeStatus::Unchanged => "unchanged",
            NodeStatus::Changed => "changed",
            NodeStatus::WouldChange => "would_change",
            NodeStatus::Failed => "failed",
            NodeStatus::Unreachable => "unreachable",
            NodeStatus::Skipped => "skipped",
            NodeStatus::Cancelled => "cancelled",
        }
    }

    /// True when nothing more will happen there.
    pub fn is_final(self) -> bool {
        !matches!(self, NodeStatus::Pending | NodeStatus::Running)
    }

    /// True when the node is as wanted, or would be.
    pub fn is_good(self) -> bool {
        matches!(self, NodeStatus::Unchanged | NodeStatus::Changed | NodeStatus::WouldChange)
    }
}

/// How one node fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeResult {
    /// Its name.
    pub certname: NodeName,
    /// How far it is.
    pub status: NodeStatus,
    /// The agent's exit code, when it ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// What sort of failure, one snake_case word: `locked`, `disabled`, `no_agent`, `host_key`, `auth`, `timeout`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Line>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Line>,
    /// PuppetDB's hash of the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_hash: Option<ReportHash>,
    /// Where the report can be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_url: Option<JobId>,
    /// What was changed there, or would be, as its report has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// When it was started there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

impl NodeResult {
    /// A node of which nothing else is known.
    pub fn new(certname: NodeName, status: NodeStatus) -> Self {
        NodeResult {
            certname,
            status,
            exit_code: None,
            error: None,
            message: None,
            report_hash: None,
            report_url: None,
            changes: None,
            started_at: None,
            finished_at: None,
        }
    }
}

/// How many nodes are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "one for each node status, which says what it is")]
pub struct Progress {
    /// All of them.
    pub total: u32,
    pub pending: u32,
    pub running: u32,
    pub unchanged: u32,
    pub changed: u32,
    pub would_change: u32,
    pub failed: u32,
    pub unreachable: u32,
    pub skipped: u32,
    pub cancelled: u32,
}

impl Progress {
    /// The count of nodes that are so far.
    pub fn of(&self, status: NodeStatus) -> u32 {
        let mut copy = *self;
        *copy.slot(status)
    }

    /// Counts one more.
    pub fn add(&mut self, status: NodeStatus) {
        self.total += 1;
        *self.slot(status) += 1;
    }

    /// Counts a node that was counted before in another place; a new one when it was not.
    pub fn moved(&mut self, before: Option<NodeStatus>, now: NodeStatus) {
        match before {
            None => self.total += 1,
            Some(before) => *self.slot(before) = self.of(before).saturating_sub(1),
        }
        *self.slot(now) += 1;
    }

    fn slot(&mut self, status: NodeStatus) -> &mut u32 {
        match status {
            NodeStatus::Pending => &mut self.pending,
            NodeStatus::Running => &mut self.running,
            NodeStatus::Unchanged => &mut self.unchanged,
            NodeStatus::Changed => &mut self.changed,
            NodeStatus::WouldChange => &mut self.would_change,
            NodeStatus::Failed => &mut self.failed,
            NodeStatus::Unreachable => &mut self.unreachable,
            NodeStatus::Skipped => &mut self.skipped,
            NodeStatus::Cancelled => &mut self.cancelled,
        }
    }
}

impl FromIterator<NodeStatus> for Progress {
    fn from_iter<I: IntoIterator<Item = NodeStatus>>(statuses: I) -> Self {
        let mut progress = Progress::default();
        statuses.into_iter().for_each(|status| progress.add(status));
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_counts_every_status_by_its_wire_name() {
        let progress: Progress = NodeStatus::ALL.into_iter().collect();
        let sent = serde_json::to_value(progress).unwrap();
        assert_eq!(sent["total"], 9);
        for status in NodeStatus::ALL {
            assert_eq!(sent[status.as_str()], 1, "{}", status.as_str());
            assert_eq!(progress.of(status), 1);
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}

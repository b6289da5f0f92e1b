//! What a Puppet run changed on a node, or would change. All of it is ours.

use serde::{Deserialize, Serialize};

use super::names::{Line, NodeName, RunId};

/// What became of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStatus {
    /// A noop run found it and left it.
    Pending,
    /// It was made.
    Done,
    /// It was tried and failed.
    Failed,
}

/// One property of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// `File[/etc/motd]`.
    pub resource: Line,
    /// Which property; none for a refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<Line>,
    /// The value before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Line>,
    /// The value that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Line>,
    /// What became of it.
    pub status: ChangeStatus,
    /// Something outside of Puppet had changed it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub corrective: bool,
}

/// The changes of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// How many there are.
    pub total: u32,
    /// The first of them.
    pub first: Vec<Change>,
}

impl Changes {
    /// The most text of a node's changes, in bytes; what is beyond is only counted. Ten thousand nodes have changes, and
    /// five hundred of them go into one request.
    pub const LARGEST: usize = 2_000;

    /// Counts a change, and keeps it if there is room.
    pub fn add(&mut self, change: Change) {
        let size = |change: &Change| {
            let texts = [Some(&change.resource), change.property.as_ref(), change.from.as_ref(), change.to.as_ref()];
            texts.into_iter().flatten().map(|text| text.as_str().len()).sum::<usize>() + 80
        };
        let held: usize = self.first.iter().map(size).sum();
        // A gap in the list would look as if it were all.
        if self.is_whole() && held + size(&change) <= Self::LARGEST {
            self.first.push(change);
        }
        self.total += 1;
    }

    /// True when none is only counted.
    pub fn is_whole(&self) -> bool {
        usize::try_from(self.total).is_ok_and(|total| total == self.first.len())
    }
}

/// How what happened on a node compares with what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// What was approved, and nothing else.
    AsApproved,
    /// Something else, more, or less.
    Drift,
    /// The node failed.
    Failed,
    /// Puppet has not run there, or not to its end.
    NotRun,
    /// Not every change is known.
    Unknown,
}

impl Verdict {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::AsApproved => "as_approved",
            Verdict::Drift => "drift",
            Verdict::Failed => "failed",
            Verdict::NotRun => "not_run",
            Verdict::Unknown => "unknown",
        }
    }
}

/// What was approved for a node against what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeComparison {
    /// The node.
    pub certname: NodeName,
    /// In a word.
    pub verdict: Verdict,
    /// What happened and was not approved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unapproved: Vec<Change>,
    /// What was approved and did not happen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Change>,
}

/// Answer to `GET /_puppet/runs/{id}/comparison`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The noop run whose changes were approved.
    pub preview: RunId,
    /// Nodes by name, `limit` of them from `offset` on.
    pub nodes: Vec<NodeComparison>,
    /// How many there are.
    pub total: usize,
    /// How many of all of them are `drift`.
    pub drifted: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted() {
        let mut changes = Changes::default();
        let change = |to: &str| Change {
            resource: "File[/etc/motd]".into(),
            property: Some("content".into()),
            from: None,
            to: Some(to.into()),
            status: ChangeStatus::Pending,
            corrective: false,
        };
        for _ in 0..20 {
            changes.add(change(&"x".repeat(400)));
        }
        assert_eq!((changes.total, changes.first.len()), (20, 3));
        changes.add(change("short"));
        assert_eq!((changes.total, changes.first.len()), (21, 3), "no gap");
        assert!(!changes.is_whole());
    }
}

//! Runs as people and programs see them.

use serde::Serialize;

use crate::relay::api::{ApprovalStatus, NodeResult, NodeStatus, Progress, Run, Status};
use crate::report::output::Tabular;
use crate::report::table::{Cell, Table, Tone};

/// A run with its nodes, as the API returns both.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    pub(super) run: Run,
    pub(super) nodes: Vec<NodeResult>,
}

impl Tabular for Whole {
    fn table(&self) -> Table {
        let mut table = Table::new(["NODE", "STATUS", "CODE", "REPORT", "MESSAGE"]);
        for node in &self.nodes {
            let report = node.report_url.as_ref().map(ToString::to_string);
            let report = report.or_else(|| node.report_hash.as_ref().map(ToString::to_string));
            table.row([
                node.certname.as_str().into(),
                Cell::toned(node.status.as_str(), tone(node.status)),
                node.exit_code.map(|code| code.to_string()).unwrap_or_default().into(),
                report.unwrap_or_default().into(),
                node.message.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            ]);
        }
        table
    }
}

/// Runs, one a line.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Several {
    pub(super) runs: Vec<Run>,
}

impl Tabular for Several {
    fn table(&self) -> Table {
        let mut table = Table::new(["ID", "STATUS", "NODES", "NOOP", "SINCE", "DESCRIPTION"]);
        for run in &self.runs {
            table.row([
                run.id.as_str().into(),
                status(run).into(),
                run.scope.nodes().map_or_else(|| run.scope.kind().to_owned(), |n| n.len().to_string()).into(),
                if run.noop { "yes" } else { "no" }.into(),
                run.created_at.map(|at| at.to_string()).unwrap_or_default().into(),
                run.description.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            ]);
        }
        table
    }
}

/// How far a run is, in a word.
fn status(run: &Run) -> String {
    match (run.state.status, &run.state.outcome) {
        (Status::Complete, Some(outcome)) => outcome.to_string(),
        (Status::Pending, _) if waits(run) => "needs approval".into(),
        (Status::Pending, _) if run.state.accepted_at.is_some() => "accepted".into(),
        (status, _) => status.as_str().into(),
    }
}

fn waits(run: &Run) -> bool {
    let status = run.approval.as_ref().map(|approval| approval.status);
    matches!(status, Some(ApprovalStatus::Previewing | ApprovalStatus::Waiting))
}

fn tone(status: NodeStatus) -> Tone {
    match status {
        NodeStatus::Unchanged | NodeStatus::Changed | NodeStatus::WouldChange => Tone::Good,
        NodeStatus::Failed | NodeStatus::Unreachable => Tone::Bad,
        NodeStatus::Pending | NodeStatus::Running | NodeStatus::Skipped | NodeStatus::Cancelled => Tone::Plain,
    }
}

/// Counts for people: `3 nodes: 1 running, 2 changed`.
pub(super) fn counts(progress: &Progress) -> String {
    let each = NodeStatus::ALL.iter().map(|status| (progress.of(*status), status.as_str().replace('_', " ")));
    let told: Vec<String> =
        each.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    let nodes = if progress.total == 1 { "1 node".to_owned() } else { format!("{} nodes", progress.total) };
    if told.is_empty() { nodes } else { format!("{nodes}: {}", told.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_leave_out_what_there_is_none_of() {
        let progress: Progress = [NodeStatus::Running, NodeStatus::Changed, NodeStatus::Changed].into_iter().collect();
        assert_eq!(counts(&progress), "3 nodes: 1 running, 2 changed");
        assert_eq!(counts(&Progress::default()), "0 nodes");
    }
}

//! What a noop run found on a node, and was approved, against what the real run did there. Pure.

use std::collections::BTreeSet;

use crate::relay::api::{Change, ChangeStatus, Changes, NodeComparison, NodeName, NodeResult, NodeStatus, Verdict};

/// Compares one node.
pub fn compare(name: &NodeName, noop: Option<&NodeResult>, real: Option<&NodeResult>) -> NodeComparison {
    let mut comparison = NodeComparison {
        certname: name.clone(),
        verdict: Verdict::NotRun,
        unapproved: Vec::new(),
        missing: Vec::new(),
    };
    let Some(real) = real else { return comparison };
    let before = noop.and_then(|node| node.changes.as_ref());
    let after = real.changes.as_ref();
    if let (Some(before), Some(after)) = (before, after)
        && before.is_whole()
        && after.is_whole()
    {
        comparison.unapproved = without(after, before, |change| change.status == ChangeStatus::Done);
        comparison.missing = without(before, after, |change| change.status == ChangeStatus::Pending);
    }
    let known = before.is_some_and(Changes::is_whole) && after.is_some_and(Changes::is_whole);
    let found = noop.map(|node| node.status);
    comparison.verdict = match real.status {
        NodeStatus::Failed => Verdict::Failed,
        NodeStatus::Changed | NodeStatus::Unchanged if known => {
            match comparison.unapproved.is_empty() && comparison.missing.is_empty() {
                true => Verdict::AsApproved,
                false => Verdict::Drift,
            }
        }
        // Without the lists, the nodes' states still tell something.
        NodeStatus::Unchanged if found == Some(NodeStatus::Unchanged) => Verdict::AsApproved,
        NodeStatus::Changed if found == Some(NodeStatus::Unchanged) => Verdict::Drift,
        NodeStatus::Unchanged if found == Some(NodeStatus::WouldChange) => Verdict::Drift,
        NodeStatus::Changed | NodeStatus::Unchanged => Verdict::Unknown,
        _ => Verdict::NotRun,
    };
    comparison
}

/// What is known again: a property of a resource, and the value that it is to have. A refresh has neither; a noop run
/// tells of it, a real one does not.
fn key(change: &Change) -> Option<(&str, &str, &str)> {
    let property = change.property.as_ref()?;
    Some((change.resource.as_str(), property.as_str(), change.to.as_ref().map_or("", |to| to.as_str())))
}

/// Those of `these` that count and are not among the others.
fn without(these: &Changes, others: &Changes, counts: impl Fn(&Change) -> bool) -> Vec<Change> {
    let known: BTreeSet<_> = others.first.iter().filter_map(key).collect();
    let new = |change: &&Change| counts(change) && key(change).is_some_and(|key| !known.contains(&key));
    these.first.iter().filter(new).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(resource: &str, to: &str, status: ChangeStatus) -> Change {
        Change {
            resource: resource.into(),
            property: Some("ensure".into()),
            from: None,
            to: Some(to.into()),
            status,
            corrective: false,
        }
    }

    fn node(status: NodeStatus, changes: Option<&[Change]>) -> NodeResult {
        let list = |changes: &[Change]| {
            let mut list = Changes::default();
            changes.iter().cloned().for_each(|change| list.add(change));
            list
        };
        NodeResult { changes: changes.map(list), ..NodeResult::new("a".parse().unwrap(), status) }
    }

    fn verdict(noop: &NodeResult, real: &NodeResult) -> (Verdict, usize, usize) {
        let it = compare(&"a".parse().unwrap(), Some(noop), Some(real));
        (it.verdict, it.unapproved.len(), it.missing.len())
    }

    #[test]
    fn what_was_approved_and_what_happened() {
        let pending = |to| change("Service[x]", to, ChangeStatus::Pending);
        let done = |to| change("Service[x]", to, ChangeStatus::Done);
        let noop = node(NodeStatus::WouldChange, Some(&[pending("running")]));
        assert_eq!(
            verdict(&noop, &node(NodeStatus::Changed, Some(&[done("running")]))),
            (Verdict::AsApproved, 0, 0),
            "the same"
        );
        assert_eq!(
            verdict(&noop, &node(NodeStatus::Changed, Some(&[done("stopped")]))),
            (Verdict::Drift, 1, 1),
            "another value"
        );
        let more = [done("running"), change("File[/y]", "file", ChangeStatus::Done)];
        assert_eq!(verdict(&noop, &node(NodeStatus::Changed, Some(&more))), (Verdict::Drift, 1, 0));
        assert_eq!(verdict(&noop, &node(NodeStatus::Unchanged, Some(&[]))), (Verdict::Drift, 0, 1), "not done");
        let failed = [change("Service[x]", "running", ChangeStatus::Failed)];
        assert_eq!(verdict(&noop, &node(NodeStatus::Failed, Some(&failed))), (Verdict::Failed, 0, 0));
    }

    #[test]
    fn refreshes_are_not_compared() {
        let refresh = Change { property: None, ..change("Exec[reload]", "", ChangeStatus::Pending) };
        let noop = node(NodeStatus::WouldChange, Some(&[refresh]));
        assert_eq!(verdict(&noop, &node(NodeStatus::Changed, Some(&[]))).0, Verdict::AsApproved);
    }

    #[test]
    fn without_lists_the_states_decide() {
        let bare = |status| node(status, None);
        let unchanged = bare(NodeStatus::Unchanged);
        assert_eq!(verdict(&unchanged, &bare(NodeStatus::Changed)).0, Verdict::Drift);
        assert_eq!(verdict(&unchanged, &unchanged).0, Verdict::AsApproved);
        assert_eq!(verdict(&bare(NodeStatus::WouldChange), &bare(NodeStatus::Changed)).0, Verdict::Unknown);
        assert_eq!(verdict(&unchanged, &bare(NodeStatus::Skipped)).0, Verdict::NotRun);
        assert_eq!(compare(&"a".parse().unwrap(), None, None).verdict, Verdict::NotRun);
    }
}

//! What the server is to be told about a run's nodes: counts, and what is new since it was told last.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::relay::api::{NodeName, NodeResult, NodeStatus, Progress};

/// The board of one run.
pub struct Board {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Default)]
struct Inner {
    statuses: BTreeMap<NodeName, NodeStatus>,
    started: BTreeMap<NodeName, Timestamp>,
    progress: Progress,
    unsaid: BTreeMap<NodeName, NodeResult>,
}

impl Board {
    /// All nodes wait, but those of which something is known already; the server is told of these again, as it may not
    /// know.
    pub fn new<'a>(nodes: &[NodeName], known: impl IntoIterator<Item = &'a NodeResult>) -> Self {
        let inner = Inner {
            statuses: nodes.iter().map(|node| (node.clone(), NodeStatus::Pending)).collect(),
            progress: nodes.iter().map(|_| NodeStatus::Pending).collect(),
            ..Inner::default()
        };
        let board = Board { inner: Mutex::new(inner), news: Notify::new() };
        known.into_iter().for_each(|result| board.put(result.clone()));
        board
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes news of a node.
    pub fn put(&self, result: NodeResult) {
        let mut inner = self.inner();
        let before = inner.statuses.insert(result.certname.clone(), result.status);
        inner.progress.moved(before, result.status);
        if result.status == NodeStatus::Running {
            if let Some(at) = result.started_at {
                inner.started.insert(result.certname.clone(), at);
            }
        } else {
            inner.started.remove(&result.certname);
        }
        inner.unsaid.insert(result.certname.clone(), result);
        drop(inner);
        self.news.notify_one();
    }

    /// When a node that runs was started.
    pub fn started_at(&self, node: &NodeName) -> Option<Timestamp> {
        self.inner().started.get(node).copied()
    }

    /// The counts, and up to so many nodes that were not told of yet.
    pub fn take(&self, most: usize) -> (Progress, Vec<NodeResult>) {
        let mut inner = self.inner();
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some((_, result)) = inner.unsaid.pop_first() else { break };
            taken.push(result);
        }
        (inner.progress, taken)
    }

    /// Takes back what could not be said, unless something newer is known.
    pub fn untake(&self, results: Vec<NodeResult>) {
        let mut inner = self.inner();
        for result in results {
            inner.unsaid.entry(result.certname.clone()).or_insert(result);
        }
    }

    /// True when the server knows all that we know.
    pub fn said(&self) -> bool {
        self.inner().unsaid.is_empty()
    }

    /// Comes back when there is something new.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_and_news_are_said_once() {
        let nodes: Vec<NodeName> = ["a", "b", "c"].map(|n| n.parse().unwrap()).to_vec();
        let result = |at: usize, status| NodeResult::new(nodes[at].clone(), status);
        let board = Board::new(&nodes, &[result(0, NodeStatus::Changed)]);
        board.put(result(1, NodeStatus::Running));
        let (progress, first) = board.take(1);
        assert_eq!((progress.total, progress.pending, progress.running, progress.changed), (3, 1, 1, 1));
        assert_eq!(first, [result(0, NodeStatus::Changed)]);
        let (_, second) = board.take(9);
        assert!(board.said());
        board.put(result(1, NodeStatus::Failed));
        board.untake(second);
        assert_eq!(board.take(9).1, [result(1, NodeStatus::Failed)], "what is newer stays");
    }
}

//! Ways to run Puppet on nodes.

pub mod bolt;
mod child;
pub mod orchestrator;
pub mod ssh;

use futures_util::future::BoxFuture;

use super::floor::{Fatal, Floor};
use super::job::Job;
use crate::relay::api::{NodeName, Run};

/// Why a back-end does not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// It cannot do its work at all, for any node.
    #[error("{0}")]
    Unable(String),
    /// The bridge cannot go on.
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

/// A way to run Puppet on nodes.
pub trait Backend: Send + Sync {
    /// Why it cannot do this run, for its requester; `None` when it can.
    fn refusal(&self, run: &Run) -> Option<String>;

    /// True for one that finds by itself what an earlier process began: it is given those nodes again, and starts none
    /// twice.
    fn resumes(&self) -> bool {
        false
    }

    /// Runs Puppet on these nodes, or on what the run's scope stands for when it names none, and comes back when all that
    /// it began have ended. Before a node is touched, [`Floor::begin`] is asked; what became of it goes to
    /// [`Floor::end`]; when [`Floor::killed`] comes back, what runs is stopped.
    fn run<'a>(
        &'a self,
        job: &'a Job,
        nodes: Vec<NodeName>,
        floor: &'a Floor,
    ) -> BoxFuture<'a, Result<(), BackendError>>;
}

//! The ground that a back-end works on for one run: what it may start, what it has to say, and when it has to stop.
//!
//! Everything said here is in the journal before it is done or counted, and on the board for the server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::board::Board;
use super::journal::Ledger;
use super::machine::RunState;
use super::record::{Entry, Record};
use super::schedule::Schedule;
use crate::relay::api::{Line, NodeName, NodeResult, NodeStatus};

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Go on.
    No,
    /// Start nothing more; what runs may end.
    Winding(&'static str),
    /// Stop what runs: somebody asked for it.
    Cancelled,
    /// Stop what runs: the deadline passed.
    Deadline,
    /// The bridge ends: leave everything as it is; the journal knows.
    Shutdown,
}

impl Stop {
    /// True when nodes on which Puppet runs are not waited for.
    pub fn kills(self) -> bool {
        self.rank() > 1
    }

    /// How much is to be stopped.
    fn rank(self) -> u8 {
        match self {
            Stop::No => 0,
            Stop::Winding(_) => 1,
            Stop::Cancelled => 2,
            Stop::Deadline => 3,
            Stop::Shutdown => 4,
        }
    }
}

/// What cannot be gone on from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

/// The floor of one run.
pub struct Floor {
    state: Mutex<RunState>,
    ledger: Arc<dyn Ledger>,
    board: Arc<Board>,
    schedule: Schedule,
    stop: watch::Sender<Stop>,
    /// So many nodes at once, at most.
    pub parallelism: usize,
}

impl Floor {
    /// For a run in this state.
    pub fn new(
        state: RunState,
        ledger: Arc<dyn Ledger>,
        board: Arc<Board>,
        schedule: Schedule,
        parallelism: usize,
    ) -> Self {
        Floor { state: Mutex::new(state), ledger, board, schedule, stop: watch::Sender::new(Stop::No), parallelism }
    }

    /// The run's state.
    pub fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The order of nodes.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Asks to stop. A milder wish does not take back a stronger one.
    pub fn halt(&self, stop: Stop) {
        self.stop.send_if_modified(|now| {
            let stronger = stop.rank() > now.rank();
            if stronger {
                *now = stop;
            }
            stronger
        });
    }

    /// Whether to go on.
    pub fn stop(&self) -> Stop {
        *self.stop.borrow()
    }

    /// Comes back when what runs is to be stopped.
    pub async fn killed(&self) -> Stop {
        let mut changes = self.stop.subscribe();
        match changes.wait_for(|stop| stop.kills()).await {
            Ok(stop) => *stop,
            // The sender is ours; it cannot be gone.
            Err(_) => Stop::Shutdown,
        }
    }

    /// Writes down that Puppet is about to be started on these nodes. False when it must not be.
    ///
    /// # Errors
    /// It cannot be written down, so nothing may be started.
    pub async fn begin(&self, nodes: Vec<NodeName>) -> Result<bool, Fatal> {
        if self.stop() != Stop::No {
            return Ok(false);
        }
        let begun = nodes.clone();
        self.write(Entry::Starting { nodes }).await?;
        for node in begun {
            let started_at = Some(Timestamp::now());
            self.board.put(NodeResult { started_at, ..NodeResult::new(node, NodeStatus::Running) });
        }
        Ok(true)
    }

    /// Writes down what became of a node that was begun.
    ///
    /// # Errors
    /// It cannot be written down.
    pub async fn end(&self, mut result: NodeResult) -> Result<(), Fatal> {
        let now = Timestamp::now();
        result.finished_at = result.finished_at.or(Some(now));
        result.started_at = result.started_at.or_else(|| self.board.started_at(&result.certname));
        self.settle(result).await?;
        let failures = self.state().results.values().filter(|r| !r.status.is_good()).count();
        if self.schedule.exhausted(failures) {
            self.halt(Stop::Winding(super::schedule::TOO_MANY));
        }
        Ok(())
    }

    /// Writes down that these nodes are not started at all, and why.
    ///
    /// # Errors
    /// It cannot be written down.
    pub async fn skip(&self, nodes: Vec<NodeName>, status: NodeStatus, why: &str) -> Result<(), Fatal> {
        let message = Some(Line::from(why));
        let entries =
            nodes.into_iter().map(|node| NodeResult { message: message.clone(), ..NodeResult::new(node, status) });
        let results: Vec<NodeResult> = entries.collect();
        let records = results.iter().map(|result| Entry::Node { result: result.clone() }).collect();
        self.write_all(records).await?;
        results.into_iter().for_each(|result| self.board.put(result));
        Ok(())
    }

    async fn settle(&self, result: NodeResult) -> Result<(), Fatal> {
        self.write(Entry::Node { result: result.clone() }).await?;
        self.board.put(result);
        Ok(())
    }

    /// Writes one entry, then takes it over.
    ///
    /// # Errors
    /// It cannot be written, or cannot be.
    pub async fn write(&self, entry: Entry) -> Result<(), Fatal> {
        self.write_all(vec![entry]).await
    }

    async fn write_all(&self, entries: Vec<Entry>) -> Result<(), Fatal> {
        if entries.is_empty() {
            return Ok(());
        }
        let run = self.state().run.id.clone();
        let at = Timestamp::now();
        let records: Vec<Record> = entries.into_iter().map(|entry| Record { run: run.clone(), at, entry }).collect();
        self.ledger.append(records.clone()).await.map_err(Fatal)?;
        let mut state = self.state();
        records.iter().try_for_each(|record| state.apply(record)).map_err(|e| Fatal(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_stops_kill() {
        assert!(!Stop::No.kills() && !Stop::Winding("zzz").kills());
        for stop in [Stop::Cancelled, Stop::Deadline, Stop::Shutdown] {
            assert!(stop.kills());
        }
    }
}

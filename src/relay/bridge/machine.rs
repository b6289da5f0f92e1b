//! One run's life as the journal tells it, and what comes next. Pure: no clock, no I/O.
//!
//! ```text
//! (offered) -> Intent -> Accepted -> Started -> Starting, Node ... -> Completed -> Acknowledged
//!                 |
//!                 +----> Left
//! ```
//!
//! A bridge that lives and one that starts again go by the same function: [`RunState::next`] of what is written.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::record::{Completion, Entry, Leaving, Record};
use crate::relay::api::{AcceptToken, Lease, NodeName, NodeResult, Run, RunId};

/// All that is known of a run.
#[derive(Debug, Clone)]
pub struct RunState {
    /// What was asked for.
    pub run: Run,
    /// Ours for it.
    pub token: AcceptToken,
    /// What the server wants to see with every update.
    pub lease: Option<Lease>,
    /// When it was accepted.
    pub accepted_at: Option<Timestamp>,
    /// Nodes on which Puppet may have been started.
    pub starting: BTreeSet<NodeName>,
    /// What became of nodes.
    pub results: BTreeMap<NodeName, NodeResult>,
    /// True when an earlier process asked to accept, and it is not known what came of it.
    asked_before: bool,
    phase: Phase,
}

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Intended,
    Accepted,
    Started,
    Completed(Completion),
    Closed(Option<Leaving>),
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Ask the server for it.
    Accept {
        /// It may have been asked for before.
        again: bool,
    },
    /// Ask local policy, then begin.
    Begin,
    /// Run Puppet on the nodes that are left; first find out about those that were started by a process that is no more.
    Execute,
    /// Tell the server.
    Report(Completion),
    /// Nothing.
    Rest,
}

/// A line that cannot follow the ones before it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the journal says of run {run} what cannot be: {what}")]
pub struct Impossible {
    run: RunId,
    what: &'static str,
}

impl RunState {
    /// A run that we mean to accept.
    pub fn intended(run: Run, token: AcceptToken) -> Self {
        RunState {
            run,
            token,
            lease: None,
            accepted_at: None,
            starting: BTreeSet::new(),
            results: BTreeMap::new(),
            asked_before: false,
            phase: Phase::Intended,
        }
    }

    /// Takes what was written.
    ///
    /// # Errors
    /// It cannot follow what was written before.
    pub fn apply(&mut self, record: &Record) -> Result<(), Impossible> {
        let impossible = |what| Err(Impossible { run: self.run.id.clone(), what });
        match (&self.phase, &record.entry) {
            (Phase::Intended, Entry::Accepted { lease }) => {
                self.lease.clone_from(lease);
                self.accepted_at = Some(record.at);
                self.phase = Phase::Accepted;
            }
            (Phase::Intended, Entry::Left { reason }) => self.phase = Phase::Closed(Some(*reason)),
            (Phase::Accepted, Entry::Started) => self.phase = Phase::Started,
            (Phase::Started, Entry::Starting { nodes }) => {
                if nodes.iter().any(|node| self.starting.contains(node)) {
                    return impossible("a node is started twice");
                }
                self.starting.extend(nodes.iter().cloned());
            }
            (Phase::Started, Entry::Node { result }) => {
                if self.results.contains_key(&result.certname) {
                    return impossible("a node ends twice");
                }
                self.results.insert(result.certname.clone(), result.clone());
            }
            (Phase::Accepted | Phase::Started, Entry::Completed { completion }) => {
                self.phase = Phase::Completed(completion.clone());
            }
            (Phase::Completed(_), Entry::Acknowledged { .. }) => self.phase = Phase::Closed(None),
            (_, Entry::Intent { .. }) => return impossible("it is meant to be accepted twice"),
            _ => return impossible("an event in the wrong place"),
        }
        Ok(())
    }

    /// What comes next.
    pub fn next(&self) -> Step {
        match &self.phase {
            Phase::Intended => Step::Accept { again: self.asked_before },
            Phase::Accepted => Step::Begin,
            Phase::Started => Step::Execute,
            Phase::Completed(completion) => Step::Report(completion.clone()),
            Phase::Closed(_) => Step::Rest,
        }
    }

    /// Nodes that were started and of which nothing more is known.
    pub fn unknown(&self) -> Vec<NodeName> {
        self.starting.iter().filter(|node| !self.results.contains_key(*node)).cloned().collect()
    }

    /// True when nothing is left to do.
    pub fn closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(_))
    }
}

/// All runs that a journal tells of.
///
/// # Errors
/// Lines that cannot follow each other: the journal was changed by something else.
pub fn replay(records: impl IntoIterator<Item = Record>) -> Result<BTreeMap<RunId, RunState>, Impossible> {
    let mut runs: BTreeMap<RunId, RunState> = BTreeMap::new();
    for record in records {
        match (runs.get_mut(&record.run), record.entry) {
            (None, Entry::Intent { token, offered }) => {
                let mut state = RunState::intended(*offered, token);
                state.asked_before = true;
                runs.insert(record.run, state);
            }
            (None, _) => return Err(Impossible { run: record.run, what: "it goes on before it begins" }),
            (Some(state), entry) => state.apply(&Record { entry, ..record })?,
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::api::{NodeStatus, Outcome};

    fn run() -> Run {
        serde_json::from_str(
            r#"{"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{"status":"pending"},"scope":{"nodes":["a","b"]}}"#,
        )
        .unwrap()
    }

    fn history() -> Vec<Entry> {
        let node = |name: &str| name.parse::<NodeName>().unwrap();
        let ended = |name| Entry::Node { result: NodeResult::new(node(name), NodeStatus::Changed) };
        vec![
            Entry::Intent { token: "t".parse().unwrap(), offered: Box::new(run()) },
            Entry::Accepted { lease: Some("l".parse().unwrap()) },
            Entry::Started,
            Entry::Starting { nodes: vec![node("a")] },
            ended("a"),
            Entry::Starting { nodes: vec![node("b")] },
            ended("b"),
            Entry::Completed { completion: Completion { outcome: Outcome::Finished, message: None } },
            Entry::Acknowledged { remark: None },
        ]
    }

    fn records(entries: Vec<Entry>) -> Vec<Record> {
        let at = Timestamp::from_second(1_600_000_000).unwrap();
        entries.into_iter().map(|entry| Record { run: run().id, at, entry }).collect()
    }

    #[test]
    fn after_every_line_it_is_known_what_comes_next() {
        let all = records(history());
        let next = |count: usize| {
            let runs = replay(all[..count].to_vec()).unwrap();
            runs.into_values().next().map(|state| (state.next(), state.unknown().len()))
        };
        assert_eq!(next(0), None);
        assert_eq!(next(1), Some((Step::Accept { again: true }, 0)));
        assert_eq!(next(2), Some((Step::Begin, 0)));
        assert_eq!(next(3), Some((Step::Execute, 0)));
        assert_eq!(next(4), Some((Step::Execute, 1)), "a may run: it is not started again");
        assert_eq!(next(5), Some((Step::Execute, 0)));
        assert_eq!(next(6), Some((Step::Execute, 1)));
        let completion = Completion { outcome: Outcome::Finished, message: None };
        assert_eq!(next(8), Some((Step::Report(completion), 0)));
        assert_eq!(next(9), Some((Step::Rest, 0)));
    }

    #[test]
    fn a_journal_that_cannot_be_is_refused() {
        let mut twice = records(history());
        twice.insert(4, twice[3].clone());
        assert!(replay(twice).is_err());
        let mut headless = records(history());
        headless.remove(0);
        assert!(replay(headless).is_err());
        let mut again = records(history());
        again.push(again[0].clone());
        assert!(replay(again).is_err());
    }
}

//! Which runs a bridge may take: one run a node at a time, and who asks for many does not keep the others waiting.

use std::collections::{HashMap, HashSet};

use super::{Book, Entry};
use crate::relay::api::{ConnectionName, NodeName, Status};

/// The most runs that are offered at once.
const OFFERED: usize = 100;
/// The most nodes in a list of runs; the first run is there, however many it has. Clients do not read without end.
const LISTED_NODES: usize = 20_000;

impl Book {
    /// The runs of a connection that may be taken, in their order.
    ///
    /// Requesters take turns. A run whose nodes are not free holds its place: what comes later and wants one of them
    /// waits, too. So all that are offered can be taken together, and nothing is overtaken for ever.
    pub fn offers(&self, connection: &ConnectionName) -> Vec<&Entry> {
        let mut turns = HashMap::new();
        let free = self.runs.iter().filter(|(_, entry)| entry.connection == *connection && entry.is_free());
        let mut waiting: Vec<(usize, u64, &Entry)> = free
            .map(|(place, entry)| {
                let turn = turns.entry(&entry.requester).or_insert(0_usize);
                *turn += 1;
                (*turn, *place, entry)
            })
            .collect();
        waiting.sort_unstable_by_key(|(turn, place, _)| (*turn, *place));
        let mut wanted: HashSet<&NodeName> = HashSet::new();
        let mut offers = Vec::new();
        for (_, _, entry) in waiting {
            let nodes = entry.named();
            let clear = self.busy_node(entry).is_none() && !nodes.iter().any(|node| wanted.contains(node));
            wanted.extend(nodes);
            if clear {
                offers.push(entry);
                if offers.len() == OFFERED {
                    break;
                }
            }
        }
        offers
    }

    /// What a bridge is shown: what it may take, then what is in progress.
    pub fn outstanding(&self, connection: &ConnectionName) -> Vec<&Entry> {
        let mut shown = self.offers(connection);
        let mine = |entry: &&Entry| entry.connection == *connection && entry.state().status == Status::InProgress;
        shown.extend(self.runs.values().filter(mine).take(OFFERED));
        shown
    }

    /// Runs of a connection that have not ended, oldest first; also those that somebody has to approve.
    pub fn open(&self, connection: &ConnectionName, offset: usize, limit: usize) -> Vec<&Entry> {
        let mine = |entry: &&Entry| entry.connection == *connection && entry.state().status != Status::Complete;
        self.runs.values().filter(mine).skip(offset).take(limit).collect()
    }

    /// Number of the facts that changed any run of a connection last.
    pub fn changed(&self, connection: &ConnectionName) -> u64 {
        let mine = self.runs.values().filter(|entry| entry.connection == *connection);
        mine.map(|entry| entry.changed).max().unwrap_or(0)
    }

    /// All runs of a connection, newest first.
    pub fn all(&self, connection: &ConnectionName, offset: usize, limit: usize) -> Vec<&Entry> {
        let mine = |entry: &&Entry| entry.connection == *connection;
        self.runs.values().rev().filter(mine).skip(offset).take(limit).collect()
    }

    /// A node of the run on which another one is under way.
    pub(super) fn busy_node(&self, entry: &Entry) -> Option<&NodeName> {
        let name = |node: &NodeName| self.busy.get_key_value(&(entry.connection.clone(), node.clone()));
        entry.named().iter().find_map(name).map(|((_, node), _)| node)
    }
}

/// The first of them, as many as an answer may have nodes.
pub fn fitting(mut runs: Vec<&Entry>) -> Vec<&Entry> {
    let mut nodes = 0;
    let mut fits = |entry: &&Entry| {
        nodes += entry.named().len();
        nodes <= LISTED_NODES
    };
    let count = runs.iter().take_while(|entry| fits(entry)).count();
    runs.truncate(count.max(1));
    runs
}

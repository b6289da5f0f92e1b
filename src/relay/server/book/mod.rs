//! The state of a server as a pure core: what somebody wants and the state so far come in, facts come out; facts make the
//! next state.
//!
//! No clock, no chance, no I/O: times, identifiers and leases are given. [`Book::apply`] is the only thing that changes
//! it, and does the same with the same facts, so that a store keeps facts and nothing else.

mod compare;
mod gate;
#[cfg(test)]
mod gate_tests;
mod intake;
mod links;
mod queue;
mod retention;
mod runs;
#[cfg(test)]
mod tests;
mod tokens;
mod told;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use crate::relay::api::life::{Life, Patience};
use crate::relay::api::{
    ConnectionName, IdempotencyKey, NewRun, NodeName, NodeResult, ReportEvent, Run, RunId, Scope, State, TokenHash,
    TokenId, TokenInfo, TokenName,
};

pub use gate::{Choice, Decider, Gate};
pub use links::Link;
pub use queue::fitting;
pub use retention::Retention;
pub use tokens::ROTATION_GRACE;

/// What came out of a decision: the facts, and what is to be told about them.
pub type Decision<T> = Result<(Vec<Fact>, T), Refusal>;

/// How much the server takes on, and how long it waits.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Runs of a connection that may wait at once.
    pub waiting_per_connection: usize,
    /// How long bridges are waited for.
    pub patience: Patience,
    /// How long what ended is kept.
    pub retention: Retention,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { waiting_per_connection: 1_000, patience: Patience::default(), retention: Retention::default() }
    }
}

/// Who asks: the holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token.
    pub token: TokenId,
    /// Its connection. Nobody sees what belongs to another one.
    pub connection: ConnectionName,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// A token was made.
    TokenMade {
        /// What is known about it.
        info: TokenInfo,
        /// By which it is found.
        hash: TokenHash,
    },
    /// A token ends then.
    TokenEnds {
        /// Which.
        id: TokenId,
        /// When.
        at: Timestamp,
        /// By hand, and not because it was replaced.
        revoked: bool,
    },
    /// Somebody asked for a run.
    RunAsked(Box<Entry>),
    /// A run is further, or some of its nodes are.
    RunMoved {
        /// Which.
        id: RunId,
        /// How far.
        life: Box<Life>,
        /// Nodes of which something new is known.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nodes: Vec<NodeResult>,
    },
    /// What has to be decided about a run has changed, and with it perhaps the run.
    RunGated {
        /// Which.
        id: RunId,
        /// What is to be decided, or was.
        gate: Box<Gate>,
        /// How far the run is.
        life: Box<Life>,
    },
    /// A link was made that signs somebody in.
    LinkMade {
        /// By which it is found.
        hash: TokenHash,
        /// Whom, and where to.
        link: Link,
    },
    /// Links were used, or their time is over.
    LinksEnded {
        /// Which.
        hashes: Vec<TokenHash>,
    },
    /// A rule has told of events.
    Told {
        /// Which.
        rule: TokenName,
        /// The last event.
        up_to: u64,
    },
    /// Runs that ended long ago are not kept any more.
    RunsForgotten {
        /// Which.
        ids: Vec<RunId>,
    },
    /// A trigger was sent an event.
    EventTaken {
        /// Whose.
        connection: ConnectionName,
        /// The event.
        event: Box<ReportEvent>,
    },
    /// Events up to this number are not kept any more.
    EventsForgotten {
        /// The last one.
        up_to: u64,
    },
}

/// A run, and what only the server knows about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its identifier.
    pub id: RunId,
    /// Whose.
    pub connection: ConnectionName,
    /// Who asked for it.
    pub requester: TokenId,
    /// What the request is known again by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IdempotencyKey>,
    /// What was asked for.
    pub request: NewRun,
    /// How far it is.
    pub life: Life,
    /// What has to be decided before a bridge may take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The run that waits for what this noop run finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_of: Option<RunId>,
    /// Nodes that were heard of, with the number of the facts that said so.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<NodeName, (u64, NodeResult)>,
    /// Number of the facts that changed it last.
    #[serde(default)]
    pub changed: u64,
}

impl Entry {
    /// As the API shows it.
    pub fn view(&self) -> Run {
        let run = Run::new(self.id.clone(), self.request.clone(), self.life.since);
        let gate = self.gate.as_ref();
        let frozen = gate.and_then(|gate| gate.frozen.clone()).map(Scope::Nodes);
        Run {
            state: self.life.state.clone(),
            scope: frozen.unwrap_or(run.scope),
            approval: gate.map(|gate| gate.approval.clone()),
            preview_of: self.preview_of.clone(),
            ..run
        }
    }

    /// Its state.
    pub fn state(&self) -> &State {
        &self.life.state
    }
}

/// A token, and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    info: TokenInfo,
    hash: TokenHash,
}

/// The state. What can be found out from the rest is not kept in a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Snapshot", into = "Snapshot")]
pub struct Book {
    /// Number of the facts that made it; they are counted in batches.
    number: u64,
    tokens: BTreeMap<TokenId, Kept>,
    by_hash: HashMap<TokenHash, TokenId>,
    /// By order of arrival.
    runs: BTreeMap<u64, Entry>,
    places: HashMap<RunId, u64>,
    run_keys: HashMap<(ConnectionName, IdempotencyKey), RunId>,
    next_place: u64,
    /// Nodes on which something is under way.
    busy: HashMap<(ConnectionName, NodeName), RunId>,
    events: BTreeMap<u64, (ConnectionName, ReportEvent)>,
    /// How long each event is, and all of them.
    event_sizes: BTreeMap<u64, usize>,
    event_bytes: usize,
    event_keys: HashMap<(ConnectionName, IdempotencyKey), u64>,
    next_event: u64,
    links: BTreeMap<TokenHash, Link>,
    /// How far each rule is.
    told: BTreeMap<TokenName, u64>,
}

/// What is written of it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Snapshot {
    number: u64,
    tokens: Vec<Kept>,
    runs: Vec<Entry>,
    events: Vec<(ConnectionName, ReportEvent)>,
    next_event: u64,
    #[serde(default)]
    links: Vec<(TokenHash, Link)>,
    #[serde(default)]
    told: BTreeMap<TokenName, u64>,
}

impl From<Book> for Snapshot {
    fn from(book: Book) -> Self {
        Snapshot {
            number: book.number,
            tokens: book.tokens.into_values().collect(),
            runs: book.runs.into_values().collect(),
            events: book.events.into_values().collect(),
            next_event: book.next_event,
            links: book.links.into_iter().collect(),
            told: book.told,
        }
    }
}

impl From<Snapshot> for Book {
    fn from(snapshot: Snapshot) -> Self {
        let mut book = Book { number: snapshot.number, ..Book::default() };
        snapshot.tokens.into_iter().for_each(|kept| book.keep_token(kept));
        snapshot.runs.into_iter().for_each(|entry| book.keep_run(entry));
        snapshot.events.into_iter().for_each(|(connection, event)| book.keep_event(connection, event));
        book.next_event = book.next_event.max(snapshot.next_event);
        book.links = snapshot.links.into_iter().collect();
        book.told = snapshot.told;
        book
    }
}

impl Book {
    /// Number of the facts that made it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Takes a batch of facts, which has this number.
    pub fn apply(&mut self, number: u64, facts: Vec<Fact>) {
        self.number = number;
        for fact in facts {
            match fact {
                Fact::TokenMade { info, hash } => self.keep_token(Kept { info, hash }),
                Fact::TokenEnds { id, at, revoked } => {
                    if let Some(kept) = self.tokens.get_mut(&id) {
                        let end = if revoked { &mut kept.info.revoked_at } else { &mut kept.info.expires_at };
                        *end = Some(at);
                    }
                }
                Fact::RunAsked(entry) => self.keep_run(Entry { changed: number, ..*entry }),
                Fact::RunMoved { id, life, nodes } => self.change_run(&id, |entry| {
                    entry.life = *life;
                    entry.nodes.extend(nodes.into_iter().map(|node| (node.certname.clone(), (number, node))));
                }),
                Fact::RunGated { id, gate, life } => self.change_run(&id, |entry| {
                    entry.gate = Some(*gate);
                    entry.life = *life;
                }),
                Fact::LinkMade { hash, link } => drop(self.links.insert(hash, link)),
                Fact::LinksEnded { hashes } => hashes.iter().for_each(|hash| drop(self.links.remove(hash))),
                Fact::Told { rule, up_to } => drop(self.told.insert(rule, up_to)),
                Fact::RunsForgotten { ids } => ids.iter().for_each(|id| self.forget_run(id)),
                Fact::EventTaken { connection, event } => self.keep_event(connection, *event),
                Fact::EventsForgotten { up_to } => self.forget_events(up_to),
            }
        }
    }

    /// The run with this identifier, when it belongs to this connection.
    pub fn run(&self, connection: &ConnectionName, id: &RunId) -> Result<&Entry, Refusal> {
        let entry = self.places.get(id).and_then(|place| self.runs.get(place));
        entry.filter(|entry| entry.connection == *connection).ok_or_else(|| {
            Refusal::new(404, "no_such_run", "there is no such run; those that ended long ago are not kept")
        })
    }

    fn keep_token(&mut self, kept: Kept) {
        self.by_hash.insert(kept.hash.clone(), kept.info.id.clone());
        self.tokens.insert(kept.info.id.clone(), kept);
    }

    fn keep_run(&mut self, entry: Entry) {
        let place = self.next_place;
        self.next_place += 1;
        self.places.insert(entry.id.clone(), place);
        if let Some(key) = &entry.key {
            self.run_keys.insert((entry.connection.clone(), key.clone()), entry.id.clone());
        }
        self.mark_busy(&entry);
        self.runs.insert(place, entry);
    }

    fn change_run(&mut self, id: &RunId, change: impl FnOnce(&mut Entry)) {
        let Some(mut entry) = self.places.get(id).and_then(|place| self.runs.remove(place)) else { return };
        self.clear_busy(&entry);
        change(&mut entry);
        entry.changed = self.number;
        self.mark_busy(&entry);
        self.runs.insert(self.places[id], entry);
    }

    fn forget_run(&mut self, id: &RunId) {
        let Some(entry) = self.places.remove(id).and_then(|place| self.runs.remove(&place)) else { return };
        self.clear_busy(&entry);
        if let Some(key) = entry.key {
            self.run_keys.remove(&(entry.connection, key));
        }
    }

    fn mark_busy(&mut self, entry: &Entry) {
        if entry.life.is_under_way() {
            for node in entry.named() {
                self.busy.insert((entry.connection.clone(), node.clone()), entry.id.clone());
            }
        }
    }

    fn clear_busy(&mut self, entry: &Entry) {
        if entry.life.is_under_way() {
            for node in entry.named() {
                self.busy.remove(&(entry.connection.clone(), node.clone()));
            }
        }
    }
}

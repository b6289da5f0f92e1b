//! Asking for runs, taking them, saying how they go, cancelling them.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::gate::{Gate, preview};
use super::{Book, Caller, Decision, Entry, Fact, Refusal, Rules};
use crate::relay::api::life::Life;
use crate::relay::api::{
    AcceptToken, Accepted, ConnectionName, IdempotencyKey, Lease, MAX_NODES, NewRun, NodePage, NodeResult, NodeStatus,
    Run, RunId, State, StateUpdate,
};

impl Book {
    /// Somebody asks for a run. The same key with the same request gives the run that it gave before. The second
    /// identifier is for its preview, when it is to have one.
    pub fn ask(
        &self,
        rules: &Rules,
        caller: &Caller,
        request: NewRun,
        key: Option<IdempotencyKey>,
        (id, preview_id): (RunId, RunId),
        now: Timestamp,
    ) -> Decision<Run> {
        let terms = request.approval.clone();
        if request.noop && terms.as_ref().is_some_and(|terms| terms.preview) {
            return Err(Refusal::new(422, "not_valid", "a noop run is a preview itself"));
        }
        if request.noop && request.no_noop {
            return Err(Refusal::new(422, "not_valid", "`noop` and `no_noop` exclude each other"));
        }
        if let Some(key) = &key
            && let Some(known) = self.run_keys.get(&(caller.connection.clone(), key.clone()))
        {
            let entry = self.run(&caller.connection, known)?;
            if entry.request == request {
                return Ok((Vec::new(), entry.view()));
            }
            return Err(Refusal::new(422, "idempotency_key_reused", "this key was used for another request"));
        }
        let mine = |entry: &&Entry| entry.connection == caller.connection && entry.life.is_free();
        if self.runs.values().filter(mine).count() >= rules.waiting_per_connection {
            let message = format!("{} runs of this connection wait already", rules.waiting_per_connection);
            return Err(Refusal::new(429, "too_many_runs", message).retry_after(30));
        }
        let mut entry = Entry {
            id,
            connection: caller.connection.clone(),
            requester: caller.token.clone(),
            key,
            request,
            life: Life::new(now),
            gate: None,
            preview_of: None,
            nodes: BTreeMap::new(),
            changed: 0,
        };
        let before = terms.as_ref().filter(|terms| terms.preview).map(|_| Entry {
            id: preview_id,
            key: None,
            request: preview(&entry.request),
            preview_of: Some(entry.id.clone()),
            ..entry.clone()
        });
        entry.gate = terms.map(|terms| Gate::new(&terms, before.as_ref().map(|entry| entry.id.clone()), now));
        let view = entry.view();
        let facts = before.into_iter().chain([entry]).map(|entry| Fact::RunAsked(Box::new(entry)));
        Ok((facts.collect(), view))
    }

    /// A bridge takes a run.
    pub fn accept(
        &self,
        caller: &Caller,
        id: &RunId,
        token: Option<&AcceptToken>,
        fresh: &Lease,
        now: Timestamp,
    ) -> Decision<Accepted> {
        let entry = self.run(&caller.connection, id)?;
        let life = entry.life.accept(token, fresh, now)?;
        if entry.life.is_free() && !entry.is_free() {
            return Err(Refusal::new(409, "not_approved", "nobody has approved this run yet"));
        }
        if entry.life.is_free()
            && let Some(node) = self.busy_node(entry)
        {
            return Err(Refusal::new(409, "node_busy", format!("another run is under way on {node}")));
        }
        let accepted = Accepted {
            lease: life.lease().cloned(),
            accepted_at: life.acceptance.as_ref().map_or(now, |acceptance| acceptance.at),
            server_time: now,
        };
        Ok((moved(entry, life, Vec::new()), accepted))
    }

    /// A bridge says how far a run is.
    pub fn update(&self, caller: &Caller, id: &RunId, update: &StateUpdate, now: Timestamp) -> Decision<State> {
        let entry = self.run(&caller.connection, id)?;
        let life = entry.life.update(update, now)?;
        if life == entry.life {
            return Ok((Vec::new(), life.state));
        }
        check_nodes(entry, &update.nodes)?;
        let state = life.state.clone();
        let news = |node: &&NodeResult| entry.nodes.get(&node.certname).is_none_or(|(_, known)| known != *node);
        let nodes: Vec<NodeResult> = update.nodes.iter().filter(news).cloned().collect();
        let drifted = self.drifted(entry, &life, &nodes);
        let mut facts = moved(entry, life, nodes);
        facts.extend(drifted);
        Ok((facts, state))
    }

    /// Somebody wants a run to stop.
    pub fn cancel(&self, connection: &ConnectionName, id: &RunId, now: Timestamp) -> Decision<Run> {
        let entry = self.run(connection, id)?;
        let life = entry.life.cancel(now)?;
        let view = Run { state: life.state.clone(), ..entry.view() };
        let mut facts = moved(entry, life, Vec::new());
        // A run that waits for what another one finds takes that one with it.
        let preview = entry.gate.as_ref().and_then(|gate| gate.approval.preview.as_ref());
        if let Some(preview) = preview.and_then(|id| self.run(connection, id).ok())
            && let Ok(life) = preview.life.cancel(now)
        {
            facts.extend(moved(preview, life, Vec::new()));
        }
        Ok((facts, view))
    }

    /// Ends what bridges let lie.
    pub fn overdue(&self, rules: &Rules, now: Timestamp) -> Vec<Fact> {
        let late = |entry: &Entry| {
            // How long there is to decide is another matter.
            if entry.life.is_free() && !entry.is_free() {
                return None;
            }
            let outcome = entry.life.overdue(&rules.patience, now)?;
            Some(moved(entry, entry.life.end(outcome, now), Vec::new()))
        };
        self.runs.values().filter_map(late).flatten().collect()
    }

    /// Nodes of a run by name: those that were heard of, and those that the scope names.
    pub fn nodes(
        &self,
        connection: &ConnectionName,
        id: &RunId,
        offset: usize,
        limit: usize,
    ) -> Result<NodePage, Refusal> {
        let entry = self.run(connection, id)?;
        let named = entry.named();
        let mut all: BTreeMap<_, Option<&NodeResult>> = named.iter().map(|name| (name, None)).collect();
        all.extend(entry.nodes.iter().map(|(name, (_, result))| (name, Some(result))));
        let total = all.len();
        let shown = all.into_iter().skip(offset).take(limit);
        let nodes = shown.map(|(name, result)| match result {
            Some(result) => result.clone(),
            None => NodeResult::new(name.clone(), NodeStatus::Pending),
        });
        Ok(NodePage { nodes: nodes.collect(), total })
    }
}

/// The fact that a run is further; none when it is not.
fn moved(entry: &Entry, life: Life, nodes: Vec<NodeResult>) -> Vec<Fact> {
    if life == entry.life && nodes.is_empty() {
        return Vec::new();
    }
    vec![Fact::RunMoved { id: entry.id.clone(), life: Box::new(life), nodes }]
}

/// A bridge speaks of the nodes that the run is about, and of not too many.
fn check_nodes(entry: &Entry, nodes: &[NodeResult]) -> Result<(), Refusal> {
    if nodes.is_empty() {
        return Ok(());
    }
    let named: HashSet<_> = entry.named().iter().collect();
    if named.is_empty() {
        let new = nodes.iter().filter(|node| !entry.nodes.contains_key(&node.certname)).count();
        if entry.nodes.len() + new > MAX_NODES {
            return Err(Refusal::new(422, "too_many_nodes", format!("a run has at most {MAX_NODES} nodes")));
        }
        return Ok(());
    }
    match nodes.iter().find(|node| !named.contains(&node.certname)) {
        Some(other) => {
            let message = format!("{} is not among the nodes of this run", other.certname);
            Err(Refusal::new(422, "other_node", message))
        }
        None => Ok(()),
    }
}

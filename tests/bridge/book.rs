//! What a Relay API server keeps, in memory: ours by its rules, or one that keeps to the original API.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;
use pupperware::relay::api::life::{Life, Refused};
use pupperware::relay::api::{
    AcceptToken, Lease, NewRun, NodeName, NodeResult, Nodes, Outcome, Run, RunId, Scope, State, StateUpdate, Status,
};

/// The server.
pub struct Book {
    /// Knows nothing but the original API.
    pub strict: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
pub struct Kept {
    pub runs: BTreeMap<RunId, (Run, Life)>,
    pub nodes: BTreeMap<RunId, BTreeMap<NodeName, NodeResult>>,
    /// Everything that was said about a run and taken.
    pub said: Vec<(RunId, StateUpdate)>,
    /// How often a run was newly accepted.
    pub accepted: BTreeMap<RunId, usize>,
}

/// A conflict: the message, and our word for it.
pub type Conflict = (u16, String, Option<&'static str>);

impl Book {
    pub fn new(strict: bool) -> Self {
        Book { strict, kept: Mutex::default() }
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    /// Asks for a run on these nodes.
    pub fn ask(&self, nodes: &[&str], change: impl FnOnce(&mut NewRun)) -> RunId {
        let names: Vec<NodeName> = nodes.iter().map(|n| n.parse().unwrap()).collect();
        let mut request = NewRun::on(Scope::Nodes(Nodes::try_from(names).unwrap()));
        change(&mut request);
        self.create(request)
    }

    pub fn create(&self, request: NewRun) -> RunId {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).unwrap();
        let id = RunId::from_random(bytes);
        let now = Timestamp::now();
        self.kept().runs.insert(id.clone(), (Run::new(id.clone(), request, now), Life::new(now)));
        id
    }

    pub fn list(&self) -> Vec<Run> {
        let kept = self.kept();
        let open = kept.runs.values().filter(|(_, life)| life.state.status != Status::Complete);
        open.map(|(run, life)| self.shown(run, life)).collect()
    }

    fn shown(&self, run: &Run, life: &Life) -> Run {
        let mut state = life.state.clone();
        if self.strict {
            state = State { accepted_at: None, progress: None, cancel_requested: false, ..state };
        }
        Run { state, ..run.clone() }
    }

    pub fn run(&self, id: &RunId) -> Option<Run> {
        let kept = self.kept();
        kept.runs.get(id).map(|(run, life)| self.shown(run, life))
    }

    pub fn accept(&self, id: &RunId, token: Option<&AcceptToken>) -> Result<Option<Lease>, Conflict> {
        let mut kept = self.kept();
        let Some((_, life)) = kept.runs.get_mut(id) else { return Err((404, "no such run".into(), None)) };
        let token = token.filter(|_| !self.strict);
        let fresh = life.acceptance.is_none();
        let lease: Lease = format!("lease-{id}").parse().unwrap();
        *life = life.accept(token, &lease, Timestamp::now()).map_err(|e| self.refused(e))?;
        let lease = life.lease().cloned();
        if fresh {
            *kept.accepted.entry(id.clone()).or_default() += 1;
        }
        Ok(lease)
    }

    pub fn update(&self, id: &RunId, update: &StateUpdate) -> Result<State, Conflict> {
        let mut kept = self.kept();
        let Some((_, life)) = kept.runs.get_mut(id) else { return Err((404, "no such run".into(), None)) };
        *life = life.update(update, Timestamp::now()).map_err(|e| self.refused(e))?;
        let state = life.state.clone();
        kept.said.push((id.clone(), update.clone()));
        let nodes = kept.nodes.entry(id.clone()).or_default();
        nodes.extend(update.nodes.iter().map(|n| (n.certname.clone(), n.clone())));
        Ok(state)
    }

    pub fn cancel(&self, id: &RunId) -> Result<(), Conflict> {
        let mut kept = self.kept();
        let Some((_, life)) = kept.runs.get_mut(id) else { return Err((404, "no such run".into(), None)) };
        *life = life.cancel(Timestamp::now()).map_err(|e| self.refused(e))?;
        Ok(())
    }

    fn refused(&self, refused: Refused) -> Conflict {
        (refused.http_status(), refused.to_string(), (!self.strict).then(|| refused.code()))
    }

    /// How a run ended, when it has.
    pub fn outcome(&self, id: &RunId) -> Option<Outcome> {
        self.kept().runs.get(id).and_then(|(_, life)| life.state.outcome.clone())
    }

    /// What is known of a node.
    pub fn node(&self, id: &RunId, node: &str) -> Option<NodeResult> {
        self.kept().nodes.get(id)?.get(&node.parse::<NodeName>().unwrap()).cloned()
    }
}

//! Approval: what has to be decided before a bridge may take a run, by whom, and what its preview means for it.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::compare::compare;
use super::{Book, Caller, Decision, Entry, Fact, Refusal};
use crate::relay::api::life::Life;
use crate::relay::api::{
    Approval, ApprovalStatus, ApprovalTerms, Comparison, ConnectionName, Line, NewRun, NodeName, NodeResult,
    NodeStatus, Nodes, Outcome, Run, RunId, Status, TokenId, Verdict,
};

/// How long there is to decide when nothing is said.
const WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// What has to be decided, and on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// As the API shows it.
    pub approval: Approval,
    /// The nodes on which the preview did not fail: the run's nodes from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Nodes>,
}

impl Gate {
    /// Of a run that was just asked for.
    pub(super) fn new(terms: &ApprovalTerms, preview: Option<RunId>, now: Timestamp) -> Self {
        let waiting = preview.is_none();
        let approval = Approval {
            status: if waiting { ApprovalStatus::Waiting } else { ApprovalStatus::Previewing },
            not_by_requester: terms.not_by_requester,
            preview,
            expires_at: waiting.then(|| end(terms, now)),
            decided_at: None,
            decided_by: None,
            reason: None,
            left_out: 0,
            drifted: None,
        };
        Gate { approval, frozen: None }
    }

    fn with(&self, status: ApprovalStatus) -> Self {
        Gate { approval: Approval { status, ..self.approval.clone() }, frozen: self.frozen.clone() }
    }
}

fn end(terms: &ApprovalTerms, now: Timestamp) -> Timestamp {
    let within = terms.within_seconds.map_or(WITHIN, |n| SignedDuration::from_secs(n.get().into()));
    now.saturating_add(within).unwrap_or(Timestamp::MAX)
}

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// The connection whose runs they see.
    pub connection: ConnectionName,
    /// The token that they hold; whoever came by a link has none.
    pub token: Option<TokenId>,
    /// What they are called.
    pub name: Line,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Bridges may take the run.
    Approve,
    /// Nobody may.
    Deny,
}

impl Entry {
    /// True when a bridge may take it.
    pub fn is_free(&self) -> bool {
        let open = self.gate.as_ref().is_none_or(|gate| gate.approval.status == ApprovalStatus::Approved);
        self.life.is_free() && open
    }

    /// The nodes, when they are known by name.
    pub fn named(&self) -> &[NodeName] {
        let frozen = self.gate.as_ref().and_then(|gate| gate.frozen.as_ref());
        frozen.map(Nodes::as_slice).or_else(|| self.request.scope.nodes()).unwrap_or_default()
    }

    fn gated(&self, gate: Gate, life: Life) -> Fact {
        Fact::RunGated { id: self.id.clone(), gate: Box::new(gate), life: Box::new(life) }
    }
}

/// The noop run that comes before.
pub(super) fn preview(request: &NewRun) -> NewRun {
    NewRun { noop: true, no_noop: false, approval: None, ..request.clone() }
}

impl Book {
    /// Somebody approves a run or denies it. The same choice by the same person can be said again.
    pub fn decide(
        &self,
        decider: &Decider,
        id: &RunId,
        choice: Choice,
        reason: Option<Line>,
        now: Timestamp,
    ) -> Decision<Run> {
        let entry = self.run(&decider.connection, id)?;
        let Some(gate) = &entry.gate else {
            return Err(Refusal::new(409, "no_approval", "this run needs nobody's approval"));
        };
        let status = match choice {
            Choice::Approve => ApprovalStatus::Approved,
            Choice::Deny => ApprovalStatus::Denied,
        };
        let approval = &gate.approval;
        if approval.status == status && approval.decided_by.as_ref() == Some(&decider.name) {
            return Ok((Vec::new(), entry.view()));
        }
        if approval.status != ApprovalStatus::Waiting {
            let message = format!("there is nothing to decide: the run's approval is {}", approval.status.as_str());
            return Err(Refusal::new(409, "not_waiting", message));
        }
        if approval.expires_at.is_some_and(|end| now >= end) {
            return Err(Refusal::new(409, "approval_expired", "the time to decide is over"));
        }
        if choice == Choice::Approve && approval.not_by_requester && self.is_requester(decider, entry) {
            let message = "who asked for this run may not approve it";
            return Err(Refusal::new(403, "requester_may_not_approve", message));
        }
        let mut gate = gate.with(status);
        gate.approval.decided_at = Some(now);
        gate.approval.decided_by = Some(decider.name.clone());
        gate.approval.reason = reason;
        let life = match choice {
            Choice::Approve => entry.life.offer(now),
            Choice::Deny => entry.life.end_because(Outcome::Denied, &format!("denied by {}", decider.name), now),
        };
        let after = Entry { gate: Some(gate.clone()), life: life.clone(), ..entry.clone() };
        Ok((vec![entry.gated(gate, life)], after.view()))
    }

    /// The holder of a token as one who decides.
    pub fn decider(&self, caller: &Caller) -> Decider {
        Decider {
            connection: caller.connection.clone(),
            token: Some(caller.token.clone()),
            name: self.token_name(&caller.token).map(|name| Line::from(name.as_str())).unwrap_or_default(),
        }
    }

    /// A token that replaced the one by which the run was asked for is the same requester.
    fn is_requester(&self, decider: &Decider, entry: &Entry) -> bool {
        let name = |id: &TokenId| self.tokens.get(id).map(|kept| (&kept.info.connection, &kept.info.name));
        let Some(token) = &decider.token else { return false };
        *token == entry.requester || (name(token).is_some() && name(token) == name(&entry.requester))
    }

    /// What time and ended previews mean for runs that wait for approval.
    pub fn gates(&self, now: Timestamp) -> Vec<Fact> {
        self.runs.values().filter_map(|entry| self.gate_moved(entry, now)).collect()
    }

    fn gate_moved(&self, entry: &Entry, now: Timestamp) -> Option<Fact> {
        let gate = entry.gate.as_ref()?;
        let ended = entry.state().status == Status::Complete;
        match gate.approval.status {
            ApprovalStatus::Previewing | ApprovalStatus::Waiting if ended => {
                Some(entry.gated(gate.with(ApprovalStatus::Void), entry.life.clone()))
            }
            ApprovalStatus::Previewing => self.previewed(entry, gate, now),
            ApprovalStatus::Waiting => gate.approval.expires_at.is_some_and(|end| now >= end).then(|| {
                let life = entry.life.end_because(Outcome::Expired, "nobody approved it in time", now);
                entry.gated(gate.with(ApprovalStatus::Expired), life)
            }),
            _ => None,
        }
    }

    /// What an ended preview means for its run; nothing while it has not ended.
    fn previewed(&self, entry: &Entry, gate: &Gate, now: Timestamp) -> Option<Fact> {
        let void = |outcome: Outcome, why: String| {
            Some(entry.gated(gate.with(ApprovalStatus::Void), entry.life.end_because(outcome, &why, now)))
        };
        let preview =
            gate.approval.preview.as_ref().and_then(|id| self.places.get(id)).and_then(|at| self.runs.get(at));
        let Some(preview) = preview else { return void(Outcome::Error, "its noop run is not kept any more".into()) };
        let outcome = preview.state().outcome.as_ref()?;
        match outcome {
            Outcome::Cancelled => return void(Outcome::Cancelled, "its noop run was cancelled".into()),
            Outcome::Expired | Outcome::Lost | Outcome::Error => {
                return void(Outcome::Error, format!("its noop run ended as {outcome}"));
            }
            _ => {}
        }
        let good: Vec<&NodeResult> =
            preview.nodes.values().map(|(_, node)| node).filter(|node| node.status.is_good()).collect();
        let frozen = Nodes::try_from(good.iter().map(|node| node.certname.clone()).collect::<Vec<_>>());
        let Ok(frozen) = frozen else { return void(Outcome::Error, "its noop run did not succeed on any node".into()) };
        let all = preview.named().len().max(preview.nodes.len());
        let left_out = u32::try_from(all.saturating_sub(good.len())).unwrap_or(u32::MAX);
        // Only a report tells that nothing would change; an exit code of 0 does not.
        let nothing = |node: &&NodeResult| node.status == NodeStatus::Unchanged && node.report_hash.is_some();
        let mut gate = gate.with(ApprovalStatus::Waiting);
        gate.approval.left_out = left_out;
        if left_out == 0 && good.iter().all(nothing) {
            gate.approval.status = ApprovalStatus::NotNeeded;
            let life = entry.life.end_because(Outcome::Finished, "nothing would change on any node", now);
            return Some(entry.gated(gate, life));
        }
        gate.frozen = Some(frozen);
        let terms = entry.request.approval.clone().unwrap_or_default();
        gate.approval.expires_at = Some(end(&terms, now));
        Some(entry.gated(gate, entry.life.clone()))
    }

    /// When a run ends that was approved by its preview: the gate that says on how many nodes something else happened.
    pub(super) fn drifted(&self, entry: &Entry, life: &Life, news: &[NodeResult]) -> Option<Fact> {
        let gate = entry.gate.as_ref()?;
        if life.state.status != Status::Complete || gate.approval.drifted.is_some() {
            return None;
        }
        let preview = self.runs.get(self.places.get(gate.approval.preview.as_ref()?)?)?;
        let mut real: BTreeMap<&NodeName, &NodeResult> = entry.nodes.iter().map(|(name, (_, n))| (name, n)).collect();
        real.extend(news.iter().map(|node| (&node.certname, node)));
        let drift = |name: &&NodeName| {
            let noop = preview.nodes.get(name).map(|(_, node)| node);
            compare(name, noop, real.get(name).copied()).verdict == Verdict::Drift
        };
        let count = entry.named().iter().filter(drift).count();
        let mut gate = gate.clone();
        gate.approval.drifted = u32::try_from(count).ok();
        Some(entry.gated(gate, life.clone()))
    }

    /// What was approved against what happened, node by node.
    pub fn comparison(
        &self,
        connection: &ConnectionName,
        id: &RunId,
        offset: usize,
        limit: usize,
    ) -> Result<Comparison, Refusal> {
        let entry = self.run(connection, id)?;
        let preview = entry.gate.as_ref().and_then(|gate| gate.approval.preview.clone());
        let Some(preview) = preview else {
            return Err(Refusal::new(409, "no_preview", "this run has no noop run to compare it with"));
        };
        let noop = self.run(connection, &preview)?;
        let node = |entry: &Entry, name: &NodeName| entry.nodes.get(name).map(|(_, node)| node.clone());
        let mut names: Vec<&NodeName> = entry.named().iter().collect();
        names.sort_unstable();
        names.dedup();
        let each = names.iter().map(|name| compare(name, node(noop, name).as_ref(), node(entry, name).as_ref()));
        let all: Vec<_> = each.collect();
        let drifted = all.iter().filter(|node| node.verdict == Verdict::Drift).count();
        let (total, drifted) = (all.len(), u32::try_from(drifted).unwrap_or(u32::MAX));
        Ok(Comparison { preview, nodes: all.into_iter().skip(offset).take(limit).collect(), total, drifted })
    }

    /// Runs of a connection that somebody has to decide on, oldest first.
    pub fn undecided(&self, connection: &ConnectionName) -> Vec<&Entry> {
        let waits = |entry: &&Entry| {
            let status = entry.gate.as_ref().map(|gate| gate.approval.status);
            entry.connection == *connection && status == Some(ApprovalStatus::Waiting)
        };
        self.runs.values().filter(waits).collect()
    }

    /// Previews of runs that are kept; they are kept with them.
    pub(super) fn needed_previews(&self) -> HashSet<&RunId> {
        self.runs.values().filter_map(|entry| entry.gate.as_ref()?.approval.preview.as_ref()).collect()
    }
}

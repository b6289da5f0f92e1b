//! Takes one run from wherever it is to its end: what [`super::machine`] says comes next is done, written down, and asked
//! for again. A bridge that was killed goes on here with what the journal knows.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;

use super::audit::AuditLog;
use super::backend::{Backend, BackendError};
use super::board::Board;
use super::floor::{Fatal, Floor, Stop};
use super::job::Job;
use super::journal::Ledger;
use super::machine::{RunState, Step};
use super::policy::Policy;
use super::record::{Completion, Entry, Leaving, Record};
use super::reporter::{Alarm, Connect, Reporter, Told, Tracked};
use super::reports::{self, Reports};
use super::schedule::{Next, Schedule};
use crate::relay::api::{Limits, Line, NodeName, NodeResult, NodeStatus, Outcome};
use crate::relay::client::relay::{CallError, RelayApi};

/// What to do when it is not known whether a run is ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguous {
    /// Leave it, and raise an alarm.
    #[default]
    Skip,
    /// Take it for ours. Right where only one bridge uses the token.
    Adopt,
}

/// How runs are worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// So many nodes at once.
    pub parallelism: usize,
    /// No further node is started after so many failures.
    pub max_failures: Option<u32>,
    /// The longest that a run may take.
    pub run_timeout: Duration,
    /// After a restart, how long to wait for reports of nodes that were under way.
    pub recovery: Duration,
    /// What to do when it is not known whether a run is ours.
    pub ambiguous: Ambiguous,
}

/// Everything that runs are worked on with.
pub struct Workshop {
    /// Makes connections to the server.
    pub connect: Connect,
    /// Where everything is written down.
    pub ledger: Arc<dyn Ledger>,
    /// Runs Puppet.
    pub backend: Arc<dyn Backend>,
    /// Where reports are found, if anywhere.
    pub reports: Option<Arc<dyn Reports>>,
    /// What is allowed here.
    pub policy: Policy,
    /// For those who must be able to prove it.
    pub audit: Arc<AuditLog>,
    /// Signs of life.
    pub reporter: Reporter,
    /// What people should see.
    pub alarm: Alarm,
    /// How.
    pub rules: Rules,
}

/// Where a run is when the bridge lets go of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Let {
    /// Nothing is left to do.
    Closed,
    /// The bridge ends; the journal knows the rest.
    Interrupted,
}

impl Workshop {
    /// Works on a run until nothing is left to do, or the bridge ends.
    ///
    /// # Errors
    /// Something cannot be written down; nothing more may be done then.
    pub async fn drive(&self, state: RunState, shutdown: watch::Receiver<bool>) -> Result<Let, Fatal> {
        let nodes = state.run.scope.nodes().unwrap_or_default().to_vec();
        let board = Arc::new(Board::new(&nodes, state.results.values()));
        let limits = state.run.limits.clone().unwrap_or_default();
        let schedule = Schedule::new(&nodes, &limits, self.rules.max_failures);
        let parallelism = self.parallelism(&limits);
        let floor = Floor::new(state, Arc::clone(&self.ledger), Arc::clone(&board), schedule, parallelism);
        let mut tracked: Option<Tracked> = None;
        loop {
            let step = floor.state().next();
            if *shutdown.borrow() && step != Step::Rest {
                return Ok(Let::Interrupted);
            }
            if !matches!(step, Step::Accept { .. } | Step::Rest) && tracked.is_none() {
                let (run, lease) = {
                    let state = floor.state();
                    (state.run.id.clone(), state.lease.clone())
                };
                tracked = Some(self.reporter.track(run, lease, Arc::clone(&board)));
            }
            match step {
                Step::Rest => return Ok(Let::Closed),
                Step::Accept { again } => {
                    let Some(entry) = self.accept(&floor, again, shutdown.clone()).await else {
                        return Ok(Let::Interrupted);
                    };
                    self.note(&floor, &entry)?;
                    floor.write(entry).await?;
                }
                Step::Begin => {
                    let refusal = {
                        let state = floor.state();
                        self.policy.refusal(&state.run).or_else(|| self.backend.refusal(&state.run))
                    };
                    match refusal {
                        None => {
                            self.audit(&floor, "started", json!({}))?;
                            floor.write(Entry::Started).await?;
                        }
                        Some(why) => {
                            self.audit(&floor, "refused", json!({ "reason": why }))?;
                            // Nothing was begun on any of them; the journal has no need of ten thousand lines.
                            let message = Some(Line::from(why.as_str()));
                            for node in &nodes {
                                let skipped = NodeResult::new(node.clone(), NodeStatus::Skipped);
                                board.put(NodeResult { message: message.clone(), ..skipped });
                            }
                            let completion = Completion { outcome: Outcome::Error, message: Some(Line::from(why)) };
                            floor.write(Entry::Completed { completion }).await?;
                        }
                    }
                }
                Step::Execute => {
                    let told = tracked.as_ref().map(Tracked::told);
                    match self.execute(&floor, told, shutdown.clone()).await {
                        Ok(Some(completion)) => {
                            self.audit(
                                &floor,
                                "completed",
                                json!({ "outcome": completion.outcome, "message": completion.message }),
                            )?;
                            floor.write(Entry::Completed { completion }).await?;
                        }
                        Ok(None) => return Ok(Let::Interrupted),
                        Err(fatal) => return Err(fatal),
                    }
                }
                Step::Report(completion) => {
                    let Some(tracked) = tracked.as_mut() else { return Ok(Let::Interrupted) };
                    let mut ended = shutdown.clone();
                    let remark = tokio::select! {
                        remark = tracked.finish(completion) => remark,
                        _ = ended.wait_for(|end| *end) => return Ok(Let::Interrupted),
                    };
                    if let Some(remark) = &remark {
                        let run = floor.state().run.id.clone();
                        (self.alarm)(format!("run {run} has ended, but {remark}"));
                    }
                    floor.write(Entry::Acknowledged { remark: remark.map(Line::from) }).await?;
                }
            }
        }
    }

    fn parallelism(&self, limits: &Limits) -> usize {
        let asked = limits.parallelism.map_or(usize::MAX, |n| n.get() as usize);
        asked.min(self.rules.parallelism).max(1)
    }

    fn audit(&self, floor: &Floor, action: &str, mut details: serde_json::Value) -> Result<(), Fatal> {
        let state = floor.state();
        let run = &state.run;
        if action == "accepted" {
            details = json!({ "scope": run.scope, "environment": run.environment, "noop": run.noop,
                "description": run.description });
        }
        self.audit.add(&run.id, action, details).map_err(Fatal)
    }

    fn note(&self, floor: &Floor, entry: &Entry) -> Result<(), Fatal> {
        match entry {
            Entry::Accepted { .. } => self.audit(floor, "accepted", json!({})),
            Entry::Left { reason } => self.audit(floor, "left", json!({ "reason": reason })),
            _ => Ok(()),
        }
    }

    /// Asks the server for the run until it has answered. `None` when the bridge ends before.
    async fn accept(&self, floor: &Floor, again: bool, mut shutdown: watch::Receiver<bool>) -> Option<Entry> {
        let (run, token) = {
            let state = floor.state();
            (state.run.id.clone(), state.token.clone())
        };
        let api: Arc<dyn RelayApi> = (self.connect)();
        // An earlier process may have asked, or we have, and did not hear the answer.
        let mut asked = again;
        let mut failures = 0_u32;
        loop {
            let answer = tokio::select! {
                answer = api.accept(&run, &token) => answer,
                _ = shutdown.wait_for(|end| *end) => return None,
            };
            let (retry_after, error) = match answer {
                Ok(lease) => return Some(Entry::Accepted { lease }),
                // Our server tells by its word that it knows tokens, and that ours is not the one.
                Err(CallError::Conflict { code: Some(_), .. }) => return Some(Entry::Left { reason: Leaving::Taken }),
                Err(CallError::Conflict { code: None, .. }) if !asked => {
                    return Some(Entry::Left { reason: Leaving::Taken });
                }
                Err(CallError::Conflict { code: None, .. }) => return Some(self.ambiguous(&run.to_string())),
                Err(CallError::NotFound) => return Some(Entry::Left { reason: Leaving::Gone }),
                Err(e @ CallError::Refused { .. }) => {
                    (self.alarm)(format!("run {run} cannot be accepted: {e}"));
                    return Some(Entry::Left { reason: Leaving::Refused });
                }
                Err(e @ CallError::Trouble { .. }) => {
                    asked = true;
                    let CallError::Trouble { retry_after, .. } = &e else { unreachable!("matched above") };
                    (*retry_after, e.to_string())
                }
                Err(e @ CallError::NotSent(_)) => (None, e.to_string()),
                Err(e @ CallError::Unauthorized(_)) => {
                    (self.alarm)(format!("run {run} cannot be accepted: {e}"));
                    (Some(Duration::from_secs(30)), e.to_string())
                }
            };
            tracing::warn!(%run, "cannot accept: {error}");
            failures += 1;
            let pause = Duration::from_millis(250 << failures.min(8));
            let pause = retry_after.map_or(pause, |asked| asked.clamp(pause, Duration::from_secs(300)));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = shutdown.wait_for(|end| *end) => return None,
            }
        }
    }

    fn ambiguous(&self, run: &str) -> Entry {
        match self.rules.ambiguous {
            Ambiguous::Adopt => {
                (self.alarm)(format!("run {run} was accepted, perhaps by this bridge; it is taken for ours"));
                Entry::Accepted { lease: None }
            }
            Ambiguous::Skip => {
                (self.alarm)(format!(
                    "run {run} was accepted, perhaps by this bridge, whose answer was lost; it is left alone. If no other \
                     bridge has it, ask for it again"
                ));
                Entry::Left { reason: Leaving::Ambiguous }
            }
        }
    }

    /// Runs Puppet on what is left. `None` when the bridge ends before.
    async fn execute(
        &self,
        floor: &Floor,
        told: Option<watch::Receiver<Told>>,
        shutdown: watch::Receiver<bool>,
    ) -> Result<Option<Completion>, Fatal> {
        let work = async {
            if !self.backend.resumes() {
                self.recover(floor).await?;
            }
            self.nodes(floor).await
        };
        let ended = tokio::select! {
            ended = work => ended?,
            // These only ask to stop; the work above comes to its end by itself.
            never = self.listen(floor, told, shutdown) => match never {},
        };
        if floor.stop() == Stop::Shutdown {
            return Ok(None);
        }
        Ok(Some(completion(floor, ended)))
    }

    /// Passes on what asks the run to stop: the server, the deadline, the end of the bridge.
    async fn listen(
        &self,
        floor: &Floor,
        told: Option<watch::Receiver<Told>>,
        mut shutdown: watch::Receiver<bool>,
    ) -> std::convert::Infallible {
        let deadline = {
            let state = floor.state();
            let asked = state.run.limits.as_ref().and_then(|l| l.deadline_seconds);
            let asked = asked.map(|s| Duration::from_secs(u64::from(s.get())));
            let all = asked.map_or(self.rules.run_timeout, |a| a.min(self.rules.run_timeout));
            let passed = state.accepted_at.map(|at| Timestamp::now().duration_since(at)).unwrap_or_default();
            all.saturating_sub(Duration::try_from(passed).unwrap_or_default())
        };
        let server = async {
            if let Some(mut told) = told {
                while let Ok(now) = told.wait_for(|t| *t != Told::Nothing).await.map(|t| *t) {
                    floor.halt(match now {
                        Told::Cancel => Stop::Cancelled,
                        _ => Stop::Winding("the server has given the run up"),
                    });
                    if told.changed().await.is_err() {
                        break;
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        let clock = async {
            tokio::time::sleep(deadline).await;
            floor.halt(Stop::Deadline);
            std::future::pending::<()>().await;
        };
        let end = async {
            if shutdown.wait_for(|end| *end).await.is_ok() {
                floor.halt(Stop::Shutdown);
            }
            std::future::pending::<()>().await;
        };
        tokio::join!(server, clock, end);
        std::future::pending().await
    }

    /// Nodes that were under way when an earlier process ended: they are never started again. Their reports tell what
    /// became of them; without one, nobody knows.
    async fn recover(&self, floor: &Floor) -> Result<(), Fatal> {
        let (job, unknown) = {
            let state = floor.state();
            (state.run.id.clone(), state.unknown())
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let until = tokio::time::Instant::now() + self.rules.recovery;
        let each = unknown.into_iter().map(|node| {
            let job = &job;
            async move {
                let mut why = "no PuppetDB is configured that could tell";
                while let Some(found) = &self.reports {
                    if let Ok(Some(report)) = found.find(job, &node).await {
                        let known = NodeResult::new(node.clone(), NodeStatus::Running);
                        return floor.end(reports::told(known, &report, found.as_ref()).await).await;
                    }
                    why = "its report has not come to PuppetDB";
                    if tokio::time::Instant::now() >= until {
                        break;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_secs(2)) => {}
                        stop = floor.killed() => {
                            if stop == Stop::Shutdown {
                                return Ok(());
                            }
                            break;
                        }
                    }
                }
                let lost = NodeResult {
                    error: Some(Line::from("lost")),
                    message: Some(Line::from(format!("the bridge was restarted while Puppet ran there, and {why}"))),
                    ..NodeResult::new(node, NodeStatus::Failed)
                };
                floor.end(lost).await
            }
        });
        join_all(each).await.into_iter().collect()
    }

    /// The other nodes, wave by wave.
    async fn nodes(&self, floor: &Floor) -> Result<Option<String>, Fatal> {
        let job = Job::of(&floor.state().run);
        if floor.state().run.scope.nodes().is_none() {
            return match self.backend.run(&job, vec![], floor).await {
                Ok(()) => Ok(None),
                Err(BackendError::Fatal(fatal)) => Err(fatal),
                Err(BackendError::Unable(why)) => Ok(Some(why)),
            };
        }
        loop {
            if floor.stop() == Stop::Shutdown {
                return Ok(None);
            }
            let next = floor.schedule().next(&floor.state().results);
            let wave = match (floor.stop(), next) {
                (_, Next::Done) => return Ok(None),
                (Stop::Winding(why), _) | (Stop::No, Next::Stop(why)) => {
                    self.rest(floor, NodeStatus::Skipped, why).await?;
                    return Ok(Some(why.to_owned()));
                }
                (Stop::Cancelled, _) => {
                    self.rest(floor, NodeStatus::Cancelled, "the run was cancelled before").await?;
                    return Ok(None);
                }
                (Stop::Deadline, _) => {
                    self.rest(floor, NodeStatus::Skipped, "the run's deadline passed before").await?;
                    return Ok(Some("the run's deadline passed".into()));
                }
                (Stop::No, Next::Run(wave)) => wave,
                (Stop::Shutdown, _) => return Ok(None),
            };
            match self.backend.run(&job, wave, floor).await {
                Ok(()) => {}
                Err(BackendError::Fatal(fatal)) => return Err(fatal),
                Err(BackendError::Unable(why)) => {
                    let begun = floor.state().unknown();
                    floor.skip(begun, NodeStatus::Failed, &why).await?;
                    self.rest(floor, NodeStatus::Skipped, &why).await?;
                    return Ok(Some(why));
                }
            }
        }
    }

    /// All nodes that were not started.
    async fn rest(&self, floor: &Floor, status: NodeStatus, why: &str) -> Result<(), Fatal> {
        let left: Vec<NodeName> = {
            let state = floor.state();
            let nodes = state.run.scope.nodes().unwrap_or_default();
            nodes.iter().filter(|node| !state.results.contains_key(*node)).cloned().collect()
        };
        floor.skip(left, status, why).await
    }
}

/// How the whole run ended.
fn completion(floor: &Floor, message: Option<String>) -> Completion {
    let state = floor.state();
    let touched = state.results.values().any(|r| r.status != NodeStatus::Skipped);
    let outcome = if floor.stop() == Stop::Cancelled {
        Outcome::Cancelled
    } else if state.results.values().all(|r| r.status.is_good()) && (message.is_none() || !state.results.is_empty()) {
        Outcome::Finished
    } else if touched {
        Outcome::Failed
    } else {
        Outcome::Error
    };
    Completion { outcome, message: message.map(Line::from) }
}

/// The first line of a run that we mean to accept.
pub fn intent(state: &RunState) -> Record {
    let entry = Entry::Intent { token: state.token.clone(), offered: Box::new(state.run.clone()) };
    Record { run: state.run.id.clone(), at: Timestamp::now(), entry }
}

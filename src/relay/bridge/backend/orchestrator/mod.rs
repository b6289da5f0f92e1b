//! Puppet by way of Puppet Enterprise's orchestrator: it finds nodes by itself, and runs them by its own broker.
//!
//! Making a job is not idempotent. So each is described by its run, and nothing is made before it was looked whether it is
//! there already: a bridge that was killed, and one that lost an answer, follow the job that they find.

pub mod api;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{Backend, BackendError};
use crate::relay::api::{NodeName, Run};
use crate::relay::bridge::floor::{Floor, Stop};
use crate::relay::bridge::job::Job;
use crate::relay::bridge::verdict::{self, Ended};
use api::{Api, ApiError};

/// How long a job that was stopped may take to end.
const PATIENCE: Duration = Duration::from_secs(120);

/// Puppet by way of the orchestrator.
pub struct Orchestrator {
    /// Its API.
    pub api: Api,
    /// How often to look how a job fares.
    pub look: Duration,
}

impl Backend for Orchestrator {
    fn refusal(&self, run: &Run) -> Option<String> {
        run.environment.is_none().then(|| "PE's orchestrator needs an environment, and the run names none".into())
    }

    fn resumes(&self) -> bool {
        true
    }

    fn run<'a>(
        &'a self,
        job: &'a Job,
        nodes: Vec<NodeName>,
        floor: &'a Floor,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let whole = nodes.is_empty();
            let description = describe(job);
            let mut open: BTreeSet<NodeName> = nodes.into_iter().collect();
            let Some(mut jobs) = self.insist(floor, || self.api.described(&description)).await? else { return Ok(()) };
            let mut covered = BTreeSet::new();
            for name in &jobs {
                let Some(nodes) = self.insist(floor, || self.api.nodes(name)).await? else { return Ok(()) };
                covered.extend(nodes.into_iter().filter_map(|node| node.name.parse::<NodeName>().ok()));
            }
            let rest: Vec<NodeName> = open.difference(&covered).cloned().collect();
            if (whole && jobs.is_empty()) || !rest.is_empty() {
                let begun = |node: &NodeName| floor.state().starting.contains(node);
                let new: Vec<NodeName> = rest.iter().filter(|node| !begun(node)).cloned().collect();
                if !new.is_empty() && !floor.begin(new).await? {
                    return Ok(());
                }
                let Some(made) = self.make(job, &rest, &jobs, floor).await? else { return Ok(()) };
                jobs.push(made);
            }
            self.follow(job, &jobs, whole, &mut open, floor).await
        })
    }
}

impl Orchestrator {
    /// Makes a job for these nodes, or for the run's own scope when there are none. `None` when the run is to stop before.
    async fn make(
        &self,
        job: &Job,
        nodes: &[NodeName],
        known: &[String],
        floor: &Floor,
    ) -> Result<Option<String>, BackendError> {
        let body = request(job, nodes, floor);
        let description = describe(job);
        let mut pauses = Pauses::default();
        let mut in_doubt = false;
        loop {
            if in_doubt {
                // Not asked for again before it is known that it is not there.
                let Some(found) = self.insist(floor, || self.api.described(&description)).await? else {
                    return Ok(None);
                };
                if let Some(made) = found.into_iter().find(|name| !known.contains(name)) {
                    return Ok(Some(made));
                }
            }
            match self.api.deploy(&body).await {
                Ok(name) => return Ok(Some(name)),
                Err(ApiError::Refused(why)) => return Err(BackendError::Unable(why)),
                Err(ApiError::NotDone(why)) => tracing::warn!(run = %job.id, "no job was made: {why}"),
                Err(ApiError::InDoubt(why)) => {
                    tracing::warn!(run = %job.id, "it is not known whether a job was made: {why}");
                    in_doubt = true;
                }
            }
            if !pauses.wait(floor).await {
                return Ok(None);
            }
        }
    }

    /// Asks until there is an answer. `None` when the run is to stop before.
    async fn insist<T, F>(&self, floor: &Floor, ask: impl Fn() -> F) -> Result<Option<T>, BackendError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let mut pauses = Pauses::default();
        loop {
            match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(ApiError::Refused(why)) => return Err(BackendError::Unable(why)),
                Err(e) => tracing::warn!("{e}"),
            }
            if !pauses.wait(floor).await {
                return Ok(None);
            }
        }
    }

    /// Until all jobs are over, or all that is open has ended.
    async fn follow(
        &self,
        job: &Job,
        jobs: &[String],
        whole: bool,
        open: &mut BTreeSet<NodeName>,
        floor: &Floor,
    ) -> Result<(), BackendError> {
        let mut stopped: Option<(Stop, tokio::time::Instant)> = None;
        loop {
            let over = self.look(job, jobs, whole, open, floor).await?;
            if over || (!whole && open.is_empty()) || stopped.is_some_and(|(_, since)| since.elapsed() > PATIENCE) {
                break;
            }
            let pause = tokio::time::sleep(self.look);
            if stopped.is_some() {
                pause.await;
                continue;
            }
            tokio::select! {
                () = pause => {}
                stop = floor.killed() => {
                    if stop == Stop::Shutdown {
                        return Ok(());
                    }
                    for name in jobs {
                        if let Err(e) = self.api.stop(name).await {
                            tracing::warn!(run = %job.id, "job {name} was not stopped: {e}");
                        }
                    }
                    stopped = Some((stop, tokio::time::Instant::now()));
                }
            }
        }
        let ended = match stopped {
            Some((Stop::Deadline, _)) => Ended::Deadline,
            Some(_) => Ended::Cancelled,
            None => Ended::Local("the orchestrator's job ended without a word about this node".into()),
        };
        for node in std::mem::take(open) {
            floor.end(verdict::result(node, &ended)).await?;
        }
        Ok(())
    }

    /// Takes over what is new. True when all jobs were over before it was looked.
    async fn look(
        &self,
        job: &Job,
        jobs: &[String],
        whole: bool,
        open: &mut BTreeSet<NodeName>,
        floor: &Floor,
    ) -> Result<bool, BackendError> {
        let mut over = true;
        for name in jobs {
            let (state, nodes) = match (self.api.job(name).await, self.api.nodes(name).await) {
                (Ok(state), Ok(nodes)) => (state, nodes),
                (Err(e), _) | (_, Err(e)) => {
                    tracing::warn!(run = %job.id, "job {name} does not tell how it fares: {e}");
                    over = false;
                    continue;
                }
            };
            over &= state.over();
            for told in nodes {
                let Ok(node) = told.name.parse::<NodeName>() else { continue };
                let (ours, begun) = {
                    let state = floor.state();
                    let ours = (whole || open.contains(&node)) && !state.results.contains_key(&node);
                    (ours, state.starting.contains(&node))
                };
                match told.ended(node.clone(), job.noop) {
                    Some(result) if ours => {
                        open.remove(&node);
                        floor.end(result).await?;
                    }
                    None if ours && !begun && told.runs() => {
                        floor.begin(vec![node]).await?;
                    }
                    _ => {}
                }
            }
        }
        Ok(over)
    }
}

/// By which a run's jobs are known.
fn describe(job: &Job) -> String {
    format!("pupperware relay run {}", job.id)
}

/// What the orchestrator is asked for. Nodes and queries are data in it, and nothing is put together from parts.
fn request(job: &Job, nodes: &[NodeName], floor: &Floor) -> Value {
    let scope = match nodes {
        [] => json!(floor.state().run.scope),
        nodes => json!({ "nodes": nodes }),
    };
    let mut body = json!({
        "environment": job.environment,
        "scope": scope,
        "description": describe(job),
        "concurrency": floor.parallelism,
    });
    let flags = [
        ("noop", job.noop),
        ("no_noop", job.no_noop),
        ("debug", job.debug),
        ("trace", job.trace),
        ("evaltrace", job.evaltrace),
    ];
    for (name, _) in flags.into_iter().filter(|(_, set)| *set) {
        body[name] = json!(true);
    }
    body
}

/// Longer and longer pauses.
#[derive(Default)]
struct Pauses(u32);

impl Pauses {
    /// False when the run is to stop.
    async fn wait(&mut self, floor: &Floor) -> bool {
        let pause = Duration::from_millis(500 << self.0.min(6));
        self.0 += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => floor.stop() == Stop::No,
            _ = floor.killed() => false,
        }
    }
}

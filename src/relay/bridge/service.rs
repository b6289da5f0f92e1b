//! The loop: asks the server for runs, takes what there is room for, works on them side by side.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::drive::{self, Let, Workshop};
use super::floor::Fatal;
use super::machine::RunState;
use crate::relay::api::{AcceptToken, Run, RunId, Status};
use crate::relay::client::pace::{Pace, Polled};
use crate::relay::client::relay::{CallError, Called, Listed, RelayApi};

/// How the loop goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// How long a server that can is asked to hold its answer.
    pub wait: Duration,
    /// How often a server that cannot is asked.
    pub interval: Duration,
    /// So many runs side by side. More are left for others, or for later.
    pub runs: usize,
    /// Ask once, work on what there is, and end.
    pub once: bool,
}

/// A clock that is so far off is worth a word.
const SKEW: i64 = 60;

/// Works until it is asked to end; with [`Manner::once`], until what was there is done. `resumed` are the runs of an earlier
/// process.
///
/// # Errors
/// Something cannot be written down; or, when asked once, the server cannot be asked.
pub async fn serve(
    workshop: Arc<Workshop>,
    resumed: BTreeMap<RunId, RunState>,
    manner: &Manner,
    shutdown: watch::Receiver<bool>,
) -> Result<(), Fatal> {
    let mut desk = Desk { workshop, under_way: JoinSet::new(), known: HashSet::new(), shutdown };
    for (id, state) in resumed {
        desk.known.insert(id);
        if !state.closed() {
            desk.take(state);
        }
    }
    let api: Arc<dyn RelayApi> = (desk.workshop.connect)();
    let outcome =
        if manner.once { desk.once(api.as_ref(), manner).await } else { desk.stay(api.as_ref(), manner).await };
    // What is under way goes on to its end, or to where the journal knows it.
    while let Some(ended) = desk.under_way.join_next().await {
        Desk::ended(ended)?;
    }
    outcome
}

/// What is being worked on.
struct Desk {
    workshop: Arc<Workshop>,
    under_way: JoinSet<Result<Let, Fatal>>,
    /// Runs that need no second look as long as the server lists them.
    known: HashSet<RunId>,
    shutdown: watch::Receiver<bool>,
}

impl Desk {
    fn take(&mut self, state: RunState) {
        let (workshop, shutdown) = (Arc::clone(&self.workshop), self.shutdown.clone());
        self.under_way.spawn(async move { workshop.drive(state, shutdown).await });
    }

    fn ended(ended: Result<Result<Let, Fatal>, tokio::task::JoinError>) -> Result<(), Fatal> {
        ended.map_err(|e| Fatal(format!("a run's task broke: {e}")))?.map(|_| ())
    }

    async fn once(&mut self, api: &dyn RelayApi, manner: &Manner) -> Result<(), Fatal> {
        let listed = api.list(Duration::ZERO).await.map_err(|e| Fatal(format!("cannot ask for runs: {e}")))?;
        self.greet(&listed);
        let mut waiting = self.fresh(listed.runs).into_iter();
        loop {
            while self.under_way.len() < manner.runs {
                let Some(run) = waiting.next() else { break };
                self.begin(run).await?;
            }
            match self.under_way.join_next().await {
                Some(ended) => Self::ended(ended)?,
                None => return Ok(()),
            }
        }
    }

    async fn stay(&mut self, api: &dyn RelayApi, manner: &Manner) -> Result<(), Fatal> {
        let mut pace = Pace::new(manner.wait, manner.interval);
        let mut end = self.shutdown.clone();
        let mut unauthorized = false;
        loop {
            // Whoever has no room does not ask: other bridges may have some.
            while self.under_way.len() >= manner.runs {
                tokio::select! {
                    Some(ended) = self.under_way.join_next() => Self::ended(ended)?,
                    _ = end.wait_for(|end| *end) => return Ok(()),
                }
            }
            let Some(answer) = self.ask(api.list(pace.wait()), &mut end).await? else { return Ok(()) };
            let polled = match answer {
                Ok(listed) => {
                    unauthorized = false;
                    self.greet(&listed);
                    let took = listed.took;
                    let offered = listed.runs.iter().any(free);
                    let fresh = self.fresh(listed.runs);
                    let polled = match (fresh.is_empty(), offered) {
                        (false, _) => Polled::Work,
                        (true, true) => Polled::Echo(took),
                        (true, false) => Polled::Nothing(took),
                    };
                    for run in fresh.into_iter().take(manner.runs - self.under_way.len()) {
                        self.begin(run).await?;
                    }
                    polled
                }
                Err(e @ CallError::Unauthorized(_)) => {
                    // Once is enough: it is seen to, or it is not.
                    if !std::mem::replace(&mut unauthorized, true) {
                        (self.workshop.alarm)(format!("cannot ask for runs: {e}; what is under way goes on"));
                    }
                    Polled::Unauthorized
                }
                Err(e) => {
                    let retry_after = match &e {
                        CallError::Trouble { retry_after, .. } => *retry_after,
                        _ => None,
                    };
                    tracing::warn!("cannot ask for runs: {e}");
                    if pace.settled() {
                        (self.workshop.alarm)(format!("cannot ask for runs: {e}; asking again"));
                    }
                    Polled::Trouble(retry_after)
                }
            };
            let pause = pace.after(polled, jitter());
            let until = tokio::time::Instant::now() + pause;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    Some(ended) = self.under_way.join_next() => Self::ended(ended)?,
                    _ = end.wait_for(|end| *end) => return Ok(()),
                }
            }
        }
    }

    /// The answer to a question, while runs end; `None` when the bridge is asked to end.
    async fn ask(
        &mut self,
        mut question: Called<'_, Listed>,
        end: &mut watch::Receiver<bool>,
    ) -> Result<Option<Result<Listed, CallError>>, Fatal> {
        loop {
            tokio::select! {
                answer = &mut question => return Ok(Some(answer)),
                Some(ended) = self.under_way.join_next() => Self::ended(ended)?,
                _ = end.wait_for(|end| *end) => return Ok(None),
            }
        }
    }

    /// Runs that nobody has yet, and that we did not look at before.
    fn fresh(&mut self, runs: Vec<Run>) -> Vec<Run> {
        let listed: HashSet<&RunId> = runs.iter().map(|run| &run.id).collect();
        self.known.retain(|id| listed.contains(id));
        runs.iter().filter(|run| free(run) && !self.known.contains(&run.id)).cloned().collect()
    }

    async fn begin(&mut self, run: Run) -> Result<(), Fatal> {
        let token = token().map_err(Fatal)?;
        let state = RunState::intended(run, token);
        self.known.insert(state.run.id.clone());
        self.workshop.ledger.append(vec![drive::intent(&state)]).await.map_err(Fatal)?;
        self.take(state);
        Ok(())
    }

    fn greet(&self, listed: &Listed) {
        for why in &listed.unreadable {
            tracing::warn!("a run of the server's list cannot be read: {why}");
        }
        if let Some(skew) = listed.clock_skew {
            self.workshop.reporter.skewed(skew);
            if skew.as_secs().abs() > SKEW {
                tracing::warn!("this machine's clock is {} seconds from the server's", skew.as_secs());
            }
        }
    }
}

/// True when nobody has it yet.
fn free(run: &Run) -> bool {
    run.state.status == Status::Pending && run.state.accepted_at.is_none()
}

/// 32 characters that nobody can guess.
fn token() -> Result<AcceptToken, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| format!("this machine gives no random numbers: {e}"))?;
    let text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    text.parse().map_err(|e| format!("{e}"))
}

/// Between 0 and 1.
fn jitter() -> f64 {
    let mut bytes = [0; 4];
    // Without random numbers bridges come at the same time; that is all.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

//! Signs of life and completions, from a thread of their own: however busy the bridge is with nodes, it is not late.
//!
//! Each run that is worked on has a task there, with a connection of its own. It says what is new, promises when it will
//! be heard of again, hears whether the run is to be stopped, and in the end says how it ended until the server knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use super::board::Board;
use super::record::Completion;
use crate::relay::api::{JobId, Lease, NodeResult, Progress, RunId, StateUpdate, Status};
use crate::relay::client::relay::{CallError, RelayApi};

/// Makes connections to the server.
pub type Connect = Arc<dyn Fn() -> Arc<dyn RelayApi> + Send + Sync>;

/// Tells somebody of something that people should see.
pub type Alarm = Arc<dyn Fn(String) + Send + Sync>;

/// The most nodes that one update tells of: about half of the largest body.
const NODES: usize = 500;

/// The least time between two updates when there is news.
const GAP: Duration = Duration::from_millis(500);

/// How often to be heard of, and the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Between two signs of life.
    pub every: Duration,
    /// From a sign of life to the time by which the next one is promised.
    pub promise: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        // The original's: three may be lost before the promise is broken.
        Rhythm { every: Duration::from_secs(15), promise: Duration::from_secs(45) }
    }
}

/// What the server made known while a run was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// It is to be stopped.
    Cancel,
    /// It is not ours any more.
    Fenced,
}

/// The thread.
pub struct Reporter {
    handle: Handle,
    connect: Connect,
    rhythm: Rhythm,
    alarm: Alarm,
    shared: Arc<Shared>,
}

/// What all runs' tasks share.
#[derive(Default)]
struct Shared {
    /// How far our clock is ahead of the server's, in milliseconds.
    skew: AtomicI64,
    /// The longest that a sign of life came after its time, in milliseconds.
    lateness: AtomicU64,
}

impl Reporter {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no thread.
    pub fn start(connect: Connect, rhythm: Rhythm, alarm: Alarm) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| format!("cannot start a runtime: {e}"))?;
        let handle = runtime.handle().clone();
        let thread = std::thread::Builder::new().name("heartbeat".into());
        thread
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .map_err(|e| format!("cannot start a thread: {e}"))?;
        Ok(Self::on(handle, connect, rhythm, alarm))
    }

    /// On a runtime that is there already.
    pub fn on(handle: Handle, connect: Connect, rhythm: Rhythm, alarm: Alarm) -> Self {
        Reporter { handle, connect, rhythm, alarm, shared: Arc::default() }
    }

    /// Takes note of how far our clock is ahead of the server's; promises are made by the server's.
    pub fn skewed(&self, skew: SignedDuration) {
        self.shared.skew.store(i64::try_from(skew.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    /// The longest that a sign of life came after its time.
    pub fn lateness(&self) -> Duration {
        Duration::from_millis(self.shared.lateness.load(Ordering::Relaxed))
    }

    /// Begins to tell of a run. It ends when what is returned is dropped.
    pub fn track(&self, run: RunId, lease: Option<Lease>, board: Arc<Board>) -> Tracked {
        let (told, hear) = watch::channel(Told::Nothing);
        let (finish, ended) = oneshot::channel();
        let teller = Teller {
            api: (self.connect)(),
            job: run.as_str().parse().ok(),
            run,
            lease,
            board,
            rhythm: self.rhythm,
            told,
            shared: Arc::clone(&self.shared),
            alarm: Arc::clone(&self.alarm),
            bare: false,
        };
        let task = self.handle.spawn(teller.tell(ended));
        Tracked { told: hear, finish: Some(finish), task: task.abort_handle() }
    }
}

type Finish = (Completion, oneshot::Sender<Option<String>>);

/// A run that is told of.
pub struct Tracked {
    told: watch::Receiver<Told>,
    finish: Option<oneshot::Sender<Finish>>,
    task: AbortHandle,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tracked {
    /// What the server makes known.
    pub fn told(&self) -> watch::Receiver<Told> {
        self.told.clone()
    }

    /// Says how it ended; comes back when the server knows, with what it said if that was not simply yes.
    pub async fn finish(&mut self, completion: Completion) -> Option<String> {
        let (done, known) = oneshot::channel();
        let sent = self.finish.take().map(|finish| finish.send((completion, done)));
        match sent {
            Some(Ok(())) => known.await.unwrap_or_else(|_| Some("nobody was left to tell the server".into())),
            _ => Some("nobody was left to tell the server".into()),
        }
    }
}

/// Tells of one run.
struct Teller {
    api: Arc<dyn RelayApi>,
    run: RunId,
    job: Option<JobId>,
    lease: Option<Lease>,
    board: Arc<Board>,
    rhythm: Rhythm,
    told: watch::Sender<Told>,
    shared: Arc<Shared>,
    alarm: Alarm,
    /// The server did not take what the original API does not have.
    bare: bool,
}

/// What an update came to.
enum Said {
    Yes,
    /// Try again, after this time if it was said.
    Later(Option<Duration>),
    /// The server will never take it.
    Never(String),
}

impl Teller {
    async fn tell(mut self, mut ended: oneshot::Receiver<Finish>) {
        let mut failures = 0_u32;
        let mut due = tokio::time::Instant::now();
        let (completion, known) = loop {
            let late = due.elapsed();
            self.shared.lateness.fetch_max(u64::try_from(late.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            let pause = match self.alive().await {
                Said::Yes => {
                    failures = 0;
                    if self.board.said() { self.rhythm.every } else { GAP }
                }
                Said::Later(retry_after) => {
                    failures += 1;
                    // Well before the promise is broken, whatever the server asks for.
                    let quick = Duration::from_millis(500 << failures.min(5));
                    retry_after.unwrap_or(quick).min(self.rhythm.every)
                }
                Said::Never(_) => {
                    // Fenced: somebody else decides now. The end is still said, if there is one.
                    match ended.await {
                        Ok(finish) => break finish,
                        Err(_) => return,
                    }
                }
            };
            due = tokio::time::Instant::now() + pause;
            let quiet = failures > 0 || pause < GAP * 2;
            tokio::select! {
                finish = &mut ended => match finish {
                    Ok(finish) => break finish,
                    Err(_) => return,
                },
                () = tokio::time::sleep_until(due) => {}
                () = async { self.board.news().await; tokio::time::sleep(GAP).await }, if !quiet => {
                    due = tokio::time::Instant::now();
                }
            }
        };
        let remark = self.end(&completion).await;
        let _ = known.send(remark);
    }

    /// One sign of life.
    async fn alive(&mut self) -> Said {
        let (progress, nodes) = self.board.take(NODES);
        self.say(StateUpdate::in_progress(self.promise()), progress, nodes).await
    }

    /// When we mean to be heard of again, by the server's clock.
    fn promise(&self) -> Timestamp {
        let skew = SignedDuration::from_millis(self.shared.skew.load(Ordering::Relaxed));
        let promise = SignedDuration::try_from(self.rhythm.promise).unwrap_or(SignedDuration::from_secs(45));
        Timestamp::now().saturating_add(promise.saturating_sub(skew)).unwrap_or(Timestamp::MAX)
    }

    /// The end, until the server knows it.
    async fn end(&mut self, completion: &Completion) -> Option<String> {
        // All nodes first: the completion closes the run.
        let mut failures = 0_u32;
        loop {
            let (progress, nodes) = self.board.take(NODES);
            let last = self.board.said();
            let update = if last {
                let mut update = StateUpdate::complete(completion.outcome.clone());
                // The original's place for a reason.
                update.run_results = completion.message.as_ref().map(|m| json!({ "result": { "msg": m } }));
                update
            } else {
                StateUpdate::in_progress(self.promise())
            };
            let said = self.say(update, progress, nodes).await;
            match said {
                Said::Yes if last => return None,
                Said::Yes => failures = 0,
                Said::Never(why) if last => return Some(why),
                // A run that was given up takes no more signs of life, but may still take its end.
                Said::Never(_) => {
                    while !self.board.said() {
                        self.board.take(NODES);
                    }
                }
                Said::Later(retry_after) => {
                    failures += 1;
                    let pause = Duration::from_millis(500 << failures.min(7));
                    let pause = retry_after.map_or(pause, |asked| asked.clamp(pause, Duration::from_secs(300)));
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn say(&mut self, mut update: StateUpdate, progress: Progress, nodes: Vec<NodeResult>) -> Said {
        update.job_id.clone_from(&self.job);
        if !self.bare {
            update.lease.clone_from(&self.lease);
            update.progress = Some(progress);
            update.nodes = nodes;
        }
        let answer = self.api.update(&self.run, &update).await;
        let ending = update.status == Status::Complete;
        let nodes = std::mem::take(&mut update.nodes);
        match answer {
            Ok(state) => {
                if state.is_some_and(|s| s.cancel_requested && s.status != Status::Complete) {
                    self.told.send_if_modified(|told| {
                        let news = *told == Told::Nothing;
                        if news {
                            *told = Told::Cancel;
                        }
                        news
                    });
                }
                Said::Yes
            }
            Err(CallError::Refused { status: 400 | 413 | 415 | 422, .. }) if !self.bare => {
                // A strict server: what remains is what it knows.
                self.bare = true;
                Said::Later(Some(Duration::ZERO))
            }
            Err(CallError::Conflict { message, .. }) => {
                self.fenced(format!("the server does not take it: {message}"), ending)
            }
            Err(e @ CallError::NotFound) => self.fenced(e.to_string(), ending),
            Err(e @ CallError::Refused { .. }) => {
                (self.alarm)(format!("run {}: {e}", self.run));
                if ending { Said::Never(e.to_string()) } else { Said::Later(None) }
            }
            Err(CallError::Trouble { retry_after, message }) => {
                self.board.untake(nodes);
                tracing::warn!(run = %self.run, "cannot tell the server: {message}");
                Said::Later(retry_after)
            }
            Err(e @ CallError::Unauthorized(_)) => {
                self.board.untake(nodes);
                (self.alarm)(format!("run {}: {e}; its nodes go on, and the server is told when it lets us", self.run));
                Said::Later(Some(self.rhythm.every))
            }
            Err(e @ CallError::NotSent(_)) => {
                self.board.untake(nodes);
                tracing::warn!(run = %self.run, "cannot tell the server: {e}");
                Said::Later(None)
            }
        }
    }

    fn fenced(&self, why: String, ending: bool) -> Said {
        if !ending {
            (self.alarm)(format!("run {}: {why}; nothing more is started for it", self.run));
            self.told.send_replace(Told::Fenced);
        }
        Said::Never(why)
    }
}

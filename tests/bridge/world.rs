//! A world in one process, in which the bridge can be killed between any two things that it does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use pupperware::relay::api::{
    AcceptToken, JobId, Lease, NodeName, NodeResult, NodeStatus, ReportHash, Run, RunId, State, StateUpdate,
};
use pupperware::relay::bridge::audit::AuditLog;
use pupperware::relay::bridge::backend::{Backend, BackendError};
use pupperware::relay::bridge::drive::{Ambiguous, Rules, Workshop};
use pupperware::relay::bridge::floor::{Fatal, Floor, Stop};
use pupperware::relay::bridge::job::Job;
use pupperware::relay::bridge::journal::Ledger;
use pupperware::relay::bridge::machine::{RunState, replay};
use pupperware::relay::bridge::policy::Policy;
use pupperware::relay::bridge::record::Record;
use pupperware::relay::bridge::reporter::{Alarm, Connect, Reporter, Rhythm};
use pupperware::relay::bridge::reports::{Report, Reports};
use pupperware::relay::bridge::service::{Manner, serve};
use pupperware::relay::client::relay::{CallError, Called, Listed, RelayApi};
use tokio::sync::{Notify, watch};

use crate::book::Book;

/// Everything that lives on when the bridge is killed.
pub struct World {
    pub book: Book,
    pub journal: Mutex<Vec<Record>>,
    /// How often Puppet was started on a node for a run.
    pub started: Mutex<BTreeMap<(RunId, NodeName), usize>>,
    pub alarms: Mutex<Vec<String>>,
    /// Nodes on which Puppet fails.
    pub failing: Vec<NodeName>,
    /// There is a PuppetDB.
    pub puppetdb: bool,
    pub ambiguous: Ambiguous,
    pub policy: Policy,
    /// Calls of the server whose answer is lost, by their number.
    pub lost_answers: Vec<usize>,
    pub calls: AtomicUsize,
    /// How long Puppet takes.
    pub takes: Duration,
    /// When the server cannot be reached: from, and to.
    pub away: Option<(tokio::time::Instant, tokio::time::Instant)>,
    pub folder: tempfile::TempDir,
}

impl World {
    pub fn new(strict: bool) -> Self {
        World {
            book: Book::new(strict),
            journal: Mutex::default(),
            started: Mutex::default(),
            alarms: Mutex::default(),
            failing: Vec::new(),
            puppetdb: true,
            ambiguous: Ambiguous::Skip,
            policy: Policy::default(),
            lost_answers: Vec::new(),
            calls: AtomicUsize::new(0),
            takes: Duration::from_secs(3),
            away: None,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn runs(&self) -> BTreeMap<RunId, RunState> {
        replay(self.journal.lock().unwrap().clone()).unwrap()
    }
}

/// One life of the bridge: it dies at the so-manieth point, if it gets there.
pub struct Life {
    world: Arc<World>,
    left: AtomicUsize,
    dead: AtomicBool,
    death: Notify,
}

impl Life {
    /// Returns, or never: a point at which the bridge may be killed.
    async fn point(&self) {
        if !self.dead.load(Ordering::SeqCst) {
            let before = self.left.fetch_sub(1, Ordering::SeqCst);
            if before > 1 {
                return;
            }
            self.dead.store(true, Ordering::SeqCst);
            self.death.notify_one();
        }
        std::future::pending::<()>().await;
    }
}

/// Lives once. False when it was killed at its `points`th point.
pub async fn live(
    world: &Arc<World>,
    points: usize,
    once: bool,
    shutdown: watch::Receiver<bool>,
) -> Result<bool, Fatal> {
    let life = Arc::new(Life {
        world: Arc::clone(world),
        left: AtomicUsize::new(points),
        dead: AtomicBool::new(false),
        death: Notify::new(),
    });
    let heard = Arc::clone(world);
    let alarm: Alarm = Arc::new(move |text| heard.alarms.lock().unwrap().push(text));
    let server = Arc::clone(&life);
    let connect: Connect = Arc::new(move || Arc::new(Server(Arc::clone(&server))) as Arc<dyn RelayApi>);
    let reports: Option<Arc<dyn Reports>> =
        world.puppetdb.then(|| Arc::new(PuppetDb(Arc::clone(&life))) as Arc<dyn Reports>);
    let workshop = Workshop {
        connect: Arc::clone(&connect),
        ledger: Arc::new(Paper(Arc::clone(&life))),
        backend: Arc::new(Nodes(Arc::clone(&life))),
        reports,
        policy: world.policy.clone(),
        audit: Arc::new(AuditLog::open(world.folder.path()).unwrap()),
        reporter: Reporter::on(tokio::runtime::Handle::current(), connect, Rhythm::default(), Arc::clone(&alarm)),
        alarm,
        rules: Rules {
            parallelism: 2,
            max_failures: None,
            run_timeout: Duration::from_secs(3_600),
            recovery: Duration::from_secs(30),
            ambiguous: world.ambiguous,
        },
    };
    let manner = Manner { wait: Duration::from_secs(5), interval: Duration::from_secs(30), runs: 4, once };
    let serving = serve(Arc::new(workshop), world.runs(), &manner, shutdown);
    tokio::select! {
        served = serving => served.map(|()| true),
        () = life.death.notified() => Ok(false),
    }
}

struct Server(Arc<Life>);

impl Server {
    /// Nothing, while the server cannot be reached.
    fn reached(&self) -> Result<(), CallError> {
        let now = tokio::time::Instant::now();
        match self.0.world.away {
            Some((from, to)) if (from..to).contains(&now) => Err(CallError::NotSent("connection refused".into())),
            _ => Ok(()),
        }
    }

    /// The answer, unless it gets lost.
    fn answer<T>(&self, answer: Result<T, CallError>) -> Result<T, CallError> {
        let world = &self.0.world;
        let number = world.calls.fetch_add(1, Ordering::SeqCst);
        if world.lost_answers.contains(&number) {
            return Err(CallError::Trouble { message: "the answer is lost".into(), retry_after: None });
        }
        answer
    }
}

fn refused((status, message, code): crate::book::Conflict) -> CallError {
    match status {
        404 => CallError::NotFound,
        409 => CallError::Conflict { message, code: code.map(String::from) },
        status => CallError::Refused { status, message },
    }
}

impl RelayApi for Server {
    fn list(&self, wait: Duration) -> Called<'_, Listed> {
        Box::pin(async move {
            self.0.point().await;
            self.reached()?;
            let world = &self.0.world;
            let begun = tokio::time::Instant::now();
            while !world.book.strict
                && begun.elapsed() < wait
                && !world.book.list().iter().any(|run| run.state.accepted_at.is_none())
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let runs: Vec<Run> = world.book.list();
            self.answer(Ok(Listed { runs, unreadable: Vec::new(), took: begun.elapsed(), clock_skew: None }))
        })
    }

    fn accept<'a>(&'a self, run: &'a RunId, token: &'a AcceptToken) -> Called<'a, Option<Lease>> {
        Box::pin(async move {
            self.0.point().await;
            self.reached()?;
            let answer = self.0.world.book.accept(run, Some(token)).map_err(refused);
            self.0.point().await;
            self.answer(answer)
        })
    }

    fn update<'a>(&'a self, run: &'a RunId, update: &'a StateUpdate) -> Called<'a, Option<State>> {
        Box::pin(async move {
            self.0.point().await;
            self.reached()?;
            let answer = self.0.world.book.update(run, update).map(Some).map_err(refused);
            self.0.point().await;
            self.answer(answer)
        })
    }
}

/// The journal, without a disk.
struct Paper(Arc<Life>);

impl Ledger for Paper {
    fn append(&self, records: Vec<Record>) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.0.point().await;
            self.0.world.journal.lock().unwrap().extend(records);
            self.0.point().await;
            Ok(())
        })
    }
}

/// Nodes that run Puppet, one after the other.
struct Nodes(Arc<Life>);

impl Backend for Nodes {
    fn refusal(&self, _: &Run) -> Option<String> {
        None
    }

    fn run<'a>(
        &'a self,
        job: &'a Job,
        nodes: Vec<NodeName>,
        floor: &'a Floor,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let world = &self.0.world;
            for node in nodes {
                if !floor.begin(vec![node.clone()]).await? {
                    return Ok(());
                }
                self.0.point().await;
                *world.started.lock().unwrap().entry((job.id.clone(), node.clone())).or_default() += 1;
                self.0.point().await;
                let status = tokio::select! {
                    () = tokio::time::sleep(world.takes) => {
                        if world.failing.contains(&node) { NodeStatus::Failed } else { NodeStatus::Changed }
                    }
                    stop = floor.killed() => {
                        if stop == Stop::Shutdown {
                            return Ok(());
                        }
                        NodeStatus::Cancelled
                    }
                };
                floor.end(NodeResult::new(node, status)).await?;
            }
            Ok(())
        })
    }
}

/// A PuppetDB that knows of whatever was started.
struct PuppetDb(Arc<Life>);

impl Reports for PuppetDb {
    fn find<'a>(&'a self, run: &'a RunId, node: &'a NodeName) -> BoxFuture<'a, Result<Option<Report>, String>> {
        Box::pin(async move {
            self.0.point().await;
            let started = self.0.world.started.lock().unwrap().contains_key(&(run.clone(), node.clone()));
            let status = if self.0.world.failing.contains(node) { "failed" } else { "changed" };
            Ok(started.then(|| Report {
                hash: "abc123".parse().unwrap(),
                status: status.into(),
                noop_pending: Some(false),
            }))
        })
    }

    fn url(&self, _: &NodeName, _: &ReportHash) -> Option<JobId> {
        None
    }
}

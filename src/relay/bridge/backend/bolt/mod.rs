//! Puppet by way of Bolt (or OpenBolt): for sites whose way to nodes is in Bolt's words.
//!
//! Bolt starts nodes by itself, so each call of it gets no more nodes than may run at once: which ones were begun is known
//! beforehand, and a killed bridge knows it, too.

pub mod argv;
pub mod lines;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use super::ssh::{Inventory, quote};
use super::{Backend, BackendError, child};
use crate::relay::api::{NodeName, Run};
use crate::relay::bridge::floor::{Floor, Stop};
use crate::relay::bridge::job::Job;
use crate::relay::bridge::reports::{self, Reports};
use crate::relay::bridge::verdict::{self, Ended};
use argv::Client;
use lines::{Reader, Told};

/// Puppet by way of Bolt.
pub struct Bolt {
    /// How Bolt is called.
    pub client: Client,
    /// Where nodes are.
    pub inventory: Inventory,
    /// Puppet on the nodes, a path or a name in `$PATH`.
    pub puppet: String,
    /// A folder of the bridge's own, in which each call gets one.
    pub folder: PathBuf,
    /// The longest that a call may take.
    pub node_timeout: Duration,
    /// Nodes at once, over all runs.
    pub slots: Arc<Semaphore>,
    /// Where reports are found, if anywhere.
    pub reports: Option<Arc<dyn Reports>>,
}

/// How a call of Bolt ended.
enum Call {
    /// By itself; what it said about its troubles.
    Over(String),
    /// It could not be started, or got no folder.
    Unable(String),
    /// It was stopped, and this became of the nodes that it had not told of.
    Stopped(Ended),
    /// The bridge ends, and nobody will know.
    Left,
}

impl Backend for Bolt {
    fn refusal(&self, run: &Run) -> Option<String> {
        self.inventory.refusal("bolt", run)
    }

    fn run<'a>(
        &'a self,
        job: &'a Job,
        nodes: Vec<NodeName>,
        floor: &'a Floor,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            for some in nodes.chunks(floor.parallelism.max(1)) {
                // The semaphore is never closed. It has fewer than are asked for only when it was made so.
                let wanted = u32::try_from(some.len()).unwrap_or(u32::MAX);
                let slots = tokio::select! {
                    slots = self.slots.acquire_many(wanted) => slots,
                    _ = floor.killed() => return Ok(()),
                };
                let Ok(_slots) = slots else { return Ok(()) };
                if !floor.begin(some.to_vec()).await? {
                    return Ok(());
                }
                self.call(job, some, floor).await?;
            }
            Ok(())
        })
    }
}

impl Bolt {
    /// One call, and what became of each of its nodes.
    async fn call(&self, job: &Job, nodes: &[NodeName], floor: &Floor) -> Result<(), BackendError> {
        let mut open: BTreeSet<NodeName> = nodes.iter().cloned().collect();
        let call = self.follow(job, nodes, &mut open, floor).await?;
        let ended = match call {
            Call::Left => return Ok(()),
            Call::Over(why) => Ended::Local(format!("Bolt ended without a word about this node: {why}")),
            Call::Unable(why) => Ended::Local(why),
            Call::Stopped(ended) => ended,
        };
        for node in open {
            floor.end(verdict::result(node, &ended)).await?;
        }
        Ok(())
    }

    async fn follow(
        &self,
        job: &Job,
        nodes: &[NodeName],
        open: &mut BTreeSet<NodeName>,
        floor: &Floor,
    ) -> Result<Call, BackendError> {
        let folder = match self.folder(nodes) {
            Ok(folder) => folder,
            Err(e) => return Ok(Call::Unable(format!("Bolt cannot be given its files: {e}"))),
        };
        let words = argv::argv(&self.client, folder.path(), nodes.len(), &quote::bare(&job.words(&self.puppet)));
        let started = child::start_with(&words, |command| argv::surroundings(&self.client, folder.path(), command));
        let mut running = match started {
            Ok(running) => running,
            Err(e) => return Ok(Call::Unable(e)),
        };
        let (mut lines, mut reader) = (running.lines(), Reader::default());
        let deadline = tokio::time::Instant::now() + self.node_timeout;
        loop {
            let line = tokio::select! {
                line = lines.next() => line,
                () = tokio::time::sleep_until(deadline) => {
                    running.stop().await;
                    return Ok(Call::Stopped(Ended::TimedOut));
                }
                stop = floor.killed() => {
                    if stop == Stop::Shutdown {
                        return Ok(Call::Left);
                    }
                    running.stop().await;
                    let ended = if stop == Stop::Deadline { Ended::Deadline } else { Ended::Cancelled };
                    return Ok(Call::Stopped(ended));
                }
            };
            let Some(line) = line else { break };
            if let Some(Told { node, ended }) = reader.take(&line)
                && open.remove(&node)
            {
                let result = verdict::result(node, &ended);
                floor
                    .end(match &self.reports {
                        Some(reports) => reports::enrich(result, &job.id, reports.as_ref()).await,
                        None => result,
                    })
                    .await?;
            }
        }
        let said = running.finish().await;
        let last = said.stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        Ok(Call::Over(reader.trouble().unwrap_or_else(|| last.to_owned())))
    }

    /// What one call needs: an inventory, an empty project, and a home with the keys that are known. It goes with it.
    fn folder(&self, nodes: &[NodeName]) -> std::io::Result<tempfile::TempDir> {
        let folder = tempfile::Builder::new().prefix("bolt-").tempdir_in(&self.folder)?;
        std::fs::create_dir(folder.path().join("project"))?;
        if let Some(known) = &self.client.known_hosts {
            std::fs::create_dir(folder.path().join(".ssh"))?;
            std::fs::copy(known, folder.path().join(".ssh/known_hosts"))?;
        }
        let addresses: Vec<_> = nodes.iter().filter_map(|n| Some((n, self.inventory.address(n)?))).collect();
        write(&folder.path().join("inventory.json"), &argv::inventory(&self.client, &addresses).to_string())?;
        Ok(folder)
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

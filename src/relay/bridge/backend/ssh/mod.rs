//! Puppet over SSH: one OpenSSH client a node, so many at once. Also how the platform's own agents are reached.

pub mod argv;
pub mod quote;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, try_join_all};
use tokio::sync::Semaphore;

use super::{Backend, BackendError, child};
use crate::relay::api::{NodeName, NodeResult, Run};
use crate::relay::bridge::floor::{Floor, Stop};
use crate::relay::bridge::job::Job;
use crate::relay::bridge::reports::{self, Reports};
use crate::relay::bridge::verdict::{self, Ended};
use argv::{Address, Client};

/// Where nodes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// Those that are not where their name says.
    pub nodes: BTreeMap<NodeName, Address>,
    /// How all others are reached; without it, there are no others.
    pub others: Option<Other>,
    /// Others are only those whose host keys are in this file. It is read each time: a node more needs no other bridge.
    pub known: Option<PathBuf>,
}

/// A node that is found by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Who logs in.
    pub user: String,
    /// Port.
    pub port: u16,
}

impl Inventory {
    /// Where a node is.
    pub fn address(&self, node: &NodeName) -> Option<Address> {
        self.nodes.get(node).cloned().or_else(|| {
            let Other { user, port } = self.others.clone()?;
            if self.known.as_deref().is_some_and(|file| !knows(file, node, port)) {
                return None;
            }
            Some(Address { host: node.to_string(), port, user, key_name: None })
        })
    }

    /// Why a back-end that must know where nodes are cannot do this run.
    pub fn refusal(&self, backend: &str, run: &Run) -> Option<String> {
        let Some(nodes) = run.scope.nodes() else {
            return Some(format!(
                "the {backend} back-end takes nodes; only PE's orchestrator knows a {}",
                run.scope.kind()
            ));
        };
        if self.known.is_some() {
            // Who is not known is told of as one node among others.
            return None;
        }
        let strange: Vec<&str> =
            nodes.iter().filter(|n| self.address(n).is_none()).map(NodeName::as_str).take(3).collect();
        (!strange.is_empty()).then(|| format!("this bridge does not know where {} is", strange.join(", ")))
    }
}

/// Whether a file of OpenSSH's known hosts names this one. Names that are hashed are not seen.
fn knows(file: &Path, node: &NodeName, port: u16) -> bool {
    let name = if port == 22 { node.to_string() } else { format!("[{node}]:{port}") };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let names = text.lines().filter(|line| !line.starts_with(['#', '@'])).filter_map(|line| line.split(' ').next());
    names.flat_map(|names| names.split(',')).any(|known| known == name)
}

/// Puppet over SSH.
pub struct Ssh {
    /// How the client is called.
    pub client: Client,
    /// Where nodes are.
    pub inventory: Inventory,
    /// Puppet on the nodes, a path or a name in `$PATH`.
    pub puppet: String,
    /// The longest that a node may take.
    pub node_timeout: Duration,
    /// Over all runs.
    pub slots: Arc<Semaphore>,
    /// Where reports are found, if anywhere.
    pub reports: Option<Arc<dyn Reports>>,
}

impl Backend for Ssh {
    fn refusal(&self, run: &Run) -> Option<String> {
        self.inventory.refusal("ssh", run)
    }

    fn run<'a>(
        &'a self,
        job: &'a Job,
        nodes: Vec<NodeName>,
        floor: &'a Floor,
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            let workers = floor.parallelism.min(nodes.len());
            let queue = Mutex::new(VecDeque::from(nodes));
            let all = (0..workers).map(|_| self.work(job, &queue, floor));
            try_join_all(all).await.map(|_| ())
        })
    }
}

impl Ssh {
    /// One node after the other, until none is left or nothing more may be started.
    async fn work(&self, job: &Job, queue: &Mutex<VecDeque<NodeName>>, floor: &Floor) -> Result<(), BackendError> {
        loop {
            // The semaphore is never closed.
            let slot = tokio::select! {
                slot = self.slots.acquire() => slot,
                _ = floor.killed() => return Ok(()),
            };
            let Ok(_slot) = slot else { return Ok(()) };
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(node) = next else { return Ok(()) };
            if !floor.begin(vec![node.clone()]).await? {
                return Ok(());
            }
            let Some(result) = self.one(job, node, floor).await else { return Ok(()) };
            floor.end(result).await?;
        }
    }

    /// What became of one node; `None` when the bridge ends and nobody will know.
    async fn one(&self, job: &Job, node: NodeName, floor: &Floor) -> Option<NodeResult> {
        let Some(address) = self.inventory.address(&node) else {
            let ended = match self.inventory.known {
                Some(_) => Ended::Transport("the bridge knows no node of this name".into()),
                None => Ended::Local("this bridge does not know where the node is".into()),
            };
            return Some(verdict::result(node, &ended));
        };
        let nonce = match nonce() {
            Ok(nonce) => nonce,
            Err(e) => return Some(verdict::result(node, &Ended::Local(e))),
        };
        let words = argv::argv(&self.client, &address, &quote::remote(&job.words(&self.puppet), &nonce));
        let mut child = match child::start(&words) {
            Ok(child) => child,
            Err(e) => return Some(verdict::result(node, &Ended::Local(e))),
        };
        let ended = tokio::select! {
            said = child.finish() => match quote::trailer(&said.stdout, &nonce) {
                Some((code, end)) => {
                    let output = format!("{}\n{}", said.stdout.get(..end).unwrap_or_default(), said.stderr);
                    Ended::Puppet { code, output }
                }
                None => Ended::Transport(said.stderr),
            },
            () = tokio::time::sleep(self.node_timeout) => {
                child.stop().await;
                Ended::TimedOut
            }
            stop = floor.killed() => {
                if stop == Stop::Shutdown {
                    // The node goes on; whoever starts next asks PuppetDB how it ended.
                    return None;
                }
                child.stop().await;
                if stop == Stop::Deadline { Ended::Deadline } else { Ended::Cancelled }
            }
        };
        let result = verdict::result(node, &ended);
        Some(match &self.reports {
            Some(reports) => reports::enrich(result, &job.id, reports.as_ref()).await,
            None => result,
        })
    }
}

/// What nobody can guess, so that no output of Puppet looks like our trailer.
fn nonce() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| format!("this machine gives no random numbers: {e}"))?;
    Ok(format!("pupperware-{}", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_inventory_has_no_others() {
        let node: NodeName = "web01".parse().unwrap();
        let mut inventory = Inventory { nodes: BTreeMap::new(), others: None, known: None };
        assert_eq!(inventory.address(&node), None);
        inventory.others = Some(Other { user: "root".into(), port: 2222 });
        assert_eq!(inventory.address(&node).unwrap().host, "web01");
        let there = Address { host: "192.0.2.1".into(), port: 22, user: "deploy".into(), key_name: None };
        inventory.nodes.insert(node.clone(), there.clone());
        assert_eq!(inventory.address(&node), Some(there));
    }

    #[test]
    fn others_are_those_whose_keys_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("known_hosts");
        let others = Some(Other { user: "root".into(), port: 2222 });
        let inventory = Inventory { nodes: BTreeMap::new(), others, known: Some(file.clone()) };
        let there = |name: &str| inventory.address(&name.parse().unwrap()).is_some();
        assert!(!there("web01"), "no file, nobody known");
        std::fs::write(&file, "# [web03]:2222\n[web01]:2222,[alias]:2222 ecdsa AAAA\nweb02 ecdsa AAAA\n").unwrap();
        assert!(there("web01") && there("alias"));
        assert!(!there("web02"), "another port is another key");
        assert!(!there("web03") && !there("web0"));
        std::fs::write(&file, "[web04]:2222 ecdsa AAAA\n").unwrap();
        assert!(there("web04") && !there("web01"), "read anew");
    }
}

//! Gathers the evidence: what the engine tells, what is in the volumes, what the services do when they are tried.
//!
//! Nothing is judged here, and nothing of the platform is changed: one helper container looks into the volumes, read-only
//! and without a network, and a stranger's request for a certificate is made and taken away again. Secrets are compared
//! inside the engine; what comes out are places.

mod attempts;
mod inside;
mod read;
mod settings;
mod updates;
mod volumes;

use std::time::Duration;

use jiff::Timestamp;

use super::model::Evidence;
use crate::desired::{Desired, Replica, labels};
use crate::engine::{Engine, ExecOutput, ExecRequest};
use crate::observed::{Container, Observed};

/// How long one look inside a container may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the audit looks at.
pub struct Ground<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The platform as it should be.
    pub desired: &'a Desired,
    /// The platform as it is.
    pub observed: &'a Observed,
    /// Ask Debian for newer packages, which needs the network.
    pub updates: bool,
}

impl Ground<'_> {
    fn project(&self) -> &str {
        &self.desired.project
    }

    /// The container of a replica, if it runs.
    fn running(&self, replica: &Replica) -> Option<&Container> {
        self.observed.containers.get(&replica.spec.name).filter(|c| c.running())
    }

    /// The first container of a service, if it runs.
    fn service(&self, service: &str) -> Option<&Container> {
        self.observed.services().map(|(_, c)| c).find(|c| c.label(labels::SERVICE) == service && c.running())
    }

    /// Runs a script in a container.
    async fn script(
        &self,
        container: &str,
        script: &str,
        arguments: &[&str],
        stdin: Option<Vec<u8>>,
    ) -> Result<ExecOutput, String> {
        let command = ["sh", "-c", script, "audit"].iter().chain(arguments).map(ToString::to_string).collect();
        self.command(container, command, stdin).await
    }

    /// Runs a command in a container.
    async fn command(
        &self,
        container: &str,
        command: Vec<String>,
        stdin: Option<Vec<u8>>,
    ) -> Result<ExecOutput, String> {
        let request = ExecRequest { container: container.to_owned(), command, user: None, stdin };
        match tokio::time::timeout(PATIENCE, self.engine.exec(&request, &mut |_| {})).await {
            Ok(output) => output.map_err(|e| e.to_string()),
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// Looks at everything that can be looked at.
pub async fn look(ground: &Ground<'_>) -> Evidence {
    let mut evidence = Evidence { now: Timestamp::now().as_second(), ..Evidence::default() };
    if ground.observed.is_absent() {
        evidence.unseen("the platform", "nothing of it exists; start it with `pupperware up`");
        return evidence;
    }
    if ground.observed.containers.values().any(|c| c.label(labels::ROLE) == "lock") {
        evidence.unseen(
            "the platform as a whole",
            "a change is under way, or was interrupted: see `pupperware up --dry-run`",
        );
    }
    for replica in &ground.desired.replicas {
        match ground.observed.containers.get(&replica.spec.name) {
            None => {
                evidence.unseen(&replica.spec.name, "there is no such container: what it would answer is not known")
            }
            Some(c) if !c.running() => {
                let state = c.found.state.name();
                evidence.unseen(&replica.spec.name, format!("it is {state}: what it would answer is not known"));
            }
            Some(_) => {}
        }
    }
    let texts = settings::all(ground, &mut evidence).await;
    // Each has its own part of the evidence, so that they can go side by side.
    let (volumes, inside, attempts, updates) =
        tokio::join!(volumes::all(ground, texts), inside::all(ground), attempts::all(ground), updates::all(ground));
    for part in [volumes, inside, attempts, updates] {
        evidence.take(part);
    }
    evidence
}

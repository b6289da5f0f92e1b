//! What must hold before an upgrade changes anything: room for a second database, and agents that the new server serves.

use semver::Version;

use super::{before_up, machine};
use crate::backup::show_bytes;
use crate::desired::{Desired, labels};
use crate::engine::{Engine, EngineInfo, ExecRequest};
use crate::error::{Error, Result};
use crate::journal::{history, read};
use crate::observed::{Container, Observed};
use crate::plan::{Action, Plan};
use crate::puppet::puppetdb::AgentVersion;
use crate::puppet::{inventory, puppetdb};

/// Room beside what is known to be needed.
const SPARE: u64 = 1 << 30;
/// What a new image may take while it is built.
const IMAGE: u64 = 3 << 29;

/// How many of the last runs are asked how long things take.
const RUNS: usize = 50;

/// What an upgrade needs and will meet.
#[derive(Debug, Default)]
pub struct Outlook {
    /// Bytes of the database; nothing when that was told before.
    pub database_bytes: Option<u64>,
    /// Agents that the new server does not serve.
    pub too_old: Vec<AgentVersion>,
    /// Whether the database is copied.
    pub copies: bool,
    /// Whether compilers serve throughout.
    pub rolls: bool,
    /// How long the last backup took to write.
    pub backup_seconds: Option<u64>,
    /// How long the slowest service took to start last.
    pub start_seconds: Option<u64>,
    /// Room that it needs where the engine keeps its data.
    pub needed_bytes: u64,
    /// Room that there is, where that can be known.
    pub free_bytes: Option<u64>,
}

/// Looks at database and agents, and checks the ground; of an upgrade that goes on, only the ground.
///
/// # Errors
/// The first check that fails, or a service that does not answer.
pub async fn before_upgrade(
    engine: &Engine,
    info: &EngineInfo,
    to: &Desired,
    observed: &Observed,
    plan: &Plan,
    oldest: Option<&Version>,
) -> Result<Outlook> {
    before_up(engine, info, to, observed, plan)?;
    if observed.record.as_ref().is_some_and(|r| r.upgrading.is_some()) {
        // All this was looked at when it began, and what would be asked may be between its two releases.
        return Ok(Outlook::default());
    }
    let database_bytes: u64 = match running(observed, "postgres") {
        Some(postgres) => said(engine, postgres, inventory::size()).await?.trim().parse().unwrap_or(0),
        None => 0,
    };
    let builds = plan.steps.iter().filter(|s| matches!(s.action, Action::BuildImage { .. })).count() as u64;
    let copies = plan.steps.iter().any(|s| matches!(s.action, Action::CopyDatabase { .. }));
    // The copy has the size of the original, and what its server writes on the way.
    let copy = if copies { database_bytes.saturating_mul(2) } else { 0 };
    let needed = copy.saturating_add(builds * IMAGE).saturating_add(SPARE);
    let free_bytes = machine::free_bytes(engine, info);
    if let Some(free) = free_bytes.filter(|free| *free < needed) {
        let (have, need) = (show_bytes(free), show_bytes(needed));
        return Err(Error::failed(format!("{have} are free in {}, and the upgrade needs {need}", info.root_dir))
            .details(["(nothing was changed)".to_owned()])
            .hint("free some space; `docker system df` shows what uses it"));
    }
    let mut too_old = Vec::new();
    if let (Some(oldest), Some(puppetdb)) = (oldest, running(observed, "puppetdb")) {
        let versions = puppetdb::read_agent_versions(&said(engine, puppetdb, puppetdb::agent_versions()).await?)?;
        too_old.extend(versions.into_iter().filter(|v| v.older_than(oldest)));
    }
    let journal = read::last(engine, &to.project, RUNS).await?.unwrap_or_default();
    let took = |kind: &str, resource: &str| history::last_took(&journal, kind, resource).map(|ms| ms.div_ceil(1000));
    let starts = ["-postgres-", "-puppetdb-", "-puppetserver-"].map(|service| took("wait_ready", service));
    Ok(Outlook {
        database_bytes: Some(database_bytes),
        too_old,
        copies,
        rolls: !copies && to.compilers().count() > 0,
        backup_seconds: took("write_backup", ""),
        // Started side by side the last time, as a rule: the longest of them counts.
        start_seconds: starts.into_iter().flatten().max(),
        needed_bytes: needed,
        free_bytes,
    })
}

/// A service's container, when it runs.
fn running<'o>(observed: &'o Observed, service: &str) -> Option<&'o str> {
    let of = |c: &Container| c.label(labels::SERVICE) == service && c.running();
    observed.services().find(|(_, c)| of(c)).map(|(name, _)| name.as_str())
}

async fn said(engine: &Engine, container: &str, command: Vec<String>) -> Result<String> {
    let request = ExecRequest { container: container.to_owned(), command, ..ExecRequest::default() };
    let output = engine.exec(&request, &mut |_| {}).await?;
    match output.code {
        0 => Ok(output.stdout),
        code => Err(Error::failed(format!("{container} does not answer (exit code {code})"))
            .details(output.stderr.lines().map(ToOwned::to_owned))),
    }
}

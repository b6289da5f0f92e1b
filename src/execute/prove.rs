//! The proof: an agent's run through the whole platform, and its new report found in PuppetDB.

use std::time::Duration;

use tokio::time::Instant;

use super::{Context, timed_out};
use crate::engine::{Engine, ExecRequest};
use crate::error::{Error, Result};
use crate::puppet::agent::{self, Outcome, RunOptions};
use crate::puppet::puppetdb::{self, Node};

/// How long a report may take from the server into the database.
const REPORT_PATIENCE: Duration = Duration::from_secs(60);

/// Runs the agent, and returns the hash of its new report.
pub(super) async fn prove(context: &Context, id: usize, agent: &str, certname: &str, puppetdb: &str) -> Result<String> {
    let engine = &context.engine;
    let before = node(engine, puppetdb, certname).await?.and_then(|n| n.latest_report_hash);
    context.progress(id, "applying a catalog");
    run_agent(context, agent, certname).await?;
    context.progress(id, "looking for its report in PuppetDB");
    let node = new_report(engine, puppetdb, certname, before.as_deref()).await?;
    Ok(node.latest_report_hash.unwrap_or_default())
}

/// Runs the agent, and fails when it still finds something to change.
pub(super) async fn unchanged(context: &Context, agent: &str, certname: &str) -> Result<()> {
    match run_agent(context, agent, certname).await? {
        Outcome::Unchanged => Ok(()),
        _ => Err(Error::failed(format!("a second run of {certname} changed something again"))
            .hint("the code is not idempotent; `pupperware agent run --noop` shows what it would change")),
    }
}

/// One run that must apply its whole catalog.
async fn run_agent(context: &Context, agent: &str, certname: &str) -> Result<Outcome> {
    let command = agent::run_command(&RunOptions::default());
    let run = ExecRequest { container: agent.into(), command, ..ExecRequest::default() };
    let seconds = Duration::from_secs(context.seconds_left());
    let output = tokio::time::timeout(seconds, context.engine.exec(&run, &mut |_| {}))
        .await
        .map_err(|_| timed_out(format!("the run of {certname} did not end in time"), ""))??;
    let outcome = Outcome::from_code(output.code);
    if outcome.ok() {
        return Ok(outcome);
    }
    let lines: Vec<String> = output.stdout.lines().chain(output.stderr.lines()).map(ToOwned::to_owned).collect();
    let skip = lines.len().saturating_sub(20);
    Err(Error::failed(format!("the services are ready, but the run of {certname} is not clean: {}", outcome.text()))
        .details(lines.into_iter().skip(skip))
        .hint(format!(
            "when the code is at fault, mend it and run `pupperware up` again; the server's side is in `pupperware --project {} logs puppetserver`",
            context.project
        )))
}

/// Waits for a report of this node that is not `before`.
///
/// # Errors
/// None came in time, or PuppetDB's answer makes no sense.
pub async fn new_report(engine: &Engine, puppetdb: &str, certname: &str, before: Option<&str>) -> Result<Node> {
    let deadline = Instant::now() + REPORT_PATIENCE;
    loop {
        if let Some(node) = node(engine, puppetdb, certname).await?
            && node.latest_report_hash.is_some()
            && node.latest_report_hash.as_deref() != before
        {
            return Ok(node);
        }
        if Instant::now() >= deadline {
            return Err(timed_out(
                format!("the run of {certname} succeeded, but its report did not reach PuppetDB"),
                "",
            )
            .hint("look at `pupperware logs puppetdb` and `pupperware logs puppetserver`"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Asks PuppetDB for a node.
///
/// # Errors
/// The query cannot be made, or its answer makes no sense.
pub async fn node(engine: &Engine, puppetdb: &str, certname: &str) -> Result<Option<Node>> {
    let request =
        ExecRequest { container: puppetdb.into(), command: puppetdb::node_query(certname), ..ExecRequest::default() };
    let output = engine.exec(&request, &mut |_| {}).await?;
    if output.code != 0 {
        return Err(
            Error::failed(format!("cannot ask PuppetDB for {certname}")).details([output.stderr.trim().to_owned()])
        );
    }
    puppetdb::read_node(&output.stdout)
}

//! Steps that move a platform's data to another release, and see that all of it is there.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::backup_steps::{Meter, failed};
use super::{Context, ca_steps, record_steps, timed_out};
use crate::backup::show_bytes;
use crate::engine::ExecRequest;
use crate::engine::spec::ContainerSpec;
use crate::error::{Error, Result};
use crate::puppet::inventory::{self, Inventory, Part};
use crate::puppet::{metrics, puppetdb, volumes};

/// Between two looks at the queue.
const PAUSE: Duration = Duration::from_millis(250);
/// How many lines of what is missing are told.
const SHOWN: usize = 10;

/// Waits until PuppetDB has stored what it received.
pub(super) async fn drain(context: &Context, id: usize, container: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(context.seconds_left());
    loop {
        let command = puppetdb::status();
        let request = ExecRequest { container: container.to_owned(), command, ..ExecRequest::default() };
        let status = ca_steps::run(&context.engine, &request, "PuppetDB does not tell its status").await?;
        let depth = metrics::database(&status, "")?.queue_depth;
        match depth {
            Some(depth) if depth > 0.0 => context.progress(id, &format!("{depth} commands wait to be stored")),
            Some(_) => return Ok(()),
            None => return Err(Error::failed("PuppetDB does not tell how much it has yet to store")),
        }
        if Instant::now() >= deadline {
            return Err(timed_out("PuppetDB did not store in time what it had received".into(), "")
                .hint("wait longer with `--timeout`; `pupperware metrics` shows its queue"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Counts the database, and writes everything of the CA down.
pub(super) async fn take(
    context: &Context,
    postgres: &str,
    task: &ContainerSpec,
    kept_seconds: u64,
) -> Result<Option<String>> {
    let since = inventory::since(Timestamp::now(), kept_seconds);
    let inventory = count(context, postgres, since).await?;
    let lines = look(context, task, inventory::note_ca(), "the CA cannot be looked at").await?;
    let text = format!("{}; {} things of the CA", inventory.all.text(), lines.trim());
    record_steps::counted(context, inventory).await?;
    Ok(Some(text))
}

/// Copies the database: a dump by the old release's program, read by the new one's as it comes.
pub(super) async fn copy(context: &Context, id: usize, from: &str, into: &str) -> Result<Option<String>> {
    let of =
        |container: &str, command| ExecRequest { container: container.to_owned(), command, ..ExecRequest::default() };
    let (dump, load) = (of(from, volumes::dump()), of(into, volumes::load()));
    let mut meter = Meter::new(context, id, "database");
    let mut passed = 0;
    let mut count = |bytes: u64| {
        passed = bytes;
        meter.at(bytes);
    };
    let (dumped, loaded) = context.engine.exec_pipe(&dump, &load, &mut count).await?;
    if loaded.code != 0 {
        return Err(failed("the new PostgreSQL does not take the database", &loaded));
    }
    if dumped.code != 0 {
        return Err(failed("the database cannot be read", &dumped));
    }
    Ok(Some(show_bytes(passed)))
}

/// Counts again, and compares.
pub(super) async fn verify(context: &Context, postgres: &str, part: Part) -> Result<Option<String>> {
    let before = record_steps::inventory_before(context).await?;
    let before = before.ok_or_else(|| Error::failed("nothing on record tells what the database held before"))?;
    let since: Timestamp = before
        .since
        .parse()
        .map_err(|e| Error::failed("the record tells no time at which the database was counted").because(e))?;
    let now = count(context, postgres, since).await?;
    match before.differs(&now, part) {
        None => Ok(Some(format!("{}, as before", now.all.text()))),
        Some(difference) => Err(Error::failed("the database does not hold what it held before").details([difference])),
    }
}

/// Looks for everything of the CA that was written down.
pub(super) async fn verify_ca(context: &Context, task: &ContainerSpec) -> Result<()> {
    let missing = look(context, task, inventory::compare_ca(), "the CA cannot be compared").await?;
    let lines: Vec<String> = missing.lines().map(ToOwned::to_owned).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(Error::failed(format!("{} things of the CA are missing or changed", lines.len()))
        .details(lines.into_iter().take(SHOWN)))
}

async fn count(context: &Context, postgres: &str, since: Timestamp) -> Result<Inventory> {
    let command = inventory::count(since);
    let request = ExecRequest { container: postgres.to_owned(), command, ..ExecRequest::default() };
    let text = ca_steps::run(&context.engine, &request, "the database cannot be counted").await?;
    inventory::read(&text, since)
}

/// Runs a command in a container of its own; what it says.
async fn look(context: &Context, task: &ContainerSpec, command: Vec<String>, what: &str) -> Result<String> {
    let engine = &context.engine;
    engine.remove_container(&task.name).await?;
    engine.create_container(task).await?;
    let said = async {
        engine.start_container(&task.name).await?;
        let request = ExecRequest { container: task.name.clone(), command, ..ExecRequest::default() };
        ca_steps::run(engine, &request, what).await
    }
    .await;
    engine.remove_container(&task.name).await?;
    said
}

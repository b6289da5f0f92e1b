//! `backup verify`: a backup is good when a platform has come up from it.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::restore::{platform, restoration, whole};
use crate::backup::{Archive, check, show_bytes};
use crate::cli::backup::BackupVerifyArgs;
use crate::cli::global::GlobalArgs;
use crate::commands::change::{self, Change};
use crate::commands::context::{Context, Extra, Platform};
use crate::commands::smoke::random;
use crate::error::{Error, Result};
use crate::plan;
use crate::report::Report;
use crate::report::output::{Document, Tabular, print_data};
use crate::report::table::Table;

/// How long the throw-away platform's lock is waited for; nobody else knows its name.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Serialize)]
struct Verified {
    file: String,
    project: String,
    release: String,
    finished_at: String,
    stored_bytes: u64,
    /// Every checksum is right, and what is inside can be unpacked.
    whole: bool,
    /// A platform came up from it, and was proved; nothing when that was not asked for.
    proved: Option<bool>,
}

impl Tabular for Verified {
    fn table(&self) -> Table {
        let mut table = Table::new(["FILE", "PROJECT", "RELEASE", "FINISHED", "SIZE", "VERIFIED"]);
        let verified = if self.proved == Some(true) { "restored and proved" } else { "checksums" };
        table.row([
            self.file.as_str().into(),
            self.project.as_str().into(),
            self.release.as_str().into(),
            self.finished_at.split('.').next().unwrap_or_default().into(),
            show_bytes(self.stored_bytes).into(),
            verified.into(),
        ]);
        table
    }
}

/// Verifies a backup.
pub(super) async fn run(global: &GlobalArgs, args: &BackupVerifyArgs, report: &Report) -> Result<u8> {
    let archive = match (&args.identity, args.checksums_only) {
        // Its checksums are of what is stored, which needs no key.
        (None, true) => stored(&args.file, report)?,
        (identity, _) => whole(&args.file, identity.as_deref(), report)?,
    };
    if !args.checksums_only {
        restored(global, args, &archive, report).await?;
    }
    let manifest = &archive.manifest;
    let verified = Verified {
        file: args.file.display().to_string(),
        project: manifest.project.clone(),
        release: manifest.release.to_string(),
        finished_at: manifest.finished_at.clone(),
        stored_bytes: manifest.members.iter().map(|m| m.stored_bytes).sum(),
        whole: true,
        proved: (!args.checksums_only).then_some(true),
    };
    print_data(args.output, &Document::new(verified))?;
    Ok(0)
}

/// An archive whose checksums are right; its content is looked at as well, unless it is encrypted.
fn stored(file: &Path, report: &Report) -> Result<Archive> {
    let archive = Archive::open(file)?;
    if !archive.manifest.encrypted() {
        return whole(file, None, report);
    }
    report.note(format!(
        "{} is encrypted: without `--identity` its checksums tell that it is as it was written",
        file.display()
    ));
    check::checksums(&archive)?;
    Ok(archive)
}

/// Restores into a platform that nobody else knows, proves it, and takes it away whatever comes of it.
async fn restored(global: &GlobalArgs, args: &BackupVerifyArgs, archive: &Archive, report: &Report) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::failed("cannot make a temporary directory").because(e))?;
    let config = folder.path().join("pupperware.yaml");
    std::fs::write(&config, archive.configuration()?.unwrap_or_default())
        .map_err(|e| Error::failed(format!("cannot write {}", config.display())).because(e))?;
    let project = format!("pwverify-{}", random()?);
    report.note(format!("restoring it as {project}, which is removed afterwards"));
    let mut theirs = GlobalArgs { config: Some(config), ..global.clone() };
    // Whatever of what it names is on this machine. The volume `code` stands for a code directory; code from a control
    // repository is in the archive.
    let anywhere = Extra { elsewhere: true, ..Extra::default() };
    theirs.project = Some(project);
    let context = Context::new(&theirs, &anywhere, report)?;
    let mut platform = platform(&context, &archive.manifest).await?;
    for replica in &mut platform.desired.replicas {
        // The platform that it is of may hold the port.
        replica.spec.ports.clear();
    }
    let proved = prove(&context, &platform, archive, args).await;
    let change = change(&platform);
    let all = ["ALL".to_owned()];
    let removed =
        change::locked(&context, &change, PATIENCE, args.timeout, async |o| plan::down(o, &all)).await.map(|_| ());
    proved.and(removed)?;
    theirs.project = Some(archive.manifest.project.clone());
    if let Err(error) = remember(&Context::new(&theirs, &anywhere, report)?, archive, args.timeout).await {
        report.warn(format!("it is good, and the platform could not be told so: {error}"));
    }
    Ok(())
}

/// Tells the platform that the backup is of, when it is on this engine and this is its last one.
async fn remember(context: &Context, archive: &Archive, timeout: Duration) -> Result<()> {
    let finished_at = &archive.manifest.finished_at;
    let (engine, observed) = context.observe().await?;
    let Some(release) = observed.record.as_ref().map(|r| r.release.clone()) else { return Ok(()) };
    if plan::backup::verified(&observed, finished_at).is_empty() {
        return Ok(());
    }
    let change = Change { command: "backup verify", engine: &engine, release, channel: None };
    let plan = async |observed: &crate::observed::Observed| Ok(plan::backup::verified(observed, finished_at));
    change::locked(context, &change, PATIENCE, timeout, plan).await.map(|_| ())
}

async fn prove(context: &Context, platform: &Platform, archive: &Archive, args: &BackupVerifyArgs) -> Result<()> {
    let what = restoration(archive, args.identity.as_deref(), &[])?;
    let timeout = args.timeout;
    let change = change(platform);
    let desired = &platform.desired;
    change::locked(context, &change, PATIENCE, timeout, async |o| plan::restore(desired, o, &what)).await?;
    let certname = format!("{}-smoke", context.project());
    change::locked(context, &change, PATIENCE, timeout, async |o| plan::smoke(desired, o, &certname)).await?;
    Ok(())
}

fn change(platform: &Platform) -> Change<'_> {
    let release = platform.release.version.clone();
    Change { command: "backup verify", engine: &platform.engine, release, channel: platform.desired.channel.clone() }
}

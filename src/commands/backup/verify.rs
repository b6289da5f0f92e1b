//! `backup verify`: a backup is good when a platform has come up from it.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::restore::{platform, restoration, whole};
use crate::backup::{Archive, show_bytes};
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
    let archive = whole(&args.file, report)?;
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

/// Restores into a platform that nobody else knows, proves it, and takes it away whatever comes of it.
async fn restored(global: &GlobalArgs, args: &BackupVerifyArgs, archive: &Archive, report: &Report) -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::failed("cannot make a temporary directory").because(e))?;
    let config = folder.path().join("pupperware.yaml");
    std::fs::write(&config, archive.configuration()?.unwrap_or_default())
        .map_err(|e| Error::failed(format!("cannot write {}", config.display())).because(e))?;
    let project = format!("pwverify-{}", random()?);
    report.note(format!("restoring it as {project}, which is removed afterwards"));
    let global = GlobalArgs { project: Some(project), config: Some(config), ..global.clone() };
    let context = anywhere(&global, folder.path(), report)?;
    let mut platform = platform(&context, &archive.manifest).await?;
    for replica in &mut platform.desired.replicas {
        // The platform that it is of may hold the port.
        replica.spec.ports.clear();
    }
    let proved = prove(&context, &platform, archive, args.timeout).await;
    let change = change(&platform);
    let all = ["ALL".to_owned()];
    let removed =
        change::locked(&context, &change, PATIENCE, args.timeout, async |o| plan::down(o, &all)).await.map(|_| ());
    proved.and(removed)
}

/// Settings from the archive's file, whatever of what it names is on this machine. An empty directory stands for its
/// code directory; code from a control repository is in the archive.
fn anywhere(global: &GlobalArgs, folder: &Path, report: &Report) -> Result<Context> {
    let context = Context::new(global, &Extra { elsewhere: true, ..Extra::default() }, report)?;
    if context.settings.config.code.dir.is_none() {
        return Ok(context);
    }
    let code = folder.join("code");
    std::fs::create_dir_all(code.join("environments/production"))
        .map_err(|e| Error::failed("cannot make a temporary directory").because(e))?;
    Context::new(global, &Extra { code: Some(&code), elsewhere: true, ..Extra::default() }, report)
}

async fn prove(context: &Context, platform: &Platform, archive: &Archive, timeout: Duration) -> Result<()> {
    let what = restoration(archive, &[])?;
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

//! The step that writes a backup: volumes and database, from containers through the compressor into a file.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::Context;
use crate::backup::manifest::SCHEMA_VERSION;
use crate::backup::writer::cannot_write;
use crate::backup::{Archive, Content, Keys, Manifest, Writer, check, folder, show_bytes};
use crate::engine::{ExecOutput, ExecRequest, TransferError};
use crate::error::{Error, Result};
use crate::images::PACKAGES_FILE;
use crate::journal;
use crate::plan::backup::Source;
use crate::puppet::volumes;

/// Between two words about how far it is.
const PAUSE: Duration = Duration::from_secs(1);

/// How far a stream is, told now and then.
pub(super) struct Meter<'c> {
    context: &'c Context,
    id: usize,
    what: String,
    began: Instant,
    told: Instant,
}

impl<'c> Meter<'c> {
    pub(super) fn new(context: &'c Context, id: usize, what: impl Into<String>) -> Self {
        let now = Instant::now();
        Meter { context, id, what: what.into(), began: now, told: now }
    }

    /// It is this far.
    pub(super) fn at(&mut self, bytes: u64) {
        if self.told.elapsed() >= PAUSE {
            self.told = Instant::now();
            let rate = bytes * 1000 / u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            let text = format!("{}: {}, {}/s", self.what, show_bytes(bytes), show_bytes(rate));
            self.context.progress(self.id, &text);
        }
    }
}

/// Writes the backup, and tells how large it is.
pub(super) async fn write(context: &Context, id: usize, source: &Source) -> Result<Option<String>> {
    let target = Path::new(&source.file);
    let folder = target.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    folder::sweep(folder, &context.project)?;
    let mut writer = Writer::create(target, &source.recipients)?;
    context.engine.remove_container(&source.task.name).await?;
    context.engine.create_container(&source.task).await?;
    let filled = fill(context, id, source, &mut writer).await;
    context.engine.remove_container(&source.task.name).await?;
    let manifest = filled?;
    context.progress(id, "reading it back");
    let manifest = writer.finish(manifest, judge).await?;
    let (raw, stored) = manifest.members.iter().fold((0, 0), |(r, s), m| (r + m.bytes, s + m.stored_bytes));
    Ok(Some(format!("{} in {}", show_bytes(raw), show_bytes(stored))))
}

/// Reads what was written, as `restore` will; beside the runtime, as it takes its time.
async fn judge(path: &Path, keys: Keys) -> Result<()> {
    let path = path.to_owned();
    let check = move || {
        let mut archive = Archive::open(&path)?;
        archive.unlock(keys)?;
        check::whole(&archive, &mut |_, _| {})
    };
    tokio::task::spawn_blocking(check)
        .await
        .map_err(|e| Error::failed("the backup could not be read back").because(e))?
}

async fn fill(context: &Context, id: usize, source: &Source, writer: &mut Writer) -> Result<Manifest> {
    let started_at = journal::now();
    context.engine.start_container(&source.task.name).await?;
    for key in &source.volumes {
        let request =
            ExecRequest { container: source.task.name.clone(), command: volumes::pack(key), ..ExecRequest::default() };
        member(context, id, writer, &Content::Volume(key.clone()), &request, volumes::packed).await?;
    }
    let request =
        ExecRequest { container: source.postgres.clone(), command: volumes::dump(), ..ExecRequest::default() };
    member(context, id, writer, &Content::Database, &request, |code| code == 0).await?;
    if let Some(config) = &source.config {
        let cannot = |e: io::Error| cannot_write(Path::new(&source.file), e);
        let text = std::fs::read(config).map_err(|e| Error::failed(format!("cannot read {config}")).because(e))?;
        let mut member = writer.member(&Content::Configuration).map_err(cannot)?;
        member.write_all(&text).map_err(cannot)?;
        member.done().map_err(cannot)?;
    }
    let mut manifest = Manifest {
        schema_version: SCHEMA_VERSION,
        project: context.project.clone(),
        release: source.release.version.clone(),
        definition: Some(source.release.clone()),
        channel: source.channel.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        started_at,
        finished_at: journal::now(),
        encrypted_for: vec![],
        packages: std::collections::BTreeMap::new(),
        members: vec![],
        left_out: source.left_out.clone(),
    };
    for (service, container) in &source.services {
        let command = vec!["cat".to_owned(), PACKAGES_FILE.to_owned()];
        let request = ExecRequest { container: container.clone(), command, ..ExecRequest::default() };
        let listed = context.engine.exec(&request, &mut |_| {}).await?.stdout;
        manifest.packages.insert(service.clone(), listed.lines().map(|l| l.replace('\t', " ")).collect());
    }
    Ok(manifest)
}

/// One member, from a command's output.
async fn member(
    context: &Context,
    id: usize,
    writer: &mut Writer,
    content: &Content,
    request: &ExecRequest,
    fine: impl Fn(i64) -> bool,
) -> Result<()> {
    let name = name(content);
    let mut meter = Meter::new(context, id, name.as_str());
    let path = writer.partial().to_owned();
    let cannot = |e: io::Error| cannot_write(&path, e);
    let mut member = writer.member(content).map_err(cannot)?;
    let mut sink = |bytes: &[u8]| {
        member.write_all(bytes)?;
        meter.at(member.bytes());
        Ok(())
    };
    let output = context.engine.exec_output(request, &mut sink).await.map_err(|e| match e {
        TransferError::Engine(e) => e.into(),
        TransferError::Local(e) => cannot(e),
    })?;
    if !fine(output.code) {
        return Err(failed(&format!("{name} cannot be read"), &output));
    }
    context.progress(id, &format!("{name}: {}", show_bytes(member.bytes())));
    member.done().map_err(cannot)
}

/// What a member is, for people.
pub(super) fn name(content: &Content) -> String {
    match content {
        Content::Volume(key) => format!("volume {key}"),
        Content::Database => "database".into(),
        Content::Configuration => "configuration".into(),
    }
}

/// A command in a container failed.
pub(super) fn failed(what: &str, output: &ExecOutput) -> Error {
    let lines = output.stderr.lines().chain(output.stdout.lines()).map(ToOwned::to_owned);
    Error::failed(format!("{what} (exit code {})", output.code)).details(lines.take(20))
}

/// Others have no business among backups: keys are in them.
fn make_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| Error::failed(format!("cannot make the directory {}", folder.display())).because(e))
}

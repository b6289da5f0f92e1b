//! Steps that put data back from an archive. That the archive is whole was seen before the plan was made.

use std::path::Path;

use super::backup_steps::{Meter, failed, name};
use super::{Context, record_steps};
use crate::backup::{Archive, Content, Part, show_bytes};
use crate::desired::credentials::PUPPET;
use crate::engine::spec::ContainerSpec;
use crate::engine::{ExecRequest, FileEntry, TransferError};
use crate::error::{Error, Result};
use crate::journal::lock;
use crate::puppet::{serial, volumes};

/// Marks the platform as half-restored, with the serial number that its present CA has come to.
pub(super) async fn mark(context: &Context, file: &str, only: &[Part], ca: Option<&str>) -> Result<()> {
    let next = match ca {
        Some(volume) => read_serial(context, volume).await?,
        None => None,
    };
    record_steps::restoring(context, file, only, next).await
}

/// Fills a volume.
pub(super) async fn volume(
    context: &Context,
    id: usize,
    key: &str,
    file: &str,
    task: &ContainerSpec,
) -> Result<Option<String>> {
    let engine = &context.engine;
    engine.remove_container(&task.name).await?;
    engine.create_container(task).await?;
    let filled = async {
        engine.start_container(&task.name).await?;
        let content = Content::Volume(key.to_owned());
        let bytes = pour(context, id, file, &content, &task.name, volumes::unpack(key)).await?;
        if let Some(command) = volumes::void_tokens(key) {
            let request = ExecRequest { container: task.name.clone(), command, ..ExecRequest::default() };
            let output = engine.exec(&request, &mut |_| {}).await?;
            if output.code != 0 {
                return Err(failed("the one-time tokens of the archive cannot be removed", &output));
            }
        }
        Ok(Some(show_bytes(bytes)))
    }
    .await;
    engine.remove_container(&task.name).await?;
    filled
}

/// Fills PuppetDB's database.
pub(super) async fn database(context: &Context, id: usize, postgres: &str, file: &str) -> Result<Option<String>> {
    let bytes = pour(context, id, file, &Content::Database, postgres, volumes::load()).await?;
    Ok(Some(show_bytes(bytes)))
}

/// Gives a member's content to a command.
async fn pour(
    context: &Context,
    id: usize,
    file: &str,
    content: &Content,
    container: &str,
    command: Vec<String>,
) -> Result<u64> {
    let archive = Archive::open(Path::new(file))?;
    let name = name(content);
    let cannot = |e: std::io::Error| Error::failed(format!("cannot read {name} from {file}")).because(e);
    let member = archive.manifest.member(content).ok_or_else(|| Error::failed(format!("{file} holds no {name}")))?;
    let mut source = archive.content(member).map_err(cannot)?;
    let mut meter = Meter::new(context, id, name.as_str());
    let request = ExecRequest { container: container.to_owned(), command, ..ExecRequest::default() };
    let poured = context.engine.exec_input(&request, &mut source, &mut |bytes| meter.at(bytes)).await;
    let output = poured.map_err(|e| match e {
        TransferError::Engine(e) => e.into(),
        TransferError::Local(e) => cannot(e),
    })?;
    if output.code != 0 {
        return Err(failed(&format!("{name} cannot be put back"), &output));
    }
    Ok(member.bytes)
}

/// Moves the CA's next serial number above all that it, and the CA before it, can have used.
pub(super) async fn settle(context: &Context, volume: &str) -> Result<Option<String>> {
    let restored = read_serial(context, volume).await?;
    let restored = restored.ok_or_else(|| Error::failed("the CA that was put back has no serial number"))?;
    let next = serial::text(serial::after(restored, record_steps::serial_before(context).await?));
    let owner = (PUPPET.into(), PUPPET.into());
    let file = FileEntry { path: serial::FILE.into(), content: next.clone(), owner, mode: 0o644 };
    let engine = &context.engine;
    let spec = anchor(context, volume);
    engine.create_container(&spec).await?;
    let placed = engine.put_files(&spec.name, "/volumes/ca", &[file]).await;
    engine.remove_container(&spec.name).await?;
    placed?;
    Ok(Some(format!("its next certificate has the serial number {next}")))
}

/// The next serial number of the CA in a volume; nothing when there is none that makes sense.
async fn read_serial(context: &Context, volume: &str) -> Result<Option<u128>> {
    let engine = &context.engine;
    let spec = anchor(context, volume);
    engine.remove_container(&spec.name).await?;
    engine.create_container(&spec).await?;
    let files = engine.get_files(&spec.name, &format!("/volumes/ca/{}", serial::FILE)).await;
    engine.remove_container(&spec.name).await?;
    let content = files?.and_then(|files| files.into_iter().next()).map(|(_, content)| content);
    Ok(content.and_then(|content| serial::parse(&String::from_utf8_lossy(&content))))
}

/// A container that is never started, with the CA's volume.
fn anchor(context: &Context, volume: &str) -> ContainerSpec {
    let name = format!("{}-settle-ca", context.project);
    lock::anchor_container(&context.project, name, "task", &[("ca".into(), volume.into())])
}

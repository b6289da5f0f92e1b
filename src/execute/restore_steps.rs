//! Steps that put data back from an archive. That the archive is whole was seen before the plan was made.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::backup_steps::{Meter, failed, name};
use super::{Context, record_steps};
use crate::backup::{Archive, Content, Keys, Part, show_bytes};
use crate::desired::credentials::PUPPET;
use crate::engine::spec::ContainerSpec;
use crate::engine::{ExecRequest, FileEntry, TransferError};
use crate::error::{Error, Result};
use crate::journal::lock;
use crate::puppet::{serial, volumes};

/// An archive, and what opens it.
pub(super) fn open(file: &str, identity: Option<&Path>) -> Result<Archive> {
    let mut archive = Archive::open(Path::new(file))?;
    if let Some(identity) = identity {
        archive.unlock(Keys::read(identity)?)?;
    }
    Ok(archive)
}

/// Writes a configuration where there is none; one that was written by an interrupted run is the same.
pub(super) fn place_configuration(path: &Path, text: &str) -> Result<()> {
    let cannot = |e: io::Error| Error::failed(format!("cannot write {}", path.display())).because(e);
    match std::fs::read_to_string(path) {
        Ok(there) if there == text => return Ok(()),
        Ok(_) => {
            return Err(Error::refused(format!("{} came up meanwhile, and is another one", path.display()))
                .hint("keep the one that you want, and run the same command again"));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(cannot(e)),
    }
    let mode = std::fs::Permissions::from_mode(0o644);
    let folder = path.parent().unwrap_or(Path::new("."));
    // Whole or not at all: the next command reads it.
    let mut file = tempfile::Builder::new().permissions(mode).tempfile_in(folder).map_err(cannot)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(cannot)?;
    file.persist_noclobber(path).map_err(|e| cannot(e.error))?;
    Ok(())
}

/// Marks the platform as half-restored, with the serial number that its present CA has come to.
pub(super) async fn mark(
    context: &Context,
    file: &str,
    identity: Option<&Path>,
    only: &[Part],
    ca: Option<&str>,
) -> Result<()> {
    let next = match ca {
        Some(volume) => read_serial(context, volume).await?,
        None => None,
    };
    record_steps::restoring(context, file, identity, only, next).await
}

/// Fills a volume.
pub(super) async fn volume(
    context: &Context,
    id: usize,
    key: &str,
    archive: &Archive,
    task: &ContainerSpec,
) -> Result<Option<String>> {
    let engine = &context.engine;
    engine.remove_container(&task.name).await?;
    engine.create_container(task).await?;
    let filled = async {
        engine.start_container(&task.name).await?;
        let content = Content::Volume(key.to_owned());
        let bytes = pour(context, id, archive, &content, &task.name, volumes::unpack(key)).await?;
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
pub(super) async fn database(
    context: &Context,
    id: usize,
    postgres: &str,
    archive: &Archive,
) -> Result<Option<String>> {
    let bytes = pour(context, id, archive, &Content::Database, postgres, volumes::load()).await?;
    Ok(Some(show_bytes(bytes)))
}

/// Gives a member's content to a command.
async fn pour(
    context: &Context,
    id: usize,
    archive: &Archive,
    content: &Content,
    container: &str,
    command: Vec<String>,
) -> Result<u64> {
    let name = name(content);
    let file = archive.path.display();
    let cannot = |e: io::Error| Error::failed(format!("cannot read {name} from {file}")).because(e);
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
        let full = output.stderr.contains("No space left on device");
        let failure = failed(&format!("{name} cannot be put back"), &output);
        return Err(match full {
            true => failure.hint("free some space where the engine keeps its data, and run the same command again"),
            false => failure,
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_configuration_is_written_once_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pupperware.yaml");
        for _ in 0..2 {
            place_configuration(&path, "project: demo\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "project: demo\n");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing beside it");
        let refused = place_configuration(&path, "project: other\n").unwrap_err();
        assert_eq!(refused.kind, Kind::Refused);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "project: demo\n");
    }
}

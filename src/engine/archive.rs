//! Files in and out of containers and their volumes, through the engine's archive API.
//!
//! It works on created, never-started containers and on remote engines, and keeps owner and mode.

use std::io::Read;

use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

use super::{Engine, EngineError};

/// A file or directory on its way into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path relative to where the archive is unpacked; a trailing slash makes it a directory.
    pub path: String,
    /// Content; empty for a directory.
    pub content: String,
    /// Numeric owner and group.
    pub owner: (u64, u64),
    /// Permission bits.
    pub mode: u32,
}

impl Engine {
    /// Unpacks files below `directory`, which must exist in the container.
    ///
    /// # Errors
    /// The engine's.
    pub async fn put_files(&self, container: &str, directory: &str, files: &[FileEntry]) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::default().path(directory).build();
        let body = bollard::body_full(Bytes::from(pack(files)));
        Ok(self.slow.upload_to_container(container, Some(options), body).await?)
    }

    /// All regular files at or below `path`, as (path, content); `None` when there is no such path.
    ///
    /// # Errors
    /// The engine's.
    pub async fn get_files(&self, container: &str, path: &str) -> Result<Option<Vec<(String, Vec<u8>)>>, EngineError> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut stream = self.slow.download_from_container(container, Some(options));
        let mut archive = Vec::new();
        while let Some(chunk) = stream.next().await {
            match chunk.map_err(EngineError::from) {
                Ok(bytes) => archive.extend_from_slice(&bytes),
                Err(e) if e.is_not_found() => return Ok(None),
                Err(e) => return Err(e),
            }
        }
        unpack(&archive)
            .map(Some)
            .map_err(|e| EngineError::new(super::Cause::Decode, format!("broken archive of {path}: {e}")))
    }
}

/// A tar with exactly these entries, times zero, so that equal input gives equal bytes.
pub fn pack(files: &[FileEntry]) -> Vec<u8> {
    pack_with(files, None)
}

/// The same with a program, by its name, behind them.
pub fn pack_with(files: &[FileEntry], program: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8], owner: (u64, u64), mode: u32| {
        let mut header = tar::Header::new_gnu();
        let directory = path.ends_with('/');
        header.set_entry_type(if directory { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_size(if directory { 0 } else { content.len() as u64 });
        header.set_mode(mode);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        header.set_mtime(0);
        // Writing into a Vec cannot fail; a path that tar cannot hold would be a bug of ours.
        builder.append_data(&mut header, path, content).expect("our own paths fit into a tar");
    };
    for file in files {
        add(&file.path, file.content.as_bytes(), file.owner, file.mode);
    }
    if let Some((name, content)) = program {
        add(name, content, (0, 0), 0o755);
    }
    builder.into_inner().expect("writing into memory")
}

/// The regular files of a tar.
///
/// # Errors
/// When it is not a tar.
pub fn unpack(archive: &[u8]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let path = entry.path()?.display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            files.push((path, content));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out() {
        let files = [
            FileEntry { path: "conf.d/".into(), content: String::new(), owner: (920, 920), mode: 0o750 },
            FileEntry { path: "conf.d/a.conf".into(), content: "x: 1\n".into(), owner: (920, 920), mode: 0o640 },
        ];
        let archive = pack(&files);
        assert_eq!(archive, pack(&files));
        let file = ("conf.d/a.conf".to_owned(), b"x: 1\n".to_vec());
        assert_eq!(unpack(&archive).unwrap(), std::slice::from_ref(&file));
        let archive = pack_with(&files, Some(("program", b"\x7fELF")));
        assert_eq!(unpack(&archive).unwrap(), [file, ("program".into(), b"\x7fELF".to_vec())]);
    }
}

//! Images: find, pull, import a root file system, save and load archives.

use std::path::Path;

use bollard::query_parameters::{CreateImageOptionsBuilder, ImportImageOptionsBuilder, RemoveImageOptionsBuilder};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;

use super::found::FoundImage;
use super::{Cause, Engine, EngineError, reference};

impl Engine {
    /// One image by reference or id; `None` when it is not on the engine.
    ///
    /// # Errors
    /// The engine's.
    pub async fn find_image(&self, reference: &str) -> Result<Option<FoundImage>, EngineError> {
        match self.fast.inspect_image(reference).await.map_err(EngineError::from) {
            Ok(i) => Ok(Some(FoundImage {
                id: i.id.unwrap_or_default(),
                references: i.repo_tags.into_iter().chain(i.repo_digests).flatten().collect(),
                labels: i.config.and_then(|c| c.labels).unwrap_or_default().into_iter().collect(),
                size: u64::try_from(i.size.unwrap_or(0)).unwrap_or(0),
            })),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Pulls an image from its registry; without tag and digest its `latest`.
    ///
    /// # Errors
    /// The registry cannot be reached, or has no such image.
    pub async fn pull_image(
        &self,
        reference: &str,
        progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), EngineError> {
        let options = CreateImageOptionsBuilder::default().from_image(&reference::normal(reference)).build();
        let mut stream = self.slow.create_image(Some(options), None, None);
        while let Some(item) = stream.next().await {
            if let Some(status) = item?.status {
                progress(&status);
            }
        }
        Ok(())
    }

    /// Makes an image from a tar of a root file system.
    ///
    /// # Errors
    /// The file cannot be read, or the engine's.
    pub async fn import_root_fs(&self, tar: &Path, repo: &str, tag: &str) -> Result<(), EngineError> {
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(repo).tag(tag).build();
        let file = tokio::fs::File::open(tar).await.map_err(|e| file_error(tar, &e))?;
        let body = bollard::body_try_stream(ReaderStream::with_capacity(file, 1 << 20));
        let mut stream = self.slow.create_image(Some(options), Some(body), None);
        while let Some(item) = stream.next().await {
            item?;
        }
        Ok(())
    }

    /// Makes an image with nothing in it, to create containers from that are never started.
    ///
    /// # Errors
    /// The engine's.
    pub async fn import_empty(&self, repo: &str, tag: &str) -> Result<(), EngineError> {
        let options = CreateImageOptionsBuilder::default().from_src("-").repo(repo).tag(tag).build();
        let body = bollard::body_full(Bytes::from(super::archive::pack(&[])));
        let mut stream = self.slow.create_image(Some(options), Some(body), None);
        while let Some(item) = stream.next().await {
            item?;
        }
        Ok(())
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// The engine's.
    pub async fn tag_image(&self, image: &str, repo: &str, tag: &str) -> Result<(), EngineError> {
        let options = bollard::query_parameters::TagImageOptionsBuilder::default().repo(repo).tag(tag).build();
        Ok(self.fast.tag_image(image, Some(options)).await?)
    }

    /// Removes an image's name, and the image when it was the last; nothing happens when it is gone.
    ///
    /// # Errors
    /// The engine's; `Conflict` while a container uses it.
    pub async fn remove_image(&self, reference: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default().build();
        match self.slow.remove_image(reference, Some(options), None).await.map_err(EngineError::from) {
            Ok(_) => Ok(()),
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Writes images into one archive, replacing the file only when all is written. `before` are entries that it begins with.
    /// Returns its size in bytes.
    ///
    /// # Errors
    /// An image is missing, or the file cannot be written.
    pub async fn save_images(&self, references: &[&str], before: &[u8], to: &Path) -> Result<u64, EngineError> {
        let folder = to.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary = tempfile::NamedTempFile::new_in(folder).map_err(|e| file_error(folder, &e))?;
        let mut file = tokio::fs::File::from_std(temporary.reopen().map_err(|e| file_error(to, &e))?);
        let mut stream = self.slow.export_images(references);
        file.write_all(before).await.map_err(|e| file_error(to, &e))?;
        let mut size = before.len() as u64;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            file.write_all(&chunk).await.map_err(|e| file_error(to, &e))?;
        }
        file.sync_all().await.map_err(|e| file_error(to, &e))?;
        temporary.persist(to).map_err(|e| file_error(to, &e.error))?;
        Ok(size)
    }

    /// Loads the images of an archive.
    ///
    /// # Errors
    /// The file cannot be read or is no image archive.
    pub async fn load_images(&self, from: &Path, progress: &mut (dyn FnMut(&str) + Send)) -> Result<(), EngineError> {
        let file = tokio::fs::File::open(from).await.map_err(|e| file_error(from, &e))?;
        let body = ReaderStream::with_capacity(file, 1 << 20).map_err(std::io::Error::other);
        let options = ImportImageOptionsBuilder::default().build();
        let mut stream = self.slow.import_image(options, bollard::body_try_stream(body), None);
        while let Some(item) = stream.next().await {
            if let Some(line) = item?.stream {
                progress(line.trim());
            }
        }
        Ok(())
    }
}

fn file_error(path: &Path, error: &std::io::Error) -> EngineError {
    let cause = if error.kind() == std::io::ErrorKind::StorageFull { Cause::DiskFull } else { Cause::Other };
    EngineError::new(cause, format!("{}: {error}", path.display()))
}

//! Writes an archive: under a name that says it is not whole, and under its own once it is.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use age::x25519::Recipient;

use super::manifest::{Manifest, Member, SEALED};
use super::seal::{Keys, Sealing};
use super::{BLOCK, Content, Hashing, MANIFEST, SUMS, folder, padding};
use crate::config::types::AgeRecipient;
use crate::error::{Error, Result};

/// Level of compression: what more costs much more time for a few per cent.
const LEVEL: i32 = 3;

/// An archive under construction. Dropped before [`Writer::finish`], it leaves nothing.
pub struct Writer {
    file: File,
    partial: PathBuf,
    target: PathBuf,
    members: Vec<Member>,
    recipients: Vec<AgeRecipient>,
    /// Whom members are encrypted for: the recipients, and the key that it is read back with.
    sealed_for: Vec<Recipient>,
    keys: Keys,
    finished: bool,
}

impl Writer {
    /// Begins an archive that nobody else can read; encrypted, when there are recipients.
    ///
    /// # Errors
    /// The file is there already, or cannot be made.
    pub fn create(target: &Path, recipients: &[AgeRecipient]) -> Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        if target.exists() {
            return Err(Error::refused(format!("{} is there already", target.display()))
                .hint("name another file with `--to`, or a directory"));
        }
        let cannot = |e: io::Error| cannot_write(target, e);
        let partial = folder::partial(target);
        // Left by a killed run, unless somebody still holds it.
        if File::open(&partial).is_ok_and(|left| left.try_lock().is_ok()) {
            std::fs::remove_file(&partial).map_err(cannot)?;
        }
        let file = File::options().write(true).create_new(true).mode(0o600).open(&partial).map_err(cannot)?;
        // Tells it from what a killed run left.
        file.try_lock().map_err(|e| cannot(e.into()))?;
        Ok(Self::into_file(file, partial, target.to_owned(), recipients))
    }

    fn into_file(file: File, partial: PathBuf, target: PathBuf, recipients: &[AgeRecipient]) -> Self {
        let (mut sealed_for, mut keys): (Vec<Recipient>, _) = (vec![], Keys::default());
        if !recipients.is_empty() {
            // The recipients' private keys are not here, and what nobody has read back is no backup. This key is nowhere
            // but in this process's memory, and gone with it.
            let (for_a_moment, public) = Keys::for_a_moment();
            keys = for_a_moment;
            sealed_for.extend(recipients.iter().map(|r| r.key().clone()));
            sealed_for.push(public);
        }
        let recipients = recipients.to_vec();
        Writer { file, partial, target, members: vec![], recipients, sealed_for, keys, finished: false }
    }

    /// Where it is while it is not whole.
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Begins a member.
    ///
    /// # Errors
    /// The file's.
    pub fn member(&mut self, content: &Content) -> io::Result<MemberWriter<'_>> {
        let path = content.path() + if self.sealed_for.is_empty() { "" } else { SEALED };
        self.member_at(path)
    }

    /// The same, whatever its path.
    pub(super) fn member_at(&mut self, path: String) -> io::Result<MemberWriter<'_>> {
        let start = self.file.stream_position()?;
        // Its place; what goes there is known at the member's end.
        self.file.write_all(&[0; BLOCK as usize])?;
        let sealing = Sealing::new(Hashing::new(&mut self.file), &self.sealed_for)?;
        let encoder = zstd::Encoder::new(sealing, LEVEL)?;
        Ok(MemberWriter { encoder, members: &mut self.members, path, start, bytes: 0 })
    }

    /// Completes the archive; `manifest` gets its members and recipients from here. It has its own name only after
    /// `judge` has nothing against it, who gets keys that open it.
    ///
    /// # Errors
    /// The file's, or what `judge` says.
    pub async fn finish(
        mut self,
        mut manifest: Manifest,
        judge: impl AsyncFnOnce(&Path, Keys) -> Result<()>,
    ) -> Result<Manifest> {
        manifest.members = std::mem::take(&mut self.members);
        manifest.encrypted_for = std::mem::take(&mut self.recipients);
        self.close(&manifest).map_err(|e| cannot_write(&self.target, e))?;
        judge(&self.partial, self.keys.clone()).await?;
        std::fs::rename(&self.partial, &self.target).map_err(|e| cannot_write(&self.target, e))?;
        self.finished = true;
        // The new name outlives a loss of power as well.
        if let Some(Ok(folder)) = self.target.parent().map(File::open) {
            folder.sync_all().map_err(|e| cannot_write(&self.target, e))?;
        }
        Ok(manifest)
    }

    fn close(&mut self, manifest: &Manifest) -> io::Result<()> {
        let text = serde_json::to_string_pretty(manifest)? + "\n";
        let mut sums: String = manifest.members.iter().map(|m| format!("{}  {}\n", m.sha256, m.path)).collect();
        let mut hash = Hashing::new(io::sink());
        hash.write_all(text.as_bytes())?;
        sums += &format!("{}  {MANIFEST}\n", hash.hex());
        for (path, content) in [(MANIFEST, text), (SUMS, sums)] {
            self.file.write_all(&header(path, content.len() as u64)?)?;
            self.file.write_all(content.as_bytes())?;
            self.pad(content.len() as u64)?;
        }
        self.file.write_all(&[0; 2 * BLOCK as usize])?;
        self.file.sync_all()
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        io::copy(&mut io::Read::take(io::repeat(0), padding(bytes)), &mut self.file).map(|_| ())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody is left to tell; the next run removes what stays.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// A member under construction: takes its content.
pub struct MemberWriter<'w> {
    encoder: zstd::Encoder<'static, Sealing<Hashing<&'w mut File>>>,
    members: &'w mut Vec<Member>,
    path: String,
    start: u64,
    bytes: u64,
}

impl MemberWriter<'_> {
    /// Bytes that it got so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Completes it.
    ///
    /// # Errors
    /// The file's.
    pub fn done(self) -> io::Result<()> {
        let Hashing { inner: file, hash, bytes: stored_bytes } = self.encoder.finish()?.finish()?;
        file.write_all(&vec![0; usize::try_from(padding(stored_bytes)).unwrap_or_default()])?;
        let end = file.stream_position()?;
        file.seek(SeekFrom::Start(self.start))?;
        file.write_all(&header(&self.path, stored_bytes)?)?;
        file.seek(SeekFrom::Start(end))?;
        self.members.push(Member { path: self.path, stored_bytes, bytes: self.bytes, sha256: super::hex(hash) });
        Ok(())
    }
}

impl Write for MemberWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.encoder.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}

/// The error for an archive that cannot be written.
pub fn cannot_write(path: &Path, error: io::Error) -> Error {
    // Also what a quota says, or a limit of the process.
    let full =
        matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge);
    let failure = Error::failed(format!("cannot write {}", path.display())).because(error);
    if full { failure.hint("free some space there, or name another place with `--to`") } else { failure }
}

fn header(path: &str, bytes: u64) -> io::Result<[u8; BLOCK as usize]> {
    let mut header = tar::Header::new_gnu();
    header.set_path(path)?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(*header.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn a_full_disk_is_named_with_what_to_do() {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let nowhere = tempfile::tempdir().unwrap();
        let target = nowhere.path().join("demo.pupperware");
        let mut writer = Writer::into_file(full(), folder::partial(&target), target.clone(), &[]);
        let error = writer.member(&Content::Database).err().expect("not a byte has room");
        let error = cannot_write(&target, error);
        assert_eq!(error.kind, Kind::Failed);
        assert_eq!(error.hint.as_deref(), Some("free some space there, or name another place with `--to`"));
        assert!(format!("{error:?}").contains("No space left"), "{error:?}");
    }
}

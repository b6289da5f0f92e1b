//! Encryption of members, with age: for public keys when an archive is written, with private keys when it is read.
//!
//! Each member is an age file of its own around the compressed bytes, so that an archive stays a tar that can be listed,
//! and whose checksums can be verified, by who has no key. Streams both ways; memory holds a chunk of 64 KiB.

use std::fmt;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};

use super::SMALL;
use crate::error::{Error, Result};

/// Longest header of an encrypted member: some hundreds of public keys. age's own reader has no bound.
const LONGEST_HEADER: u64 = 64 << 10;

/// Private keys. They open what was encrypted for their public halves, and are never shown.
#[derive(Clone, Default)]
pub struct Keys(Vec<Identity>);

impl Keys {
    /// Reads a file of private keys, as `age-keygen` writes it.
    ///
    /// # Errors
    /// It cannot be read, others can read it, or something else than keys is in it; with the line.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let cannot = |e: io::Error| Error::usage(format!("cannot read {name}")).because(e);
        // Before opening: opening a FIFO would wait for its other end, and nobody could read it a second time.
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        if !metadata.is_file() {
            return Err(Error::usage(format!("cannot read keys from {name}: it is no regular file")));
        }
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::usage(format!("{name} can be read by others: its mode is {mode:04o}"))
                .hint(format!("`chmod 600 {name}`")));
        }
        let mut text = String::new();
        File::open(path).and_then(|f| f.take(SMALL).read_to_string(&mut text)).map_err(cannot)?;
        let mut keys = vec![];
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // Never shown, whatever it is.
            keys.push(line.parse::<Identity>().map_err(|_| {
                Error::usage(format!("{name}:{} is no private key of age", number + 1))
                    .hint("a line is `AGE-SECRET-KEY-1...`, as `age-keygen` writes it; keys with a passphrase, of SSH or of plugins are not taken")
            })?);
        }
        if keys.is_empty() {
            return Err(Error::usage(format!("{name} holds no private key"))
                .hint("make one with `age-keygen --output key.txt`"));
        }
        Ok(Keys(keys))
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A key that lives as long as this value, and its public half.
    pub(super) fn for_a_moment() -> (Self, Recipient) {
        let identity = Identity::generate();
        let public = identity.to_public();
        (Keys(vec![identity]), public)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

/// Where a member's compressed bytes go: as they are, or encrypted.
pub(super) enum Sealing<W: Write> {
    /// As they are.
    Open(W),
    /// Encrypted.
    Sealed(Box<StreamWriter<W>>),
}

impl<W: Write> Sealing<W> {
    /// Encrypted for these, who each can open it alone; for nobody: not encrypted.
    pub(super) fn new(inner: W, recipients: &[Recipient]) -> io::Result<Self> {
        if recipients.is_empty() {
            return Ok(Sealing::Open(inner));
        }
        let recipients = recipients.iter().map(|r| r as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Sealing::Sealed(Box::new(encryptor.wrap_output(inner)?)))
    }

    /// Writes what is still held back.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Sealing::Open(inner) => Ok(inner),
            Sealing::Sealed(writer) => writer.finish(),
        }
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sealing::Open(inner) => inner.write(bytes),
            Sealing::Sealed(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sealing::Open(inner) => inner.flush(),
            Sealing::Sealed(writer) => writer.flush(),
        }
    }
}

/// A member's compressed bytes, as they are stored or decrypted.
pub(super) enum Unsealing<R: Read> {
    /// As they are stored.
    Open(R),
    /// Decrypted. The beginning was read to see where the header ends.
    Sealed(Box<StreamReader<Chain<Cursor<Vec<u8>>, R>>>),
}

impl<R: Read> Unsealing<R> {
    /// Decrypts with the first key that fits.
    pub(super) fn new(mut stored: R, keys: &Keys) -> io::Result<Self> {
        let mut start = vec![];
        (&mut stored).take(LONGEST_HEADER).read_to_end(&mut start)?;
        if !start.windows(4).any(|w| w == b"\n---") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not encrypted as its name says"));
        }
        let decryptor = age::Decryptor::new(Cursor::new(start).chain(stored)).map_err(unusable)?;
        let reader = decryptor.decrypt(keys.0.iter().map(|k| k as &dyn age::Identity)).map_err(unusable)?;
        Ok(Unsealing::Sealed(Box::new(reader)))
    }
}

impl<R: Read> Read for Unsealing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unsealing::Open(inner) => inner.read(buffer),
            Unsealing::Sealed(reader) => reader.read(buffer),
        }
    }
}

/// age's error; that no key fits has a kind of its own.
fn unusable(error: age::DecryptError) -> io::Error {
    match error {
        age::DecryptError::Io(e) => e,
        age::DecryptError::NoMatchingKeys => io::Error::new(io::ErrorKind::PermissionDenied, error),
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}

#[cfg(test)]
mod tests {
    use age::secrecy::ExposeSecret;

    use super::*;

    fn file(folder: &tempfile::TempDir, name: &str, text: &str, mode: u32) -> std::path::PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_file_of_keys_is_read_and_nothing_of_it_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let key = Identity::generate().to_string();
        let text = format!("# created: today\n# public key: age1...\n{}\n", key.expose_secret());
        let keys = Keys::read(&file(&folder, "good", &text, 0o600)).unwrap();
        assert_eq!(format!("{keys:?}"), "Keys(1)");
        let refused = |name: &str, text: &str, mode| Keys::read(&file(&folder, name, text, mode)).unwrap_err();
        let wrong = refused("wrong", "\nAGE-SECRET-KEY-1GQ9\n", 0o600);
        assert!(wrong.what.ends_with("wrong:2 is no private key of age"), "{wrong}");
        assert!(!format!("{wrong:?}").contains("GQ9"));
        assert!(refused("open", &text, 0o644).what.ends_with("can be read by others: its mode is 0644"));
        assert!(refused("empty", "# nothing\n", 0o600).what.ends_with("holds no private key"));
        assert!(Keys::read(folder.path()).unwrap_err().what.ends_with("it is no regular file"));
    }

    #[test]
    fn what_is_sealed_is_opened_by_each_key_and_by_no_other() {
        let ((mine, my_public), (theirs, their_public)) = (Keys::for_a_moment(), Keys::for_a_moment());
        let content = vec![7; 200_000];
        let mut sealing = Sealing::new(vec![], &[my_public, their_public]).unwrap();
        sealing.write_all(&content).unwrap();
        let stored = sealing.finish().unwrap();
        assert!(!stored.windows(64).any(|w| w == &content[..64]));
        for keys in [&mine, &theirs] {
            let mut back = vec![];
            Unsealing::new(stored.as_slice(), keys).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, content);
        }
        let (another, _) = Keys::for_a_moment();
        for wrong in [another, Keys::default()] {
            let error = Unsealing::new(stored.as_slice(), &wrong).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
        let mut cut = vec![];
        let end = stored.len() - 1;
        assert!(Unsealing::new(&stored[..end], &mine).unwrap().read_to_end(&mut cut).is_err(), "its end is missing");
    }

    /// age itself would read all of it into memory.
    #[test]
    fn a_header_without_end_is_no_header() {
        let endless = b"age-encryption.org/v1\n-> X25519 a\n".iter().copied().chain(std::iter::repeat_n(b'A', 1 << 20));
        let endless: Vec<u8> = endless.collect();
        let error = Unsealing::new(endless.as_slice(), &Keys::for_a_moment().0).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

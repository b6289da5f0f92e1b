//! Backup archives: what is in one, how it is written, read and judged. Files of this machine only; no engine.
//!
//! An archive is a plain tar, so that `tar` and `sha256sum` are enough to look into one:
//!
//! ```text
//! volumes/ca.tar.zst              a volume, as `tar` of its files, compressed
//! volumes/state.tar.zst           of the state volume only its secrets
//! database/puppetdb.dump.zst      `pg_dump --format=custom`
//! config/pupperware.yaml.zst      the user's configuration, if there was a file
//! manifest.json                   what all this is of
//! SHA256SUMS                      of everything above
//! ```
//!
//! When it is encrypted, each member but the last two is an age file, and its name ends in `.age`.
//!
//! Which volumes of a platform go in is decided in `plan::backup`; taking them from containers is in `execute`.

pub mod check;
pub mod folder;
pub mod manifest;
pub mod reader;
pub mod seal;
pub mod writer;

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

pub use manifest::{Content, LeftOut, Manifest, Member, Part};
pub use reader::Archive;
pub use seal::Keys;
pub use writer::Writer;

/// How archives' names end.
pub const EXTENSION: &str = "pupperware";

/// Name of the manifest's member.
const MANIFEST: &str = "manifest.json";
/// Name of the member with the checksums.
const SUMS: &str = "SHA256SUMS";
/// Size of a tar block.
const BLOCK: u64 = 512;
/// Most bytes of members that are read into memory.
const SMALL: u64 = 1 << 20;

/// Bytes on their way, counted and hashed.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Hashing { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// The hash so far, in hex.
    fn hex(&self) -> String {
        hex(self.hash.clone())
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes to the next block of a tar.
fn padding(bytes: u64) -> u64 {
    (BLOCK - bytes % BLOCK) % BLOCK
}

/// A size for people: `1.4 GB`.
pub fn show_bytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let size = bytes as f64;
    for (unit, name) in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")] {
        if size >= unit {
            return format!("{:.1} {name}", size / unit);
        }
    }
    format!("{bytes} B")
}

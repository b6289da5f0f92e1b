//! Reads a configuration file from disk into text, refusing what cannot be one before reading it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::problem::Source;
use crate::error::{Error, Result};

/// The largest configuration file, in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;

/// The file's text.
///
/// # Errors
///
/// A usage error when the file is missing or unreadable, is not a regular file, is larger than
/// [`MAX_BYTES`], or is not UTF-8.
pub fn read(path: &Path) -> Result<Source> {
    let name = path.display().to_string();
    let unreadable = |error: std::io::Error| Error::usage(format!("cannot read {name}")).because(error);

    // Before opening: opening a FIFO would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a directory" } else { "a special file" };
        return Err(Error::usage(format!("cannot read {name}: it is {found}, not a file")));
    }
    // The size is of the moment; the reader below is bounded all the same.
    let mut bytes = Vec::new();
    if metadata.len() <= MAX_BYTES {
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if metadata.len() > MAX_BYTES || bytes.len() as u64 > MAX_BYTES {
        return Err(Error::usage(format!("cannot read {name}: it is larger than 1 MiB"))
            .hint("check that the path names a pupperware configuration"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|b| **b == b'\n').count() + 1;
        Error::usage(format!("cannot read {name}: line {line} is not UTF-8")).hint("save the file as UTF-8")
    })?;
    Ok(Source { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_no_text_file() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let what = |path: &Path| read(path).expect_err("must be refused").what;

        assert!(what(dir.path()).ends_with("it is a directory, not a file"));
        assert!(what(Path::new("/dev/zero")).ends_with("it is a special file, not a file"));
        assert!(what(&dir.path().join("none")).starts_with("cannot read"));

        let huge = dir.path().join("huge.yaml");
        File::create(&huge).and_then(|f| f.set_len(1 << 40)).expect("a sparse file");
        assert!(what(&huge).ends_with("larger than 1 MiB"));

        let latin = dir.path().join("latin.yaml");
        std::fs::write(&latin, b"project: x\n# caf\xe9\n").expect("a file");
        assert!(what(&latin).ends_with("line 2 is not UTF-8"));
    }

    #[test]
    fn the_largest_file_is_taken() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("full.yaml");
        std::fs::write(&path, "#".repeat(MAX_BYTES as usize)).expect("a file");
        assert_eq!(read(&path).map(|s| s.text.len() as u64).ok(), Some(MAX_BYTES));
    }
}

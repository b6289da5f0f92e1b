//! Facts in a folder: `facts.jsonl`, a line a batch, and `snapshot.json`. Everything is on the disk before it counts.
//!
//! A line that a crash tore is the last one, has no line's end, and was never answered for; it is cut off. Anything else
//! that cannot be read is an error, as leaving it out would forget what was promised.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Held, Store, StoreError};

/// Facts in a folder.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    facts: File,
    /// Length of what counts.
    length: u64,
    broken: bool,
    /// Held as long as the store is.
    _lock: File,
}

/// A line of `facts.jsonl`, and the whole of `snapshot.json`.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    number: u64,
    #[serde(borrow)]
    body: &'a RawValue,
}

impl FileStore {
    /// Opens a folder, or makes it, and reads what is there.
    ///
    /// # Errors
    /// Another server has it, it cannot be read, or what is there is not ours.
    pub fn open(folder: &Path) -> Result<(Self, Held), StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
        let lock_path = folder.join("lock");
        let lock = private().create(true).truncate(false).open(&lock_path).map_err(io(&lock_path))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::InUse(folder.to_owned())),
            Err(errno) => return Err(io(&lock_path)(errno.into())),
        }
        let snapshot_path = folder.join("snapshot.json");
        let snapshot = match fs::read_to_string(&snapshot_path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(io(&snapshot_path)(error)),
        };
        let parsed = snapshot.as_deref().map(|text| read_line(text, &snapshot_path, 1)).transpose()?;
        let (mut known, snapshot) = match parsed {
            Some((number, body)) => (number, Some(body)),
            None => (0, None),
        };
        let path = folder.join("facts.jsonl");
        let mut facts = private().read(true).create(true).truncate(false).open(&path).map_err(io(&path))?;
        let mut text = String::new();
        facts.read_to_string(&mut text).map_err(io(&path))?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let mut batches = Vec::new();
        for (at, line) in text[..whole].lines().enumerate() {
            let (number, body) = read_line(line, &path, at + 1)?;
            // Left from before the snapshot, when a crash came between it and letting them go.
            if number <= known && batches.is_empty() {
                continue;
            }
            if number != known + 1 {
                let reason = format!("batch {number} comes after batch {known}");
                return Err(StoreError::Damaged { path, line: at + 1, reason });
            }
            known = number;
            batches.push((number, body));
        }
        let length = whole as u64;
        if whole < text.len() {
            facts.set_len(length).and_then(|()| facts.sync_all()).map_err(io(&path))?;
        }
        sync_folder(folder).map_err(io(folder))?;
        let store = FileStore { folder: folder.to_owned(), facts, length, broken: false, _lock: lock };
        Ok((store, Held { snapshot, batches }))
    }

    /// Writes at the end of what counts, and on the disk.
    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.facts.seek(SeekFrom::Start(self.length))?;
        self.facts.write_all(line)?;
        self.facts.sync_data()
    }
}

impl Store for FileStore {
    fn append(&mut self, number: u64, batch: &str) -> Result<(), StoreError> {
        let path = self.folder.join("facts.jsonl");
        if self.broken {
            return Err(StoreError::Broken(path));
        }
        let line = line(number, batch, &path)?;
        if let Err(source) = self.write(line.as_bytes()) {
            // Half a line in front of the next one would make both unreadable.
            let undone = self.facts.set_len(self.length).and_then(|()| self.facts.sync_all());
            self.broken = undone.is_err();
            return Err(StoreError::Io { path, source });
        }
        self.length += line.len() as u64;
        Ok(())
    }

    fn compact(&mut self, number: u64, snapshot: &str) -> Result<(), StoreError> {
        let path = self.folder.join("snapshot.json");
        let io = |source| StoreError::Io { path: path.clone(), source };
        let line = line(number, snapshot, &path)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(io)?;
        file.write_all(line.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(io)?;
        file.persist(&path).map_err(|error| io(error.error))?;
        sync_folder(&self.folder).map_err(io)?;
        // From here on the snapshot counts, whatever becomes of the lines.
        self.facts.set_len(0).and_then(|()| self.facts.sync_all()).map_err(io)?;
        self.length = 0;
        Ok(())
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder)?.sync_all()
}

fn line(number: u64, body: &str, path: &Path) -> Result<String, StoreError> {
    let damaged =
        |error: serde_json::Error| StoreError::Damaged { path: path.to_owned(), line: 0, reason: error.to_string() };
    let body: &RawValue = serde_json::from_str(body).map_err(damaged)?;
    let mut line = serde_json::to_string(&Line { number, body }).map_err(damaged)?;
    line.push('\n');
    Ok(line)
}

fn read_line(text: &str, path: &Path, line: usize) -> Result<(u64, String), StoreError> {
    let parsed: Result<Line<'_>, _> = serde_json::from_str(text);
    let damaged =
        |error: serde_json::Error| StoreError::Damaged { path: path.to_owned(), line, reason: error.to_string() };
    parsed.map(|parsed| (parsed.number, parsed.body.get().to_owned())).map_err(damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(folder: &Path) -> Vec<(u64, String)> {
        FileStore::open(folder).unwrap().1.batches
    }

    #[test]
    fn what_was_kept_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, held) = FileStore::open(folder.path()).unwrap();
        assert_eq!(held, Held::default());
        store.append(1, "[1]").unwrap();
        store.append(2, r#"["\u0000"]"#).unwrap();
        assert!(matches!(FileStore::open(folder.path()), Err(StoreError::InUse(_))));
        drop(store);
        assert_eq!(batches(folder.path()), [(1, "[1]".into()), (2, r#"["\u0000"]"#.into())]);
    }

    #[test]
    fn a_torn_end_is_cut_wherever_it_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("facts.jsonl");
        let (mut store, _) = FileStore::open(folder.path()).unwrap();
        store.append(1, "[1]").unwrap();
        let kept = fs::read(&path).unwrap();
        store.append(2, "[2]").unwrap();
        drop(store);
        let all = fs::read(&path).unwrap();
        for end in kept.len()..all.len() {
            fs::write(&path, &all[..end]).unwrap();
            let (mut store, held) = FileStore::open(folder.path()).unwrap();
            assert_eq!(held.batches, [(1, "[1]".into())], "cut at {end}");
            store.append(2, "[3]").unwrap();
            drop(store);
            assert_eq!(batches(folder.path()).last(), Some(&(2, "[3]".into())));
        }
    }

    #[test]
    fn a_snapshot_stands_for_what_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = FileStore::open(folder.path()).unwrap();
        store.append(1, "[1]").unwrap();
        let before = fs::read(folder.path().join("facts.jsonl")).unwrap();
        store.compact(1, r#"{"all":1}"#).unwrap();
        store.append(2, "[2]").unwrap();
        drop(store);
        let (store, held) = FileStore::open(folder.path()).unwrap();
        assert_eq!(held, Held { snapshot: Some(r#"{"all":1}"#.into()), batches: vec![(2, "[2]".into())] });
        drop(store);
        // Killed between the snapshot and letting the lines go.
        fs::write(folder.path().join("facts.jsonl"), before).unwrap();
        assert_eq!(batches(folder.path()), []);
    }

    #[test]
    fn damage_is_not_passed_over() {
        for text in
            ["garbage\n", "{\"number\":2,\"body\":[]}\n", "{\"number\":1,\"body\":[]}\n{\"number\":1,\"body\":[]}\n"]
        {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("facts.jsonl"), text).unwrap();
            assert!(matches!(FileStore::open(folder.path()), Err(StoreError::Damaged { .. })), "{text}");
        }
    }
}

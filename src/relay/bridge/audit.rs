//! What this bridge was asked for and did, for those who must be able to prove it: one line each, each bound to the one
//! before by its hash. Who changes, removes or inserts a line breaks the chain from there on.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::relay::api::RunId;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// The run.
    pub run: RunId,
    /// What was done: `accepted`, `refused`, `started`, `completed`, ...
    pub action: String,
    /// What there is to know about it.
    pub details: serde_json::Value,
    /// The hash of the line before; zeros for the first.
    pub previous: String,
    /// SHA-256 over all of the above.
    pub hash: String,
}

impl Line {
    fn sealed(mut self) -> Self {
        self.hash = self.digest();
        self
    }

    fn digest(&self) -> String {
        let parts = [
            self.previous.clone(),
            self.seq.to_string(),
            self.at.to_string(),
            self.run.to_string(),
            self.action.clone(),
            self.details.to_string(),
        ];
        let mut hasher = Sha256::new();
        for part in parts {
            // With its length, so that nothing can move from one part to the next.
            hasher.update(part.len().to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// The log of a state directory, open for more.
pub struct AuditLog {
    end: Mutex<End>,
}

struct End {
    file: File,
    path: PathBuf,
    seq: u64,
    hash: String,
}

/// The name of the file.
pub const NAME: &str = "audit.jsonl";

fn zeros() -> String {
    "0".repeat(64)
}

impl AuditLog {
    /// Opens the log and checks all of it. A last line that is not whole is what a power cut leaves, and is taken off.
    ///
    /// # Errors
    /// It cannot be read or written, or its chain is broken.
    pub fn open(folder: &Path) -> Result<Self, String> {
        let path = folder.join(NAME);
        let broken = |e: std::io::Error| format!("cannot use the audit log {}: {e}", path.display());
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(broken)?;
        let (last, whole) = check(&file, &path)?;
        if whole < file.metadata().map_err(broken)?.len() {
            file.set_len(whole).map_err(broken)?;
        }
        let (seq, hash) = last.map_or((0, zeros()), |line| (line.seq, line.hash));
        Ok(AuditLog { end: Mutex::new(End { file, path: path.clone(), seq, hash }) })
    }

    /// Adds a line, and returns when it is on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&self, run: &RunId, action: &str, details: serde_json::Value) -> Result<(), String> {
        let mut end = self.end.lock().map_err(|_| "the audit log is broken".to_owned())?;
        let line = Line {
            seq: end.seq + 1,
            at: Timestamp::now(),
            run: run.clone(),
            action: action.to_owned(),
            details,
            previous: end.hash.clone(),
            hash: String::new(),
        }
        .sealed();
        let mut text = serde_json::to_vec(&line).map_err(|e| format!("an audit line cannot be written: {e}"))?;
        text.push(b'\n');
        let written = end.file.write_all(&text).and_then(|()| end.file.sync_data());
        written.map_err(|e| format!("cannot write the audit log {}: {e}", end.path.display()))?;
        end.seq = line.seq;
        end.hash = line.hash;
        Ok(())
    }
}

/// How many lines the log of this directory has, when its chain is whole.
///
/// # Errors
/// It cannot be read, or the chain is broken: at which line.
pub fn verify(folder: &Path) -> Result<u64, String> {
    let path = folder.join(NAME);
    let file = File::open(&path).map_err(|e| format!("cannot read the audit log {}: {e}", path.display()))?;
    let (last, _) = check(&file, &path)?;
    Ok(last.map_or(0, |line| line.seq))
}

/// The last line, and where the whole lines end.
fn check(file: &File, path: &Path) -> Result<(Option<Line>, u64), String> {
    let mut reader = BufReader::new(file);
    let (mut last, mut whole, mut text): (Option<Line>, u64, Vec<u8>) = (None, 0, Vec::new());
    loop {
        text.clear();
        let length = reader
            .read_until(b'\n', &mut text)
            .map_err(|e| format!("cannot read the audit log {}: {e}", path.display()))?;
        if length == 0 || text.last() != Some(&b'\n') {
            return Ok((last, whole));
        }
        let (seq, previous) = last.as_ref().map_or((0, zeros()), |line: &Line| (line.seq, line.hash.clone()));
        let line: Option<Line> = serde_json::from_slice(&text).ok();
        let fits = |line: &Line| line.seq == seq + 1 && line.previous == previous && line.hash == line.digest();
        match line.filter(fits) {
            Some(line) => last = Some(line),
            None => return Err(format!("the audit log {} was changed at or before line {}", path.display(), seq + 1)),
        }
        whole += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::open(folder.path()).unwrap();
        let run = "8e659097-254a-4b27-bb93-88efea9a9f0e".parse().unwrap();
        for number in 0..4 {
            log.add(&run, "accepted", json!({ "nodes": number })).unwrap();
        }
        folder
    }

    #[test]
    fn the_chain_goes_on_after_a_restart() {
        let folder = filled();
        let run = "8e659097-254a-4b27-bb93-88efea9a9f0e".parse().unwrap();
        AuditLog::open(folder.path()).unwrap().add(&run, "completed", json!({})).unwrap();
        assert_eq!(verify(folder.path()), Ok(5));
        // A torn end is not tampering.
        let path = folder.path().join(NAME);
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 3]).unwrap();
        AuditLog::open(folder.path()).unwrap().add(&run, "completed", json!({})).unwrap();
        assert_eq!(verify(folder.path()), Ok(5));
    }

    #[test]
    fn every_change_is_found() {
        let changes: [fn(&mut Vec<String>); 5] = [
            |lines| lines[1] = lines[1].replace("\"nodes\":1", "\"nodes\":7"),
            |lines| drop(lines.remove(1)),
            |lines| lines.swap(1, 2),
            |lines| lines.insert(2, lines[1].clone()),
            |lines| lines[2] = "{}".into(),
        ];
        for change in changes {
            let folder = filled();
            let path = folder.path().join(NAME);
            let mut lines: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(String::from).collect();
            change(&mut lines);
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            assert!(verify(folder.path()).unwrap_err().contains("changed"));
            assert!(AuditLog::open(folder.path()).is_err());
        }
    }
}

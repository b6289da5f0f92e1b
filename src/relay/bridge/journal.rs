//! The journal's file: append only, on the disk before anybody goes on, and one process at a time.
//!
//! Lines of several writers that come together are made durable together: a disk that takes a few milliseconds for each
//! does not hold up ten thousand nodes.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::record::Record;

/// Where records are kept. A trait, so that a crash can be played at every one of them.
pub trait Ledger: Send + Sync {
    /// Returns when the records are on the disk.
    fn append(&self, records: Vec<Record>) -> BoxFuture<'_, Result<(), String>>;
}

/// The journal of a state directory.
pub struct Journal {
    orders: mpsc::Sender<Order>,
}

struct Order {
    text: Vec<u8>,
    done: oneshot::Sender<Result<(), String>>,
}

/// The name of the file.
const NAME: &str = "journal.jsonl";

impl Journal {
    /// Opens the journal of this directory, and reads what it holds. A last line that is not whole was never relied on
    /// by anybody, and is taken off.
    ///
    /// # Errors
    /// Another process has it, it cannot be read or written, or holds something that is no journal.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Record>), String> {
        let path = folder.join(NAME);
        let broken = |e: std::io::Error| format!("cannot use the journal {}: {e}", path.display());
        std::fs::create_dir_all(folder).map_err(broken)?;
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).truncate(false).open(&path).map_err(broken)?;
        lock(&file, &path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(broken)?;
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(broken)?;
        }
        let records = read(&text[..whole], &path)?;
        file.seek(SeekFrom::End(0)).map_err(broken)?;
        file.sync_all().map_err(broken)?;
        // The entry in the directory, too, or a new file could be gone after a power cut.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(broken)?;
        let (orders, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name("journal".into());
        thread.spawn(move || write(file, &path, &inbox)).map_err(|e| format!("cannot start a thread: {e}"))?;
        Ok((Journal { orders }, records))
    }

    /// Writes a journal that holds only these records in the place of the one that is there: what is over goes. Done before
    /// [`Journal::open`], when it has grown.
    ///
    /// # Errors
    /// It cannot be written; the old one is as it was.
    pub fn shorten(folder: &Path, keep: &[Record]) -> Result<(), String> {
        let path = folder.join(NAME);
        let broken = |e: std::io::Error| format!("cannot shorten the journal {}: {e}", path.display());
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(broken)?;
        for record in keep {
            new.write_all(&line(record)?).map_err(broken)?;
        }
        new.as_file().sync_all().map_err(broken)?;
        new.persist(&path).map_err(|e| broken(e.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(broken)
    }
}

impl Ledger for Journal {
    fn append(&self, records: Vec<Record>) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let mut text = Vec::new();
            for record in &records {
                text.extend(line(record)?);
            }
            let (done, wait) = oneshot::channel();
            let gone = || "the journal's thread has ended".to_owned();
            self.orders.send(Order { text, done }).map_err(|_| gone())?;
            wait.await.map_err(|_| gone())?
        })
    }
}

fn line(record: &Record) -> Result<Vec<u8>, String> {
    let mut text = serde_json::to_vec(record).map_err(|e| format!("a record cannot be written: {e}"))?;
    text.push(b'\n');
    Ok(text)
}

fn read(text: &[u8], path: &Path) -> Result<Vec<Record>, String> {
    let lines = text.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_slice(line)
                .map_err(|e| format!("line {} of the journal {} cannot be read: {e}", number + 1, path.display()))
        })
        .collect()
}

fn lock(file: &File, path: &Path) -> Result<(), String> {
    file.try_lock().map_err(|e| match e {
        std::fs::TryLockError::WouldBlock => {
            format!("another bridge uses {}; give each a state directory of its own", path.display())
        }
        std::fs::TryLockError::Error(e) => format!("cannot lock {}: {e}", path.display()),
    })
}

/// The thread: takes all that waits, writes it, makes it durable once, tells everybody.
fn write(mut file: File, path: &PathBuf, inbox: &mpsc::Receiver<Order>) {
    // After a failure nobody knows what is on the disk; nothing is written behind it.
    let mut failed: Option<String> = None;
    while let Ok(first) = inbox.recv() {
        let orders: Vec<Order> = std::iter::once(first).chain(inbox.try_iter()).collect();
        if failed.is_none() {
            let text = orders.iter().flat_map(|order| order.text.iter().copied()).collect::<Vec<u8>>();
            let outcome = file.write_all(&text).and_then(|()| file.sync_data());
            failed = outcome.err().map(|e| format!("cannot write the journal {}: {e}", path.display()));
        }
        for order in orders {
            let _ = order.done.send(failed.clone().map_or(Ok(()), Err));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Entry;
    use super::*;

    fn record(token: &str) -> Record {
        let offered = serde_json::from_str(
            r#"{"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{"status":"pending"},"scope":{"nodes":["a"]}}"#,
        )
        .unwrap();
        Record {
            run: "8e659097-254a-4b27-bb93-88efea9a9f0e".parse().unwrap(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            entry: Entry::Intent { token: token.parse().unwrap(), offered: Box::new(offered) },
        }
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_a_torn_end_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, records) = Journal::open(folder.path()).unwrap();
        assert_eq!(records, []);
        let both = [journal.append(vec![record("a")]), journal.append(vec![record("b")])];
        assert!(futures_util::future::join_all(both).await.iter().all(Result::is_ok));
        assert!(Journal::open(folder.path()).err().unwrap().contains("another bridge"));
        drop(journal);

        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap();
        for cut in first + 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (journal, records) = open(folder.path());
            assert_eq!(records, [record("a")]);
            journal.append(vec![record("c")]).await.unwrap();
            drop(journal);
            assert_eq!(open(folder.path()).1, [record("a"), record("c")]);
        }
        std::fs::write(&path, "{\"run\":1}\n").unwrap();
        assert!(Journal::open(folder.path()).err().unwrap().contains("line 1"));
    }

    /// The thread that holds the lock ends a moment after its journal is dropped.
    fn open(folder: &Path) -> (Journal, Vec<Record>) {
        loop {
            match Journal::open(folder) {
                Ok(opened) => return opened,
                Err(why) if why.contains("another bridge") => std::thread::yield_now(),
                Err(why) => panic!("{why}"),
            }
        }
    }

    #[tokio::test]
    async fn a_shortened_journal_holds_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path()).unwrap();
        journal.append(vec![record("a"), record("b")]).await.unwrap();
        drop(journal);
        Journal::shorten(folder.path(), &[record("b")]).unwrap();
        assert_eq!(open(folder.path()).1, [record("b")]);
    }
}

//! The journal's file: append only, on the disk before anybody goes on, and one process at a time.
//!
//! Lines of several writers that come together are made durable together: a disk that takes a few milliseconds for each
//! does not hold up ten thousand nodes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::machine::{self, RunState};
use super::record::Record;
use crate::relay::api::RunId;

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

/// The file that a process holds locked while it uses the directory.
const LOCK: &str = "lock";

/// How long to wait for the lock. A bridge that was killed while it started a program leaves it, for a moment, to what was
/// to become that program.
const PATIENCE: Duration = Duration::from_secs(2);

/// With so many lines of runs that are over, a journal is written anew when it is opened.
const LONG: usize = 1_000;

/// An open journal, and what it tells of.
pub type Opened = (Journal, BTreeMap<RunId, RunState>);

impl Journal {
    /// Opens the journal of this directory, and reads what it holds. A last line that is not whole was never relied on
    /// by anybody, and is taken off. Runs that are over are left out when there are many.
    ///
    /// # Errors
    /// Another process has it, it cannot be read or written, or holds something that is no journal.
    pub fn open(folder: &Path) -> Result<Opened, String> {
        let path = folder.join(NAME);
        let broken = |e: std::io::Error| format!("cannot use the journal {}: {e}", path.display());
        std::fs::create_dir_all(folder).map_err(broken)?;
        let held = lock(folder)?;
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).truncate(false).open(&path).map_err(broken)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(broken)?;
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < text.len() {
            file.set_len(whole as u64).map_err(broken)?;
        }
        let records = read(&text[..whole], &path)?;
        let mut runs = machine::replay(records.iter().cloned()).map_err(|e| e.to_string())?;
        let over = |record: &&Record| runs.get(&record.run).is_some_and(RunState::closed);
        if records.iter().filter(over).count() > LONG {
            let keep: Vec<&Record> = records.iter().filter(|record| !over(record)).collect();
            file = shorten(folder, &path, &keep).map_err(broken)?;
            runs.retain(|_, state| !state.closed());
        }
        file.sync_all().map_err(broken)?;
        // The entry in the directory, too, or a new file could be gone after a power cut.
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(broken)?;
        let (orders, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name("journal".into());
        thread
            .spawn(move || {
                write(file, &path, &inbox);
                drop(held);
            })
            .map_err(|e| format!("cannot start a thread: {e}"))?;
        Ok((Journal { orders }, runs))
    }
}

/// Puts a journal with only these records in the place of the one that is there.
fn shorten(folder: &Path, path: &Path, keep: &[&Record]) -> std::io::Result<File> {
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    for record in keep {
        new.write_all(&line(record).map_err(std::io::Error::other)?)?;
    }
    new.as_file().sync_all()?;
    new.persist(path).map_err(|e| e.error)?;
    OpenOptions::new().append(true).open(path)
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

fn lock(folder: &Path) -> Result<File, String> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|e| format!("cannot use {}: {e}", path.display()))?;
    let until = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => {
                let folder = folder.display();
                return Err(format!("another bridge uses {folder}; give each a state directory of its own"));
            }
            Err(TryLockError::Error(e)) => return Err(format!("cannot lock {}: {e}", path.display())),
        }
    }
}

/// The thread: takes all that waits, writes it, makes it durable once, tells everybody.
fn write(mut file: File, path: &Path, inbox: &mpsc::Receiver<Order>) {
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
    use super::super::record::{Entry, Leaving};
    use super::*;

    fn id(number: usize) -> RunId {
        format!("8e659097-254a-4b27-bb93-{number:012}").parse().unwrap()
    }

    fn record(number: usize, entry: Entry) -> Record {
        Record { run: id(number), at: "2026-01-01T00:00:00Z".parse().unwrap(), entry }
    }

    fn intent(number: usize) -> Record {
        let text = format!(r#"{{"id":"{}","state":{{"status":"pending"}},"scope":{{"nodes":["a"]}}}}"#, id(number));
        let offered = serde_json::from_str(&text).unwrap();
        record(number, Entry::Intent { token: "t".parse().unwrap(), offered })
    }

    fn left(number: usize) -> Record {
        record(number, Entry::Left { reason: Leaving::Taken })
    }

    /// The thread that holds the lock ends a moment after its journal is dropped.
    fn open(folder: &Path) -> Opened {
        loop {
            match Journal::open(folder) {
                Ok(opened) => return opened,
                Err(why) if why.contains("another bridge") => std::thread::yield_now(),
                Err(why) => panic!("{why}"),
            }
        }
    }

    fn known(folder: &Path) -> Vec<RunId> {
        open(folder).1.into_keys().collect()
    }

    #[tokio::test]
    async fn what_was_written_is_read_and_a_torn_end_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, runs) = Journal::open(folder.path()).unwrap();
        assert!(runs.is_empty());
        let both = [journal.append(vec![intent(1)]), journal.append(vec![intent(2)])];
        assert!(futures_util::future::join_all(both).await.iter().all(Result::is_ok));
        assert!(Journal::open(folder.path()).err().unwrap().contains("another bridge"));
        drop(journal);

        drop(open(folder.path()));
        let path = folder.path().join(NAME);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|b| *b == b'\n').unwrap();
        for cut in first + 1..whole.len() {
            drop(open(folder.path()));
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (journal, runs) = open(folder.path());
            assert_eq!(runs.into_keys().collect::<Vec<_>>(), [id(1)]);
            journal.append(vec![intent(3)]).await.unwrap();
            drop(journal);
            assert_eq!(known(folder.path()), [id(1), id(3)]);
        }
        drop(open(folder.path()));
        std::fs::write(&path, "{\"run\":1}\n").unwrap();
        let why = loop {
            match Journal::open(folder.path()).err().unwrap() {
                why if why.contains("another bridge") => std::thread::yield_now(),
                why => break why,
            }
        };
        assert!(why.contains("line 1"), "{why}");
    }

    #[tokio::test]
    async fn a_long_journal_forgets_what_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(folder.path()).unwrap();
        let over: Vec<Record> = (10..10 + LONG).flat_map(|n| [intent(n), left(n)]).collect();
        journal.append(over).await.unwrap();
        journal.append(vec![intent(1)]).await.unwrap();
        drop(journal);
        let (journal, runs) = open(folder.path());
        assert_eq!(runs.into_keys().collect::<Vec<_>>(), [id(1)]);
        journal.append(vec![left(1)]).await.unwrap();
        drop(journal);
        assert!(open(folder.path()).1[&id(1)].closed());
    }
}

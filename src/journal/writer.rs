//! Writes entries into the state volume, several at once when they come faster than the engine takes them.

use tokio::sync::{mpsc, oneshot};

use super::Entry;
use crate::engine::{Engine, EngineError, FileEntry};

/// Where the journal is in the container that has the state volume.
const FOLDER: &str = "/volumes/state";

/// A handle to the journal of one run. Cheap to clone.
#[derive(Clone)]
pub struct Journal {
    queue: mpsc::UnboundedSender<Message>,
}

enum Message {
    Entry(Box<Entry>),
    Flush(oneshot::Sender<Result<(), EngineError>>),
}

impl Journal {
    /// Opens the journal of a run. `container` is one that has the state volume mounted (the lock's); `run` names
    /// the run and sorts by time.
    pub fn open(engine: Engine, container: String, run: String) -> Self {
        let (queue, messages) = mpsc::unbounded_channel();
        tokio::spawn(write(engine, container, run, messages));
        Journal { queue }
    }

    /// Adds an entry; it is written soon.
    pub fn add(&self, entry: Entry) {
        // The writer only ends when every handle is gone.
        let _ = self.queue.send(Message::Entry(Box::new(entry)));
    }

    /// Waits until everything added so far is written.
    ///
    /// # Errors
    /// The engine's, of this write or an earlier one.
    pub async fn flush(&self) -> Result<(), EngineError> {
        let (answer, done) = oneshot::channel();
        let _ = self.queue.send(Message::Flush(answer));
        done.await.unwrap_or(Ok(()))
    }
}

async fn write(engine: Engine, container: String, run: String, mut messages: mpsc::UnboundedReceiver<Message>) {
    let mut segment = 0_u32;
    let mut failure: Option<EngineError> = None;
    while let Some(first) = messages.recv().await {
        let mut batch = vec![first];
        while let Ok(more) = messages.try_recv() {
            batch.push(more);
        }
        let mut lines = String::new();
        let mut waiting = Vec::new();
        for message in batch {
            match message {
                Message::Entry(entry) => {
                    // Plain data of ours always serialises.
                    lines.push_str(&serde_json::to_string(&entry).expect("plain data serialises"));
                    lines.push('\n');
                }
                Message::Flush(answer) => waiting.push(answer),
            }
        }
        if !lines.is_empty() {
            segment += 1;
            let files = [
                FileEntry { path: "journal/".into(), content: String::new(), owner: (0, 0), mode: 0o700 },
                FileEntry { path: format!("journal/{run}/"), content: String::new(), owner: (0, 0), mode: 0o700 },
                FileEntry {
                    path: format!("journal/{run}/{segment:06}.jsonl"),
                    content: lines,
                    owner: (0, 0),
                    mode: 0o600,
                },
            ];
            match engine.put_files(&container, FOLDER, &files).await {
                Ok(()) => {}
                // The plan itself removed the state volume, as its last step: there is nothing left to write into.
                Err(error) if error.is_not_found() => tracing::info!(%error, "the journal is gone"),
                // Removed while it was being written to, which the engine tells in other words.
                Err(error) if matches!(engine.inspect_container(&container).await, Ok(None)) => {
                    tracing::info!(%error, "the journal is gone");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot write the journal");
                    failure.get_or_insert(error);
                }
            }
        }
        for answer in waiting {
            let _ = answer.send(failure.clone().map_or(Ok(()), Err));
        }
    }
}

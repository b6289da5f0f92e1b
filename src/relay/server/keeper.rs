//! The one owner of state and store: decides, keeps, applies, tells who waits. In that order, one at a time.
//!
//! What a reader sees is on the disk. A client that goes away half-way does not stop what has begun, as the state in
//! memory and the one in the store must not differ.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use tokio::sync::{Mutex as Turn, watch};

use super::book::{Book, Decision, Fact, Rules};
use super::refusal::Refusal;
use super::store::{Held, Store, StoreError};

/// Batches after which a snapshot is made.
const BATCHES: usize = 5_000;

/// State and store.
pub struct Keeper {
    /// How much is taken on.
    pub rules: Rules,
    book: RwLock<Book>,
    turn: Turn<usize>,
    store: Arc<Mutex<Box<dyn Store>>>,
    changed: watch::Sender<u64>,
}

/// Why the state in a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the state cannot be read; was it written by a newer version?")]
pub struct Unreadable(#[from] serde_json::Error);

impl Keeper {
    /// Makes the state from what a store held.
    ///
    /// # Errors
    /// It holds what this version cannot read.
    pub fn new(rules: Rules, store: Box<dyn Store>, held: &Held) -> Result<Self, Unreadable> {
        let mut book: Book = match &held.snapshot {
            Some(text) => serde_json::from_str(text)?,
            None => Book::default(),
        };
        for (number, batch) in &held.batches {
            let facts: Vec<Fact> = serde_json::from_str(batch)?;
            book.apply(*number, facts);
        }
        let (changed, _) = watch::channel(book.number());
        let turn = Turn::new(held.batches.len());
        Ok(Keeper { rules, book: RwLock::new(book), turn, store: Arc::new(Mutex::new(store)), changed })
    }

    /// Looks at the state.
    pub fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells of every change, by its number.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Decides, keeps what came out, and applies it. The time is taken when it is this one's turn.
    ///
    /// # Errors
    /// The decision's refusal, or 503 when nothing can be kept.
    pub async fn act<T: Send + 'static>(
        self: &Arc<Self>,
        decide: impl FnOnce(&Book, &Rules, Timestamp) -> Decision<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        let keeper = self.clone();
        let task = tokio::spawn(async move {
            let mut batches = keeper.turn.lock().await;
            let (facts, answer) = keeper.read(|book| decide(book, &keeper.rules, Timestamp::now()))?;
            if !facts.is_empty() {
                keeper.keep(facts, &mut batches).await?;
            }
            Ok(answer)
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request failed");
            Err(Refusal::new(500, "internal", "this should not have happened; the server's log says more"))
        })
    }

    async fn keep(&self, facts: Vec<Fact>, batches: &mut usize) -> Result<(), Refusal> {
        let unwritten = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "nothing can be kept");
            Refusal::new(503, "not_kept", "the server cannot keep its state now; its log says why").retry_after(5)
        };
        let number = self.read(Book::number) + 1;
        let batch = serde_json::to_string(&facts).map_err(|error| unwritten(&error))?;
        self.with_store(move |store| store.append(number, &batch)).await.map_err(|error| unwritten(&chain(&error)))?;
        self.book.write().unwrap_or_else(PoisonError::into_inner).apply(number, facts);
        self.changed.send_replace(number);
        *batches += 1;
        if *batches >= BATCHES {
            *batches = 0;
            self.compact().await;
        }
        Ok(())
    }

    /// A snapshot instead of many batches. When it fails, the batches are still there.
    async fn compact(&self) {
        let (number, book) = self.read(|book| (book.number(), book.clone()));
        let written = self.with_store(move |store| match serde_json::to_string(&book) {
            Ok(text) => store.compact(number, &text),
            Err(error) => {
                tracing::error!(%error, "the state cannot be written as a snapshot");
                Ok(())
            }
        });
        if let Err(error) = written.await {
            tracing::error!(error = chain(&error), "no snapshot was kept");
        }
    }

    /// Writing waits for the disk; that must not hold up others.
    async fn with_store(
        &self,
        work: impl FnOnce(&mut dyn Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let store = self.store.clone();
        let task =
            tokio::task::spawn_blocking(move || work(store.lock().unwrap_or_else(PoisonError::into_inner).as_mut()));
        task.await.unwrap_or_else(|error| {
            Err(StoreError::Io { path: "the store".into(), source: std::io::Error::other(error) })
        })
    }
}

fn chain(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

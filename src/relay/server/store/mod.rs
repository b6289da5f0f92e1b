//! Where facts are kept. A store knows nothing of what they mean.
//!
//! A batch of facts is kept whole or not at all, and is safe when [`Store::append`] comes back. Batches are numbered
//! without gaps. A snapshot stands for all batches up to its number.

pub mod file;

use std::path::PathBuf;

/// What a store held when it was opened.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// The newest snapshot.
    pub snapshot: Option<String>,
    /// Batches after it, oldest first, with their numbers.
    pub batches: Vec<(u64, String)>,
}

/// Keeps batches of facts. One process at a time has it.
pub trait Store: Send {
    /// Keeps a batch. After an error, it is not kept, and the next one may be tried; or the store says that it is broken.
    ///
    /// # Errors
    /// It cannot be written.
    fn append(&mut self, number: u64, batch: &str) -> Result<(), StoreError>;

    /// Keeps a snapshot of everything up to this number, and lets the batches before it go.
    ///
    /// # Errors
    /// It cannot be written; what was kept before still is.
    fn compact(&mut self, number: u64, snapshot: &str) -> Result<(), StoreError>;
}

/// Why a store does not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("another server uses {}", .0.display())]
    InUse(PathBuf),
    /// What is in it was not written by us, or not by this version.
    #[error("{}, line {line}: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A write failed and could not be undone; only opening it anew helps.
    #[error("{} is not written any more, after an error that could not be undone; restart the server", .0.display())]
    Broken(PathBuf),
    /// The system refused.
    #[error("{}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
}

//! Interruptions: Ctrl-C or SIGTERM once asks to stop, a second time insists.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::error::{Error, Kind};

/// Tells running work that the user wants it to end. Cheap to clone.
#[derive(Clone)]
pub struct Cancel {
    count: watch::Receiver<u32>,
    /// How often the user had asked before this work began.
    before: u32,
    terminated: Arc<AtomicBool>,
}

impl Cancel {
    /// Listens to SIGINT and SIGTERM from now on.
    pub fn listen() -> Self {
        let (sender, count) = watch::channel(0);
        let terminated = Arc::new(AtomicBool::new(false));
        let flag = terminated.clone();
        tokio::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                tracing::warn!("cannot listen to signals; Ctrl-C ends the program at once");
                return std::future::pending().await;
            };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => flag.store(true, Ordering::Relaxed),
                }
                sender.send_modify(|n| *n += 1);
            }
        });
        Cancel { count, before: 0, terminated }
    }

    /// As if the user had asked so many times, and will never ask again.
    #[cfg(test)]
    pub(super) fn after(times: u32) -> Self {
        let (_, count) = watch::channel(times);
        Cancel { count, before: 0, terminated: Arc::default() }
    }

    /// For work that comes after what the user has ended: it ends when the user asks again.
    pub fn anew(&self) -> Self {
        Cancel { before: *self.count.borrow(), ..self.clone() }
    }

    /// True when the user has asked.
    pub fn is_requested(&self) -> bool {
        *self.count.borrow() > self.before
    }

    /// Returns when the user has asked once.
    pub async fn requested(&self) {
        self.reached(1).await;
    }

    /// Returns when the user has asked twice.
    pub async fn insisted(&self) {
        self.reached(2).await;
    }

    async fn reached(&self, times: u32) {
        let mut count = self.count.clone();
        let times = self.before + times;
        if count.wait_for(|n| *n >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The error that ends the command, with the exit code of the signal.
    pub fn error(&self) -> Error {
        let terminated = self.terminated.load(Ordering::Relaxed);
        let kind = if terminated { Kind::Terminated } else { Kind::Interrupted };
        Error::new(kind, if terminated { "terminated" } else { "interrupted" })
            .hint("everything done so far is kept; run the same command again to go on from here")
    }
}

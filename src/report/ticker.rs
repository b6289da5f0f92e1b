//! A thread that calls a function at an interval until it is dropped: spinner frames, heartbeats.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// Runs while it lives. Dropping it stops the thread at once and waits for its end.
///
/// The function must not hold, or wait for, anything that is locked while the ticker is dropped.
pub(super) struct Ticker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Calls `tick` every `interval`, the first time after one interval.
    pub(super) fn start(interval: Duration, mut tick: impl FnMut() + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                tick();
            }
        });
        Ticker { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A tick that panicked has lost its display only.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn ticks_until_dropped() {
        let count = Arc::new(AtomicU32::new(0));
        let seen = count.clone();
        let ticker = Ticker::start(Duration::from_millis(1), move || {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        while count.load(Ordering::Relaxed) < 2 {
            std::thread::yield_now();
        }
        drop(ticker);
        let after = count.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(count.load(Ordering::Relaxed), after);
    }
}

//! Answers that wait: long polls, and a run as it goes on.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::{Response, StatusCode};
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::book::{Book, Caller};
use super::answer::{self, Body};
use super::{Refusal, Server};
use crate::relay::api::{NodeResult, RunId, Status};

/// After so long without news a follower is told that we are still here.
const STILL_HERE: Duration = Duration::from_secs(15);

impl Server {
    /// Looks until there is something, the time is over, or the server ends; then once more.
    pub(super) async fn wait_for<T>(&self, wait: Duration, mut look: impl FnMut(&Book) -> (bool, T)) -> T {
        let end = Instant::now() + wait;
        let (mut changes, mut ending) = (self.keeper.changes(), self.ending.clone());
        loop {
            changes.borrow_and_update();
            let (enough, seen) = self.keeper.read(&mut look);
            if enough || Instant::now() >= end || *ending.borrow() {
                return seen;
            }
            tokio::select! {
                _ = changes.changed() => {}
                _ = ending.changed() => {}
                () = tokio::time::sleep_until(end) => {}
            }
        }
    }

    /// A run as it goes on, as server-sent events: `state` with its state, `nodes` with what is new of its nodes. Ends
    /// with the run. `after` is the last event that the follower has.
    pub(super) fn follow(self: &Arc<Self>, caller: Caller, id: RunId, after: u64) -> Result<Response<Body>, Refusal> {
        self.keeper.read(|book| book.run(&caller.connection, &id).map(|_| ()))?;
        let follower = Follower {
            server: self.clone(),
            changes: self.keeper.changes(),
            ending: self.ending.clone(),
            caller,
            id,
            after,
            done: false,
        };
        let events = stream::unfold(follower, |mut follower| async move {
            let text = follower.next().await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), follower))
        });
        Ok(answer::with_headers(StatusCode::OK, "text/event-stream", StreamBody::new(events).boxed_unsync()))
    }
}

struct Follower {
    server: Arc<Server>,
    changes: watch::Receiver<u64>,
    ending: watch::Receiver<bool>,
    caller: Caller,
    id: RunId,
    after: u64,
    done: bool,
}

impl Follower {
    /// The next events; nothing at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.done || *self.ending.borrow() {
                return None;
            }
            self.changes.borrow_and_update();
            if let Some(text) = self.news()? {
                return Some(text);
            }
            tokio::select! {
                _ = self.changes.changed() => {}
                _ = self.ending.changed() => {}
                () = tokio::time::sleep(STILL_HERE) => return Some(":\n\n".to_owned()),
            }
        }
    }

    /// What is new. The outer nothing: the run is not kept any more.
    fn news(&mut self) -> Option<Option<String>> {
        let (server, after) = (self.server.clone(), self.after);
        server.keeper.read(|book| {
            let entry = book.run(&self.caller.connection, &self.id).ok()?;
            self.done = entry.state().status == Status::Complete;
            if entry.changed <= after && !self.done {
                return Some(None);
            }
            self.after = entry.changed;
            let state = serde_json::to_string(entry.state()).ok()?;
            let mut text = String::new();
            let fresh: Vec<&NodeResult> = entry.nodes.values().filter(|(at, _)| *at > after).map(|(_, n)| n).collect();
            if !fresh.is_empty() {
                let _ = write!(text, "event: nodes\ndata: {}\n\n", serde_json::to_string(&fresh).ok()?);
            }
            let _ = write!(text, "id: {}\nevent: state\ndata: {state}\n\n", entry.changed);
            Some(Some(text))
        })
    }
}

//! The engine's event stream, reduced to what the platform cares about: containers that die.

use std::collections::HashMap;

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;

use super::{Engine, EngineError};

/// A container's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Died {
    /// Container name.
    pub name: String,
    /// Its exit code, if the engine told.
    pub exit_code: Option<i64>,
    /// When, by the engine's clock; the end of time if the engine did not tell.
    pub at: Timestamp,
}

impl Engine {
    /// Deaths of containers with all these labels (`key=value`), from now on. Ends when the connection does.
    pub fn deaths(&self, labels: &[String]) -> impl Stream<Item = Result<Died, EngineError>> + Send + use<> {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let filters = HashMap::from([("type", vec!["container"]), ("event", vec!["die"]), ("label", labels)]);
        let options = EventsOptionsBuilder::default().filters(&filters).build();
        let docker = self.slow.clone();
        // The stream borrows its client, so it is fed through a channel by a task that owns one.
        let (tx, rx) = tokio::sync::mpsc::channel(64);
        tokio::spawn(async move {
            let mut events = docker.events(Some(options));
            while let Some(event) = events.next().await {
                let item = event.map_err(EngineError::from).map(|e| {
                    let at = e.time_nano.and_then(|nanos| Timestamp::from_nanosecond(nanos.into()).ok());
                    let attributes = e.actor.and_then(|a| a.attributes).unwrap_or_default();
                    Died {
                        name: attributes.get("name").cloned().unwrap_or_default(),
                        exit_code: attributes.get("exitCode").and_then(|c| c.parse().ok()),
                        at: at.unwrap_or(Timestamp::MAX),
                    }
                });
                if tx.send(item).await.is_err() {
                    break;
                }
            }
        });
        futures_util::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|item| (item, rx)) })
    }
}

//! What ended long ago goes, so that a server does not grow for ever.

use jiff::{SignedDuration, Timestamp};

use super::{Book, Entry, Fact};
use crate::relay::api::Status;

/// How long, and how much. The oldest go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Runs that ended are kept so long.
    pub runs_for: SignedDuration,
    /// Not more of them than so many.
    pub runs: usize,
    /// Nor more results of nodes in all of them; eight of a node's changes count as another one.
    pub nodes: usize,
    /// Events are kept so long.
    pub events_for: SignedDuration,
    /// Not more of them than so many.
    pub events: usize,
    /// Nor more bytes in all of them.
    pub event_bytes: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            runs_for: SignedDuration::from_hours(30 * 24),
            runs: 5_000,
            nodes: 500_000,
            events_for: SignedDuration::from_hours(7 * 24),
            events: 10_000,
            event_bytes: 64 << 20,
        }
    }
}

impl Book {
    /// What is to be forgotten now.
    pub fn outlived(&self, keep: &Retention, now: Timestamp) -> Vec<Fact> {
        let mut facts = Vec::new();
        let previews = self.needed_previews();
        let ended = |entry: &&Entry| entry.state().status == Status::Complete && !previews.contains(&entry.id);
        let ended: Vec<&Entry> = self.runs.values().filter(ended).collect();
        let (mut count, mut nodes) = (ended.len(), ended.iter().map(|entry| weight(entry)).sum::<usize>());
        let mut ids = Vec::new();
        for entry in ended {
            let old = entry.state().updated_at.is_some_and(|end| now.duration_since(end) >= keep.runs_for);
            if old || count > keep.runs || nodes > keep.nodes {
                ids.push(entry.id.clone());
                count -= 1;
                nodes -= weight(entry);
            }
        }
        if !ids.is_empty() {
            facts.push(Fact::RunsForgotten { ids });
        }
        let links = self.ended_links(now);
        if !links.is_empty() {
            facts.push(Fact::LinksEnded { hashes: links });
        }
        let (mut count, mut bytes) = (self.events.len(), self.event_bytes);
        let mut gone = None;
        for (number, (_, event)) in &self.events {
            let old = now.duration_since(event.created_at) >= keep.events_for;
            if !old && count <= keep.events && bytes <= keep.event_bytes {
                break;
            }
            count -= 1;
            bytes -= self.event_sizes.get(number).copied().unwrap_or_default();
            gone = Some(*number);
        }
        facts.extend(gone.map(|up_to| Fact::EventsForgotten { up_to }));
        facts
    }
}

/// How much of a run's nodes is kept.
fn weight(entry: &Entry) -> usize {
    let changes = |(_, node): &(u64, crate::relay::api::NodeResult)| node.changes.as_ref().map_or(0, |c| c.first.len());
    entry.nodes.values().map(|node| 1 + changes(node) / 8).sum()
}

//! Events that report processors send, each once, and how they are read again.

use jiff::Timestamp;

use super::{Book, Caller, Decision, Fact};
use crate::relay::api::{ConnectionName, EventList, NewEvent, ReportEvent, RunId};

impl Book {
    /// Takes an event; or gives the one that had its key before.
    pub fn take_event(&self, caller: &Caller, new: NewEvent, id: RunId, now: Timestamp) -> Decision<ReportEvent> {
        let key = new.effective_key();
        let known = key.as_ref().and_then(|key| self.event_keys.get(&(caller.connection.clone(), key.clone())));
        if let Some((_, event)) = known.and_then(|number| self.events.get(number)) {
            return Ok((Vec::new(), event.clone()));
        }
        let NewEvent { data, source, .. } = new;
        let event = ReportEvent { id, number: self.next_event + 1, created_at: now, data, key, source };
        let fact = Fact::EventTaken { connection: caller.connection.clone(), event: Box::new(event.clone()) };
        Ok((vec![fact], event))
    }

    /// Events of a connection after this number, oldest first.
    pub fn events_after(&self, connection: &ConnectionName, after: u64, limit: usize) -> EventList {
        let later = self.events.range(after.saturating_add(1)..);
        let mine = later.filter(|(_, (owner, _))| owner == connection).take(limit);
        let events: Vec<ReportEvent> = mine.map(|(_, (_, event))| event.clone()).collect();
        let next = events.last().map_or(after, |event| event.number);
        EventList { events, next }
    }

    pub(super) fn keep_event(&mut self, connection: ConnectionName, event: ReportEvent) {
        self.next_event = self.next_event.max(event.number);
        if let Some(key) = &event.key {
            self.event_keys.insert((connection.clone(), key.clone()), event.number);
        }
        let size = serde_json::to_vec(&event).map_or(0, |text| text.len());
        self.event_sizes.insert(event.number, size);
        self.event_bytes += size;
        self.events.insert(event.number, (connection, event));
    }

    pub(super) fn forget_events(&mut self, up_to: u64) {
        let kept = self.events.split_off(&up_to.saturating_add(1));
        for (number, (connection, event)) in std::mem::replace(&mut self.events, kept) {
            self.event_bytes -= self.event_sizes.remove(&number).unwrap_or_default();
            if let Some(key) = event.key
                && self.event_keys.get(&(connection.clone(), key.clone())) == Some(&number)
            {
                self.event_keys.remove(&(connection, key));
            }
        }
    }
}

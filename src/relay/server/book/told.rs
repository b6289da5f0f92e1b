//! How far each rule has told of events.

use super::{Book, Fact};
use crate::relay::api::TokenName;

impl Book {
    /// The last event that this rule has told of; nothing when it is new.
    pub fn told(&self, rule: &TokenName) -> Option<u64> {
        self.told.get(rule).copied()
    }

    /// Number of the last event that came.
    pub fn last_event(&self) -> u64 {
        self.next_event
    }

    /// A rule has told of everything up to this event.
    pub fn tell(&self, rule: &TokenName, up_to: u64) -> (Vec<Fact>, u64) {
        (vec![Fact::Told { rule: rule.clone(), up_to }], up_to)
    }
}

//! What report processors send to triggers, and how it is read again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names::{IdempotencyKey, RunId};

/// Body of `POST /api/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewEvent {
    /// The report's subset, as the original processor makes it, or any other object.
    pub data: Map<String, Value>,
    /// The same key is taken once. Without one, `data.transaction_uuid` is the key where there is one: the original
    /// processor sends the same report once for each trigger token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IdempotencyKey>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Map<String, Value>>,
}

impl NewEvent {
    /// What it is known again by.
    pub fn effective_key(&self) -> Option<IdempotencyKey> {
        let transaction = || self.data.get("transaction_uuid")?.as_str()?.parse().ok();
        self.key.clone().or_else(transaction)
    }
}

/// An event that was taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportEvent {
    /// Its identifier.
    pub id: RunId,
    /// Its place among all events of the server; it only grows.
    pub number: u64,
    /// When it came.
    pub created_at: Timestamp,
    /// As it came.
    pub data: Map<String, Value>,
    /// As it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<IdempotencyKey>,
    /// As it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Map<String, Value>>,
}

/// Answer (202) to `POST /api/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventMade {
    /// The event: a new one, or the one that had its key before.
    pub event: ReportEvent,
}

/// Answer to `GET /api/events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventList {
    /// Events after the number that was asked for, oldest first.
    pub events: Vec<ReportEvent>,
    /// What to ask for next.
    pub next: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_known_again_by_its_transaction() {
        let event = |text: &str| serde_json::from_str::<NewEvent>(text).unwrap().effective_key().map(|k| k.to_string());
        assert_eq!(event(r#"{"data":{"transaction_uuid":"u-1"}}"#).as_deref(), Some("u-1"));
        assert_eq!(event(r#"{"data":{"transaction_uuid":"u-1"},"key":"k"}"#).as_deref(), Some("k"));
        assert_eq!(event(r#"{"data":{"transaction_uuid":null}}"#), None);
        assert!(serde_json::from_str::<NewEvent>(r#"{"data":[]}"#).is_err());
    }
}

//! A report's events in PuppetDB, as the changes that somebody approves and compares.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::relay::api::{Change, ChangeStatus, Changes, Line, ReportHash};

/// The most events of one report that are asked for; a run that changes more is not read line by line.
const EVENTS: usize = 500;

/// The query for the events of a report, in an order that is the same every time.
pub fn query(hash: &ReportHash) -> (Value, Value, usize) {
    let query = json!([
        "extract",
        ["resource_type", "resource_title", "property", "old_value", "new_value", "status", "corrective_change"],
        ["and", ["=", "report", hash.as_str()], ["not", ["=", "status", "skipped"]]]
    ]);
    let order = ["resource_type", "resource_title", "property"].map(|field| json!({ "field": field }));
    (query, json!(order), EVENTS)
}

#[derive(Deserialize)]
struct Event {
    resource_type: String,
    resource_title: String,
    property: Option<String>,
    #[serde(default)]
    old_value: Value,
    #[serde(default)]
    new_value: Value,
    status: String,
    #[serde(default)]
    corrective_change: Option<bool>,
}

/// The changes in PuppetDB's answer.
///
/// # Errors
/// It is no list of events.
pub fn read(body: &[u8]) -> Result<Changes, serde_json::Error> {
    let events: Vec<Event> = serde_json::from_slice(body)?;
    let mut changes = Changes::default();
    for event in events {
        let status = match event.status.as_str() {
            "noop" => ChangeStatus::Pending,
            "success" => ChangeStatus::Done,
            "failure" => ChangeStatus::Failed,
            _ => continue,
        };
        // Classes and stages hand a refresh on; nothing happens to them.
        if event.property.is_none() && matches!(event.resource_type.as_str(), "Class" | "Stage" | "Whit") {
            continue;
        }
        changes.add(Change {
            resource: Line::from(format!("{}[{}]", event.resource_type, event.resource_title)),
            property: event.property.map(Line::from),
            from: value(event.old_value),
            to: value(event.new_value),
            status,
            corrective: event.corrective_change.unwrap_or_default(),
        });
    }
    Ok(changes)
}

/// A value as a line. Text is text, not JSON.
fn value(value: Value) -> Option<Line> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Line::from(text)),
        other => Some(Line::from(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_changes() {
        let body = br#"[
            {"resource_type":"File","resource_title":"/etc/motd","property":"content","old_value":"{sha256}a",
             "new_value":"{sha256}b","status":"noop","corrective_change":true},
            {"resource_type":"Exec","resource_title":"reload","property":"returns","old_value":"notrun","new_value":["0"],
             "status":"success","corrective_change":false},
            {"resource_type":"Service","resource_title":"x","property":null,"old_value":null,"new_value":null,"status":"noop"},
            {"resource_type":"Class","resource_title":"Motd","property":null,"status":"noop"},
            {"resource_type":"User","resource_title":"u","property":"uid","old_value":1,"new_value":2,"status":"failure"},
            {"resource_type":"User","resource_title":"v","property":"uid","status":"audit"}]"#;
        let changes = read(body).unwrap();
        assert_eq!((changes.total, changes.first.len()), (4, 4));
        let first = &changes.first[0];
        assert_eq!(
            (first.resource.as_str(), first.status, first.corrective),
            ("File[/etc/motd]", ChangeStatus::Pending, true)
        );
        assert_eq!(changes.first[1].to.as_ref().unwrap().as_str(), "[\"0\"]");
        assert_eq!(changes.first[2].property, None);
        assert_eq!(changes.first[3].from.as_ref().unwrap().as_str(), "1");
        assert!(read(b"{}").is_err());
    }
}

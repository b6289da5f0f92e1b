//! What of an event a rule is about. Pure.
//!
//! An event carries the report's subset that the original processor sends. It comes from outside: whatever is not as it
//! should be is as if it were not there.

use serde_json::{Map, Value};

use super::config::Conditions;
use crate::relay::api::Line;

/// The most resources of one event that are told.
const MOST: usize = 50;

/// What a rule tells of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The node.
    pub node: Line,
    /// What happened there: resources, or the run as a whole.
    pub what: Vec<Line>,
    /// In what way: `changed`, `would change`, `failed`.
    pub how: &'static str,
}

/// What the rule is about, if anything.
pub fn find(on: &Conditions, data: &Map<String, Value>) -> Option<Found> {
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    let status = text("status").unwrap_or_default();
    let noop = data.get("noop").and_then(Value::as_bool).unwrap_or(false);
    let node = text("host")?;
    let fits =
        |globs: &[crate::relay::glob::Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.fits(text));
    if !fits(&on.nodes, node)
        || on.noop.is_some_and(|wanted| wanted != noop)
        || !(on.status.is_empty() || on.status.iter().any(|wanted| wanted.as_str() == status))
    {
        return None;
    }
    let how = match (status, noop) {
        ("failed", _) => "failed",
        (_, true) | ("unchanged", _) => "would change",
        _ => "changed",
    };
    let none = Map::new();
    let resources = data.get("resource_statuses").and_then(Value::as_object).unwrap_or(&none);
    let named = !on.resources.is_empty() || !on.containers.is_empty() || on.corrective.is_some();
    let counts = |name: &str, resource: &Value| {
        let path: Vec<&str> = match resource.get("containment_path").and_then(Value::as_array) {
            Some(path) => path.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        let corrective = resource.get("corrective_change").and_then(Value::as_bool).unwrap_or(false);
        fits(&on.resources, name)
            && (on.containers.is_empty() || path.iter().any(|element| fits(&on.containers, element)))
            && on.corrective.is_none_or(|wanted| wanted == corrective)
    };
    let about =
        resources.iter().filter(|(name, resource)| counts(name, resource)).map(|(name, _)| Line::from(name.as_str()));
    let what: Vec<Line> = about.take(MOST).collect();
    // A run without a catalog failed as a whole, and has no resources.
    let whole = what.is_empty() && !named && (resources.is_empty() || status == "failed");
    match what.is_empty() {
        true if whole => Some(Found { node: Line::from(node), what: vec![Line::from("the Puppet run")], how }),
        true => None,
        false => Some(Found { node: Line::from(node), what, how }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn about(on: Value, data: &Value) -> Option<Vec<String>> {
        let on: Conditions = serde_json::from_value(on).unwrap();
        find(&on, data.as_object().unwrap()).map(|found| found.what.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn resources_profiles_nodes_and_states() {
        let data = json!({"host": "web01.example.com", "noop": false, "status": "changed", "resource_statuses": {
            "File[/etc/motd]": {"containment_path": ["Stage[main]", "Profile::Base", "File[/etc/motd]"], "corrective_change": false},
            "Service[ssh]": {"containment_path": ["Stage[main]", "Ssh", "Service[ssh]"], "corrective_change": true}}});
        let both = Some(vec!["File[/etc/motd]".to_owned(), "Service[ssh]".to_owned()]);
        let motd = Some(vec!["File[/etc/motd]".to_owned()]);
        let ssh = Some(vec!["Service[ssh]".to_owned()]);
        for (on, found) in [
            (json!({}), both.clone()),
            (json!({"resources": ["File[*]"]}), motd.clone()),
            (json!({"containers": ["Profile::*"]}), motd.clone()),
            (json!({"corrective": true}), ssh),
            (json!({"resources": ["File[*]"], "corrective": true}), None),
            (json!({"nodes": ["web*"], "status": ["changed"], "noop": false}), both),
            (json!({"nodes": ["db*"]}), None),
            (json!({"status": ["failed"]}), None),
            (json!({"noop": true}), None),
        ] {
            assert_eq!(about(on.clone(), &data), found, "{on}");
        }
    }

    #[test]
    fn a_run_without_a_catalog() {
        let data = json!({"host": "a", "status": "failed", "resource_statuses": {}});
        assert_eq!(about(json!({"status": ["failed"]}), &data), Some(vec!["the Puppet run".to_owned()]));
        assert_eq!(about(json!({"resources": ["File[*]"], "status": ["failed"]}), &data), None);
    }

    #[test]
    fn events_that_are_no_reports() {
        for data in [
            json!({}),
            json!({"host": 1, "status": "changed"}),
            json!({"host": "a", "status": "changed", "resource_statuses": {"File[x]": null}}),
            json!({"host": "a", "status": "changed", "resource_statuses": [1]}),
        ] {
            // Nothing is known of it, and nothing breaks.
            let _ = about(json!({"resources": ["x"], "containers": ["y"]}), &data);
            assert_eq!(about(json!({"resources": ["nothing"]}), &data), None);
        }
    }
}

//! The JSON Schema (draft 2020-12) of a release manifest, for those who write one.

use serde_json::{Value, json};

use super::SCHEMA_VERSION;
use crate::images::COMPONENTS;

/// The schema.
pub fn schema() -> Value {
    let text = json!({ "type": "string" });
    let day = json!({ "type": "string", "format": "date" });
    let version = json!({ "type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+" });
    let component = object(
        &["version"],
        json!({
            "version": { "type": "string", "description": "Version of the software, as far as the release fixes it." },
            "arguments": {
                "type": "object",
                "additionalProperties": { "type": "string" },
                "description": "Build arguments of the component's Dockerfile.",
            },
            "image": {
                "type": "string",
                "pattern": "@sha256:[0-9a-f]{64}$",
                "description": "A ready image, pinned by digest. Without one, the image is built.",
            },
        }),
    );
    let components: serde_json::Map<String, Value> =
        COMPONENTS.iter().map(|name| ((*name).to_owned(), component.clone())).collect();
    let channel = object(
        &["about"],
        json!({
            "stream": { "type": "integer", "minimum": 0, "description": "The stream whose newest release it names." },
            "unavailable": { "type": "string", "description": "Why it names none." },
            "about": text.clone(),
        }),
    );
    let stream = object(
        &["suite", "end_of_life", "about"],
        json!({
            "suite": { "type": "string", "description": "The Debian release that it is built from." },
            "end_of_life": day.clone(),
            "about": text.clone(),
        }),
    );
    let release = object(
        &["version", "date", "components"],
        json!({
            "version": version.clone(),
            "date": day.clone(),
            "upgrade_from": { "description": "The oldest release that can be upgraded to it.", "$ref": "#/$defs/version" },
            "agents": { "description": "The oldest Puppet of agents that its server serves.", "$ref": "#/$defs/version" },
            "notes": { "type": "array", "items": text, "description": "For those who upgrade to it." },
            "components": { "type": "object", "properties": components, "required": COMPONENTS },
        }),
    );
    let mut top = object(
        &["schema_version", "channels", "streams", "releases"],
        json!({
            "schema_version": { "const": SCHEMA_VERSION },
            "expires": { "description": "The last day on which it is good.", "$ref": "#/$defs/day" },
            "channels": { "type": "object", "additionalProperties": channel },
            "streams": {
                "type": "object",
                "propertyNames": { "pattern": "^[0-9]+$" },
                "additionalProperties": stream,
            },
            "releases": { "type": "array", "items": release },
        }),
    );
    top["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    top["title"] = json!("Release manifest of pupperware");
    top["$defs"] = json!({ "version": version, "day": day });
    top
}

/// An object with these keys and no others.
fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "additionalProperties": false, "properties": properties })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every key that stands in the built-in manifest, with the path of what it is in, is one of the schema's.
    fn look(value: &Value, schema: &Value, path: &str, seen: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for required in schema["required"].as_array().into_iter().flatten() {
                    assert!(map.contains_key(required.as_str().unwrap()), "{path} lacks {required}");
                }
                for (key, inner) in map {
                    let below = [&schema["properties"][key], &schema["additionalProperties"]];
                    let found = below.into_iter().find(|s| s.is_object());
                    look(inner, found.unwrap_or_else(|| panic!("no {key} in {path}")), &format!("{path}.{key}"), seen);
                    seen.insert(key.clone());
                }
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, &schema["items"], path, seen)),
            _ => assert!(!schema["properties"].is_object(), "{path} is an object"),
        }
    }

    #[test]
    fn the_built_in_manifest_is_of_this_schema() {
        let manifest: Value = serde_yaml::from_str(include_str!("../../images/channels.yaml")).unwrap();
        let mut seen = BTreeSet::new();
        look(&manifest, &schema(), "", &mut seen);
        assert!(["upgrade_from", "unavailable", "arguments", "puppetboard"].iter().all(|key| seen.contains(*key)));
    }
}

//! The JSON Schema (draft 2020-12) of the file, for editors and for CI.
//!
//! Made from what the validator reads (types), `Config::default()` (defaults) and `keys` (words).

use serde_json::{Map, Value, json};

use super::keys::{self, Key};
use super::model::Config;
use super::validate;

/// One setting with all that is known about it.
#[derive(Debug, Clone)]
pub struct Described {
    /// The words.
    pub key: &'static Key,
    /// What may stand there, in words.
    pub expected: String,
    /// What may stand there.
    pub schema: Value,
    /// The value when the key is absent; `null` for unset.
    pub default: Value,
}

/// Every setting, in the order in which the validator reads them.
pub fn settings() -> Vec<Described> {
    let defaults = Config::default().values();
    validate::shapes()
        .into_iter()
        .filter_map(|shape| {
            let key = keys::find(&shape.path)?;
            let default = defaults.iter().find(|(path, _)| *path == shape.path)?.1.clone();
            Some(Described { key, expected: shape.expected, schema: shape.schema, default })
        })
        .collect()
}

/// The schema.
pub fn schema() -> Value {
    let mut top = Map::new();
    for Described { key, mut schema, default, .. } in settings() {
        schema["description"] = json!(key.about);
        if !default.is_null() {
            schema["default"] = default;
        }
        put(&mut top, "", key.path, schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pupperware.yaml",
        "description": "Configuration of a Puppet platform run by pupperware. Every key is optional.",
        "type": ["object", "null"],
        "additionalProperties": false,
        // One choice, written in two ways.
        "not": { "required": ["channel", "release"] },
        "properties": top,
    })
}

/// Puts a setting into the sections of its path below `above`, which are made where they are missing.
fn put(properties: &mut Map<String, Value>, above: &str, path: &str, schema: Value) {
    let Some((section, rest)) = path.split_once('.') else {
        properties.insert(path.to_owned(), schema);
        return;
    };
    let whole = format!("{above}{section}");
    let about = keys::find(&whole).map_or("", |key| key.about);
    let section = properties.entry(section).or_insert_with(|| {
        // An empty section, all of its keys commented out, reads as null.
        json!({
            "type": ["object", "null"],
            "description": about,
            "additionalProperties": false,
            "properties": {},
        })
    });
    if let Some(Value::Object(properties)) = section.get_mut("properties") {
        put(properties, &format!("{whole}."), rest, schema);
    }
}

/// The schema as the text of a file.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

#[cfg(test)]
#[path = "schema_tests.rs"]
pub(crate) mod tests;

//! The configuration as rows for `config show`: every setting, its value, origin and reason.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Origin, Settings};
use crate::config::Sizing;
use crate::config::sizing::{Figure, show_size};

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Dotted path.
    pub path: String,
    /// The value as it would stand in the file, `auto` resolved; `null` when unset.
    pub value: Value,
    /// Where it came from, as text: `pupperware.yaml:3`, `env PUPPERWARE_CHANNEL`, `--channel`, `default`.
    pub origin: Origin,
    /// Why an `auto` value is what it is.
    pub reason: Option<String>,
}

impl Row {
    /// The value for a table: no quotes, `-` when unset, lists joined by commas.
    pub fn value_text(&self) -> String {
        fn text(value: &Value) -> String {
            match value {
                Value::Null => "-".to_owned(),
                Value::String(text) => text.clone(),
                Value::Array(items) if items.is_empty() => "-".to_owned(),
                Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
                other => other.to_string(),
            }
        }
        text(&self.value)
    }
}

/// Every setting, defaults included, in the order of the reference.
pub fn show(settings: &Settings, sizing: &Sizing) -> Vec<Row> {
    let row = |(path, value): (&'static str, Value)| {
        let origin = settings.origins.of(path).clone();
        let (value, reason) = match chosen(path, sizing) {
            Some((chosen, reason)) if value == json!("auto") => (chosen, Some(reason)),
            _ => (value, None),
        };
        Row { path: path.to_owned(), value, origin, reason }
    };
    settings.config.values().into_iter().map(row).collect()
}

/// What `auto` came to.
fn chosen(path: &str, sizing: &Sizing) -> Option<(Value, String)> {
    let Sizing { puppetserver: server, puppetdb: db, postgres, compiler, .. } = sizing;
    let size = |figure: &Figure<u64>| Some((json!(show_size(figure.value)), figure.reason.clone()));
    match path {
        "puppetserver.jruby_instances" => {
            Some((json!(server.jruby_instances.value), server.jruby_instances.reason.clone()))
        }
        "puppetserver.heap" => size(&server.heap),
        "puppetserver.memory" => size(&server.memory),
        "puppetdb.heap" => size(&db.heap),
        "puppetdb.memory" => size(&db.memory),
        "postgres.memory" => size(&postgres.memory),
        "compilers.jruby_instances" => {
            Some((json!(compiler.jruby_instances.value), compiler.jruby_instances.reason.clone()))
        }
        "compilers.heap" => size(&compiler.heap),
        "postgres.shared_buffers" => size(&postgres.shared_buffers),
        _ => None,
    }
}

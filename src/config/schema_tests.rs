//! Schema, words, defaults, validator and published files must say the same.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::strategy::Strategy as _;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;
use crate::config::tree;
use crate::config::validate::{Validated, validate};

/// Compares a generated text with its file in `docs/reference`; writes the file when `UPDATE_DOCS` is set.
pub(crate) fn published(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        std::fs::write(&path, text).expect("the file is written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/reference/{name} is out of date: run `UPDATE_DOCS=1 cargo test --lib config::`");
}

fn read(text: &str) -> Validated {
    validate(tree::parse(text), None)
}

/// A file with this setting, and those that it does not go without.
fn yaml(path: &str, value: &str) -> String {
    let names: Vec<&str> = path.split('.').collect();
    let mut text = String::new();
    for (depth, name) in names.iter().enumerate() {
        text += &format!("{}{name}:{}", "  ".repeat(depth), if depth + 1 < names.len() { "\n" } else { "" });
    }
    text += &format!(" {value}\n");
    match path {
        "code" | "code.dir" | "code.control_repo" | "code.control_repo.url" => text,
        "code.control_repo.token" | "code.control_repo.ca" | "code.control_repo.timeout" => {
            text + "    url: https://git.example.com/a.git\n"
        }
        "code.control_repo.ssh_key" => text + "    url: git@git.example.com:a.git\n    known_hosts: known_hosts\n",
        path if path.starts_with("code.") => text + "    url: git@git.example.com:a.git\n",
        _ => text,
    }
}

#[test]
fn the_published_schema_is_this_one() {
    published("pupperware.schema.json", &text());
}

#[test]
fn words_types_and_defaults_cover_the_same_keys() {
    let read: Vec<String> = validate::shapes().into_iter().map(|shape| shape.path).collect();
    let values: Vec<&str> = Config::default().values().into_iter().map(|(path, _)| path).collect();
    assert_eq!(read, values, "validator and defaults");
    let sections: BTreeSet<&str> = read.iter().flat_map(|p| p.match_indices('.').map(|(at, _)| &p[..at])).collect();
    let words: BTreeSet<&str> = keys::KEYS.iter().map(|key| key.path).collect();
    let all: BTreeSet<&str> = read.iter().map(String::as_str).chain(sections).collect();
    assert_eq!(words, all, "words and validator");
}

#[test]
fn every_example_and_default_is_taken_by_both() {
    for setting in settings() {
        let Key { path, example, .. } = setting.key;
        let validated = read(&yaml(path, example));
        assert!(!validated.is_bad(), "{path}: {example}: {:?}", validated.problems);
        let value: Value = serde_yaml::from_str(example).expect("an example is YAML");
        assert!(allows(&setting.schema, &value), "{path}: {example}: {}", setting.schema);
        let after = validated.config.values().into_iter().find(|(p, _)| p == path).expect("a value").1;
        // Paths are looked at only where the file's folder is known.
        if !matches!(*path, "code.dir" | "code.control_repo.ssh_key" | "code.control_repo.token")
            && !matches!(*path, "code.control_repo.known_hosts" | "code.control_repo.ca")
        {
            assert_ne!(after, setting.default, "the example of {path} should not be the default");
        }

        if !setting.default.is_null() {
            assert!(allows(&setting.schema, &setting.default), "{path}: {}", setting.default);
            assert_eq!(read(&yaml(path, &setting.default.to_string())).config, Config::default(), "{path}");
        }
    }
}

#[test]
fn unknown_keys_are_refused_by_both() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], json!(false));
    assert!(read("unknown: 1\n").is_bad());
    for key in keys::KEYS.iter().filter(|key| key.example.is_empty()) {
        let pointer = format!("/properties/{}", key.path.replace('.', "/properties/"));
        assert_eq!(schema.pointer(&pointer).expect("a section")["additionalProperties"], json!(false), "{}", key.path);
        assert!(read(&yaml(key.path, "{ unknown: 1 }")).is_bad());
        assert!(!read(&yaml(key.path, "")).is_bad(), "an empty section");
    }
}

/// What the validator takes, the schema must allow: an editor that marks a good file is worse than none.
#[test]
fn the_schema_is_never_stricter() {
    let candidates = [
        "true",
        "false",
        "auto",
        "[]",
        "0",
        "1",
        "2",
        "8140",
        "1.5",
        "\"3\"",
        "512m",
        "2g",
        "30s",
        "7d",
        "unlimited",
        "x",
        "a.b",
        "127.0.0.1:80",
        "\"[::1]:80\"",
        "1.0.0",
        "1.0.0-rc.1+b",
        "[a, a.b]",
        "[\"*.a.b\"]",
        "a/b:1",
        "localhost:1/a",
        "~",
        "{a: 1}",
        "\"1.5\"",
        "65536",
        "\"\"",
        "-1",
        "99",
    ];
    for setting in settings() {
        for candidate in candidates {
            let value: Value = serde_yaml::from_str(candidate).expect("YAML");
            if !read(&yaml(setting.key.path, candidate)).is_bad() {
                assert!(allows(&setting.schema, &value), "{}: {candidate}", setting.key.path);
            }
        }
    }
}

/// And most of what the schema's patterns allow is taken; the rest is refused for its meaning, never for its type.
#[test]
fn what_patterns_allow_is_refused_only_for_its_meaning() {
    let mut runner = TestRunner::deterministic();
    for setting in settings() {
        for pattern in patterns(&setting.schema) {
            let strategy = proptest::string::string_regex(pattern.trim_matches(['^', '$'])).expect("a pattern");
            for _ in 0..50 {
                let text = strategy.new_tree(&mut runner).expect("a text").current();
                for problem in read(&yaml(setting.key.path, &format!("\"{text}\""))).problems {
                    let is_list = setting.schema["type"] == json!("array") || setting.key.path.ends_with("autosign");
                    assert!(is_list || !problem.message.starts_with("expected "), "{problem:?}");
                }
            }
        }
    }
}

fn patterns(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, value)| match value {
                Value::String(text) if name == "pattern" => vec![text.clone()],
                value => patterns(value),
            })
            .collect(),
        Value::Array(list) => list.iter().flat_map(patterns).collect(),
        _ => Vec::new(),
    }
}

/// As much of JSON Schema as our schemas use, without patterns' exact text.
fn allows(schema: &Value, value: &Value) -> bool {
    if let Some(Value::Array(any)) = schema.get("anyOf") {
        return any.iter().any(|schema| allows(schema, value));
    }
    if let Some(only) = schema.get("const") {
        return only == value;
    }
    if let Some(Value::Array(only)) = schema.get("enum") {
        return only.contains(value);
    }
    let in_range = |n: f64| {
        schema.get("minimum").and_then(Value::as_f64).is_none_or(|least| n >= least)
            && schema.get("maximum").and_then(Value::as_f64).is_none_or(|most| n <= most)
    };
    match schema["type"].as_str().expect("a type") {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_u64().is_some_and(|n| in_range(n as f64)),
        "number" => value.as_f64().is_some_and(in_range),
        "array" => value.as_array().is_some_and(|items| items.iter().all(|item| allows(&schema["items"], item))),
        other => panic!("no rule for {other}"),
    }
}

//! A client that knows nothing but the description of the API, and sends what fits it, what nearly fits it, and what does
//! not: every answer is one that the description has, and the server goes on.

use std::sync::Arc;

use hyper::Method;
use pupperware::relay::server::book::Rules;
use pupperware::relay::server::http::OPENAPI;
use serde_json::{Map, Value, json};

use crate::served::{Served, token};

const REQUESTS: usize = 1_500;

/// Chance that is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<'t, T>(&mut self, all: &'t [T]) -> &'t T {
        &all[self.below(all.len())]
    }
}

const TEXTS: [&str; 16] = [
    "",
    "a",
    "web01.example.com",
    "production",
    "default",
    "-oProxyCommand=x",
    "../../etc/passwd",
    "\u{0}",
    "\u{202e}é\n",
    "2026-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "8e659097-254a-4b27-bb93-88efea9a9f0e",
    "<script>",
    "finished",
    "ab12",
    "%00",
];

/// A value for a schema; now and then one that does not fit.
fn value(schema: &Value, document: &Value, dice: &mut Dice, depth: usize) -> Value {
    if dice.one_in(25) || depth > 8 {
        return dice.of(&[json!(null), json!(-1), json!(1e300), json!(""), json!([]), json!({}), json!(true)]).clone();
    }
    let schema = resolved(schema, document);
    if let Some(word) = schema.get("const") {
        return word.clone();
    }
    if let Some(words) = schema["enum"].as_array() {
        return dice.of(words).clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let mut fields = Map::new();
            let none = Map::new();
            let known = schema["properties"].as_object().unwrap_or(&none);
            let required: Vec<&str> = schema["required"]
                .as_array()
                .map(|names| names.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            // A scope has one of its fields.
            let only = (schema["maxProperties"] == 1).then(|| dice.below(known.len()));
            for (at, (name, schema)) in known.iter().enumerate() {
                let wanted = required.contains(&name.as_str()) && !dice.one_in(20) || dice.one_in(3);
                if only.map_or(wanted, |only| only == at) {
                    fields.insert(name.clone(), value(schema, document, dice, depth + 1));
                }
            }
            if dice.one_in(30) {
                fields.insert("surprise".into(), json!(1));
            }
            Value::Object(fields)
        }
        Some("array") => {
            let count = dice.below(4);
            (0..count).map(|_| value(&schema["items"], document, dice, depth + 1)).collect()
        }
        Some("integer") => json!(*dice.of(&[0_i64, 1, 2, 60, 1_000, i64::MAX])),
        Some("boolean") => json!(dice.one_in(2)),
        _ => json!(*dice.of(&TEXTS)),
    }
}

fn resolved<'d>(schema: &'d Value, document: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(to) => resolved(document.pointer(&to[1..]).unwrap(), document),
        None => schema,
    }
}

/// What is wrong with a value, by a schema.
fn misfit(value: &Value, schema: &Value, document: &Value) -> Option<String> {
    let schema = resolved(schema, document);
    let fits = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("string") => value.is_string(),
        _ => true,
    };
    let named = |list: &Value| list.as_array().is_none_or(|words| words.contains(value));
    if !fits || !named(&schema["enum"]) || schema.get("const").is_some_and(|word| word != value) {
        return Some(format!("{value} is not {schema}"));
    }
    if let Some(fields) = value.as_object() {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.into_iter().find(|name| !fields.contains_key(*name)) {
            return Some(format!("{missing} is missing in {value}"));
        }
        let known = schema["properties"].as_object();
        return fields.iter().find_map(|(name, field)| match known.and_then(|known| known.get(name)) {
            Some(schema) => misfit(field, schema, document),
            None if known.is_some() => Some(format!("{name} is not described, in {value}")),
            None => None,
        });
    }
    value.as_array()?.iter().find_map(|item| misfit(item, &schema["items"], document))
}

#[tokio::test]
async fn every_answer_is_one_that_is_described() {
    let document: Value = serde_yaml::from_str(OPENAPI).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let served = Arc::new(Served::start(folder.path(), Rules::default()).await);
    let mut tokens = Vec::new();
    for scopes in [&["run", "bridge", "trigger", "approve"][..], &["run"], &["bridge"], &["approve"], &["trigger"]] {
        for number in 0..3 {
            tokens.push(token(folder.path(), &format!("{}-{}-{number}", scopes[0], scopes.len()), scopes).await);
        }
    }
    let mut requests = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            // A stream has no end while its run has none.
            if (!path.starts_with("/admin") && !path.ends_with("/events")) || path == "/api/events" {
                requests.push((path.clone(), method.to_uppercase().parse::<Method>().unwrap(), described.clone()));
            }
        }
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut ids: Vec<String> = vec!["8e659097-254a-4b27-bb93-88efea9a9f0e".into(), "x".into(), "%2e%2e".into()];
    let mut good = 0;
    for _ in 0..REQUESTS {
        let (pattern, method, described) = dice.of(&requests).clone();
        let token = dice.of(&tokens).clone();
        let id: &String = dice.of(&ids);
        let mut path = pattern.replace("{id}", id);
        if dice.one_in(8) {
            let more: &&str =
                dice.of(&["?limit=0", "?limit=x", "?offset=99999999999999999999", "?status=all", "?after=-1", "?x"]);
            path += more;
        }
        let schema = &described["requestBody"]["content"]["application/json"]["schema"];
        let body = (!schema.is_null()).then(|| value(schema, &document, &mut dice, 0));
        let answer = served.call(method.clone(), &path, &token, body.clone()).await;
        let told = format!("{method} {path} {body:?}: {} {}", answer.status, answer.text);
        let responses = &described["responses"];
        match answer.status {
            200..=299 => {
                good += 1;
                let response = responses.get(answer.status.to_string());
                let response = response.unwrap_or_else(|| panic!("a status that is not described: {told}"));
                let schema = &response["content"]["application/json"]["schema"];
                if !schema.is_null() {
                    assert_eq!(misfit(&answer.body, schema, &document), None, "{told}");
                }
                if let Some(id) = answer.body["id"].as_str().filter(|_| ids.len() < 40) {
                    ids.push(id.to_owned());
                }
            }
            400..=499 => {
                let failure = &document["components"]["schemas"]["Failure"];
                assert_eq!(misfit(&answer.body, failure, &document), None, "{told}");
            }
            _ => panic!("{told}"),
        }
    }
    assert!(good > REQUESTS / 10, "only {good} requests of {REQUESTS} were good ones");
    let left = served.call(Method::GET, "/_puppet/runs?status=all", &tokens[0], None).await;
    assert_eq!(left.status, 200);
    Arc::into_inner(served).unwrap().stop().await;
}

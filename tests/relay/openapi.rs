//! The description of the API names every request and every field, and none that there is not.

use std::collections::BTreeSet;

use pupperware::relay::api::{
    AcceptRequest, Accepted, EventList, EventMade, Failure, Limits, NewEvent, NewRun, NewToken, NodePage, NodeResult,
    NodeStatus, Outcome, Progress, ReportEvent, Run, RunList, RunType, Scope, State, StateUpdate, Status, TokenInfo,
    TokenList, TokenMade, TokenScope,
};
use pupperware::relay::server::http::OPENAPI;
use pupperware::relay::server::http::routes::ROUTES;
use serde_json::{Value, json};

fn document() -> Value {
    serde_yaml::from_str(OPENAPI).unwrap()
}

#[test]
fn every_request_and_no_other() {
    let described: BTreeSet<(String, String)> = document()["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |m| (path.clone(), m.to_uppercase())))
        .collect();
    let served: BTreeSet<(String, String)> =
        ROUTES.iter().map(|route| (route.path.to_owned(), route.method.to_string())).collect();
    assert_eq!(described, served);
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(to)) = fields.get("$ref") {
                    assert!(document.pointer(to.strip_prefix('#').unwrap()).is_some(), "{to}");
                }
                fields.values().for_each(|value| check(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let document = document();
    check(&document, &document);
}

/// Values with every field. Written out, so that a new field does not compile before it is here.
fn full() -> Vec<(&'static str, Value)> {
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let id = || "8e659097-254a-4b27-bb93-88efea9a9f0e".parse().unwrap();
    let scope: Scope = serde_json::from_value(json!({"nodes": ["a"]})).unwrap();
    let one = std::num::NonZeroU32::new(1);
    let limits = Limits { parallelism: one, max_failures: one, canary: one, batch: one, deadline_seconds: one };
    let node = NodeResult {
        certname: "a".parse().unwrap(),
        status: NodeStatus::Changed,
        exit_code: Some(2),
        error: Some("x".into()),
        message: Some("x".into()),
        report_hash: Some("ab".parse().unwrap()),
        report_url: Some("x".parse().unwrap()),
        started_at: Some(now),
        finished_at: Some(now),
    };
    let state = State {
        status: Status::Complete,
        job_id: Some("x".parse().unwrap()),
        outcome: Some(Outcome::Finished),
        next_update_before: Some(now),
        updated_at: Some(now),
        run_results: Some(json!({})),
        accepted_at: Some(now),
        progress: Some(Progress::default()),
        cancel_requested: true,
    };
    let update = StateUpdate {
        status: Status::Complete,
        job_id: Some("x".parse().unwrap()),
        outcome: Some(Outcome::Finished),
        next_update_before: Some(now),
        run_results: Some(json!({})),
        lease: Some("x".parse().unwrap()),
        progress: Some(Progress::default()),
        nodes: vec![node.clone()],
    };
    let request = NewRun {
        kind: RunType::Run,
        environment: Some("production".parse().unwrap()),
        scope,
        noop: true,
        no_noop: true,
        debug: true,
        trace: true,
        evaltrace: true,
        description: Some("x".into()),
        limits: Some(limits.clone()),
    };
    let run = Run::new(id(), request.clone(), now);
    let key = || Some("k".parse().unwrap());
    let new_event = NewEvent { data: serde_json::Map::new(), key: key(), source: Some(serde_json::Map::new()) };
    let event = ReportEvent {
        id: id(),
        number: 1,
        created_at: now,
        data: serde_json::Map::new(),
        key: key(),
        source: Some(serde_json::Map::new()),
    };
    let new_token = NewToken {
        connection: "default".parse().unwrap(),
        name: "ci".parse().unwrap(),
        scopes: BTreeSet::from([TokenScope::Run]),
    };
    let info = TokenInfo {
        id: "0a0b0c0d".parse().unwrap(),
        connection: "default".parse().unwrap(),
        name: "ci".parse().unwrap(),
        scopes: BTreeSet::from([TokenScope::Run]),
        created_at: now,
        expires_at: Some(now),
        revoked_at: Some(now),
        last_used_at: Some(now),
    };
    let accepted = Accepted { lease: Some("x".parse().unwrap()), accepted_at: now, server_time: now };
    vec![
        ("NewRun", json!(request)),
        ("Limits", json!(limits)),
        ("Run", json!(run)),
        ("RunList", json!(RunList { runs: vec![run] })),
        ("State", json!(state)),
        ("StateUpdate", json!(update)),
        ("AcceptRequest", json!(AcceptRequest { accept_token: Some("x".parse().unwrap()) })),
        ("Accepted", json!(accepted)),
        ("NodeResult", json!(node)),
        ("NodePage", json!(NodePage { nodes: vec![node], total: 1 })),
        ("Progress", json!(Progress::default())),
        ("NewEvent", json!(new_event)),
        ("ReportEvent", json!(event)),
        ("EventMade", json!(EventMade { event: event.clone() })),
        ("EventList", json!(EventList { events: vec![event], next: 1 })),
        ("NewToken", json!(new_token)),
        ("TokenInfo", json!(info)),
        ("TokenMade", json!(TokenMade { token: "x".into(), info: info.clone() })),
        ("TokenList", json!(TokenList { tokens: vec![info] })),
        ("Failure", json!(Failure { code: "x".into(), message: "x".into() })),
    ]
}

#[test]
fn every_field_and_no_other() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (name, value) in full() {
        let described: BTreeSet<&String> = schemas[name]["properties"].as_object().unwrap().keys().collect();
        let sent: BTreeSet<&String> = value.as_object().unwrap().keys().collect();
        assert_eq!(described, sent, "{name}");
    }
    let names = |list: &Value| list["enum"].as_array().unwrap().clone();
    assert_eq!(names(&schemas["NodeStatus"]), NodeStatus::ALL.map(|status| json!(status)));
    assert_eq!(
        names(&schemas["TokenScope"]),
        [TokenScope::Run, TokenScope::Bridge, TokenScope::Trigger].map(|s| json!(s))
    );
}

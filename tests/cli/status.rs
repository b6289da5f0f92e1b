//! `status`: what it says of drift, and that a wrong configuration does not hide what runs.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::engine::{Fake, in_folder};
use crate::transcript;

/// An engine that runs one service of the platform `demo`.
fn engine(labels: &Value) -> String {
    let mut all = json!({
        "dev.pupperware.project": "demo", "dev.pupperware.role": "service", "dev.pupperware.service": "postgres",
    });
    all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
    let container = json!({
        "Id": "c1", "Names": ["/demo-postgres-1"], "Image": "pupperware/postgres:8-0", "State": "running", "Labels": all,
    });
    Fake { containers: vec![container], ..Fake::empty() }.serve()
}

fn drift(engine: &str, arguments: &[&str], configuration: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pupperware.yaml"), configuration).unwrap();
    let mut command = in_folder(&folder, engine);
    let output = command.args(arguments).args(["status", "-o", "json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["project"], "demo");
    assert_eq!(status["services"][0]["name"], "postgres");
    status["drift"].clone()
}

#[test]
fn drift_is_told_from_what_was_looked_at() {
    let engine = engine(&json!({ "dev.pupperware.machine": "2/8589934592" }));
    let told = drift(&engine, &[], "project: demo\n");
    assert_eq!((&told["state"], &told["reason"]), (&json!("differs"), &Value::Null), "{told:#}");
    assert!(told["steps"].as_u64().unwrap() > 10, "{told:#}");
}

#[test]
fn drift_is_unknown_with_a_reason() {
    let told = drift(&engine(&json!({})), &[], "project: demo\n");
    assert_eq!(told["state"], "unknown");
    assert_eq!(told["reason"], "no label says which machine the platform was sized for");
}

#[test]
fn a_wrong_configuration_does_not_hide_what_runs() {
    let engine = engine(&json!({ "dev.pupperware.machine": "2/8589934592" }));
    let told = drift(&engine, &[], "project: demo\nagents: { replicas: many }\n");
    assert_eq!(told["reason"], "pupperware.yaml has 1 error, see `pupperware config validate`");
    let told = drift(&engine, &["--project", "demo"], "project: [\n");
    assert_eq!(told["state"], "unknown");
}

#[test]
fn the_platform_is_never_guessed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pupperware.yaml"), "projct: demo\n").unwrap();
    in_folder(&folder, &engine(&json!({}))).arg("status").assert().code(2);
}

#[test]
fn drift_stands_below_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = in_folder(&folder, &engine(&json!({})));
    assert_snapshot!(transcript(command.args(["-p", "demo", "status"])), @"
    exit code: 0
    --- stdout
    demo: release unknown, NOT proved yet

    SERVICE          STATE     SINCE                 PORTS  IMAGE
    demo-postgres-1  starting  2026-01-01T00:00:00Z  -      pupperware/postgres:8-0

    backup: none on record
    drift: unknown: no label says which machine the platform was sized for
    --- stderr
    ");
}

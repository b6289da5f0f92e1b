//! What the original clients send: the Ruby bridge (puppetlabs-relay 2.5) and the steps of relay-puppet; and what of the
//! answers they use.

use hyper::Method;
use jiff::Timestamp;
use pupperware::relay::server::book::Rules;
use serde_json::{Value, json};

use crate::served::{Served, token};

/// The bridge makes a state of this: instance variables by name, times parsed whenever they are there.
fn as_the_bridge_reads_a_state(state: &Value) -> (String, Option<Timestamp>) {
    for (name, value) in state.as_object().unwrap() {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "no Ruby identifier: {name}");
        assert!(!value.is_null(), "{name} is null");
    }
    for time in ["updated_at", "next_update_before"] {
        if let Some(text) = state.get(time) {
            assert!(text.as_str().unwrap().parse::<Timestamp>().is_ok(), "{time}: {text}");
        }
    }
    let updated = state.get("updated_at").and_then(Value::as_str).map(|text| text.parse().unwrap());
    (state["status"].as_str().unwrap().to_owned(), updated)
}

fn as_the_bridge_reads_a_run(run: &Value) {
    assert_eq!(run["scope"].as_object().unwrap().len(), 1, "a scope has one key or the whole list fails");
    assert!(run.get("environment").is_none_or(Value::is_string), "null would replace its default");
    assert_eq!(run["type"], "run");
    for flag in ["noop", "debug", "trace", "evaltrace"] {
        assert!(run[flag].is_boolean(), "{flag}");
    }
}

#[tokio::test]
async fn the_steps_and_the_ruby_bridge() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    // The original has one token for both sides.
    let token = token(folder.path(), "connection", &["run", "bridge"]).await;

    // run-start: asks, and reads the state of the answer.
    let body = json!({"type": "run", "environment": "staging", "scope": {"nodes": ["node-a.example.com", "node-b.example.com"]},
        "noop": false, "no_noop": false, "debug": false, "trace": false, "evaltrace": false});
    let asked = served.call(Method::POST, "/_puppet/runs", &token, Some(body)).await;
    assert_eq!((asked.status, &asked.body["state"]["status"]), (201, &json!("pending")));
    let path = format!("/_puppet/runs/{}", asked.body["id"].as_str().unwrap());
    assert_eq!(served.call(Method::GET, &path, &token, None).await.body["state"]["status"], "pending");

    // Job::Dispatch: every 30 seconds.
    let list = served.call(Method::GET, "/_puppet/runs", &token, None).await;
    assert_eq!(list.status, 200);
    let runs = list.body["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    as_the_bridge_reads_a_run(&runs[0]);
    let (status, updated) = as_the_bridge_reads_a_state(&runs[0]["state"]);
    assert_eq!(status, "pending");
    assert!(updated.is_some(), "its stamp file needs the time");

    // Job::Exec: accepted if, and only if, the answer is 202. No body is sent.
    let accept = format!("{path}/accept");
    assert_eq!(served.call(Method::POST, &accept, &token, None).await.status, 202);
    assert_eq!(served.call(Method::POST, &accept, &token, None).await.status, 409);
    assert_eq!(served.call(Method::GET, "/_puppet/runs", &token, None).await.body, json!({"runs": []}));

    // Every 15 seconds, the whole state is sent, with the time that it was given before.
    let mut before = updated.unwrap();
    for _ in 0..3 {
        let beat = json!({"status": "in-progress", "job_id": "1234", "updated_at": before.to_string(),
            "next_update_before": "2099-09-30T15:00:00Z"});
        let put = served.call(Method::PUT, &format!("{path}/state"), &token, Some(beat)).await;
        assert_eq!(put.status, 202);
        let (status, updated) = as_the_bridge_reads_a_state(&put.body);
        assert_eq!(status, "in-progress");
        assert!(updated.unwrap() >= before, "the stamp only grows");
        before = updated.unwrap();
    }
    // run-start gives the job's name on; run-wait asks until it is complete.
    assert_eq!(served.call(Method::GET, &path, &token, None).await.body["state"]["job_id"], "1234");
    let results = json!({"node_count": 2, "owner": {"login": "admin"}, "options": {}, "timestamp": "2020-09-30T15:00:00Z",
        "nodes": [{"name": "node-a.example.com", "state": "finished", "latest-event-id": 11, "details": null}]});
    let done = json!({"status": "complete", "outcome": "finished", "job_id": "1234", "run_results": results});
    let put = served.call(Method::PUT, &format!("{path}/state"), &token, Some(done)).await;
    assert_eq!(put.status, 202);
    assert_eq!(as_the_bridge_reads_a_state(&put.body).0, "complete");
    let state = served.call(Method::GET, &path, &token, None).await.body["state"].clone();
    assert_eq!(
        (&state["outcome"], &state["job_id"], &state["run_results"]),
        (&json!("finished"), &json!("1234"), &results)
    );
    served.stop().await;
}

/// The exchange of the RFC: five requests, with its statuses and fields.
#[tokio::test]
async fn the_exchange_of_the_rfc() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let token = token(folder.path(), "connection", &["run", "bridge"]).await;
    let body = json!({"environment": "staging", "scope": {"nodes": ["node-a.example.com", "node-b.example.com"]},
        "noop": false, "debug": false, "trace": false, "evaltrace": false});
    let asked = served.call(Method::POST, "/_puppet/runs", &token, Some(body)).await;
    assert_eq!(asked.status, 201);
    let path = format!("/_puppet/runs/{}", asked.body["id"].as_str().unwrap());
    let runs = served.call(Method::GET, "/_puppet/runs", &token, None).await.body["runs"].clone();
    assert_eq!(runs[0]["id"], asked.body["id"]);
    assert_eq!(runs[0]["environment"], "staging");
    assert_eq!(runs[0]["scope"], json!({"nodes": ["node-a.example.com", "node-b.example.com"]}));
    let put = async |state: Value| served.call(Method::PUT, &format!("{path}/state"), &token, Some(state)).await.status;
    let job = "https://orchestrator.example.com:8143/orchestrator/v1/jobs/1234";
    let beat = json!({"status": "in-progress", "job_id": job, "next_update_before": "2099-09-30T15:00:00Z"});
    assert_eq!(put(beat.clone()).await, 409, "not accepted yet");
    assert_eq!(served.call(Method::POST, &format!("{path}/accept"), &token, None).await.status, 202);
    assert_eq!(put(json!({"status": "in-progress", "job_id": job})).await, 422, "the promise is required");
    assert_eq!(put(beat).await, 202);
    let state = served.call(Method::GET, &path, &token, None).await.body["state"].clone();
    assert_eq!(state["next_update_before"], "2099-09-30T15:00:00Z");
    assert!(state["updated_at"].is_string());
    let done = json!({"status": "complete", "job_id": job, "outcome": "finished"});
    assert_eq!(put(done.clone()).await, 202);
    assert_eq!(put(done).await, 202, "said again");
    assert_eq!(put(json!({"status": "complete", "outcome": "failed"})).await, 409);
    assert_eq!(served.call(Method::POST, &format!("{path}/accept"), &token, None).await.status, 409);
    served.stop().await;
}

/// The report processor sends the same report once for each trigger token, and looks for 2xx only.
#[tokio::test]
async fn the_report_processor() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let (first, second) =
        (token(folder.path(), "one", &["trigger"]).await, token(folder.path(), "two", &["trigger"]).await);
    let report = json!({"data": {"host": "node.example.com", "noop": false, "status": "changed",
        "time": "2020-10-29T12:00:00Z", "configuration_version": 1_603_972_800, "transaction_uuid": "7c1b", "code_id": null,
        "summary": "Changes:\n            Total: 1\n", "resource_statuses": {"File[/etc/motd]": {"resource_type": "File",
        "title": "/etc/motd", "change_count": 1, "out_of_sync_count": 1, "containment_path": ["Stage[main]", "File[/etc/motd]"],
        "corrective_change": false}}}});
    let one = served.call(Method::POST, "/api/events", &first, Some(report.clone())).await;
    let two = served.call(Method::POST, "/api/events", &second, Some(report.clone())).await;
    assert_eq!((one.status, two.status), (202, 202));
    assert_eq!(one.body["event"]["id"], two.body["event"]["id"], "taken once");
    let reader = token(folder.path(), "reader", &["run"]).await;
    let list = served.call(Method::GET, "/api/events?after=0", &reader, None).await.body;
    assert_eq!(list["events"].as_array().unwrap().len(), 1);
    assert_eq!(list["events"][0]["data"], report["data"]);
    assert_eq!(
        served.call(Method::GET, "/_puppet/runs", &first, None).await.status,
        403,
        "a trigger's token reads nothing"
    );
    served.stop().await;
}

//! What the server does beyond the original API: waiting, cancelling, progress, supervision, and going on after an end.

use hyper::Method;
use jiff::SignedDuration;
use pupperware::relay::api::life::Patience;
use pupperware::relay::server::book::Rules;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::served::{Served, administrate, token};

#[tokio::test]
async fn a_poll_waits_for_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let token = token(folder.path(), "t", &["run", "bridge"]).await;
    let poll = served.call(Method::GET, "/_puppet/runs?wait=60", &token, None);
    let ask = async {
        // Not before the poll is under way; earlier, it would find the run at once, which is as good.
        tokio::task::yield_now().await;
        served.ask(&token, &["a"]).await
    };
    let (list, id) = tokio::join!(poll, ask);
    assert_eq!(list.body["runs"][0]["id"], id);
    assert_eq!(served.call(Method::GET, "/_puppet/runs?wait=x", &token, None).await.status, 422);
    served.stop().await;
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let token = token(folder.path(), "t", &["run", "bridge"]).await;
    let (waiting, taken) = (served.ask(&token, &["a"]).await, served.ask(&token, &["b"]).await);
    let accept = format!("/_puppet/runs/{taken}/accept");
    let body = json!({"accept_token": "once"});
    let first = served.call(Method::POST, &accept, &token, Some(body.clone())).await;
    let before = served.call(Method::GET, "/_puppet/runs?status=all", &token, None).await.body;
    served.stop().await;

    let served = Served::start(folder.path(), Rules::default()).await;
    assert_eq!(served.call(Method::GET, "/_puppet/runs?status=all", &token, None).await.body, before);
    let again = served.call(Method::POST, &accept, &token, Some(body)).await;
    assert_eq!((again.status, &again.body["lease"]), (202, &first.body["lease"]));
    let list = served.call(Method::GET, "/_puppet/runs", &token, None).await.body;
    assert_eq!(list["runs"].as_array().unwrap().len(), 1);
    assert_eq!(list["runs"][0]["id"], waiting);
    served.stop().await;
}

#[tokio::test]
async fn cancelling_reaches_the_bridge_with_its_next_sign_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let token = token(folder.path(), "t", &["run", "bridge"]).await;
    let id = served.ask(&token, &["a", "b"]).await;
    let path = format!("/_puppet/runs/{id}");
    let accepted =
        served.call(Method::POST, &format!("{path}/accept"), &token, Some(json!({"accept_token": "x"}))).await;
    let lease = accepted.body["lease"].clone();
    let put = async |mut state: serde_json::Value| {
        state["lease"] = lease.clone();
        served.call(Method::PUT, &format!("{path}/state"), &token, Some(state)).await
    };
    let beat = json!({"status": "in-progress", "next_update_before": "2099-01-01T00:00:00Z",
        "progress": {"total": 2, "running": 1, "pending": 1}, "nodes": [{"certname": "a", "status": "running"}]});
    assert!(put(beat.clone()).await.body.get("cancel_requested").is_none());
    assert_eq!(served.call(Method::POST, &format!("{path}/cancel"), &token, None).await.status, 202);
    let answer = put(beat).await;
    assert_eq!((answer.status, &answer.body["cancel_requested"]), (202, &json!(true)));
    let end =
        json!({"status": "complete", "outcome": "cancelled", "nodes": [{"certname": "a", "status": "cancelled"}]});
    assert_eq!(put(end).await.status, 202);
    let nodes = served.call(Method::GET, &format!("{path}/nodes"), &token, None).await.body;
    assert_eq!(
        nodes,
        json!({"nodes": [{"certname": "a", "status": "cancelled"}, {"certname": "b", "status": "pending"}], "total": 2})
    );
    let free = served.ask(&token, &["c"]).await;
    let cancelled = served.call(Method::POST, &format!("/_puppet/runs/{free}/cancel"), &token, None).await;
    assert_eq!(cancelled.body["state"]["outcome"], "cancelled", "nobody had it, so it ends at once");
    served.stop().await;
}

/// Reads server-sent events until the stream ends; gives names and data.
async fn follow(served: &Served, path: &str, token: &str) -> Vec<(String, serde_json::Value)> {
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let (mut events, mut name) = (Vec::new(), String::new());
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(event) = line.strip_prefix("event: ") {
            name = event.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            events.push((name.clone(), serde_json::from_str(data).unwrap()));
        }
    }
    events
}

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let token = token(folder.path(), "t", &["run", "bridge"]).await;
    let id = served.ask(&token, &["a"]).await;
    let path = format!("/_puppet/runs/{id}");
    let carry_out = async {
        served.call(Method::POST, &format!("{path}/accept"), &token, None).await;
        let done = json!({"status": "complete", "outcome": "finished",
            "nodes": [{"certname": "a", "status": "changed", "exit_code": 2}]});
        assert_eq!(served.call(Method::PUT, &format!("{path}/state"), &token, Some(done)).await.status, 202);
    };
    let events_path = format!("{path}/events");
    let (events, ()) = tokio::join!(follow(&served, &events_path, &token), carry_out);
    let (name, last) = events.last().unwrap();
    assert_eq!((name.as_str(), &last["status"], &last["outcome"]), ("state", &json!("complete"), &json!("finished")));
    assert!(events.contains(&("nodes".into(), json!([{"certname": "a", "status": "changed", "exit_code": 2}]))));
    served.stop().await;
}

#[tokio::test]
async fn a_run_that_nobody_takes_ends_and_frees_its_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { pending: SignedDuration::ZERO, ..Patience::default() };
    let served = Served::start(folder.path(), Rules { patience, ..Rules::default() }).await;
    let token = token(folder.path(), "t", &["run", "bridge"]).await;
    let id = served.ask(&token, &["a"]).await;
    let events = follow(&served, &format!("/_puppet/runs/{id}/events"), &token).await;
    assert_eq!(events.last().unwrap().1["outcome"], "expired");
    served.stop().await;
}

#[tokio::test]
async fn a_bridge_that_is_silent_is_given_up_and_may_still_report() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { first_update: SignedDuration::ZERO, missed: 0, ..Patience::default() };
    let served = Served::start(folder.path(), Rules { patience, ..Rules::default() }).await;
    let token = token(folder.path(), "t", &["run", "bridge"]).await;
    let id = served.ask(&token, &["a"]).await;
    let path = format!("/_puppet/runs/{id}");
    assert_eq!(served.call(Method::POST, &format!("{path}/accept"), &token, None).await.status, 202);
    let events = follow(&served, &format!("{path}/events"), &token).await;
    assert_eq!(events.last().unwrap().1["outcome"], "lost");
    let beat = json!({"status": "in-progress", "next_update_before": "2099-01-01T00:00:00Z"});
    assert_eq!(served.call(Method::PUT, &format!("{path}/state"), &token, Some(beat)).await.status, 409);
    let done = json!({"status": "complete", "outcome": "failed"});
    let late = served.call(Method::PUT, &format!("{path}/state"), &token, Some(done)).await;
    assert_eq!((late.status, &late.body["outcome"]), (202, &json!("failed")));
    served.stop().await;
}

#[tokio::test]
async fn a_key_asks_once() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let token = token(folder.path(), "t", &["run"]).await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("idempotency-key", "build-17")];
    let ask = async |body: &'static str| served.raw(Method::POST, "/_puppet/runs", &headers, body.into()).await;
    let first = ask(r#"{"scope":{"nodes":["a"]}}"#).await;
    assert_eq!(ask(r#"{"scope":{"nodes":["a"]}}"#).await.body["id"], first.body["id"]);
    assert_eq!(ask(r#"{"scope":{"nodes":["b"]}}"#).await.status, 422);
    served.stop().await;
}

#[tokio::test]
async fn a_folder_has_one_server_and_a_token_two_lives() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let old = token(folder.path(), "ci", &["run"]).await;
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (_end, ending) = tokio::sync::watch::channel(false);
    let second = pupperware::relay::server::Relay::open(folder.path(), Rules::default(), port, None, ending);
    assert_eq!(second.err().unwrap().kind, pupperware::error::Kind::Refused);
    let list = administrate(folder.path(), Method::GET, "/admin/tokens", json!(null)).await.body;
    let rotate = format!("/admin/tokens/{}/rotate", list["tokens"][0]["id"].as_str().unwrap());
    let new = administrate(folder.path(), Method::POST, &rotate, json!(null)).await;
    assert_eq!(new.status, 201);
    for token in [&old, new.body["token"].as_str().unwrap()] {
        assert_eq!(served.call(Method::GET, "/_puppet/runs", token, None).await.status, 200);
    }
    assert_eq!(administrate(folder.path(), Method::POST, &rotate, json!(null)).await.status, 409);
    served.stop().await;
}

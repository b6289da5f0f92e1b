//! Bodies, headers and tokens that are not what they should be: a clear refusal, and the server goes on.

use hyper::Method;
use pupperware::relay::api::{MAX_BODY, MAX_NODES};
use pupperware::relay::server::book::Rules;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::served::{Served, administrate, token, token_of};

#[tokio::test]
async fn bodies_that_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let token = token(folder.path(), "t", &["run", "bridge", "trigger"]).await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let many = json!({"scope": {"nodes": (0..10_001).map(|n| format!("n{n}")).collect::<Vec<_>>()}}).to_string();
    let deep = "[".repeat(100_000);
    let cases: Vec<(String, u16)> = vec![
        (String::new(), 400),
        ("{".into(), 400),
        ("<html>".into(), 400),
        ("\u{0}".into(), 400),
        (deep, 400),
        ("null".into(), 422),
        ("[]".into(), 422),
        ("{}".into(), 422),
        (many, 422),
        (r#"{"scope":{"nodes":["-oProxyCommand=touch /tmp/x"]}}"#.into(), 422),
        (r#"{"scope":{"nodes":["a\n"]}}"#.into(), 422),
        (r#"{"scope":{"nodes":["@/etc/passwd"]}}"#.into(), 422),
        (r#"{"scope":{"nodes":["localhost"]}}"#.into(), 422),
        (r#"{"scope":{"nodes":["a"]},"environment":"$(id)"}"#.into(), 422),
        (r#"{"scope":{"nodes":["a"]},"noOp":true}"#.into(), 422),
        (r#"{"scope":{"nodes":["a"]},"noop":true,"no_noop":true}"#.into(), 422),
        (r#"{"scope":{"nodes":["a"]},"scope":{"nodes":["b"]}}"#.into(), 422),
        (r#"{"scope":{"nodes":["a"]},"type":"plan-run","name":"x"}"#.into(), 422),
    ];
    for (body, status) in cases {
        let shown: String = body.chars().take(80).collect();
        let answer = served.raw(Method::POST, "/_puppet/runs", &headers, body.into()).await;
        assert_eq!(answer.status, status, "{shown}: {answer:?}");
        assert!(answer.body["code"].is_string() && answer.body["message"].as_str().unwrap().len() <= 2_000, "{shown}");
    }
    let huge = vec![b' '; MAX_BODY + 1];
    assert_eq!(served.raw(Method::POST, "/_puppet/runs", &headers, huge.into()).await.status, 413);
    let none = served.call(Method::GET, "/_puppet/runs?status=all", &token, None).await;
    assert_eq!(none.body, json!({"runs": []}), "nothing of it became a run");
    let longest = |n: usize| format!("{n:x>253}");
    let all = json!({"scope": {"nodes": (0..MAX_NODES).map(longest).collect::<Vec<_>>()}}).to_string();
    assert_eq!(served.raw(Method::POST, "/_puppet/runs", &headers, all.into()).await.status, 201, "2.5 MB of nodes");
    let id = served.ask(&token, &["a"]).await;
    let path = format!("/_puppet/runs/{id}");
    let accept =
        served.call(Method::POST, &format!("{path}/accept"), &token, Some(json!({"accept_token": "a b"}))).await;
    assert_eq!(accept.status, 422);
    served.call(Method::POST, &format!("{path}/accept"), &token, Some(json!({"accept_token": "a"}))).await;
    for (state, status) in [
        (json!({"status": "pending"}), 409),
        (json!({"status": "done"}), 422),
        (json!({"status": "complete", "outcome": "<script>"}), 422),
        (json!({"status": "complete", "lease": "another"}), 409),
        (json!({"status": "in-progress", "next_update_before": "tomorrow"}), 422),
        (json!({"status": "in-progress", "next_update_before": null}), 409),
    ] {
        let answer = served.call(Method::PUT, &format!("{path}/state"), &token, Some(state.clone())).await;
        assert_eq!(answer.status, status, "{state}: {answer:?}");
    }
    for event in [json!({}), json!({"data": 1}), json!({"data": {}, "key": ""})] {
        assert_eq!(served.call(Method::POST, "/api/events", &token, Some(event)).await.status, 422);
    }
    served.stop().await;
}

#[tokio::test]
async fn who_is_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let (run, bridge) = (token(folder.path(), "r", &["run"]).await, token(folder.path(), "b", &["bridge"]).await);
    let stranger = token_of(folder.path(), "other", "r", &["run", "bridge"]).await;
    for headers in [vec![], vec![("authorization", "Basic eDp5")], vec![("authorization", "Bearer pwr_0")]] {
        let answer = served.raw(Method::GET, "/_puppet/runs", &headers, "".into()).await;
        assert_eq!((answer.status, &answer.headers["www-authenticate"]), (401, &"Bearer".parse().unwrap()));
    }
    let id = served.ask(&run, &["a"]).await;
    let path = format!("/_puppet/runs/{id}");
    assert_eq!(served.call(Method::POST, &format!("{path}/accept"), &run, None).await.status, 403);
    assert_eq!(served.call(Method::POST, &format!("{path}/cancel"), &bridge, None).await.status, 403);
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::GET, format!("{path}/nodes")),
        (Method::GET, format!("{path}/events")),
        (Method::POST, format!("{path}/accept")),
        (Method::POST, format!("{path}/cancel")),
    ] {
        assert_eq!(served.call(method, &path, &stranger, None).await.status, 404, "another connection's run: {path}");
    }
    let admin = served.call(Method::GET, "/admin/tokens", &run, None).await;
    assert_eq!(admin.status, 404, "there is no such thing on the port");
    let wrong = served.call(Method::DELETE, &path, &run, None).await;
    assert_eq!((wrong.status, &wrong.headers["allow"]), (405, &"GET".parse().unwrap()));
    let list = administrate(folder.path(), Method::GET, "/admin/tokens", Value::Null).await.body;
    let id = list["tokens"].as_array().unwrap().iter().find(|t| t["name"] == "b").unwrap()["id"].clone();
    let revoke = format!("/admin/tokens/{}/revoke", id.as_str().unwrap());
    assert_eq!(administrate(folder.path(), Method::POST, &revoke, Value::Null).await.status, 200);
    assert_eq!(served.call(Method::GET, "/_puppet/runs", &bridge, None).await.status, 401, "revoked half-way");
    assert!(!list.to_string().contains(&run), "no secret is told again");
    served.stop().await;
    let kept = std::fs::read_to_string(folder.path().join("facts.jsonl")).unwrap();
    assert!(!kept.contains(&run) && !kept.contains(&stranger), "no secret is kept");
}

#[tokio::test]
async fn who_asks_too_often_waits() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let mut limited = None;
    for _ in 0..200 {
        let answer = served.raw(Method::GET, "/_puppet/runs", &[("authorization", "Bearer x")], "".into()).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
    }
    let answer = limited.expect("a stranger can try for ever");
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let token = token(folder.path(), "t", &["run"]).await;
    assert_eq!(
        served.call(Method::GET, "/_puppet/runs", &token, None).await.status,
        200,
        "others do not wait with them"
    );
    served.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_http() {
    let folder = tempfile::tempdir().unwrap();
    let served = Served::start(folder.path(), Rules::default()).await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(200_000));
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"\r\n\r\n\0\0", b"GET / HTTP/9.9\r\n\r\n", long.as_bytes()] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        // It is refused or cut off; either way, it ends.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(served.raw(Method::GET, "/healthz", &[], "".into()).await.status, 200);
    served.stop().await;
}

//! Reports told to others: many in one message, signed, sent again until they are taken, and across a restart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use pupperware::relay::server::book::Rules;
use pupperware::relay::server::rules::{RulesFile, Teller};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::served::{Served, token};

type Got = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// Takes messages; answers with these statuses, and then with 200.
async fn receiver(statuses: &[u16]) -> (String, Got) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/services/T0/B0/s3cret", listener.local_addr().unwrap());
    let (got, left): (Got, _) = (Arc::default(), Arc::new(Mutex::new(statuses.to_vec())));
    let taken = got.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (taken, left) = (taken.clone(), left.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let (taken, left) = (taken.clone(), left.clone());
                    async move {
                        assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/services/T0/B0/s3cret"));
                        let headers = request.headers().clone();
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        taken.lock().unwrap().push((headers, String::from_utf8(body.to_vec()).unwrap()));
                        let status = left.lock().unwrap().pop().unwrap_or(200);
                        let answer = Response::builder().status(status).header("retry-after", "0");
                        Ok::<_, std::convert::Infallible>(answer.body(Full::new(Bytes::new())).unwrap())
                    }
                });
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (url, got)
}

fn private(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn tellers(folder: &Path, rules: &str) -> Vec<Teller> {
    fs::write(folder.join("relay.yaml"), rules).unwrap();
    Teller::all(RulesFile::load(&folder.join("relay.yaml")).unwrap()).unwrap()
}

fn report(node: &str, resource: &str) -> Value {
    json!({"data": {"host": node, "noop": false, "status": "changed", "transaction_uuid": format!("{node}-{resource}"),
        "resource_statuses": {resource: {"containment_path": ["Stage[main]", "Profile::Base", resource], "corrective_change": false}}}})
}

async fn until(got: &Got, count: usize) {
    while got.lock().unwrap().len() < count {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn many_nodes_are_one_message_and_a_restart_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let (url, got) = receiver(&[]).await;
    let url = private(folder.path(), "url", &url);
    let rules = format!(
        "rules:\n- name: motd\n  on: {{resources: ['File[/etc/motd]']}}\n  coalesce_seconds: 1\n  \
         send: {{slack: {{url_file: '{}'}}}}\n",
        url.display()
    );
    let state = folder.path().join("state");
    let served = Served::telling(&state, Rules::default(), tellers(folder.path(), &rules)).await;
    let trigger = token(&state, "t", &["trigger"]).await;
    let send = async |served: &Served, body: Value| {
        assert_eq!(served.call(Method::POST, "/api/events", &trigger, Some(body)).await.status, 202);
    };
    for n in 0..40 {
        send(&served, report(&format!("web{n:02}"), "File[/etc/motd]")).await;
        send(&served, report(&format!("web{n:02}"), "Service[other]")).await;
    }
    // However long sending takes: each node is told of once, in one message or some.
    let told = |got: &Got| {
        let bodies: Vec<String> = got.lock().unwrap().iter().map(|(_, body)| body.clone()).collect();
        assert!(bodies.iter().all(|body| body.contains("File[/etc/motd]") && !body.contains("other")), "{bodies:?}");
        bodies.len()
    };
    until(&got, 1).await;
    assert!(told(&got) < 40);
    // Not waited for what is told: the next server goes on with it.
    send(&served, report("last01", "File[/etc/motd]")).await;
    served.stop().await;
    let served = Served::telling(&state, Rules::default(), tellers(folder.path(), &rules)).await;
    loop {
        if got.lock().unwrap().iter().any(|(_, body)| body.contains("last01")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    told(&got);
    served.stop().await;
}

#[tokio::test]
async fn a_webhook_is_signed_and_sent_again_as_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (url, got) = receiver(&[503, 429]).await;
    let url = private(folder.path(), "url", &url);
    let secret = private(folder.path(), "secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let rules = format!(
        "rules:\n- name: base\n  on: {{containers: ['Profile::Base']}}\n  coalesce_seconds: 0\n  \
         send: {{webhook: {{url_file: '{}', secret_file: '{}'}}}}\n",
        url.display(),
        secret.display()
    );
    let state = folder.path().join("state");
    let served = Served::telling(&state, Rules::default(), tellers(folder.path(), &rules)).await;
    let trigger = token(&state, "t", &["trigger"]).await;
    served.call(Method::POST, "/api/events", &trigger, Some(report("a", "File[/x]"))).await;
    until(&got, 3).await;
    let got = got.lock().unwrap().clone();
    let header = |at: usize, name: &str| got[at].0[name].to_str().unwrap().to_owned();
    assert_eq!(header(0, "webhook-id"), header(2, "webhook-id"), "the receiver can tell that it is the same");
    assert!(header(2, "webhook-signature").starts_with("v1,"));
    assert!(!got[2].0.contains_key("authorization"), "no token of ours goes there");
    let body: Value = serde_json::from_str(&got[2].1).unwrap();
    assert_eq!(body["data"]["things"], json!([{"what": "File[/x]", "how": "changed", "count": 1, "nodes": ["a"]}]));
    served.stop().await;
}

#[test]
fn an_address_that_others_can_read_or_that_is_none_is_not_used_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let url = private(folder.path(), "url", "https://hooks.example.com/s3cret");
    fs::set_permissions(&url, fs::Permissions::from_mode(0o644)).unwrap();
    let file = |url: &Path| {
        let rules = format!("rules:\n- name: a\n  send: {{slack: {{url_file: '{}'}}}}\n", url.display());
        fs::write(folder.path().join("relay.yaml"), rules).unwrap();
        Teller::all(RulesFile::load(&folder.path().join("relay.yaml")).unwrap()).err().unwrap()
    };
    assert!(file(&url).contains("chmod 600"));
    let wrong = file(&private(folder.path(), "wrong", "hooks.example.com/s3cret"));
    assert!(wrong.contains("wrong") && !wrong.contains("s3cret"), "{wrong}");
}

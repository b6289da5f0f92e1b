//! The bridge by way of Puppet Enterprise's orchestrator: a double of its published API, which counts jobs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::{Request, Response};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pupperware::relay::api::{NodeStatus, Outcome, Scope};
use serde_json::{Value, json};

use crate::process::{Site, text, until};
use crate::server::FakeRelay;

#[derive(Default)]
struct State {
    jobs: Vec<(Value, bool)>,
    /// How often a job has to be looked at until its nodes are done.
    looks: usize,
    /// The answer to the next deploy is lost, or is this.
    lose: bool,
    refuse: Option<(u16, Value)>,
    looked: usize,
}

/// Puppet Enterprise.
struct Double {
    state: Arc<Mutex<State>>,
    url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Double {
    fn start(looks: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/orchestrator/v1/", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { looks, ..State::default() }));
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Double { state, url, _runtime: runtime }
    }

    fn site(&self) -> Site {
        let site = Site::new("ends 0");
        fs::write(site.path("rbac"), "rbac-s3cret\n").unwrap();
        fs::set_permissions(site.path("rbac"), fs::Permissions::from_mode(0o600)).unwrap();
        let more = format!(
            "backend: orchestrator\norchestrator_api_url: '{}'\norchestrator: {{ token_file: '{}', look_seconds: 1 }}\n",
            self.url,
            site.path("rbac").display()
        );
        site.with(&more)
    }

    fn jobs(&self) -> Vec<Value> {
        self.state.lock().unwrap().jobs.iter().map(|(body, _)| body.clone()).collect()
    }
}

async fn answer(state: Arc<Mutex<State>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let token = request.headers().get("x-authentication").map(|v| v.as_bytes().to_vec());
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let reply = |status: u16, body: Value| {
        let answer = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
        Ok(answer.body(Full::new(Bytes::from(body.to_string()))).unwrap())
    };
    if token.as_deref() != Some(b"rbac-s3cret") {
        return reply(401, json!({"kind": "puppetlabs.rbac/token-expired", "msg": "The provided token has expired."}));
    }
    let mut state = state.lock().unwrap();
    let part: Vec<&str> = path.trim_start_matches("/orchestrator/v1/").split('/').collect();
    match (method.as_str(), part.as_slice()) {
        ("POST", ["command", "deploy"]) => {
            if let Some((status, body)) = state.refuse.take() {
                return reply(status, body);
            }
            state.jobs.push((serde_json::from_slice(&body).unwrap(), false));
            let name = state.jobs.len().to_string();
            if std::mem::take(&mut state.lose) {
                return Err(std::io::Error::other("cut"));
            }
            reply(202, json!({"job": {"id": format!("https://pe/orchestrator/v1/jobs/{name}"), "name": name}}))
        }
        ("POST", ["command", "stop"]) => {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let at: usize = body["job"].as_str().unwrap().parse().unwrap();
            state.jobs[at - 1].1 = true;
            reply(202, json!({"job": {"name": at.to_string(), "nodes": {}}}))
        }
        ("GET", ["jobs"]) => {
            let items: Vec<Value> = (1..=state.jobs.len()).rev().map(|at| shown(&state, at)).collect();
            reply(200, json!({"items": items, "pagination": {"limit": 100, "offset": 0, "total": state.jobs.len()}}))
        }
        ("GET", ["jobs", name]) => {
            state.looked += 1;
            let shown = shown(&state, name.parse().unwrap());
            reply(200, shown)
        }
        ("GET", ["jobs", name, "nodes"]) => {
            let (job, stopped) = &state.jobs[name.parse::<usize>().unwrap() - 1];
            let nodes = job["scope"]["nodes"].as_array().cloned().unwrap_or_else(|| vec![json!("found01")]);
            let done = state.looked > state.looks;
            let items: Vec<Value> = nodes.iter().map(|name| node(name.as_str().unwrap(), done, *stopped)).collect();
            reply(200, json!({"items": items}))
        }
        _ => reply(404, json!({"kind": "puppetlabs.orchestrator/unknown-job", "msg": "Unknown job"})),
    }
}

fn shown(state: &State, at: usize) -> Value {
    let (job, stopped) = &state.jobs[at - 1];
    let over = state.looked > state.looks;
    let word = if *stopped {
        "stopped"
    } else if over {
        "finished"
    } else {
        "running"
    };
    json!({"name": at.to_string(), "state": word, "options": {"description": job["description"], "scope": job["scope"]}})
}

fn node(name: &str, done: bool, stopped: bool) -> Value {
    let result =
        |status: &str| json!({"hash": "d7ec44e1", "status": status, "metrics": {"out_of_sync": 1, "changed": 1}});
    match (done, stopped) {
        (_, true) => json!({"name": name, "state": "stopped", "details": {}}),
        (false, _) => json!({"name": name, "state": "running", "details": {"message": "Started puppet run"}}),
        (true, _) if name.starts_with("bad") => {
            json!({"name": name, "state": "errored", "details": {"message": "Error running puppet: not connected"}})
        }
        (true, _) => json!({"name": name, "state": "finished", "details": {"report-url": "https://pe/#/r/d7ec"},
            "result": result("changed")}),
    }
}

#[test]
fn a_run_is_a_job_and_its_nodes_are_told_of() {
    let (pe, relay) = (Double::start(2), FakeRelay::start(false));
    let site = pe.site();
    let id = relay.book.ask(&["web01", "bad01"], |run| run.environment = Some("production".parse().unwrap()));
    let output = site.once(&relay.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let web = relay.book.node(&id, "web01").unwrap();
    assert_eq!((web.status, web.report_hash.unwrap().as_str()), (NodeStatus::Changed, "d7ec44e1"));
    let bad = relay.book.node(&id, "bad01").unwrap();
    assert_eq!((bad.status, bad.error.unwrap().as_str()), (NodeStatus::Failed, "no_run"));
    assert_eq!(relay.book.outcome(&id), Some(Outcome::Failed));
    let jobs = pe.jobs();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["scope"], json!({"nodes": ["bad01", "web01"]}));
    assert_eq!(jobs[0]["environment"], "production");
    assert!(!text(&output.stderr).contains("s3cret") && !site.journal().contains("s3cret"));
}

#[test]
fn a_query_is_passed_on_as_it_is() {
    let (pe, relay) = (Double::start(1), FakeRelay::start(false));
    let query = json!(["=", ["fact", "os.family"], "Debian"]);
    let mut request = pupperware::relay::api::NewRun::on(Scope::Query(query.clone()));
    request.environment = Some("production".parse().unwrap());
    request.noop = true;
    let id = relay.book.create(request);
    let output = pe.site().once(&relay.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(relay.book.outcome(&id), Some(Outcome::Finished));
    assert_eq!((&pe.jobs()[0]["scope"], &pe.jobs()[0]["noop"]), (&json!({"query": query}), &json!(true)));
}

/// The answer is lost, and the bridge is killed while the job runs: it is one job all the same.
#[test]
fn one_run_is_one_job_whatever_is_lost() {
    let (pe, relay) = (Double::start(usize::MAX), FakeRelay::start(false));
    pe.state.lock().unwrap().lose = true;
    let site = pe.site();
    let id = relay.book.ask(&["web01"], |run| run.environment = Some("dev".parse().unwrap()));
    let mut child = site.bridge(&relay.url(), &[]).stderr(Stdio::null()).spawn().unwrap();
    until("the job is followed", || pe.state.lock().unwrap().looked > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    pe.state.lock().unwrap().looks = 0;
    let output = site.once(&relay.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(relay.book.node(&id, "web01").unwrap().status, NodeStatus::Changed);
    assert_eq!(pe.jobs().len(), 1);
}

#[test]
fn what_it_refuses_is_said_and_a_cancelled_run_is_stopped_there() {
    let (pe, relay) = (Double::start(usize::MAX), FakeRelay::start(false));
    let site = pe.site();
    let nowhere = relay.book.ask(&["web01"], |_| {});
    pe.state.lock().unwrap().refuse = Some((404, json!({"kind": "x", "msg": "Unknown environment gone"})));
    let gone = relay.book.ask(&["web01"], |run| run.environment = Some("gone".parse().unwrap()));
    let slow = relay.book.ask(&["web02"], |run| run.environment = Some("dev".parse().unwrap()));
    let _bridge = crate::process::living(&site, &relay.url());
    until("two have ended", || relay.book.outcome(&nowhere).is_some() && pe.jobs().len() == 1);
    assert_eq!(relay.book.outcome(&nowhere), Some(Outcome::Error), "no environment is named");
    let refused = [&gone, &slow].into_iter().find(|id| relay.book.outcome(id).is_some());
    until("it is refused", || [&gone, &slow].iter().any(|id| relay.book.outcome(id).is_some()));
    let refused =
        refused.unwrap_or_else(|| [&gone, &slow].into_iter().find(|id| relay.book.outcome(id).is_some()).unwrap());
    let other = if refused == &gone { &slow } else { &gone };
    relay.book.cancel(other).unwrap();
    until("it is cancelled", || relay.book.outcome(other).is_some());
    assert_eq!(relay.book.outcome(other), Some(Outcome::Cancelled));
    assert!(pe.state.lock().unwrap().jobs[0].1, "the job was stopped, too");
}

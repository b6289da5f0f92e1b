//! A Relay API server over real HTTP that fails as it is told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use pupperware::relay::api::{AcceptRequest, Accepted, Failure, NewRun, NodePage, RunId, RunList, StateUpdate};
use serde_json::{Value, json};

use crate::book::Book;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// This status and body instead of the answer; nothing is done.
    Say(u16, String),
    /// It is done, and the connection is cut before the answer.
    Lose,
    /// More than anybody wants to read.
    Huge,
    /// An answer so late.
    Slow(Duration),
}

type Faults = Box<dyn Fn(&str, &str, usize) -> Fault + Send + Sync>;

/// The server; it ends with the test.
pub struct FakeRelay {
    pub book: Arc<Book>,
    pub address: SocketAddr,
    pub token: Arc<Mutex<String>>,
    pub requests: Arc<Mutex<Vec<(String, String)>>>,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    book: Arc<Book>,
    token: Arc<Mutex<String>>,
    faults: Mutex<Faults>,
    count: AtomicUsize,
    requests: Arc<Mutex<Vec<(String, String)>>>,
    clock_ahead: Mutex<i64>,
}

impl FakeRelay {
    pub fn start(strict: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (book, token) = (Arc::new(Book::new(strict)), Arc::new(Mutex::new("s3cret".to_owned())));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new(Shared {
            book: Arc::clone(&book),
            token: Arc::clone(&token),
            faults: Mutex::new(Box::new(|_, _, _| Fault::None)),
            count: AtomicUsize::new(0),
            requests: Arc::clone(&requests),
            clock_ahead: Mutex::new(0),
        });
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let serving = Arc::clone(&serving);
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&serving), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        FakeRelay { book, address, token, requests, shared, _runtime: runtime }
    }

    /// From now on, by method, path and the number of the request.
    pub fn fail(&self, faults: impl Fn(&str, &str, usize) -> Fault + Send + Sync + 'static) {
        *self.shared.faults.lock().unwrap() = Box::new(faults);
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server's clock, by so many seconds.
    pub fn clock_ahead(&self, seconds: i64) {
        *self.shared.clock_ahead.lock().unwrap() = seconds;
    }

    pub fn count(&self, method: &str, ending: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|(m, p)| m == method && p.ends_with(ending)).count()
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let number = shared.count.fetch_add(1, Ordering::SeqCst);
    shared.requests.lock().unwrap().push((method.to_string(), path.clone()));
    let fault = (shared.faults.lock().unwrap())(method.as_str(), &path, number);
    let headers: HeaderMap = request.headers().clone();
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    match fault {
        Fault::Say(status, text) => return Ok(reply(status, text.into_bytes(), 0)),
        Fault::Huge => return Ok(reply(200, vec![b' '; 20 << 20], 0)),
        Fault::Slow(time) => tokio::time::sleep(time).await,
        Fault::None | Fault::Lose => {}
    }
    let wanted = format!("Bearer {}", shared.token.lock().unwrap());
    let ahead = *shared.clock_ahead.lock().unwrap();
    if headers.get("authorization").is_none_or(|v| v.as_bytes() != wanted.as_bytes()) {
        return Ok(reply(401, b"{}".to_vec(), ahead));
    }
    if method == Method::GET && path == "/_puppet/runs" && !shared.book.strict {
        hold(&shared, &query).await;
    }
    let (status, value) = done(&shared, &method, &path, &body);
    if fault == Fault::Lose {
        return Err(std::io::Error::other("cut"));
    }
    Ok(reply(status, value.to_string().into_bytes(), ahead))
}

/// A long poll.
async fn hold(shared: &Shared, query: &str) {
    let seconds = query.strip_prefix("wait=").and_then(|s| s.parse().ok()).unwrap_or(0);
    let until = tokio::time::Instant::now() + Duration::from_secs(seconds);
    let free = || shared.book.list().iter().any(|r| r.state.accepted_at.is_none());
    while tokio::time::Instant::now() < until && !free() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn done(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
    let book = &shared.book;
    let failed = |(status, message, code): (u16, String, Option<&'static str>)| match code {
        Some(code) => (status, json!(Failure { code: code.into(), message })),
        None => (status, json!({ "error": message })),
    };
    let mut parts = path.trim_start_matches("/_puppet/runs").trim_start_matches('/').split('/');
    let id: Option<RunId> = parts.next().and_then(|text| text.parse().ok());
    match (method.as_str(), id, parts.next()) {
        ("GET", None, None) => (200, json!(RunList { runs: book.list() })),
        ("POST", None, None) => match serde_json::from_slice::<NewRun>(body) {
            Ok(request) => {
                let id = book.create(request);
                (201, json!(book.run(&id)))
            }
            Err(e) => (422, json!({ "code": "bad_request", "message": e.to_string() })),
        },
        ("GET", Some(id), None) => book.run(&id).map_or((404, json!({})), |run| (200, json!(run))),
        ("GET", Some(id), Some("nodes")) if !book.strict => {
            let nodes: Vec<_> = book.kept().nodes.get(&id).into_iter().flat_map(|n| n.values().cloned()).collect();
            (200, json!(NodePage { total: nodes.len(), nodes }))
        }
        ("POST", Some(id), Some("cancel")) if !book.strict => {
            book.cancel(&id).map_or_else(failed, |()| (202, json!({})))
        }
        ("POST", Some(id), Some("accept")) => {
            let request: AcceptRequest = serde_json::from_slice(body).unwrap_or_default();
            let now = jiff::Timestamp::now();
            book.accept(&id, request.accept_token.as_ref()).map_or_else(failed, |lease| {
                (
                    202,
                    if book.strict {
                        Value::Null
                    } else {
                        json!(Accepted { lease, accepted_at: now, server_time: now })
                    },
                )
            })
        }
        ("PUT", Some(id), Some("state")) => match serde_json::from_slice::<StateUpdate>(body) {
            // The strictest of servers: a field that it does not know is an error.
            Ok(update) if book.strict && (update.progress.is_some() || !update.nodes.is_empty()) => {
                (422, json!({ "error": "unknown field" }))
            }
            Ok(update) => book.update(&id, &update).map_or_else(failed, |state| (202, json!(state))),
            Err(e) => (400, json!({ "error": e.to_string() })),
        },
        _ => (404, json!({})),
    }
}

fn reply(status: u16, body: Vec<u8>, ahead: i64) -> Response<Full<Bytes>> {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("date", date)
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

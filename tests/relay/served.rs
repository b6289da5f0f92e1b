//! A server in this process, and a client that adds nothing of its own.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use pupperware::relay::server::book::Rules;
use pupperware::relay::server::rules::Teller;
use pupperware::relay::server::{Relay, socket};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A server that runs.
pub struct Served {
    /// Where it is.
    pub address: SocketAddr,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub body: Value,
    /// The body as it is.
    pub text: String,
}

impl Served {
    /// Starts one with its state in this folder.
    pub async fn start(folder: &Path, rules: Rules) -> Self {
        Self::telling(folder, rules, Vec::new()).await
    }

    /// Starts one that tells others of reports.
    pub async fn telling(folder: &Path, rules: Rules, tellers: Vec<Teller>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = port.local_addr().unwrap();
        let (end, ending) = watch::channel(false);
        let relay = Relay::open(folder, rules, port, None, ending).unwrap().telling(tellers);
        Served { address, end, task: tokio::spawn(relay.run()) }
    }

    /// Ends it; its folder is free again.
    pub async fn stop(self) {
        self.end.send_replace(true);
        self.task.await.unwrap();
    }

    /// A request with a token and a JSON body.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Answer {
        let text = body.map(|body| body.to_string()).unwrap_or_default();
        let authorization = format!("Bearer {token}");
        self.raw(method, path, &[("authorization", &authorization)], text.into()).await
    }

    /// A request as it is.
    pub async fn raw(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        send(TcpStream::connect(self.address).await.unwrap(), method, path, headers, body).await
    }

    /// Asks for a run on these nodes, and gives its identifier.
    pub async fn ask(&self, token: &str, nodes: &[&str]) -> String {
        let body = json!({"scope": {"nodes": nodes}});
        let answer = self.call(Method::POST, "/_puppet/runs", token, Some(body)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["id"].as_str().unwrap().to_owned()
    }
}

/// A token of the connection `default`, made on the server's own socket.
pub async fn token(folder: &Path, name: &str, scopes: &[&str]) -> String {
    token_of(folder, "default", name, scopes).await
}

/// A token of this connection.
pub async fn token_of(folder: &Path, connection: &str, name: &str, scopes: &[&str]) -> String {
    let body = json!({"connection": connection, "name": name, "scopes": scopes});
    let answer = administrate(folder, Method::POST, "/admin/tokens", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body["token"].as_str().unwrap().to_owned()
}

/// A request on the server's own socket.
pub async fn administrate(folder: &Path, method: Method, path: &str, body: Value) -> Answer {
    let stream = UnixStream::connect(socket(folder)).await.unwrap();
    send(stream, method, path, &[], body.to_string().into()).await
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answer {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "relay");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    connection.abort();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}

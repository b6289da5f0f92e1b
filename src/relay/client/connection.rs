//! One connection to a service over HTTP/1.1: limits on time and size, nothing of any API.
//!
//! A [`Connection`] does one request at a time and keeps its connection as long as the other side does. Who needs two
//! at once has two ([`Connection::another`]), so that a slow answer holds nothing else up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::http::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use super::target::Target;
use super::tls::{self, TlsFiles};
use super::token::TokenFile;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How much an answer may hold, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// From the request to the end of its answer.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        // A list of runs with ten thousand nodes each is a few MiB.
        Limits { body: 16 << 20, time: Duration::from_secs(30) }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request was never sent.
    #[error("{0}")]
    NotSent(String),
    /// It may have been carried out: the answer did not come, or was cut off.
    #[error("{0}")]
    Lost(String),
    /// It was carried out, and its answer is larger than we take.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// `Retry-After`, when it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// The other side's clock.
    pub date: Option<jiff::Timestamp>,
    /// The body.
    pub body: Bytes,
}

/// A connection that is made when it is needed.
pub struct Connection {
    shared: Arc<Shared>,
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

struct Shared {
    target: Target,
    tls: Option<TlsConnector>,
    token: Option<TokenFile>,
    limits: Limits,
}

impl Connection {
    /// Gets everything ready; connects when the first request is made.
    ///
    /// # Errors
    /// Certificates that cannot be used.
    pub fn new(target: Target, files: &TlsFiles, token: Option<TokenFile>, limits: Limits) -> Result<Self, String> {
        let tls = if target.tls { Some(tls::connector(files)?) } else { None };
        Ok(Connection { shared: Arc::new(Shared { target, tls, token, limits }), open: Mutex::new(None) })
    }

    /// Another connection to the same place.
    pub fn another(&self) -> Self {
        Connection { shared: Arc::clone(&self.shared), open: Mutex::new(None) }
    }

    /// Where it leads.
    pub fn target(&self) -> &Target {
        &self.shared.target
    }

    /// Sends a request below the base URL and reads its answer. `longer` is added to the time limit, for requests whose
    /// answer is meant to take long.
    ///
    /// # Errors
    /// There is no answer. A status that tells of an error is an answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        longer: Duration,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, Failure> {
        let request = self.request(method, path, body, headers)?;
        let mut open = self.open.lock().await;
        // Taken out: whatever fails or is given up half-way, this connection is not used again.
        let mut sender = match open.take().filter(|s| !s.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let time = self.shared.limits.time + longer;
        let exchange = async {
            let sent = sender.send_request(request).await;
            let answer = sent.map_err(|e| match e.is_canceled() {
                true => Failure::NotSent(format!("{} closed the connection", self.target())),
                false => Failure::Lost(format!("{} did not answer: {}", self.target(), chain(&e))),
            })?;
            self.read(answer).await
        };
        let answer = tokio::time::timeout(time, exchange).await.map_err(|_| {
            Failure::Lost(format!("{} did not answer within {} seconds", self.target(), time.as_secs()))
        })??;
        *open = Some(sender);
        Ok(answer)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&'static str, &str)],
    ) -> Result<Request<Full<Bytes>>, Failure> {
        let target = &self.shared.target;
        let mut request = Request::builder()
            .method(method)
            .uri(target.path(path))
            .header(HOST, target.authority())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("pupperware/", env!("CARGO_PKG_VERSION")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(file) = &self.shared.token {
            let token = file.read().map_err(Failure::NotSent)?;
            let mut value = hyper::http::HeaderValue::from_str(&format!("Bearer {}", token.secret()))
                .map_err(|_| Failure::NotSent("the token cannot be sent".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let body = Full::new(Bytes::from(body.unwrap_or_default()));
        request.body(body).map_err(|e| Failure::NotSent(format!("no request can be made of {path}: {e}")))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let target = &self.shared.target;
        let connecting = async {
            let tcp = TcpStream::connect((target.host.as_str(), target.port))
                .await
                .map_err(|e| Failure::NotSent(format!("cannot reach {target}: {e}")))?;
            // Small messages both ways; waiting to fill a packet only costs time.
            let _ = tcp.set_nodelay(true);
            match &self.shared.tls {
                None => talk(tcp).await,
                Some(tls) => {
                    let name = ServerName::try_from(target.host.clone())
                        .map_err(|_| Failure::NotSent(format!("\"{}\" is no name for TLS", target.host)))?;
                    let stream = tls
                        .connect(name, tcp)
                        .await
                        .map_err(|e| Failure::NotSent(format!("cannot trust {target}: {e}")))?;
                    talk(stream).await
                }
            }
        };
        tokio::time::timeout(CONNECT, connecting).await.map_err(|_| {
            Failure::NotSent(format!("cannot reach {target}: no connection within {} seconds", CONNECT.as_secs()))
        })?
    }

    async fn read(&self, answer: hyper::http::Response<hyper::body::Incoming>) -> Result<Answer, Failure> {
        let (head, body) = answer.into_parts();
        let limit = self.shared.limits.body;
        let body = Limited::new(body, limit).collect().await.map_err(|e| {
            if e.is::<LengthLimitError>() {
                return Failure::TooLarge(limit);
            }
            Failure::Lost(format!("the answer of {} was cut off: {e}", self.target()))
        })?;
        let text = |name| head.headers.get(name).and_then(|v: &hyper::http::HeaderValue| v.to_str().ok());
        Ok(Answer {
            status: head.status,
            retry_after: text(RETRY_AFTER).and_then(|v| v.trim().parse().ok()).map(Duration::from_secs),
            date: text(DATE).and_then(http_date),
            body: body.to_bytes(),
        })
    }
}

async fn talk<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|e| Failure::NotSent(format!("no HTTP: {}", chain(&e))))?;
    // Ends when the sender is dropped or the other side hangs up; what went wrong is told to the request, too.
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(sender)
}

/// An error with its causes: hyper's own text says little.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// The one form of HTTP's dates that is still sent: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(date.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(http_date("yesterday"), None);
    }
}

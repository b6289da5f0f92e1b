//! The endpoint of `metrics --listen`: HTTP/1.1, one path, one method, a request a connection. It knows no more of HTTP
//! than Prometheus needs.
//!
//! Bounded: so many connections at once, so long and so large a request; and the services are asked once a second at
//! most, however many ask us.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, timeout};

use super::gather::Source;
use crate::error::{Error, Result};
use crate::execute::cancel::Cancel;
use crate::report::Report;

/// Most connections at once; more wait.
const CONNECTIONS: usize = 8;
/// The longest request.
const REQUEST_BYTES: usize = 8 << 10;
/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long figures are told again without asking anew.
const FRESH: Duration = Duration::from_secs(1);

/// The figures, and when they were gathered.
struct Endpoint {
    source: Source,
    last: Mutex<Option<(Instant, String)>>,
}

/// Answers until the user interrupts.
///
/// # Errors
/// The address cannot be listened at.
pub(super) async fn serve(source: Source, address: SocketAddr, report: &Report) -> Result<()> {
    let cannot = |e: std::io::Error| {
        Error::failed(format!("cannot listen at {address}")).because(e).hint("choose another with `--listen ADDR:PORT`")
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let cancel = Cancel::listen();
    // The first answer tells early that nothing can be told; later on, the engine may come and go.
    let endpoint = Endpoint { source, last: Mutex::default() };
    endpoint.figures().await?;
    let endpoint = Arc::new(endpoint);
    report.note(format!("metrics are at http://{address}/metrics; Ctrl-C ends this"));
    if !address.ip().is_loopback() {
        report.warn(format!("whoever reaches {address} can read them"));
    }
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.expect("never closed");
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = cancel.requested() => return Ok(()),
            next = next => next,
        };
        // A client that went away, or no file left for another: the next one may do better.
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let endpoint = endpoint.clone();
        tokio::spawn(async move {
            endpoint.answer(stream).await;
            drop(slot);
        });
    }
}

impl Endpoint {
    /// One request, and its answer. There is nobody to tell when the client goes away.
    async fn answer(&self, mut stream: TcpStream) {
        let request = timeout(PATIENCE, read_request(&mut stream)).await;
        let answer = match request {
            Ok(Ok(Some(head))) => match route(&head) {
                Ok(()) => match self.figures().await {
                    Ok(text) => response("200 OK", "text/plain; version=0.0.4; charset=utf-8", &text),
                    Err(error) => plain("503 Service Unavailable", &error.to_string()),
                },
                Err(status) => plain(status, status),
            },
            Ok(Ok(None)) => plain("431 Request Header Fields Too Large", "the request is too long"),
            Ok(Err(_)) => return,
            Err(_) => plain("408 Request Timeout", "no request came"),
        };
        let sent = timeout(PATIENCE, async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        });
        let _ = sent.await;
    }

    /// Figures that are fresh. Who comes while they are gathered waits for the same.
    async fn figures(&self) -> Result<String> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(text.clone());
        }
        let text = self.source.gather().await?.text();
        *last = Some((Instant::now(), text.clone()));
        Ok(text)
    }
}

/// The head of a request; nothing when it is too long.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let count = stream.read(&mut chunk).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(&chunk[..count]);
        if head.windows(4).any(|w| w == b"\r\n\r\n") {
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if head.len() > REQUEST_BYTES {
            return Ok(None);
        }
    }
}

/// Whether a request is the one that is answered; or the status that it gets.
fn route(head: &str) -> Result<(), &'static str> {
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let path = target.map(|t| t.split('?').next().unwrap_or_default());
    match (method, path, version) {
        (Some("GET"), Some("/metrics"), Some("HTTP/1.1" | "HTTP/1.0")) => Ok(()),
        (Some(_), Some("/metrics"), Some("HTTP/1.1" | "HTTP/1.0")) => Err("405 Method Not Allowed"),
        (Some(_), Some(_), Some("HTTP/1.1" | "HTTP/1.0")) => Err("404 Not Found"),
        _ => Err("400 Bad Request"),
    }
}

fn plain(status: &str, text: &str) -> String {
    response(status, "text/plain; charset=utf-8", &format!("{text}\n"))
}

fn response(status: &str, content_type: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nAllow: GET\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_and_one_method_are_answered() {
        let asked = |line: &str| route(&format!("{line}\r\nHost: a\r\n\r\n"));
        assert_eq!(asked("GET /metrics HTTP/1.1"), Ok(()));
        assert_eq!(asked("GET /metrics?x=1 HTTP/1.0"), Ok(()));
        assert_eq!(asked("POST /metrics HTTP/1.1"), Err("405 Method Not Allowed"));
        assert_eq!(asked("GET / HTTP/1.1"), Err("404 Not Found"));
        assert_eq!(asked("GET /metrics/../etc HTTP/1.1"), Err("404 Not Found"));
        for nonsense in ["", "GET", "GET /metrics", "GET /metrics HTTP/2", "\u{0}"] {
            assert_eq!(asked(nonsense), Err("400 Bad Request"), "{nonsense}");
        }
    }

    #[tokio::test]
    async fn a_request_is_read_to_its_end_and_no_further_than_allowed() {
        let whole = read_request(&mut &b"GET /metrics HTTP/1.1\r\n\r\n"[..]).await.unwrap();
        assert_eq!(whole.as_deref(), Some("GET /metrics HTTP/1.1\r\n\r\n"));
        assert_eq!(read_request(&mut &vec![b'a'; REQUEST_BYTES * 2][..]).await.unwrap(), None);
        assert!(read_request(&mut &b"GET /metr"[..]).await.is_err());
    }
}

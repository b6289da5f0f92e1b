//! Connections: taken, counted, given TLS where there is some, and ended together.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::{Door, Server};

/// Most connections at once on the port; more wait to be taken.
const CONNECTIONS: usize = 1_024;
/// Most connections at once on the server's own socket.
const OWN_CONNECTIONS: usize = 16;
/// How long the head of a request may take to come, and a connection be idle.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// The longest head of a request.
const HEAD_BYTES: usize = 64 << 10;
/// How long requests that are under way may take to end when the server does.
const END_TIME: Duration = Duration::from_secs(5);

/// A server with its doors open.
pub struct Listening {
    /// What answers.
    pub server: Arc<Server>,
    /// The port.
    pub port: TcpListener,
    /// TLS on the port; without it, HTTP is plain.
    pub tls: Option<TlsAcceptor>,
    /// The server's own socket.
    pub own: UnixListener,
    /// Becomes true when it is to end.
    pub ending: watch::Receiver<bool>,
}

/// Opens the server's own socket, for its own user only. The folder is for the same user only, too, so nobody comes in
/// between.
///
/// # Errors
/// It cannot be made.
pub fn bind_admin(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Listening {
    /// Answers until it is to end, and then until what is under way has ended, or too long.
    pub async fn run(self) {
        let Listening { server, port, tls, own, ending } = self;
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let own_slots = Arc::new(Semaphore::new(OWN_CONNECTIONS));
        let mut stop = ending.clone();
        let on_port = async {
            loop {
                let slot = slot(&slots).await;
                let Some((stream, peer)) = accepted(port.accept().await).await else { continue };
                // Small answers and signs of life should not wait for more.
                let _ = stream.set_nodelay(true);
                let (server, tls, ending) = (server.clone(), tls.clone(), ending.clone());
                tokio::spawn(async move {
                    serve_port(server, tls, stream, peer, ending).await;
                    drop(slot);
                });
            }
        };
        let on_own = async {
            loop {
                let slot = slot(&own_slots).await;
                let Some((stream, _)) = accepted(own.accept().await).await else { continue };
                let connection = serve(server.clone(), Door::Own, stream, ending.clone());
                tokio::spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
        };
        tokio::select! {
            _ = stop.wait_for(|end| *end) => {}
            () = on_port => {}
            () = on_own => {}
        }
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(END_TIME, slots.acquire_many(all)).await;
    }
}

async fn slot(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    slots.clone().acquire_owned().await.expect("never closed")
}

/// A client that went away, or no file left for another: the next one may do better.
async fn accepted<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::warn!(%error, "a connection was not taken");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn serve_port(
    server: Arc<Server>,
    tls: Option<TlsAcceptor>,
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    ending: watch::Receiver<bool>,
) {
    let door = Door::Port(peer.ip());
    let Some(tls) = tls else { return serve(server, door, stream, ending).await };
    match tokio::time::timeout(HANDSHAKE_TIME, tls.accept(stream)).await {
        Ok(Ok(stream)) => serve(server, door, stream, ending).await,
        Ok(Err(error)) => tracing::debug!(%error, %peer, "no TLS"),
        Err(_) => tracing::debug!(%peer, "TLS took too long"),
    }
}

/// Requests of one connection, until it or the server ends. There is nobody to tell when the client goes away.
fn serve(
    server: Arc<Server>,
    door: Door,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut ending: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send {
    let service = service_fn(move |request| {
        let server = server.clone();
        async move { Ok::<_, std::convert::Infallible>(server.answer(door, request).await) }
    });
    async move {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            outcome = connection.as_mut() => Some(outcome),
            _ = ending.wait_for(|end| *end) => None,
        };
        let outcome = match ended {
            Some(outcome) => outcome,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

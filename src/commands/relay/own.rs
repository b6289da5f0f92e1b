//! Requests to a server of this machine, by the socket in its folder.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::cli::relay::token::StateDir;
use crate::error::{Error, Result};
use crate::relay::api::Failure;
use crate::relay::server::socket;

/// A request to the server of this folder. Commands that name none are for the platform's (`platform`).
pub(super) async fn ask<T: DeserializeOwned>(
    server: &StateDir,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<T> {
    let folder = server.state_dir.as_deref().unwrap_or_else(|| Path::new("."));
    let place = socket(folder);
    let stream = UnixStream::connect(&place).await.map_err(|error| {
        Error::failed(format!("no Relay server answers at {}", place.display()))
            .because(error)
            .hint(format!("is it running? `pupperware relay serve --state-dir {}`", folder.display()))
    })?;
    let failed = |error: anyhow::Error| Error::failed("the Relay server does not answer as it should").because(error);
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.into()))?;
    tokio::spawn(connection);
    let text = body.map(serde_json::to_vec).transpose().map_err(|error| failed(error.into()))?.unwrap_or_default();
    let request =
        Request::builder().method(method).uri(path).header("host", "relay").body(Full::new(Bytes::from(text)));
    let request = request.map_err(|error| failed(error.into()))?;
    let response = sender.send_request(request).await.map_err(|error| failed(error.into()))?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|error| failed(error.into()))?.to_bytes();
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| failed(error.into()));
    }
    match serde_json::from_slice::<Failure>(&body) {
        Ok(failure) if status.is_client_error() => Err(Error::refused(failure.message)),
        Ok(failure) => Err(Error::failed(failure.message)),
        Err(error) => Err(failed(error.into())),
    }
}

//! Engine failures, sorted by what the user can do about them.
//!
//! The engine answers with a status code and a sentence. Here the sentences that matter become causes with a
//! next step; everything else keeps the engine's own words.

use std::fmt;

use super::connect::Endpoint;
use crate::error::{Error, Kind};

/// Why the engine said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Nothing answers at the endpoint.
    Unreachable,
    /// The endpoint is there, and we may not use it.
    PermissionDenied,
    /// API older than we need.
    TooOld,
    /// What was named does not exist.
    NotFound,
    /// A name is taken, or the object is in use or already being changed.
    Conflict,
    /// A host port cannot be bound; the port if the engine told it.
    PortTaken(Option<u16>),
    /// No space left on the engine's disk.
    DiskFull,
    /// The engine refused the request as malformed.
    BadRequest,
    /// An image build's step failed, or a pull did.
    Stream,
    /// The answer could not be understood (a newer engine?).
    Decode,
    /// No answer in time.
    Timeout,
    /// Anything else.
    Other,
}

/// A failed engine call.
#[derive(Debug, Clone)]
pub struct EngineError {
    /// What sort it is.
    pub cause: Cause,
    /// The engine's words, or ours.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl EngineError {
    /// An error of our own making.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        EngineError { cause, message: message.into(), hint: None }
    }

    /// The engine is older than we support.
    pub fn too_old(api: (u16, u16), version: &str) -> Self {
        let (major, minor) = super::OLDEST_API;
        EngineError {
            cause: Cause::TooOld,
            message: format!(
                "the engine is too old: version {version} offers API {}.{}, and {major}.{minor} (Docker 20.10) is needed",
                api.0, api.1
            ),
            hint: Some("upgrade Docker Engine on that machine, or name another with `--host`".into()),
        }
    }

    /// An error met while talking to the endpoint for the first time.
    pub(crate) fn from_connect(error: bollard::errors::Error, endpoint: &Endpoint) -> Self {
        let chain = chain(&error);
        let lower = chain.to_lowercase();
        let place = format!("{} (from {})", endpoint.url, endpoint.origin);
        if lower.contains("permission denied") {
            return EngineError {
                cause: Cause::PermissionDenied,
                message: format!("permission denied at {place}"),
                hint: Some(
                    "join the `docker` group (`sudo usermod -aG docker $USER`, then log in again), or use `sudo`"
                        .into(),
                ),
            };
        }
        if lower.contains("connection refused")
            || lower.contains("no such file")
            || lower.contains("not found")
            || lower.contains("client error (connect)")
            || lower.contains("dns error")
        {
            return EngineError {
                cause: Cause::Unreachable,
                message: format!("no Docker Engine answers at {place}"),
                hint: Some("start it (`sudo systemctl start docker`), install it (`sudo apt-get install docker.io`), or name another with `--host` or `--context`".into()),
            };
        }
        Self::from(error)
    }

    /// True when the thing that was named is not there.
    pub fn is_not_found(&self) -> bool {
        self.cause == Cause::NotFound
    }

    /// True when a name is taken or the object is busy.
    pub fn is_conflict(&self) -> bool {
        self.cause == Cause::Conflict
    }
}

impl From<bollard::errors::Error> for EngineError {
    fn from(error: bollard::errors::Error) -> Self {
        use bollard::errors::Error as B;
        match error {
            B::DockerResponseServerError { status_code, message } => classify(status_code, message),
            B::DockerStreamError { error } => {
                classify_message(error).unwrap_or_else(|e| EngineError::new(Cause::Stream, e))
            }
            B::RequestTimeoutError => EngineError::new(Cause::Timeout, "the engine did not answer in time"),
            B::JsonDataError { message, .. } => EngineError::new(Cause::Decode, message),
            B::JsonSerdeError { err } => EngineError::new(Cause::Decode, err.to_string()),
            other => EngineError::new(Cause::Other, chain(&other)),
        }
    }
}

/// Status code and message -> cause and hint.
fn classify(status: u16, message: String) -> EngineError {
    classify_message(message).unwrap_or_else(|message| {
        let cause = match status {
            400 => Cause::BadRequest,
            404 => Cause::NotFound,
            409 => Cause::Conflict,
            _ => Cause::Other,
        };
        EngineError::new(cause, message)
    })
}

/// The sentences that mean something whatever the status code was; the message back if it is none of them.
fn classify_message(message: String) -> Result<EngineError, String> {
    let lower = message.to_lowercase();
    if lower.contains("no space left on device") {
        return Ok(EngineError {
            cause: Cause::DiskFull,
            message,
            hint: Some("free space on the engine's disk (`docker system df` shows what uses it)".into()),
        });
    }
    if lower.contains("port is already allocated") || lower.contains("address already in use") {
        let port = port_in(&lower);
        return Ok(EngineError {
            cause: Cause::PortTaken(port),
            message,
            hint: Some(
                "choose another with `publish` of that service in pupperware.yaml, or stop what holds it".into(),
            ),
        });
    }
    Err(message)
}

/// Finds the port in `Bind for 0.0.0.0:8140 failed` or `listen tcp4 0.0.0.0:8140: bind: ...`.
fn port_in(message: &str) -> Option<u16> {
    message
        .split([' ', '/'])
        .filter_map(|word| word.trim_end_matches(':').rsplit_once(':'))
        .find_map(|(host, port)| if host.is_empty() { None } else { port.parse().ok() })
}

/// The error and all that caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.trim())
    }
}

impl std::error::Error for EngineError {}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        let kind = match error.cause {
            Cause::Unreachable | Cause::PermissionDenied | Cause::TooOld | Cause::Decode => Kind::Engine,
            Cause::Timeout => Kind::TimedOut,
            _ => Kind::Failed,
        };
        let mut out = Error::new(kind, error.message.trim().to_owned());
        out.hint = error.hint;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let e = classify(500, "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:8140 failed: port is already allocated".into());
        assert_eq!(e.cause, Cause::PortTaken(Some(8140)));
        let e = classify(
            500,
            "Error starting userland proxy: listen tcp4 0.0.0.0:8140: bind: address already in use".into(),
        );
        assert_eq!(e.cause, Cause::PortTaken(Some(8140)));
    }

    #[test]
    fn a_full_disk_is_seen_whatever_the_status() {
        assert_eq!(classify(400, "write /x: no space left on device".into()).cause, Cause::DiskFull);
    }

    #[test]
    fn status_codes_decide_the_rest() {
        assert!(classify(404, "No such container: x".into()).is_not_found());
        assert!(classify(409, "name in use".into()).is_conflict());
    }
}

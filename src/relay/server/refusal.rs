//! Why a request is not done, as the API says it.

use crate::relay::api::life::Refused;
use crate::relay::api::{Failure, Line};

/// A status, a word for programs, a line for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// A stable snake_case word.
    pub code: &'static str,
    /// One line.
    pub message: Line,
    /// Seconds after which it may be tried again.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// With this status, word and line.
    pub fn new(status: u16, code: &'static str, message: impl AsRef<str>) -> Self {
        Refusal { status, code, message: Line::from(message.as_ref()), retry_after: None }
    }

    /// Says when it may be tried again.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The body that says so.
    pub fn body(&self) -> Failure {
        Failure { code: self.code.to_owned(), message: self.message.as_str().to_owned() }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Refusal::new(refused.http_status(), refused.code(), refused.to_string())
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Refusal::new(422, "not_valid", error.to_string()),
            _ => Refusal::new(400, "not_json", error.to_string()),
        }
    }
}

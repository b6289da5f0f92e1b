//! The calls of the Relay API, and what their answers mean to who has to go on.

use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use hyper::http::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::{Answer, Connection, Failure};
use crate::relay::api::{
    self, AcceptRequest, AcceptToken, Accepted, Comparison, DecisionRequest, IdempotencyKey, Lease, Line, NewRun,
    NodePage, Run, RunId, RunList, State, StateUpdate,
};

/// Why a call came to nothing, by what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request was certainly not carried out. Try again.
    #[error("{0}")]
    NotSent(String),
    /// It may have been carried out: the answer is lost, or tells of trouble. Try again, after this time if it was said.
    #[error("{message}")]
    Trouble {
        /// What happened.
        message: String,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The token is not taken (any more). Try again when somebody has seen to it.
    #[error("the token is not accepted ({0})")]
    Unauthorized(String),
    /// Something else came first.
    #[error("{message}")]
    Conflict {
        /// What the server says.
        message: String,
        /// The server's word for it; only ours has some.
        code: Option<String>,
    },
    /// There is no such run (any more).
    #[error("the server knows no such run")]
    NotFound,
    /// The server does not want this request, and will not later.
    #[error("the server refused the request ({status}): {message}")]
    Refused {
        /// The status.
        status: u16,
        /// What the server says.
        message: String,
    },
}

/// Answers of this call.
pub type Called<'a, T> = BoxFuture<'a, Result<T, CallError>>;

/// What a bridge asks of a server. A trait, so that a server can be put in its place that loses answers on purpose.
pub trait RelayApi: Send + Sync {
    /// The runs that are not complete. A server that can holds the answer until there is one to take.
    fn list(&self, wait: Duration) -> Called<'_, Listed>;
    /// Takes a run: it is ours, with this lease if the server gives leases.
    fn accept<'a>(&'a self, run: &'a RunId, token: &'a AcceptToken) -> Called<'a, Option<Lease>>;
    /// Says how far a run is. The state that comes back may ask to cancel; servers that keep to the original send none.
    fn update<'a>(&'a self, run: &'a RunId, update: &'a StateUpdate) -> Called<'a, Option<State>>;
}

/// A list of runs.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Those that could be read.
    pub runs: Vec<Run>,
    /// Why others could not.
    pub unreadable: Vec<String>,
    /// How long the answer took.
    pub took: Duration,
    /// How far this machine's clock is from the server's, where the server told.
    pub clock_skew: Option<jiff::SignedDuration>,
}

/// A Relay API over a connection.
pub struct Relay {
    connection: Connection,
}

impl Relay {
    /// Over this connection.
    pub fn new(connection: Connection) -> Self {
        Relay { connection }
    }

    /// The same API over a connection of its own.
    pub fn another(&self) -> Self {
        Relay { connection: self.connection.another() }
    }

    /// Where it is.
    pub fn target(&self) -> String {
        self.connection.target().to_string()
    }

    /// Asks for a run. With the same key it is the same run, however often it is asked for.
    ///
    /// # Errors
    /// The server does not take it, or cannot be asked.
    pub async fn create(&self, run: &NewRun, key: &IdempotencyKey) -> Result<RunId, CallError> {
        #[derive(serde::Deserialize)]
        struct Created {
            id: RunId,
        }
        let headers = [("idempotency-key", key.as_str())];
        let answer = self.call_with(Method::POST, "/_puppet/runs", Some(body(run)?), Duration::ZERO, &headers).await?;
        read::<Created>(&answer).map(|created| created.id)
    }

    /// Runs that have not ended, or all that are kept. A server that keeps to the original lists what it lists.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn runs(&self, all: bool) -> Result<(Vec<Run>, Vec<String>), CallError> {
        let path = format!("/_puppet/runs?status={}&limit=1000", if all { "all" } else { "open" });
        let answer = self.call(Method::GET, &path, None, Duration::ZERO).await?;
        let (list, unreadable) = RunList::read(&answer.body).map_err(|e| garbage(&e.to_string()))?;
        Ok((list.runs, unreadable))
    }

    /// One run.
    ///
    /// # Errors
    /// There is none, or the server cannot be asked.
    pub async fn run(&self, id: &RunId) -> Result<(Run, Option<jiff::Timestamp>), CallError> {
        let answer = self.call(Method::GET, &format!("/_puppet/runs/{id}"), None, Duration::ZERO).await?;
        Ok((read(&answer)?, answer.date))
    }

    /// How the nodes of a run fare, from `offset` on.
    ///
    /// # Errors
    /// There is no such run, or the server does not know of nodes.
    pub async fn nodes(&self, id: &RunId, offset: usize, limit: usize) -> Result<NodePage, CallError> {
        let path = format!("/_puppet/runs/{id}/nodes?offset={offset}&limit={limit}");
        read(&self.call(Method::GET, &path, None, Duration::ZERO).await?)
    }

    /// Asks that a run be stopped.
    ///
    /// # Errors
    /// There is no such run, or the server cannot stop any.
    pub async fn cancel(&self, id: &RunId) -> Result<(), CallError> {
        let path = format!("/_puppet/runs/{id}/cancel");
        self.call(Method::POST, &path, Some(b"{}".to_vec()), Duration::ZERO).await.map(|_| ())
    }

    /// True when the server lets runs wait for approval. Another one may take the wish for a word it does not know, and
    /// have the run carried out at once.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub async fn knows_approval(&self) -> Result<bool, CallError> {
        match self.call(Method::GET, "/healthz", None, Duration::ZERO).await {
            Ok(answer) => {
                let told = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
                Ok(told["approval"] == true)
            }
            Err(CallError::NotFound | CallError::Refused { .. } | CallError::Unauthorized(_)) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Approves a run, or denies it.
    ///
    /// # Errors
    /// There is no such run, nothing to decide, or who asks may not.
    pub async fn decide(&self, id: &RunId, approve: bool, reason: Option<Line>) -> Result<Run, CallError> {
        let path = format!("/_puppet/runs/{id}/{}", if approve { "approve" } else { "deny" });
        let request = body(&DecisionRequest { reason })?;
        read(&self.call(Method::POST, &path, Some(request), Duration::ZERO).await?)
    }

    /// What was approved for a run against what happened, from `offset` on.
    ///
    /// # Errors
    /// There is no such run, or it had no preview.
    pub async fn comparison(&self, id: &RunId, offset: usize, limit: usize) -> Result<Comparison, CallError> {
        let path = format!("/_puppet/runs/{id}/comparison?offset={offset}&limit={limit}");
        read(&self.call(Method::GET, &path, None, Duration::ZERO).await?)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        longer: Duration,
    ) -> Result<Answer, CallError> {
        self.call_with(method, path, body, longer, &[]).await
    }

    async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        longer: Duration,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, CallError> {
        let sent = self.connection.send(method, path, body, longer, headers).await;
        let answer = sent.map_err(|failure| match failure {
            Failure::NotSent(message) => CallError::NotSent(message),
            lost @ (Failure::Lost(_) | Failure::TooLarge(_)) => {
                CallError::Trouble { message: lost.to_string(), retry_after: None }
            }
        })?;
        meaning(answer)
    }
}

impl RelayApi for Relay {
    fn list(&self, wait: Duration) -> Called<'_, Listed> {
        Box::pin(async move {
            let path = match wait.as_secs() {
                0 => "/_puppet/runs".to_owned(),
                seconds => format!("/_puppet/runs?wait={seconds}"),
            };
            let asked = Instant::now();
            let answer = self.call(Method::GET, &path, None, wait).await?;
            let (list, unreadable) = RunList::read(&answer.body).map_err(|e| garbage(&e.to_string()))?;
            Ok(Listed {
                runs: list.runs,
                unreadable,
                took: asked.elapsed(),
                clock_skew: answer.date.map(|date| jiff::Timestamp::now().duration_since(date)),
            })
        })
    }

    fn accept<'a>(&'a self, run: &'a RunId, token: &'a AcceptToken) -> Called<'a, Option<Lease>> {
        Box::pin(async move {
            let request = AcceptRequest { accept_token: Some(token.clone()) };
            let path = format!("/_puppet/runs/{run}/accept");
            let answer = self.call(Method::POST, &path, Some(body(&request)?), Duration::ZERO).await?;
            // Exactly 202 means that it is ours; what another server may mean by other answers, nobody knows.
            if answer.status != StatusCode::ACCEPTED {
                return Err(CallError::Refused {
                    status: answer.status.as_u16(),
                    message: "only 202 takes a run".into(),
                });
            }
            // A server that keeps to the original says nothing, or something of its own.
            Ok(serde_json::from_slice::<Accepted>(&answer.body).ok().and_then(|accepted| accepted.lease))
        })
    }

    fn update<'a>(&'a self, run: &'a RunId, update: &'a StateUpdate) -> Called<'a, Option<State>> {
        Box::pin(async move {
            let path = format!("/_puppet/runs/{run}/state");
            let answer = self.call(Method::PUT, &path, Some(body(update)?), Duration::ZERO).await?;
            Ok(serde_json::from_slice(&answer.body).ok())
        })
    }
}

/// What an answer's status means.
fn meaning(answer: Answer) -> Result<Answer, CallError> {
    let status = answer.status;
    if status.is_success() {
        return Ok(answer);
    }
    let failure: Option<api::Failure> = serde_json::from_slice(&answer.body).ok();
    let message = match &failure {
        Some(failure) => api::Line::from(failure.message.as_str()).to_string(),
        None => status.canonical_reason().unwrap_or("no reason").to_owned(),
    };
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => CallError::Unauthorized(format!("{status}: {message}")),
        StatusCode::NOT_FOUND | StatusCode::GONE => CallError::NotFound,
        StatusCode::CONFLICT => CallError::Conflict { message, code: failure.map(|f| f.code) },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
            CallError::Trouble { message: format!("the server is busy ({status})"), retry_after: answer.retry_after }
        }
        status if status.is_client_error() => CallError::Refused { status: status.as_u16(), message },
        // Redirections among them: a token is sent to where the user said, and nowhere else.
        status => CallError::Trouble {
            message: format!("the server answers with {status}: {message}"),
            retry_after: answer.retry_after,
        },
    })
}

fn body<T: Serialize>(value: &T) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(value).map_err(|e| CallError::NotSent(format!("the request cannot be written: {e}")))
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, CallError> {
    serde_json::from_slice(&answer.body).map_err(|e| garbage(&e.to_string()))
}

fn garbage(why: &str) -> CallError {
    CallError::Trouble { message: format!("the server's answer cannot be read: {why}"), retry_after: None }
}

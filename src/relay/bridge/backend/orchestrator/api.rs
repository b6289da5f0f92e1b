//! The orchestrator's own API (`/orchestrator/v1/`), as far as runs need it: types, requests, and what refusals mean.
//!
//! The token goes into a header and nowhere else; the server's certificate is verified.

use std::time::Duration;

use hyper::http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::relay::api::{JobId, Line, NodeName, NodeResult, NodeStatus, ReportHash};
use crate::relay::client::connection::{Answer, Connection, Failure};
use crate::relay::client::token::TokenFile;

/// So many of the newest jobs are looked through for ours.
const NEWEST: usize = 100;

/// Why there is no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// It will not be done, however often it is asked for.
    #[error("{0}")]
    Refused(String),
    /// It was not done; it may be later.
    #[error("{0}")]
    NotDone(String),
    /// It may have been done.
    #[error("{0}")]
    InDoubt(String),
}

/// A client of the API.
pub struct Api {
    connection: Connection,
    token: TokenFile,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Job {
    /// Its number.
    pub name: String,
    /// `new`, `ready`, `running`, `stopping`, `stopped`, `finished`, `failed`.
    #[serde(default)]
    pub state: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    options: Options,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Options {
    description: Option<String>,
}

/// A node of a job.
#[derive(Debug, Clone, Deserialize)]
pub struct JobNode {
    /// Its certname.
    pub name: String,
    state: String,
    #[serde(default)]
    details: Option<Details>,
    #[serde(default)]
    result: Option<RunResult>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Details {
    message: Option<String>,
    #[serde(rename = "report-url")]
    report_url: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct RunResult {
    hash: Option<String>,
    status: Option<String>,
    metrics: Metrics,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Metrics {
    out_of_sync: u64,
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

impl Job {
    /// True when nothing of it changes any more.
    pub fn over(&self) -> bool {
        matches!(self.state.as_str(), "stopped" | "finished" | "failed")
    }

    fn described(&self) -> Option<&str> {
        self.description.as_deref().or(self.options.description.as_deref())
    }
}

impl JobNode {
    /// True when its agent runs.
    pub fn runs(&self) -> bool {
        matches!(self.state.as_str(), "running" | "stopping")
    }

    /// What became of it; nothing while that is open. `noop` is the job's.
    pub fn ended(&self, node: NodeName, noop: bool) -> Option<NodeResult> {
        let result = self.result.clone().unwrap_or_default();
        let (status, error) = match (self.state.as_str(), result.status.as_deref()) {
            ("finished", Some("changed")) => (NodeStatus::Changed, None),
            ("finished", _) if noop && result.metrics.out_of_sync > 0 => (NodeStatus::WouldChange, None),
            ("finished", _) => (NodeStatus::Unchanged, None),
            ("failed", Some(_)) => (NodeStatus::Failed, Some("resources")),
            ("failed" | "errored", _) => (NodeStatus::Failed, Some("no_run")),
            ("skipped", _) => (NodeStatus::Skipped, None),
            ("stopped", _) => (NodeStatus::Cancelled, None),
            _ => return None,
        };
        let details = self.details.clone().unwrap_or_default();
        Some(NodeResult {
            error: error.map(Line::from),
            message: details.message.filter(|_| !status.is_good()).map(Line::from),
            report_hash: result.hash.and_then(|hash| hash.parse::<ReportHash>().ok()),
            report_url: details.report_url.and_then(|url| url.parse::<JobId>().ok()),
            ..NodeResult::new(node, status)
        })
    }
}

impl Api {
    /// Over this connection, which leads to `/orchestrator/v1`.
    pub fn new(connection: Connection, token: TokenFile) -> Self {
        Api { connection, token }
    }

    /// Makes a job, and tells its number.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn deploy(&self, body: &Value) -> Result<String, ApiError> {
        #[derive(Deserialize)]
        struct Made {
            job: Job,
        }
        let made: Made = self.ask(Method::POST, "/command/deploy", Some(body)).await?;
        Ok(made.job.name)
    }

    /// Numbers of the newest jobs that are described so.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn described(&self, description: &str) -> Result<Vec<String>, ApiError> {
        let path = format!("/jobs?limit={NEWEST}&order_by=timestamp&order=desc");
        let jobs: Items<Job> = self.ask(Method::GET, &path, None).await?;
        let ours = jobs.items.into_iter().filter(|job| job.described() == Some(description));
        Ok(ours.map(|job| job.name).filter(|name| number(name)).collect())
    }

    /// A job as it is now.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn job(&self, name: &str) -> Result<Job, ApiError> {
        self.ask(Method::GET, &format!("/jobs/{name}"), None).await
    }

    /// Its nodes as they are now.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn nodes(&self, name: &str) -> Result<Vec<JobNode>, ApiError> {
        let nodes: Items<JobNode> = self.ask(Method::GET, &format!("/jobs/{name}/nodes"), None).await?;
        Ok(nodes.items)
    }

    /// Starts no further node of it.
    ///
    /// # Errors
    /// See [`ApiError`].
    pub async fn stop(&self, name: &str) -> Result<(), ApiError> {
        self.ask::<Value>(Method::POST, "/command/stop", Some(&json!({ "job": name }))).await.map(|_| ())
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> Result<T, ApiError> {
        let token = self.token.read().map_err(ApiError::NotDone)?;
        let body = body.map(|body| body.to_string().into_bytes());
        let headers = [("x-authentication", token.secret())];
        let answer = match self.connection.send(method, path, body, Duration::ZERO, &headers).await {
            Ok(answer) => answer,
            Err(Failure::NotSent(why)) => return Err(ApiError::NotDone(why)),
            Err(why) => return Err(ApiError::InDoubt(why.to_string())),
        };
        if answer.status.is_success() {
            return serde_json::from_slice(&answer.body)
                .map_err(|e| ApiError::InDoubt(format!("the orchestrator's answer is not understood: {e}")));
        }
        Err(refused(&answer))
    }
}

/// What a status that is no success means.
fn refused(answer: &Answer) -> ApiError {
    #[derive(Deserialize)]
    struct Said {
        msg: String,
    }
    let said = serde_json::from_slice::<Said>(&answer.body).map(|said| said.msg).unwrap_or_default();
    let text = format!("the orchestrator answers with {}: {said}", answer.status);
    match answer.status {
        // Somebody has to see to the token; the run waits for that.
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => ApiError::NotDone(text),
        status if status.is_client_error() => ApiError::Refused(text),
        _ => ApiError::InDoubt(text),
    }
}

/// A job's number goes into paths.
fn number(name: &str) -> bool {
    !name.is_empty() && name.len() <= 20 && name.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(text: &str, noop: bool) -> Option<(NodeStatus, Option<String>, Option<String>)> {
        let node: JobNode = serde_json::from_str(text).unwrap();
        let result = node.ended("n1".parse().unwrap(), noop)?;
        Some((result.status, result.report_hash.map(|h| h.to_string()), result.error.map(|e| e.to_string())))
    }

    /// As the API's documentation has them.
    #[test]
    fn nodes_as_they_are_documented() {
        let finished = r#"{"name":"n1","state":"finished","transaction_uuid":null,
            "details":{"message":"Finished puppet run on n1 - Success!","report-url":"https://pe.example.com/#/cm/report/d7ec"},
            "result":{"hash":"d7ec44e1","status":"unchanged","environment":"production",
                "metrics":{"corrective_change":0,"out_of_sync":2,"total":347,"changed":0,"failed":0}}}"#;
        let hash = Some("d7ec44e1".to_owned());
        assert_eq!(ended(finished, false), Some((NodeStatus::Unchanged, hash.clone(), None)));
        assert_eq!(ended(finished, true), Some((NodeStatus::WouldChange, hash.clone(), None)));
        let changed = finished.replace("unchanged", "changed");
        assert_eq!(ended(&changed, false), Some((NodeStatus::Changed, hash.clone(), None)));
        let failed = finished.replace("\"finished\"", "\"failed\"").replace("unchanged", "failed");
        assert_eq!(ended(&failed, false), Some((NodeStatus::Failed, hash, Some("resources".into()))));
        let errored =
            r#"{"name":"n1","state":"errored","details":{"message":"Error running puppet on n1: not connected"}}"#;
        assert_eq!(ended(errored, false), Some((NodeStatus::Failed, None, Some("no_run".into()))));
        for open in ["new", "ready", "running", "stopping"] {
            assert_eq!(ended(&format!(r#"{{"name":"n1","state":"{open}","details":{{}}}}"#), false), None);
        }
    }

    #[test]
    fn only_numbers_go_into_paths() {
        assert!(number("1234"));
        for bad in ["", "1/../../x", "a", "123456789012345678901"] {
            assert!(!number(bad), "{bad}");
        }
    }
}

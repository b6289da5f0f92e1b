//! The bodies of requests and answers that are not a run or a state.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::names::{AcceptToken, Lease};
use super::nodes::NodeResult;
use super::run::Run;

/// Answer to `GET /_puppet/runs`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunList {
    /// The runs, oldest first.
    pub runs: Vec<Run>,
}

impl RunList {
    /// Reads a list of another server, and why runs in it cannot be read; one bad run does not spoil the others.
    ///
    /// # Errors
    /// It is no list of runs at all.
    pub fn read(body: &[u8]) -> Result<(Self, Vec<String>), serde_json::Error> {
        #[derive(Deserialize)]
        struct Raw {
            runs: Vec<serde_json::Value>,
        }
        let raw: Raw = serde_json::from_slice(body)?;
        let (mut runs, mut refused) = (Vec::new(), Vec::new());
        for run in raw.runs {
            match serde_json::from_value(run) {
                Ok(run) => runs.push(run),
                Err(error) => refused.push(error.to_string()),
            }
        }
        Ok((RunList { runs }, refused))
    }
}

/// Body of `POST /_puppet/runs/{id}/accept`. The original bridge sends none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptRequest {
    /// Made by the bridge; the same one accepts the same run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept_token: Option<AcceptToken>,
}

/// Answer (202) to an accept. A server that keeps to the original API sends no body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// To be sent with every state update; only when an accept token was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// The server's clock.
    pub server_time: Timestamp,
}

/// Answer to `GET /_puppet/runs/{id}/nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePage {
    /// Nodes by name, `limit` of them from `offset` on.
    pub nodes: Vec<NodeResult>,
    /// How many there are.
    pub total: usize,
}

/// The body of every answer that is an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// A stable snake_case word.
    pub code: String,
    /// One line for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_run_does_not_spoil_the_list() {
        let body = br#"{"runs":[
            {"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{"status":"pending"},"scope":{"nodes":["a"]}},
            {"id":"8e659097-254a-4b27-bb93-88efea9a9f0f","state":{"status":"pending"},"scope":{"nodes":["-oProxyCommand=x"]}},
            {"id":"8e659097-254a-4b27-bb93-88efea9a9f10","type":"task-run","state":{"status":"pending"},"scope":{"nodes":["a"]}},
            null]}"#;
        let (list, refused) = RunList::read(body).unwrap();
        assert_eq!((list.runs.len(), refused.len()), (1, 3));
        assert!(RunList::read(b"<html>").is_err());
    }
}

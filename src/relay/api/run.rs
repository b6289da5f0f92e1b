//! A run, and the request for one.

use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::approval::{Approval, ApprovalTerms};
use super::names::{Environment, Line, RunId};
use super::scope::Scope;
use super::state::State;

/// The most nodes of one run.
pub const MAX_NODES: usize = 10_000;

/// What is to be done. The original bridge knows tasks and plans, too; we do not offer them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunType {
    /// A Puppet run.
    #[default]
    Run,
}

/// Body of `POST /_puppet/runs`. A field that we do not know is an error: a mistyped `noop` must not become a real run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRun {
    /// What is to be done.
    #[serde(rename = "type", default)]
    pub kind: RunType,
    /// The environment; without it each node's own. The orchestrator requires one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Where.
    pub scope: Scope,
    /// Change nothing, say what would change.
    #[serde(default)]
    pub noop: bool,
    /// Enforce, whatever a node's own `noop` setting says. Not together with `noop`.
    #[serde(default)]
    pub no_noop: bool,
    /// The agent's `--debug`.
    #[serde(default)]
    pub debug: bool,
    /// The agent's `--trace`.
    #[serde(default)]
    pub trace: bool,
    /// The agent's `--evaltrace`.
    #[serde(default)]
    pub evaltrace: bool,
    /// Ours: why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Line>,
    /// Ours: how fast, how long, and when to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Ours: somebody has to agree first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalTerms>,
}

impl NewRun {
    /// A run on this scope with nothing else said.
    pub fn on(scope: Scope) -> Self {
        NewRun {
            kind: RunType::Run,
            environment: None,
            scope,
            noop: false,
            no_noop: false,
            debug: false,
            trace: false,
            evaltrace: false,
            description: None,
            limits: None,
            approval: None,
        }
    }
}

/// How fast, how long, and when to stop. The bridge's own limits hold, too; the tighter one counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// So many nodes at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<NonZeroU32>,
    /// No further node is started after so many have failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<NonZeroU32>,
    /// So many nodes first; the others only when these did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<NonZeroU32>,
    /// After the canaries, so many nodes at a time; the next batch starts when the one before has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<NonZeroU32>,
    /// The whole run is stopped after so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<NonZeroU32>,
}

/// A run as the API shows it. Fields that we do not know are ignored, as another server may have its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its identifier.
    pub id: RunId,
    /// What is to be done.
    #[serde(rename = "type", default)]
    pub kind: RunType,
    /// How far it is.
    pub state: State,
    /// The environment, when one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Where.
    pub scope: Scope,
    /// Change nothing, say what would change.
    #[serde(default)]
    pub noop: bool,
    /// Enforce, whatever a node's own `noop` setting says.
    #[serde(default)]
    pub no_noop: bool,
    /// The agent's `--debug`.
    #[serde(default)]
    pub debug: bool,
    /// The agent's `--trace`.
    #[serde(default)]
    pub trace: bool,
    /// The agent's `--evaltrace`.
    #[serde(default)]
    pub evaltrace: bool,
    /// Ours: why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Line>,
    /// Ours: how fast, how long, and when to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Ours: when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Ours: whether somebody agreed, when somebody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Ours: the run that waits for what this noop run finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_of: Option<RunId>,
}

impl Run {
    /// The run that a request makes.
    pub fn new(id: RunId, request: NewRun, now: Timestamp) -> Self {
        let NewRun { kind, environment, scope, noop, no_noop, debug, trace, evaltrace, description, limits, .. } =
            request;
        Run {
            id,
            kind,
            state: State::pending(now),
            environment,
            scope,
            noop,
            no_noop,
            debug,
            trace,
            evaltrace,
            description,
            limits,
            created_at: Some(now),
            approval: None,
            preview_of: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_requests_of_the_rfc_and_of_the_original_step() {
        let rfc = json!({"environment": "staging", "scope": {"nodes": ["node-a.example.com", "node-b.example.com"]},
            "noop": false, "debug": false, "trace": false, "evaltrace": false});
        let request: NewRun = serde_json::from_value(rfc).unwrap();
        assert_eq!(request.scope.nodes().unwrap().len(), 2);
        let step = json!({"type": "run", "environment": null, "scope": {"nodes": ["a"]}, "noop": true, "no_noop": false,
            "debug": false, "trace": false, "evaltrace": false});
        assert!(serde_json::from_value::<NewRun>(step).unwrap().noop);
    }

    #[test]
    fn a_mistyped_request_is_refused() {
        for bad in [
            json!({"scope": {"nodes": ["a"]}, "noOp": true}),
            json!({"scope": {"nodes": ["a"]}, "type": "task-run", "name": "x"}),
            json!({"scope": {"nodes": ["a"]}, "noop": "yes"}),
            json!({"scope": {"nodes": ["a"]}, "environment": ""}),
            json!({"scope": {"nodes": ["a"]}, "limits": {"parallelism": 0}}),
            json!({"noop": true}),
        ] {
            assert!(serde_json::from_value::<NewRun>(bad.clone()).is_err(), "{bad}");
        }
    }

    /// The original bridge cannot parse `null`, nor a field's name that is no Ruby identifier.
    #[test]
    fn nothing_that_breaks_the_original_bridge_is_sent() {
        fn check(value: &Value) {
            match value {
                Value::Null => panic!("a null"),
                Value::Array(items) => items.iter().for_each(check),
                Value::Object(fields) => {
                    for (name, value) in fields {
                        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
                        check(value);
                    }
                }
                Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let id: RunId = "8e659097-254a-4b27-bb93-88efea9a9f0e".parse().unwrap();
        let request: NewRun = serde_json::from_value(json!({"scope": {"nodes": ["a"]}})).unwrap();
        let run = Run::new(id, request, at("2020-09-30T14:55:00Z"));
        let sent = serde_json::to_value(&run).unwrap();
        check(&sent);
        assert_eq!(
            sent,
            json!({"id": "8e659097-254a-4b27-bb93-88efea9a9f0e", "type": "run",
                "state": {"status": "pending", "updated_at": "2020-09-30T14:55:00Z"},
                "scope": {"nodes": ["a"]}, "noop": false, "no_noop": false, "debug": false, "trace": false,
                "evaltrace": false, "created_at": "2020-09-30T14:55:00Z"})
        );
        assert_eq!(serde_json::from_value::<Run>(sent).unwrap(), run);
    }

    #[test]
    fn a_run_of_another_server_is_read() {
        let rfc = json!({"id": "8e659097-254a-4b27-bb93-88efea9a9f0e", "state": {"status": "pending"},
            "environment": "staging", "scope": {"nodes": ["node-a.example.com"]}, "something_new": {"a": null}});
        let run: Run = serde_json::from_value(rfc).unwrap();
        assert_eq!(run.state.updated_at, None);
    }
}

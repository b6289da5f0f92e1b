//! PuppetDB's reports: what really happened on a node. An exit code cannot tell a noop run that found something from one
//! that did not, and is lost with a connection.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::http::Method;
use serde::Deserialize;
use serde_json::json;

use super::changes;
use crate::relay::api::{Changes, JobId, Line, NodeName, NodeResult, NodeStatus, ReportHash, RunId};
use crate::relay::client::connection::Connection;

/// A report, as far as we need it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// By which PuppetDB knows it.
    pub hash: ReportHash,
    /// `changed`, `unchanged`, `failed`.
    pub status: String,
    /// Something was found that a noop run does not change.
    #[serde(default)]
    pub noop_pending: Option<bool>,
}

/// Where reports are found. A trait, so that one can be made up.
pub trait Reports: Send + Sync {
    /// The report of this run on this node, if it has come.
    fn find<'a>(&'a self, run: &'a RunId, node: &'a NodeName) -> BoxFuture<'a, Result<Option<Report>, String>>;
    /// What it says was changed, or would be; nothing where that cannot be found out.
    fn changes<'a>(&'a self, _report: &'a ReportHash) -> BoxFuture<'a, Result<Option<Changes>, String>> {
        Box::pin(async { Ok(None) })
    }
    /// Where people can look at it.
    fn url(&self, node: &NodeName, hash: &ReportHash) -> Option<JobId>;
}

/// PuppetDB over some connections, so that many nodes that end at once do not wait for each other.
pub struct PuppetDb {
    connections: Vec<Connection>,
    turn: AtomicUsize,
    url: Option<String>,
}

impl PuppetDb {
    /// Over connections like this one. In `url`, `{certname}` and `{hash}` are put in for people's links.
    pub fn new(connection: &Connection, url: Option<String>) -> Self {
        PuppetDb { connections: (0..4).map(|_| connection.another()).collect(), turn: AtomicUsize::new(0), url }
    }
}

impl PuppetDb {
    async fn get(&self, path: &str) -> Result<Bytes, String> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        let sent = self.connections[turn].send(Method::GET, path, None, Duration::ZERO, &[]).await;
        let answer = sent.map_err(|e| e.to_string())?;
        match answer.status.is_success() {
            true => Ok(answer.body),
            false => Err(format!("PuppetDB answers with {}", answer.status)),
        }
    }
}

impl Reports for PuppetDb {
    fn find<'a>(&'a self, run: &'a RunId, node: &'a NodeName) -> BoxFuture<'a, Result<Option<Report>, String>> {
        Box::pin(async move {
            let query = json!([
                "extract",
                ["hash", "status", "noop_pending"],
                ["and", ["=", "job_id", run.as_str()], ["=", "certname", node.as_str()]]
            ]);
            let path = format!("/pdb/query/v4/reports?query={}", encoded(&query.to_string()));
            let found: Vec<Report> = serde_json::from_slice(&self.get(&path).await?)
                .map_err(|e| format!("PuppetDB's answer is no list of reports: {e}"))?;
            Ok(found.into_iter().next())
        })
    }

    fn changes<'a>(&'a self, report: &'a ReportHash) -> BoxFuture<'a, Result<Option<Changes>, String>> {
        Box::pin(async move {
            let (query, order, limit) = changes::query(report);
            let (query, order) = (encoded(&query.to_string()), encoded(&order.to_string()));
            let path = format!("/pdb/query/v4/events?query={query}&order_by={order}&limit={limit}");
            let read = changes::read(&self.get(&path).await?);
            read.map(Some).map_err(|e| format!("PuppetDB's answer is no list of events: {e}"))
        })
    }

    fn url(&self, node: &NodeName, hash: &ReportHash) -> Option<JobId> {
        let filled = self.url.as_ref()?.replace("{certname}", node.as_str()).replace("{hash}", hash.as_str());
        filled.parse().ok()
    }
}

/// Percent-encoding of all but what needs none anywhere.
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Pauses while a report is on its way: PuppetDB takes it from a queue.
const PAUSES: [u64; 7] = [100, 200, 400, 800, 1_600, 3_200, 3_700];

/// Puts what the report says over what the exit code said. Without one, the code stands, and the message says so.
pub async fn enrich(mut result: NodeResult, run: &RunId, reports: &dyn Reports) -> NodeResult {
    if !expects_report(&result) {
        return result;
    }
    let mut why = "its report has not come to PuppetDB".to_owned();
    for pause in PAUSES {
        match reports.find(run, &result.certname).await {
            Ok(Some(report)) => return told(result, &report, reports).await,
            Ok(None) => tokio::time::sleep(Duration::from_millis(pause)).await,
            // Whoever does not answer now is not waited for: the run goes on, and the exit code is known.
            Err(e) => {
                why = format!("PuppetDB could not be asked for its report: {e}");
                break;
            }
        }
    }
    if result.message.is_none() {
        result.message = Some(Line::from(why));
    }
    result
}

/// What the report says of a node, and what was changed there, or would be. The run does not depend on the changes: where
/// they cannot be had, they are left out.
pub async fn told(result: NodeResult, report: &Report, reports: &dyn Reports) -> NodeResult {
    let mut result = with(result, report, reports);
    if result.status == NodeStatus::Unchanged {
        result.changes = Some(Changes::default());
        return result;
    }
    match reports.changes(&report.hash).await {
        Ok(changes) => result.changes = changes,
        Err(error) => tracing::warn!(node = %result.certname, error, "its changes are not known"),
    }
    result
}

fn with(mut result: NodeResult, report: &Report, reports: &dyn Reports) -> NodeResult {
    result.status = match report.status.as_str() {
        "failed" => NodeStatus::Failed,
        "changed" => NodeStatus::Changed,
        _ if report.noop_pending == Some(true) => NodeStatus::WouldChange,
        _ => NodeStatus::Unchanged,
    };
    if result.status.is_good() {
        result.error = None;
        result.message = None;
    } else if result.error.is_none() {
        result.error = Some(Line::from("resources"));
    }
    result.report_url = reports.url(&result.certname, &report.hash);
    result.report_hash = Some(report.hash.clone());
    result
}

/// A run that never began, such as a locked one, has no report.
fn expects_report(result: &NodeResult) -> bool {
    match result.exit_code {
        Some(0 | 2 | 4 | 6) => true,
        Some(1) => result.error.as_ref().is_some_and(|e| e.as_str() == "catalog"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::{Ended, result};
    use super::*;

    struct Made(Result<Option<Report>, String>);

    impl Reports for Made {
        fn find<'a>(&'a self, _: &'a RunId, _: &'a NodeName) -> BoxFuture<'a, Result<Option<Report>, String>> {
            Box::pin(async { self.0.clone() })
        }

        fn url(&self, node: &NodeName, hash: &ReportHash) -> Option<JobId> {
            format!("http://localhost:8088/report/{node}/{hash}").parse().ok()
        }
    }

    async fn after(code: i32, output: &str, made: Result<Option<Report>, String>) -> NodeResult {
        let node: NodeName = "web01".parse().unwrap();
        let run = "8e659097-254a-4b27-bb93-88efea9a9f0e".parse().unwrap();
        enrich(result(node, &Ended::Puppet { code, output: output.into() }), &run, &Made(made)).await
    }

    fn report(status: &str, noop_pending: bool) -> Result<Option<Report>, String> {
        Ok(Some(Report { hash: "ab12".parse().unwrap(), status: status.into(), noop_pending: Some(noop_pending) }))
    }

    #[tokio::test(start_paused = true)]
    async fn the_report_knows_better_than_the_code() {
        let pending = after(0, "", report("unchanged", true)).await;
        assert_eq!(pending.status, NodeStatus::WouldChange);
        assert_eq!(pending.report_url.unwrap().as_str(), "http://localhost:8088/report/web01/ab12");
        let failed = after(2, "", report("failed", false)).await;
        assert_eq!((failed.status, failed.error.unwrap().as_str()), (NodeStatus::Failed, "resources"));
        let catalog = after(1, "Error: Could not retrieve catalog from remote server", report("failed", false)).await;
        assert_eq!(catalog.error.unwrap().as_str(), "catalog");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_report_the_code_stands() {
        let down = after(2, "", Err("connection refused".into())).await;
        assert_eq!(down.status, NodeStatus::Changed);
        assert!(down.message.unwrap().as_str().contains("connection refused"));
        let late = after(0, "", Ok(None)).await;
        assert_eq!((late.status, late.report_hash), (NodeStatus::Unchanged, None));
        let locked = after(1, "already in progress", report("changed", false)).await;
        assert_eq!(locked.error.unwrap().as_str(), "locked");
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(encoded("[\"a b\"]"), "%5B%22a%20b%22%5D");
    }
}

//! `pupperware relay run`: asks for a run, and waits for its end if that is wanted.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::server::{failed, named};
use super::shown::{Whole, counts};
use crate::cli::relay::run::RunArgs;
use crate::error::{Error, Kind, Result};
use crate::execute::cancel::Cancel;
use crate::relay::api::{
    ApprovalStatus, ApprovalTerms, IdempotencyKey, Limits, Line, MAX_NODES, NewRun, NodeName, NodeResult, NodeStatus,
    Nodes, Outcome, Run, RunId, Scope, Status, heartbeat,
};
use crate::relay::client::relay::{CallError, Relay};
use crate::report::Report;
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::Table;

/// How often to look, while little happens on few nodes.
const LOOK: Duration = Duration::from_secs(1);

/// A server that does not answer is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(300);

/// Nodes of one page.
const PAGE: usize = 1_000;

/// The largest file of nodes that is read.
const LARGEST: u64 = 4 << 20;

#[derive(Debug, Serialize)]
struct Asked {
    id: RunId,
}

impl Tabular for Asked {
    fn table(&self) -> Table {
        let mut table = Table::new(["ID"]);
        table.row([self.id.as_str().into()]);
        table
    }
}

/// Asks, and waits.
pub(super) async fn run(args: &RunArgs, report: &Report) -> Result<u8> {
    let request = request(args)?;
    let relay = named(&args.server)?;
    if request.approval.is_some() {
        let known = relay.knows_approval().await;
        if !known.map_err(|e| failed("the run cannot be asked for", e))? {
            return Err(Error::refused(
                "this server does not know of approval, and would have the run carried out at once",
            ));
        }
    }
    let id = ask(&relay, &request, report).await?;
    if !args.wait {
        print_data(args.output, &Document::new(Asked { id }))?;
        return Ok(0);
    }
    report.note(format!("run {id}: asked for"));
    let cancel = Cancel::listen();
    let watcher = Watcher { relay: &relay, id: &id, args, report };
    let ended = tokio::select! {
        ended = watcher.watch() => ended?,
        () = cancel.requested() => {
            return Err(cancel.error().hint(format!(
                "the run goes on; `pupperware relay runs show {id}` tells how, `pupperware relay runs cancel {id}` stops it"
            )));
        }
    };
    let code = exit_code(&ended.run);
    print_data(args.output, &Document::new(&ended))?;
    if code != 0 && args.output == Output::Table {
        report.warn(why(&ended.run));
    }
    Ok(code)
}

impl Tabular for &Whole {
    fn table(&self) -> Table {
        (*self).table()
    }
}

/// What is asked for.
fn request(args: &RunArgs) -> Result<NewRun> {
    let nodes = nodes_of(args)?;
    let seconds = |time: Duration| u32::try_from(time.as_secs()).ok().and_then(std::num::NonZeroU32::new);
    let deadline_seconds = match args.deadline.map(seconds) {
        Some(None) => return Err(Error::usage("--deadline is not between a second and a century")),
        Some(some) => some,
        None => None,
    };
    let within_seconds = match args.approve_within.map(seconds) {
        Some(None) => return Err(Error::usage("--approve-within is not between a second and a century")),
        Some(some) => some,
        None => None,
    };
    let terms = ApprovalTerms { preview: args.preview, not_by_requester: args.not_by_requester, within_seconds };
    let limits = Limits {
        parallelism: args.parallelism,
        max_failures: args.max_failures,
        canary: args.canary,
        batch: args.batch,
        deadline_seconds,
    };
    let mut run = NewRun::on(Scope::Nodes(nodes));
    run.environment.clone_from(&args.environment);
    run.noop = args.noop;
    run.no_noop = args.no_noop;
    run.debug = args.debug;
    run.trace = args.trace;
    run.evaltrace = args.evaltrace;
    run.description = args.description.as_deref().map(Line::from);
    run.approval = args.needs_approval.then_some(terms);
    run.limits = (limits != Limits::default()).then_some(limits);
    Ok(run)
}

/// The nodes, from wherever they are given.
pub(super) fn nodes_of(args: &RunArgs) -> Result<Nodes> {
    let mut nodes = args.nodes.clone();
    if let Some(path) = &args.nodes_file {
        nodes.extend(listed(path)?);
    }
    Nodes::try_from(nodes)
        .map_err(|e| Error::usage("the nodes cannot be used").because(e).hint("give `--nodes` or `--nodes-file`"))
}

/// Nodes from a file: one a line, empty lines and lines with `#` are left out. All that is wrong is said at once.
fn listed(path: &Path) -> Result<Vec<NodeName>> {
    let unreadable =
        |e: std::io::Error| Error::usage(format!("cannot read the nodes in {}", path.display())).because(e);
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    let mut text = String::new();
    reader.take(LARGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > LARGEST {
        return Err(Error::usage(format!("{} has more than {LARGEST} bytes", path.display()))
            .hint(format!("a run has at most {MAX_NODES} nodes")));
    }
    let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (mut nodes, mut wrong) = (Vec::new(), Vec::new());
    for (number, line) in lines {
        match line.parse() {
            Ok(node) => nodes.push(node),
            Err(e) => wrong.push(format!("line {number}: {e}")),
        }
    }
    if wrong.is_empty() {
        return Ok(nodes);
    }
    let count = wrong.len();
    wrong.truncate(10);
    if count > wrong.len() {
        wrong.push(format!("and {} more", count - wrong.len()));
    }
    Err(Error::usage(format!("{} names what is no node", path.display())).details(wrong))
}

/// Asks for the run. A server in trouble is asked again, with the same key: it is one run, whatever was lost.
async fn ask(relay: &Relay, request: &NewRun, report: &Report) -> Result<RunId> {
    let mut bytes = [0; 16];
    let random = |e: getrandom::Error| Error::failed("this machine gives no random numbers").because(e);
    getrandom::fill(&mut bytes).map_err(random)?;
    let key: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let key: IdempotencyKey = key.parse().map_err(|e| Error::failed("no key for the request").because(e))?;
    let mut pause = Duration::from_secs(1);
    loop {
        match relay.create(request, &key).await {
            Ok(id) => return Ok(id),
            // Who cannot be reached at first is most likely somebody else; the user should hear of it.
            Err(CallError::Trouble { retry_after, message }) if pause < Duration::from_secs(60) => {
                report.warn(format!("{message}; asking again"));
                tokio::time::sleep(retry_after.map_or(pause, |asked| asked.clamp(pause, PATIENCE))).await;
                pause *= 2;
            }
            Err(e) => return Err(failed("the run cannot be asked for", e)),
        }
    }
}

/// Follows one run.
struct Watcher<'a> {
    relay: &'a Relay,
    id: &'a RunId,
    args: &'a RunArgs,
    report: &'a Report,
}

impl Watcher<'_> {
    /// Until it has ended, or there is no hope that it will.
    async fn watch(&self) -> Result<Whole> {
        let begun = Instant::now();
        let mut answered = Instant::now();
        let mut seen: BTreeMap<NodeName, NodeStatus> = BTreeMap::new();
        let mut told = String::new();
        let mut pause = LOOK;
        loop {
            match self.relay.run(self.id).await {
                Ok((run, date)) => {
                    answered = Instant::now();
                    pause = if run.scope.nodes().map_or(0, <[NodeName]>::len) > 500 { LOOK * 3 } else { LOOK };
                    let news = headline(&run);
                    if news != told {
                        let nodes = self.nodes(&run).await?;
                        self.tell(&nodes, &mut seen);
                        self.report.note(format!("run {}: {news}", self.id));
                        told = news;
                        if run.state.status == Status::Complete {
                            return Ok(Whole { run, nodes });
                        }
                    }
                    self.alive(&run, date)?;
                }
                Err(CallError::NotSent(why) | CallError::Trouble { message: why, .. }) => {
                    if answered.elapsed() > PATIENCE {
                        let seconds = PATIENCE.as_secs();
                        return Err(Error::new(
                            Kind::TimedOut,
                            format!("the server did not answer for {seconds} seconds"),
                        )
                        .because(anyhow::anyhow!(why))
                        .hint(self.hint()));
                    }
                    pause = (pause * 2).min(Duration::from_secs(15));
                }
                Err(e) => return Err(failed(&format!("run {} cannot be followed", self.id), e)),
            }
            if self.args.timeout.is_some_and(|most| begun.elapsed() >= most) {
                return Err(
                    Error::new(Kind::TimedOut, format!("run {} has not ended in time", self.id)).hint(self.hint())
                );
            }
            let left = self.args.timeout.map_or(pause, |most| most.saturating_sub(begun.elapsed()).min(pause));
            tokio::time::sleep(left).await;
        }
    }

    fn hint(&self) -> String {
        format!("the run may go on; `pupperware relay runs show {}` tells", self.id)
    }

    /// Fails when its bridge has missed too many signs of life. By the server's clock, as far as it tells.
    fn alive(&self, run: &Run, date: Option<Timestamp>) -> Result<()> {
        let (Some(updated), Some(next)) = (run.state.updated_at, run.state.next_update_before) else { return Ok(()) };
        let missed = heartbeat::missed(updated, next, date.unwrap_or_else(Timestamp::now));
        if run.state.status != Status::InProgress || missed <= self.args.timeout_after_missed_heartbeats {
            return Ok(());
        }
        Err(Error::new(Kind::TimedOut, format!("the bridge of run {} has missed {missed} signs of life", self.id))
            .hint("look at the bridge; when it comes back it reports how the run ended"))
    }

    /// All nodes that the server knows of; none where it knows of runs only.
    async fn nodes(&self, run: &Run) -> Result<Vec<NodeResult>> {
        all_nodes(self.relay, run).await
    }

    /// A line for each node that has ended since we looked last.
    fn tell(&self, nodes: &[NodeResult], seen: &mut BTreeMap<NodeName, NodeStatus>) {
        for node in nodes {
            let before = seen.insert(node.certname.clone(), node.status);
            if before == Some(node.status) || matches!(node.status, NodeStatus::Pending | NodeStatus::Skipped) {
                continue;
            }
            let why = node.message.as_ref().map(|m| format!(" ({m})")).unwrap_or_default();
            self.report.note(format!("{}: {}{why}", node.certname, node.status.as_str().replace('_', " ")));
        }
    }
}

/// All nodes of a run that the server knows of; none where it knows of runs only.
///
/// # Errors
/// The server cannot be asked.
pub(super) async fn all_nodes(relay: &Relay, run: &Run) -> Result<Vec<NodeResult>> {
    let mut nodes = Vec::new();
    loop {
        match relay.nodes(&run.id, nodes.len(), PAGE).await {
            Ok(page) => {
                let last = page.nodes.is_empty() || nodes.len() + page.nodes.len() >= page.total;
                nodes.extend(page.nodes);
                if last {
                    return Ok(nodes);
                }
            }
            Err(CallError::NotFound | CallError::Refused { .. }) => return Ok(nodes),
            // The run itself could be had; its nodes come with the next look.
            Err(CallError::Trouble { .. } | CallError::NotSent(_)) if run.state.status != Status::Complete => {
                return Ok(nodes);
            }
            Err(e) => return Err(failed(&format!("the nodes of run {} cannot be had", run.id), e)),
        }
    }
}

/// How far a run is, for people; when it changes, something has happened.
fn headline(run: &Run) -> String {
    let counted = run.state.progress.as_ref().map(|p| format!("; {}", counts(p))).unwrap_or_default();
    match run.state.status {
        Status::Complete => format!("{}{counted}", run.state.outcome.as_ref().unwrap_or(&Outcome::Finished)),
        Status::InProgress => format!("under way{counted}"),
        Status::Pending if undecided(run) == Some(ApprovalStatus::Previewing) => "its noop run is under way".into(),
        Status::Pending if undecided(run) == Some(ApprovalStatus::Waiting) => {
            format!("waiting for approval: `pupperware relay approve {}`", run.id)
        }
        Status::Pending if run.state.accepted_at.is_some() => "accepted by a bridge".into(),
        Status::Pending => "waiting for a bridge".into(),
    }
}

/// What somebody has to decide about it, if anything.
fn undecided(run: &Run) -> Option<ApprovalStatus> {
    run.approval.as_ref().map(|approval| approval.status)
}

/// What a run's end is to the process that asked for it; `docs/reference/exit-codes.md` has the table.
fn exit_code(run: &Run) -> u8 {
    let kind = match run.state.outcome.as_ref() {
        None => return 0,
        Some(outcome) if outcome.is_good() && drifted(run) > 0 => Kind::Differs,
        Some(outcome) if outcome.is_good() => return 0,
        Some(Outcome::Expired | Outcome::Lost) => Kind::TimedOut,
        Some(Outcome::Error | Outcome::Denied) => Kind::Refused,
        Some(_) => Kind::Failed,
    };
    kind.exit_code()
}

/// On how many nodes something else happened than was approved.
fn drifted(run: &Run) -> u32 {
    run.approval.as_ref().and_then(|approval| approval.drifted).unwrap_or(0)
}

/// Why it did not end well.
fn why(run: &Run) -> String {
    let said = run.state.run_results.as_ref().and_then(|r| r.get("result")?.get("msg")?.as_str().map(Line::from));
    let said = said.map(|text| format!(": {text}")).unwrap_or_default();
    match run.state.outcome.as_ref() {
        Some(Outcome::Denied) => format!("nobody agreed to the run{said}"),
        Some(Outcome::Expired) if run.approval.is_some() && run.state.run_results.is_some() => {
            format!("the run has ended{said}")
        }
        Some(Outcome::Expired) => format!("no bridge took the run{said}; is one there, and does its token fit?"),
        Some(Outcome::Lost) => format!("the bridge was not heard of any more{said}"),
        Some(Outcome::Error) => format!("the bridge did not start the run{said}"),
        Some(Outcome::Cancelled) => format!("the run was cancelled{said}"),
        Some(outcome) if outcome.is_good() => format!(
            "on {} nodes something else happened than was approved; `pupperware relay runs changes {}` tells what",
            drifted(run),
            run.id
        ),
        _ => format!("the run did not go well on every node{said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(outcome: &str) -> Run {
        let text = format!(
            r#"{{"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{{"status":"complete","outcome":"{outcome}",
                "run_results":{{"result":{{"msg":"noop only"}}}}}},"scope":{{"nodes":["a"]}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_outcome_has_its_code() {
        let cases = [
            ("finished", 0),
            ("success", 0),
            ("failed", 1),
            ("failure", 1),
            ("cancelled", 1),
            ("error", 6),
            ("expired", 5),
            ("lost", 5),
            ("denied", 6),
        ];
        for (outcome, code) in cases {
            assert_eq!(exit_code(&run(outcome)), code, "{outcome}");
        }
        assert!(why(&run("error")).ends_with("noop only"));
        let mut drifted = run("finished");
        drifted.approval = serde_json::from_str(r#"{"status":"approved","left_out":0,"drifted":2}"#).unwrap();
        assert_eq!(exit_code(&drifted), 3);
        assert!(why(&drifted).contains("2 nodes"), "{}", why(&drifted));
    }

    #[test]
    fn a_file_of_nodes_is_read_and_everything_wrong_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes");
        std::fs::write(&path, "# mine\nweb01\n\n  web02  \n").unwrap();
        assert_eq!(listed(&path).unwrap().len(), 2);
        std::fs::write(&path, "web01\n-oProxyCommand=x\na b\n").unwrap();
        let error = listed(&path).unwrap_err();
        assert_eq!(error.details.len(), 2);
        assert!(error.details[0].contains("line 2"));
        std::fs::write(&path, "x".repeat(5 << 20)).unwrap();
        assert!(listed(&path).unwrap_err().to_string().contains("bytes"));
    }
}

//! `pupperware relay runs changes`: what a run changed, would change, or changed otherwise than approved.

use serde::Serialize;

use super::run::all_nodes;
use super::server::{failed, named};
use crate::cli::relay::runs::ChangesArgs;
use crate::error::Result;
use crate::relay::api::{Change, ChangeStatus, Changes, NodeComparison, NodeName, Run, RunId, Status, Verdict};
use crate::relay::client::relay::{CallError, Relay};
use crate::report::output::{Document, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};

/// Nodes of one page.
const PAGE: usize = 1_000;

/// Shows them.
pub(super) async fn run(args: &ChangesArgs) -> Result<()> {
    let relay = named(&args.server)?;
    let cannot = |e: CallError| failed(&format!("the changes of run {} cannot be shown", args.id), e);
    let (run, _) = relay.run(&args.id).await.map_err(cannot)?;
    let preview = run.approval.as_ref().and_then(|approval| approval.preview.clone());
    match preview {
        None => print_data(args.output, &Document::new(of(&relay, &run).await?)),
        Some(_) if run.state.status == Status::Complete && run.state.accepted_at.is_some() => {
            print_data(args.output, &Document::new(compared(&relay, &run).await.map_err(cannot)?))
        }
        Some(preview) => {
            let (noop, _) = relay.run(&preview).await.map_err(cannot)?;
            print_data(args.output, &Document::new(of(&relay, &noop).await?))
        }
    }
}

/// What changed on the nodes of a run, or would.
#[derive(Debug, Serialize)]
struct Listed {
    run: RunId,
    nodes: Vec<Node>,
}

#[derive(Debug, Serialize)]
struct Node {
    certname: NodeName,
    /// None where the bridge does not tell of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Changes>,
}

async fn of(relay: &Relay, run: &Run) -> Result<Listed> {
    let nodes = all_nodes(relay, run).await?.into_iter();
    let nodes = nodes.map(|node| Node { certname: node.certname, changes: node.changes }).collect();
    Ok(Listed { run: run.id.clone(), nodes })
}

impl Tabular for Listed {
    fn table(&self) -> Table {
        let mut table = Table::new(["NODE", "RESOURCE", "PROPERTY", "FROM", "TO", "STATE"]);
        for node in &self.nodes {
            let Some(changes) = &node.changes else {
                table.row([
                    node.certname.as_str().into(),
                    "not known".into(),
                    "".into(),
                    "".into(),
                    "".into(),
                    "".into(),
                ]);
                continue;
            };
            changes.first.iter().for_each(|change| table.row(row(&node.certname, change, state(change))));
            if !changes.is_whole() {
                let more = format!("and {} more", changes.total as usize - changes.first.len());
                table.row([node.certname.as_str().into(), more.into(), "".into(), "".into(), "".into(), "".into()]);
            }
        }
        table
    }
}

/// What was approved against what happened.
#[derive(Debug, Serialize)]
struct Compared {
    run: RunId,
    preview: RunId,
    drifted: u32,
    nodes: Vec<NodeComparison>,
}

async fn compared(relay: &Relay, run: &Run) -> Result<Compared, CallError> {
    let mut nodes = Vec::new();
    loop {
        let page = relay.comparison(&run.id, nodes.len(), PAGE).await?;
        let last = page.nodes.is_empty();
        nodes.extend(page.nodes);
        if last || nodes.len() >= page.total {
            return Ok(Compared { run: run.id.clone(), preview: page.preview, drifted: page.drifted, nodes });
        }
    }
}

impl Tabular for Compared {
    fn table(&self) -> Table {
        let mut table = Table::new(["NODE", "RESOURCE", "PROPERTY", "FROM", "TO", "STATE"]);
        for node in &self.nodes {
            let tone = if node.verdict == Verdict::AsApproved { Tone::Good } else { Tone::Bad };
            let verdict = Cell::toned(node.verdict.as_str().replace('_', " "), tone);
            table.row([node.certname.as_str().into(), "".into(), "".into(), "".into(), "".into(), verdict]);
            for change in &node.unapproved {
                table.row(row(&node.certname, change, Cell::toned("not approved", Tone::Bad)));
            }
            for change in &node.missing {
                table.row(row(&node.certname, change, Cell::toned("did not happen", Tone::Warn)));
            }
        }
        table
    }
}

fn row(node: &NodeName, change: &Change, state: Cell) -> [Cell; 6] {
    let text = |line: &Option<crate::relay::api::Line>| line.as_ref().map(ToString::to_string).unwrap_or_default();
    [
        node.as_str().into(),
        change.resource.as_str().into(),
        text(&change.property).into(),
        text(&change.from).into(),
        text(&change.to).into(),
        state,
    ]
}

fn state(change: &Change) -> Cell {
    match change.status {
        ChangeStatus::Pending => Cell::toned("would change", Tone::Warn),
        ChangeStatus::Done => Cell::toned("changed", Tone::Good),
        ChangeStatus::Failed => Cell::toned("failed", Tone::Bad),
    }
}

//! `pupperware relay approve` and `deny`.

use super::server::{failed, named};
use crate::cli::relay::decide::DecisionArgs;
use crate::error::Result;
use crate::relay::api::Line;
use crate::report::Report;

/// Approves, or denies.
pub(super) async fn run(args: &DecisionArgs, approve: bool, report: &Report) -> Result<u8> {
    let reason = args.reason.as_deref().map(Line::from);
    let decided = named(&args.server)?.decide(&args.id, approve, reason).await;
    let word = if approve { "approved" } else { "denied" };
    let run = decided.map_err(|e| failed(&format!("run {} is not {word}", args.id), e))?;
    let nodes = run.scope.nodes().map_or_else(String::new, |nodes| match nodes.len() {
        1 => "; it has 1 node".to_owned(),
        count => format!("; it has {count} nodes"),
    });
    report.note(format!("run {} is {word}{}", run.id, if approve { nodes } else { String::new() }));
    Ok(0)
}

//! `pupperware relay runs`: looks at runs, and stops one.

use super::changes;
use super::run::all_nodes;
use super::server::{failed, named};
use super::shown::{Several, Whole};
use crate::cli::relay::runs::{RunsArgs, RunsCommand};
use crate::error::Result;
use crate::report::Report;
use crate::report::output::{Document, print_data};

/// Looks, or stops.
pub(super) async fn run(args: &RunsArgs, report: &Report) -> Result<u8> {
    match &args.command {
        RunsCommand::List(args) => {
            let listed = named(&args.server)?.runs(args.all).await;
            let (runs, unreadable) = listed.map_err(|e| failed("the runs cannot be listed", e))?;
            for why in unreadable {
                report.warn(format!("a run of the list cannot be read: {why}"));
            }
            print_data(args.output, &Document::new(Several { runs }))?;
        }
        RunsCommand::Show(args) => {
            let relay = named(&args.server)?;
            let found = relay.run(&args.id).await;
            let (run, _) = found.map_err(|e| failed(&format!("run {} cannot be shown", args.id), e))?;
            let nodes = all_nodes(&relay, &run).await?;
            print_data(args.output, &Document::new(Whole { run, nodes }))?;
        }
        RunsCommand::Changes(args) => changes::run(args).await?,
        RunsCommand::Cancel(args) => {
            let cancelled = named(&args.server)?.cancel(&args.id).await;
            cancelled.map_err(|e| failed(&format!("run {} cannot be stopped", args.id), e))?;
            report.note(format!(
                "run {} is asked to stop; `pupperware relay runs show {}` tells how it ends",
                args.id, args.id
            ));
        }
    }
    Ok(0)
}

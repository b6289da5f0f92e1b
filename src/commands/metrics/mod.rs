//! `pupperware metrics`: the platform's figures in Prometheus' text format, once or over HTTP.

mod endpoint;
mod gather;

use super::context::{Context, Extra};
use crate::cli::global::GlobalArgs;
use crate::cli::observe::MetricsArgs;
use crate::error::Result;
use crate::report::{Report, terminal};
use gather::Source;

/// Prints them once; with `--listen`, answers with them until the user interrupts.
pub(super) async fn run(global: &GlobalArgs, args: &MetricsArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let source = Source { engine: context.engine()?, project: context.project().to_owned() };
    match args.listen {
        Some(address) => endpoint::serve(source, address, report).await?,
        None => terminal::out(&source.gather().await?.text())?,
    }
    Ok(0)
}

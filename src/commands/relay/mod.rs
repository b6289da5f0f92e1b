//! `pupperware relay`: what each subcommand means, one file a subcommand.

mod bridge;
mod changes;
mod decide;
mod link;
mod own;
mod platform;
mod run;
mod runs;
mod serve;
mod server;
mod shown;
mod token;

use crate::cli::global::GlobalArgs;
use crate::cli::relay::{RelayArgs, RelayCommand};
use crate::error::Result;
use crate::report::Report;

/// Carries out the subcommand.
pub(super) async fn run(global: &GlobalArgs, args: &RelayArgs, report: &Report) -> Result<u8> {
    if let Some(words) = platform::words(args)? {
        return platform::run(global, words, report).await;
    }
    match &args.command {
        RelayCommand::Run(args) => run::run(args, report).await,
        RelayCommand::Runs(args) => runs::run(args, report).await,
        RelayCommand::Approve(args) => decide::run(&args.decision, true, report).await,
        RelayCommand::Deny(args) => decide::run(&args.decision, false, report).await,
        RelayCommand::Link(args) => link::run(args, report).await,
        RelayCommand::Bridge(args) => bridge::run(args, report).await,
        RelayCommand::Serve(args) => serve::run(args, report).await,
        RelayCommand::Token(args) => token::run(&args.command, report).await,
    }
}

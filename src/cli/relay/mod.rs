//! `pupperware relay`: one file a subcommand.

pub mod bridge;
pub mod decide;
pub mod link;
pub mod run;
pub mod runs;
pub mod serve;
pub mod server;
pub mod token;

use clap::{Args, Subcommand};

/// Run Puppet on request, by the Relay API.
///
/// Somebody asks for a run, a bridge beside the nodes takes it, carries it out, and says how it went. Requests and their
/// state are kept by a server of this API.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay run --nodes web01 --noop --wait   what would change\n  \
    pupperware relay bridge                            carry runs out\n  \
    pupperware relay serve                             keep requests")]
pub struct RelayArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RelayCommand,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum RelayCommand {
    Run(Box<run::RunArgs>),
    Runs(runs::RunsArgs),
    Approve(decide::ApproveArgs),
    Deny(decide::DenyArgs),
    Bridge(bridge::BridgeArgs),
    Serve(serve::ServeArgs),
    Token(token::TokenArgs),
    Link(link::LinkArgs),
}

//! `pupperware relay runs`.

use clap::{Args, Subcommand};

use super::server::ServerArgs;
use crate::relay::api::RunId;
use crate::report::output::Output;

/// Look at runs, or stop one.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay runs list        what waits or runs\n  \
    pupperware relay runs show ID     one run, node by node\n  \
    pupperware relay runs changes ID  what changed, or would\n  \
    pupperware relay runs cancel ID   start nothing more, stop what runs")]
pub struct RunsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: RunsCommand,
}

/// What to do with runs.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum RunsCommand {
    List(ListArgs),
    Show(ShowArgs),
    Changes(ChangesArgs),
    Cancel(CancelArgs),
}

/// List the runs that wait or are under way.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware relay runs list -o json")]
pub struct ListArgs {
    /// Those that have ended, too, the newest first.
    #[arg(long)]
    pub all: bool,
    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Show one run, node by node.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware relay runs show 8e659097-254a-4b27-bb93-88efea9a9f0e")]
pub struct ShowArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub id: RunId,
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Show what a run changed on its nodes, or would change.
///
/// Of a run that waits for approval, what its noop run found. Of one that was approved so and has ended, what was
/// approved against what happened.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware relay runs changes 8e659097-254a-4b27-bb93-88efea9a9f0e")]
pub struct ChangesArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub id: RunId,
    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Ask that a run be stopped.
///
/// Nodes that were not started are left out; where Puppet runs, the bridge lets go of it.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware relay runs cancel 8e659097-254a-4b27-bb93-88efea9a9f0e")]
pub struct CancelArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub id: RunId,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

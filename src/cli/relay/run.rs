//! `pupperware relay run`.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::server::ServerArgs;
use crate::cli::time::parse_duration;
use crate::relay::api::{Environment, NodeName};
use crate::report::output::Output;

/// Ask for a Puppet run.
///
/// Without `--wait` it is asked for, and that is all. With it, the exit code is 0 when the run finished, 1 when a node
/// failed or the run was cancelled, 3 when something else happened than was approved, 5 when its bridge was not heard of
/// any more or a deadline passed, and 6 when the bridge refused it or somebody denied it.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay run --nodes web01,web02 --noop --wait   what would change\n  \
    pupperware relay run --nodes-file nodes --canary 2       two first\n  \
    pupperware relay run --nodes web01 --wait -o json        for programs\n  \
    pupperware relay run --nodes-file nodes --needs-approval --preview --wait")]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of Puppet")]
pub struct RunArgs {
    /// The nodes, by certname.
    #[arg(long, value_name = "NODE", value_delimiter = ',', required_unless_present = "nodes_file")]
    pub nodes: Vec<NodeName>,
    /// A file with one node a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub nodes_file: Option<PathBuf>,
    /// Run in this environment [default: each node's own].
    #[arg(long, value_name = "NAME")]
    pub environment: Option<Environment>,
    /// Change nothing; report what would change.
    #[arg(long, conflicts_with = "no_noop")]
    pub noop: bool,
    /// Enforce, whatever a node's own setting says.
    #[arg(long)]
    pub no_noop: bool,
    /// The agents' --debug.
    #[arg(long)]
    pub debug: bool,
    /// The agents' --trace.
    #[arg(long)]
    pub trace: bool,
    /// The agents' --evaltrace.
    #[arg(long)]
    pub evaltrace: bool,
    /// Why; shown to whoever looks at the run.
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// So many nodes at once.
    #[arg(long, value_name = "N")]
    pub parallelism: Option<NonZeroU32>,
    /// Start no further node after so many failures.
    #[arg(long, value_name = "N")]
    pub max_failures: Option<NonZeroU32>,
    /// So many nodes first; the others only if these do not fail.
    #[arg(long, value_name = "N")]
    pub canary: Option<NonZeroU32>,
    /// So many nodes at a time; the next ones when these have ended.
    #[arg(long, value_name = "N")]
    pub batch: Option<NonZeroU32>,
    /// Stop the run after this time.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub deadline: Option<Duration>,
    /// Let nobody take it before somebody has agreed (`relay approve`).
    #[arg(long)]
    pub needs_approval: bool,
    /// A noop run first; what it finds is what is approved.
    #[arg(long, requires = "needs_approval", conflicts_with = "noop")]
    pub preview: bool,
    /// Who asks with this token may not agree.
    #[arg(long, requires = "needs_approval")]
    pub not_by_requester: bool,
    /// Time to decide, from when there is something [default: a day].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "needs_approval")]
    pub approve_within: Option<Duration>,
    /// Wait until it has ended, and show how it goes.
    #[arg(long)]
    pub wait: bool,
    /// Give up when more signs of life than this were missed.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "wait")]
    pub timeout_after_missed_heartbeats: u64,
    /// Give up waiting after this time; the run goes on [default: wait as long as it lives].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "wait")]
    pub timeout: Option<Duration>,
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

//! `pupperware agent`.

use clap::{Args, Subcommand};

use crate::report::output::Output;

/// Work with the platform's own agents.
///
/// These are the agent containers that the platform runs itself, not the nodes of your estate.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware agent run          run Puppet on every agent\n  \
    pupperware agent run --noop   only say what would change")]
pub struct AgentArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: AgentCommand,
}

/// What to do with agents.
#[derive(Debug, Clone, Subcommand)]
pub enum AgentCommand {
    #[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
    Run(AgentRunArgs),
}

/// Run Puppet on agents, once.
///
/// The exit code follows Puppet's detailed ones, of all runs together: 0 nothing changed, 2 something changed, 4
/// something failed, 6 both; and 1 when an agent applied no catalog.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware agent run                             every agent\n  \
    pupperware agent run pupperware-agent-1 --noop   one, without changes\n  \
    pupperware agent run --environment dev -o json   for programs")]
pub struct AgentRunArgs {
    /// The agents, by certname [default: all].
    #[arg(value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Change nothing; report what would change.
    #[arg(long)]
    pub noop: bool,
    /// Run in this environment.
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// Apply only resources with these tags.
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// How to print the results.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

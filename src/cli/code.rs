//! `pupperware code`.

use clap::{Args, Subcommand};

use super::change::ChangeArgs;
use crate::report::output::Output;

/// Deploy and check Puppet code.
///
/// With `code.control_repo` in pupperware.yaml, each branch of that git repository is an environment, and r10k
/// installs what its Puppetfile asks for. `up` deploys once; afterwards code changes when it is deployed.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code deploy              every branch\n  \
    pupperware code status              which commit is served where\n  \
    pupperware code check --node web01  whether that node's catalog compiles")]
pub struct CodeArgs {
    /// What to do with code.
    #[command(subcommand)]
    pub command: CodeCommand,
}

/// What to do with code.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum CodeCommand {
    Deploy(CodeDeployArgs),
    Status(CodeStatusArgs),
    Check(CodeCheckArgs),
    Undo(CodeUndoArgs),
}

/// Deploy environments from the control repository.
///
/// The code is fetched and checked beside what is served, and then served at once; agents never see a part of it.
/// When anything fails, what was served before still is.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code deploy              every branch\n  \
    pupperware code deploy production   this one, and leave the others as they are\n  \
    pupperware code deploy --dry-run    say what would be done")]
pub struct CodeDeployArgs {
    /// The environments, that is branches [default: all].
    #[arg(value_name = "ENVIRONMENT")]
    pub environments: Vec<String>,
    /// How to do it.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Show which commit is served in which environment.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code status\n  \
    pupperware code status -o json   for programs")]
pub struct CodeStatusArgs {
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Check the code that is served: manifests, YAML, a node's catalog.
///
/// Every manifest must parse, and every Hiera file must be YAML that gives no key twice. With --node, the server
/// compiles that node's catalog with the facts that PuppetDB has; nothing is applied or kept.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware code check              everything that is served\n  \
    pupperware code check production   one environment\n  \
    pupperware code check dev --node web01.example.com")]
pub struct CodeCheckArgs {
    /// The environments [default: all; with --node, that node's catalog in production].
    #[arg(value_name = "ENVIRONMENT")]
    pub environments: Vec<String>,
    /// Compile this node's catalog, too.
    #[arg(long, value_name = "CERTNAME")]
    pub node: Option<String>,
    /// How to do it.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Serve the deployment before the one that is served.
///
/// Done twice, it serves the newer one again.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware code undo")]
pub struct CodeUndoArgs {
    /// How to do it.
    #[command(flatten)]
    pub change: ChangeArgs,
}

//! `pupperware secrets`.

use clap::{Args, Subcommand};

use super::change::ChangeArgs;
use crate::report::output::Output;

/// Show and rotate the platform's secrets.
///
/// Secrets are made inside the engine and stay there: no command shows their values.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware secrets list     which there are, how old they are, who has a copy\n  \
    pupperware secrets rotate   a new database password")]
pub struct SecretsArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: SecretsCommand,
}

/// What to do with secrets.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum SecretsCommand {
    List(SecretsListArgs),
    Rotate(SecretsRotateArgs),
}

/// List secrets: their age, and who has a copy. Never their values.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware secrets list           a table\n  \
    pupperware secrets list -o json   for programs")]
pub struct SecretsListArgs {
    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Give a secret a new value.
///
/// The database password: PostgreSQL is told while it runs, PuppetDB restarts, and the platform is proved with the new
/// one; the old one is refused from then on. While PuppetDB restarts, catalogs fail; agents that run then try again
/// later. A rotation that was interrupted is finished by doing it again, or by `up`.
///
/// eyaml: another key pair for Hiera's encrypted values. The old ones stay, so that nothing becomes unreadable; `code
/// eyaml reencrypt` takes a control repository over to the new one. Nothing restarts.
///
/// relay-bridge-token, relay-operator-token, relay-trigger-token: tokens of the platform's own Relay server, which restarts
/// and lets nobody in with the old one. The bridge and Puppet's servers use the new one without a restart. Tokens that
/// you made are rotated with `relay token rotate`.
///
/// tokens: one-time tokens of `ca token` that were not used yet are worth nothing any more. Nothing restarts.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware secrets rotate                       the database password\n  \
    pupperware secrets rotate puppetdb-password     the same, by its name\n  \
    pupperware secrets rotate eyaml                 one more key pair\n  \
    pupperware secrets rotate relay-bridge-token    the bridge's token\n  \
    pupperware secrets rotate tokens                void unused tokens\n  \
    pupperware secrets rotate --dry-run             what would be done")]
pub struct SecretsRotateArgs {
    /// The secret, as `secrets list` names it, or tokens [default: the database password].
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

//! `pupperware relay token`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::relay::api::{ConnectionName, TokenId, TokenName, TokenScope};
use crate::report::output::Output;

/// Make, list, replace and revoke tokens of a Relay server.
///
/// A token belongs to a connection: who asks for runs and who carries them out use tokens of the same one. The server
/// keeps only a hash, so a token is shown once, when it is made. The server must run: the platform's, or one that
/// `--state-dir` names, which is spoken to by a socket in its folder, which only its own user can open.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay token create ci --scope run > ci-token\n  \
    pupperware relay token create bridge --scope bridge --state-dir /var/lib/relay\n  \
    pupperware relay token list\n  \
    pupperware relay token revoke 1f2e3d4c")]
pub struct TokenArgs {
    /// What to do with tokens.
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What to do with tokens.
#[derive(Debug, Clone, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the help text that the arguments carry")]
pub enum TokenCommand {
    Create(TokenCreateArgs),
    List(TokenListArgs),
    Rotate(TokenRotateArgs),
    Revoke(TokenRevokeArgs),
}

/// Which server.
#[derive(Debug, Clone, Args)]
pub struct StateDir {
    /// The folder of the server that runs [default: the platform's server].
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// Make a token, and print it.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "pupperware relay token create --scope <SCOPE> [OPTIONS] <NAME>")]
#[command(after_long_help = "Examples:\n  pupperware relay token create ci --scope run > ci-token")]
pub struct TokenCreateArgs {
    /// What it is called; a name has one token, or two while one replaces the other.
    #[arg(value_name = "NAME")]
    pub name: TokenName,
    /// What it is good for; can be given more than once.
    #[arg(long = "scope", value_name = "SCOPE", value_enum, required = true)]
    pub scopes: Vec<TokenScope>,
    /// The connection that it belongs to.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub connection: ConnectionName,
    /// Which server.
    #[command(flatten)]
    pub server: StateDir,
}

/// List tokens: what they are good for, and when they were used.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware relay token list -o json")]
pub struct TokenListArgs {
    /// Those that have ended, too.
    #[arg(long)]
    pub all: bool,
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
    /// Which server.
    #[command(flatten)]
    pub server: StateDir,
}

/// Make a token that replaces one, and print it.
///
/// The old one goes on for 24 hours.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware relay token rotate 1f2e3d4c")]
pub struct TokenRotateArgs {
    /// The token's identifier, from `list`.
    #[arg(value_name = "ID")]
    pub id: TokenId,
    /// Which server.
    #[command(flatten)]
    pub server: StateDir,
}

/// End a token now.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  pupperware relay token revoke 1f2e3d4c")]
pub struct TokenRevokeArgs {
    /// The token's identifier, from `list`.
    #[arg(value_name = "ID")]
    pub id: TokenId,
    /// Which server.
    #[command(flatten)]
    pub server: StateDir,
}

//! `pupperware relay link`.

use std::time::Duration;

use clap::Args;

use super::token::StateDir;
use crate::cli::time::parse_duration;
use crate::relay::api::{ConnectionName, RunId};

/// Make a link that signs somebody in to the web page, once.
///
/// Whoever follows it can look at runs, and approve or deny them; the decision is theirs by name. With `--run`, they see
/// that run and no other. The server must run; it is spoken to by a socket in its folder.
#[derive(Debug, Clone, Args)]
#[command(override_usage = "pupperware relay link [OPTIONS] <NAME>")]
#[command(after_long_help = "Examples:\n  \
    pupperware relay link kim\n  \
    pupperware relay link kim --lasts 8h \\\n  \
    \x20   --run 8e659097-254a-4b27-bb93-88efea9a9f0e \\\n  \
    \x20   --base-url https://relay.example.com")]
pub struct LinkArgs {
    /// Whom it is for.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Show only this run.
    #[arg(long, value_name = "ID")]
    pub run: Option<RunId>,
    /// How long it works.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    pub lasts: Duration,
    /// Where people reach the server; without it, the path alone is printed.
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// The connection whose runs it shows.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub connection: ConnectionName,
    /// Which server.
    #[command(flatten)]
    pub server: StateDir,
}

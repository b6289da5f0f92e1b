//! Which server the commands that ask for runs talk to.

use std::path::PathBuf;

use clap::Args;

/// Where the server is, and who asks.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Base URL of the Relay API.
    #[arg(long, value_name = "URL", env = "PUPPERWARE_RELAY_URL", requires = "token_file")]
    pub relay_url: Option<String>,
    /// File with the token; nobody else may read it.
    #[arg(long, value_name = "FILE", env = "PUPPERWARE_RELAY_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Authorities to trust, as PEM [default: this machine's].
    #[arg(long, value_name = "FILE", env = "PUPPERWARE_RELAY_CA_FILE")]
    pub ca_file: Option<PathBuf>,
}

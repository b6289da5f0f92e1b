//! `pupperware relay serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Serve the Relay API.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8170")]
    pub listen: SocketAddr,
    /// Keep the state in this folder.
    #[arg(long, value_name = "DIR")]
    pub state_dir: PathBuf,
}

//! The choice of a release, for commands that install or fetch one.

use clap::Args;

/// Which release; a channel names the newest fit one of its stream.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Release options")]
pub struct ReleaseArgs {
    /// The channel to take the release from: lts or stable.
    #[arg(long, value_name = "CHANNEL", env = "PUPPERWARE_CHANNEL", hide_env_values = true)]
    pub channel: Option<String>,
    /// This release, and no other; excludes a channel.
    #[arg(long, value_name = "VERSION", env = "PUPPERWARE_RELEASE", hide_env_values = true)]
    pub release: Option<semver::Version>,
}

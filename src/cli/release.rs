//! The choice of a release, and of what lists them, for commands that install or fetch one.

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
    /// Where releases are listed.
    #[command(flatten)]
    pub manifest: ManifestArgs,
}

/// Where releases are listed, instead of in the program.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Release options")]
pub struct ManifestArgs {
    /// The release manifest: a file or an address [default: the one in the program].
    #[arg(long, value_name = "PLACE", env = "PUPPERWARE_MANIFEST", hide_env_values = true)]
    pub manifest: Option<String>,
    /// Its SHA-256.
    #[arg(long, value_name = "HEX", env = "PUPPERWARE_MANIFEST_SHA256", hide_env_values = true)]
    pub manifest_sha256: Option<String>,
    /// The public key of minisign that signs it.
    #[arg(long, value_name = "KEY", env = "PUPPERWARE_MANIFEST_KEY", hide_env_values = true)]
    pub manifest_key: Option<String>,
}

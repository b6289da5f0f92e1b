//! `pupperware relay bridge`.

use std::path::PathBuf;

use clap::Args;

/// Take runs from a Relay API, and run Puppet on their nodes.
///
/// Runs until it is asked to end. A bridge that was killed goes on from its journal: no node is started twice, and every
/// run's end is reported.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay bridge           as a service\n  \
    pupperware relay bridge --once    from cron or a systemd timer\n  \
    pupperware relay bridge --check   look whether all is well, and end")]
pub struct BridgeArgs {
    /// The bridge's own file.
    #[arg(
        long,
        value_name = "FILE",
        env = "PUPPERWARE_BRIDGE_SETTINGS",
        default_value = "/etc/pupperware/bridge.yaml"
    )]
    pub settings: PathBuf,
    /// Ask once, work on what there is, and end.
    #[arg(long, conflicts_with = "check")]
    pub once: bool,
    /// Check the settings, the audit log and the server's answer; accept nothing.
    #[arg(long)]
    pub check: bool,
}

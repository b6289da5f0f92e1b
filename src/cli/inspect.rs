//! Commands that only look: `pupperware status`, `doctor` and `channels`.

use std::path::PathBuf;

use clap::Args;

use super::release::ManifestArgs;
use crate::report::output::Output;

/// Show what runs, and whether it is well.
///
/// Services and their replicas, health, release and channel, whether the platform is proved as it runs now, and drift:
/// whether `up` would change something.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware status           a table\n  \
    pupperware status --check   exit 3 unless all is well, for scripts\n  \
    pupperware status -o json   for programs\n  \
    pupperware status --watch   a new table at every change, until Ctrl-C")]
pub struct StatusArgs {
    /// What `up` would take from the environment: drift is told against it.
    #[arg(long, env = "PUPPERWARE_CODE", hide = true)]
    pub code: Option<PathBuf>,
    /// The same.
    #[arg(long, value_delimiter = ',', env = "PUPPERWARE_WITH", hide = true)]
    pub with: Vec<String>,
    /// The same.
    #[arg(long, env = "PUPPERWARE_CHANNEL", hide = true)]
    pub channel: Option<String>,
    /// The same.
    #[arg(long, env = "PUPPERWARE_RELEASE", hide = true)]
    pub release: Option<semver::Version>,
    /// Exit 3 unless every service is ready and the platform is proved.
    #[arg(long)]
    pub check: bool,
    /// Show it again whenever it changes.
    #[arg(long, conflicts_with = "check")]
    pub watch: bool,
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Check the engine and the platform for known problems.
///
/// Each check has an id, a severity and a hint. Warnings do not fail the command; failed checks do, with exit code 3.
/// An engine that does not answer is a failed check, too; those that need it are skipped.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware doctor                      every check\n  \
    pupperware doctor --check engine-api   one of them\n  \
    pupperware doctor -o json              for programs")]
pub struct DoctorArgs {
    /// Run only the checks with these ids.
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub check: Vec<String>,
    /// How to print the results.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Show the release channels.
///
/// A channel is a moving name for the newest fit release of a stream. The one that the platform follows is marked.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware channels           a table\n  \
    pupperware channels -o yaml   for programs")]
pub struct ChannelsArgs {
    /// Where releases are listed.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// How to print them.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

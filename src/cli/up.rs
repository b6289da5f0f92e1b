//! `pupperware up`.

use std::path::PathBuf;

use clap::Args;

use super::change::ChangeArgs;
use super::release::ReleaseArgs;

/// Install or converge the platform, and prove that it works.
///
/// Builds or fetches the images that are missing, creates or replaces what differs from the configuration, waits until
/// every service is ready, and then proves the platform: an agent applies a catalog and its report is found in
/// PuppetDB. A second run changes nothing and says so.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware up                         install, or apply a changed file\n  \
    pupperware up --code ./control-repo   serve this directory's environments\n  \
    pupperware up --with puppetboard      nodes and reports as web pages\n  \
    pupperware up --dry-run -o json       the plan, for a program\n  \
    pupperware up --dry-run --exit-code   exit 3 if anything would change")]
pub struct UpArgs {
    /// A directory with Puppet environments to serve, instead of the configured code.
    #[arg(long, value_name = "DIR", env = "PUPPERWARE_CODE", hide_env_values = true)]
    pub code: Option<PathBuf>,
    /// Services beside those that every platform has, instead of the configured ones: puppetboard. To keep one for the
    /// next `up`, name it in pupperware.yaml.
    #[arg(long, value_name = "SERVICE", value_delimiter = ',', env = "PUPPERWARE_WITH", hide_env_values = true)]
    pub with: Vec<String>,
    /// With --dry-run: exit 3 if the plan is not empty.
    #[arg(long, requires = "dry_run")]
    pub exit_code: bool,
    /// Which release to run.
    #[command(flatten)]
    pub release: ReleaseArgs,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

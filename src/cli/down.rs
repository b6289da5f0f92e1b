//! `pupperware down`.

use clap::Args;

use super::change::ChangeArgs;

/// Remove the containers and networks; the data stays.
///
/// Volumes (CA, database, code, secrets) are kept, and `up` finds them again. --destroy-data is the only way to lose
/// them, and each is to be named; ALL names every one and needs --yes.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware down                            remove containers, keep data\n  \
    pupperware down --destroy-data postgres-data  lose the database, too\n  \
    pupperware down --destroy-data ALL --yes   leave nothing behind\n  \
    pupperware down --dry-run                  what would be removed")]
pub struct DownArgs {
    /// Remove these volumes for good; ALL, with --yes, means every one.
    #[arg(long, value_name = "VOLUME", num_args = 1..)]
    pub destroy_data: Vec<String>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

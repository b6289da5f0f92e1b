//! `pupperware relay approve` and `pupperware relay deny`.

use clap::Args;

use super::server::ServerArgs;
use crate::relay::api::RunId;

/// Agree that a run is carried out.
///
/// The run was asked for with `relay run --needs-approval`. `pupperware relay runs changes ID` shows what its noop run
/// found. The token needs the scope `approve`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay approve 8e659097-254a-4b27-bb93-88efea9a9f0e\n  \
    pupperware relay approve 8e659097-254a-4b27-bb93-88efea9a9f0e \\\n  \
    \x20   --reason CHG-4711")]
pub struct ApproveArgs {
    /// What is decided.
    #[command(flatten)]
    pub decision: DecisionArgs,
}

/// Do not agree; the run ends.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware relay deny 8e659097-254a-4b27-bb93-88efea9a9f0e \\\n  \
    \x20   --reason 'not on a Friday'")]
pub struct DenyArgs {
    /// What is decided.
    #[command(flatten)]
    pub decision: DecisionArgs,
}

/// A decision about a run.
#[derive(Debug, Clone, Args)]
pub struct DecisionArgs {
    /// The run.
    #[arg(value_name = "ID")]
    pub id: RunId,
    /// Why; shown with the run.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

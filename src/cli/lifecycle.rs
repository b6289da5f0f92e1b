//! `pupperware stop`, `start` and `restart`.

use clap::Args;

use super::change::ChangeArgs;
use super::service::ServiceRef;

/// Stop services without removing them.
///
/// Without names, the whole platform stops, in the order that lets every service finish what it does.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware stop           the whole platform\n  \
    pupperware stop agent.1   one replica")]
pub struct StopArgs {
    /// The services, or replicas of them, to stop.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Start stopped services and wait until they are ready.
///
/// Without names, the whole platform starts. Nothing is created or replaced; `up` does that.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware start            the whole platform\n  \
    pupperware start puppetdb   one service")]
pub struct StartArgs {
    /// The services, or replicas of them, to start.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Restart services and wait until they are ready.
///
/// Without names, the whole platform restarts. Those that need others stop first.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware restart puppetserver         one service\n  \
    pupperware restart --dry-run            in which order they would stop")]
pub struct RestartArgs {
    /// The services, or replicas of them, to restart.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

//! `pupperware exec`.

use clap::Args;

use super::service::ServiceRef;

/// Run a command in a service's container.
///
/// The exit code is the command's. A terminal and stdin are attached by themselves when ours are a terminal.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware exec puppetserver -- puppetserver ca list --all\n  \
    pupperware exec agent.1 -- bash\n  \
    pupperware exec -i postgres -- psql -U postgres puppetdb < query.sql")]
pub struct ExecArgs {
    /// Run it as this user, or user:group.
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Attach stdin even if it is no terminal.
    #[arg(short, long)]
    pub interactive: bool,
    /// Give it a terminal even if ours is none.
    #[arg(short, long)]
    pub tty: bool,
    /// The service, or one replica of it; the first one by default.
    #[arg(value_name = "SERVICE[.N]")]
    pub service: ServiceRef,
    /// The command and its arguments.
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

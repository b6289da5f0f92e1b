//! `pupperware logs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::service::ServiceRef;
use super::time::Since;

/// How log lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// Each line behind its service's name.
    #[default]
    Text,
    /// A JSON object a line: service, container, time, stream, message.
    Json,
}

/// Show the logs of services.
///
/// Without names, those of all services, each line behind its service's name. `-f` follows here; the configuration
/// file is given as --config, or as `-f FILE` before the command.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware logs                          everything so far\n  \
    pupperware logs -f -n 20 puppetserver    the last 20 lines, then what comes\n  \
    pupperware logs --since 10m agent.1      one replica's last ten minutes\n  \
    pupperware logs -f -o json               a JSON object a line, for programs")]
pub struct LogsArgs {
    /// The services, or replicas of them.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<ServiceRef>,
    /// Go on with new lines until Ctrl-C.
    #[arg(short, long)]
    pub follow: bool,
    /// Begin with the last N lines of each container [default: all].
    #[arg(short = 'n', long, value_name = "N")]
    pub tail: Option<u32>,
    /// Begin at this time, or this long ago: 2026-08-21T14:00:00Z, 10m.
    #[arg(long, value_name = "TIME")]
    pub since: Option<Since>,
    /// Put the time before each line.
    #[arg(short, long)]
    pub timestamps: bool,
    /// How to print the lines.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: LogFormat,
    /// The global flag once more, without `-f`, which follows here. Its value is in `GlobalArgs`.
    #[arg(
        id = "config",
        long = "config",
        value_name = "FILE",
        env = "PUPPERWARE_CONFIG",
        hide_env_values = true,
        global = true,
        help = "The configuration file [default: the nearest pupperware.yaml upwards]",
        help_heading = "Global options"
    )]
    config: Option<PathBuf>,
}

//! Flags of every command that changes the platform by a plan.

use std::time::Duration;

use clap::Args;

use super::time::parse_duration;
use crate::report::output::Output;

/// How a plan is shown or carried out.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Plan options")]
pub struct ChangeArgs {
    /// Print the plan and change nothing.
    #[arg(long, group = "shown")]
    pub dry_run: bool,
    /// Print how long each step took, and which of them everything had to wait for.
    #[arg(long, group = "shown", conflicts_with = "dry_run")]
    pub timings: bool,
    /// How --dry-run prints the plan, and --timings the times.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t, requires = "shown")]
    pub output: Output,
    /// Give up when services take longer than this, such as 90s, 10m or 1h.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    pub timeout: Duration,
    /// Wait this long for another change to end, instead of refusing at once.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub wait_lock: Option<Duration>,
}

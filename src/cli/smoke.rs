//! `pupperware smoke`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::time::parse_duration;

/// How the proof is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SmokeOutput {
    /// Aligned columns.
    #[default]
    Table,
    /// A JSON document.
    Json,
    /// A JUnit XML report, for CI systems.
    Junit,
}

/// Prove the platform end to end: agent, catalog, report.
///
/// A new agent gets a certificate, applies a catalog, and its report is found in PuppetDB; then it is removed without
/// a trace. Made for CI.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware smoke                        a table of what was proved\n  \
    pupperware smoke -o junit > smoke.xml   for a CI system")]
pub struct SmokeArgs {
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: SmokeOutput,
    /// Give up when services take longer than this, such as 90s, 10m or 1h.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "10m")]
    pub timeout: Duration,
}

//! Flags that every command takes, each with an environment variable.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use crate::report::Mode;

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Even into a file or pipe.
    Always,
    /// Nowhere.
    Never,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// The platform's name on the engine [default: from the configuration, else pupperware].
    #[arg(short, long, value_name = "NAME", env = "PUPPERWARE_PROJECT", hide_env_values = true, global = true)]
    pub project: Option<String>,
    /// The configuration file [default: the nearest pupperware.yaml upwards].
    #[arg(short = 'f', long, value_name = "FILE", env = "PUPPERWARE_CONFIG", hide_env_values = true, global = true)]
    pub config: Option<PathBuf>,
    /// The engine's address, such as unix:///run/docker.sock or tcp://host:2375.
    #[arg(short = 'H', long, value_name = "URL", env = "PUPPERWARE_HOST", hide_env_values = true, global = true)]
    pub host: Option<String>,
    /// The Docker context that names the engine.
    #[arg(long, value_name = "NAME", env = "PUPPERWARE_CONTEXT", hide_env_values = true, global = true)]
    pub context: Option<String>,
    /// Log what is done to stderr; twice: every engine call; three times: everything.
    #[arg(short, long, action = ArgAction::Count, env = "PUPPERWARE_VERBOSE", hide_env_values = true, global = true)]
    pub verbose: u8,
    /// Show no progress, only warnings and errors; twice: only errors.
    #[arg(short, long, action = ArgAction::Count, env = "PUPPERWARE_QUIET", hide_env_values = true, global = true)]
    pub quiet: u8,
    /// When to use colours: auto, always or never.
    #[arg(
        long,
        value_name = "WHEN",
        value_enum,
        hide_possible_values = true,
        default_value_t,
        env = "PUPPERWARE_COLOR",
        hide_env_values = true,
        global = true
    )]
    pub color: Color,
    /// How to show progress: auto, tty, plain, json or quiet.
    #[arg(
        long,
        value_name = "MODE",
        value_enum,
        hide_possible_values = true,
        default_value_t,
        env = "PUPPERWARE_PROGRESS",
        hide_env_values = true,
        global = true
    )]
    pub progress: Mode,
    /// Answer yes to every question; data loss still needs its own flag.
    #[arg(short, long, env = "PUPPERWARE_YES", hide_env_values = true, value_parser = BoolishValueParser::new(), global = true)]
    pub yes: bool,
}

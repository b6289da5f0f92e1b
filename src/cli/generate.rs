//! What the program says about itself: `pupperware completions`, `man` and `version`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::report::output::Output;

/// Print a shell's completion script.
///
/// Load it in the shell's start-up file, or write it where the shell looks for completions.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    source <(pupperware completions bash)\n  \
    pupperware completions fish > ~/.config/fish/completions/pupperware.fish")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: Shell,
}

/// Print the man page, or write all of them.
///
/// Without a directory the main page goes to stdout; with one, a page for each command is written there.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware man | man -l -                  read the main page\n  \
    pupperware man /usr/local/share/man/man1   install all pages")]
pub struct ManArgs {
    /// Where to write the pages; it is made if need be.
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Show the version of this program.
#[derive(Debug, Clone, Args)]
#[command(
    long_about = "Show the version of this program.\n\nThe platform's release is shown by `pupperware status`.",
    after_long_help = "Examples:\n  pupperware version\n  pupperware version -o json"
)]
pub struct VersionArgs {
    /// How to print it.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

//! `pupperware completions`: a shell's completion script on stdout.

use crate::cli::Cli;
use crate::cli::generate::CompletionsArgs;
use crate::error::Result;
use crate::report::terminal;

/// Prints the script.
pub(super) fn run(args: &CompletionsArgs) -> Result<u8> {
    let mut script = Vec::new();
    // Generated into memory first: clap_complete panics when its writer fails, and stdout may be closed.
    clap_complete::generate(args.shell, &mut Cli::definition(), "pupperware", &mut script);
    terminal::out_bytes(&script)?;
    Ok(0)
}

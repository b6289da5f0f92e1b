//! `pupperware man`: the main page on stdout, or a page for each command in a directory.

use std::path::Path;

use clap::CommandFactory;

use crate::cli::Cli;
use crate::cli::generate::ManArgs;
use crate::error::{Error, Result};
use crate::report::{Report, terminal};

/// Prints or writes the pages.
pub(super) fn run(args: &ManArgs, report: &Report) -> Result<u8> {
    match &args.dir {
        None => print_main_page()?,
        Some(dir) => {
            write_pages(dir).map_err(|error| {
                Error::failed(format!("cannot write man pages to {}", dir.display())).because(error)
            })?;
            report.note(format!("wrote the man pages to {}", dir.display()));
        }
    }
    Ok(0)
}

fn print_main_page() -> Result<()> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
    rendered.map_err(|error| Error::failed("cannot render the man page").because(error))?;
    terminal::out_bytes(&page)
}

fn write_pages(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(Cli::command(), dir)
}

//! `pupperware version`: this program's version and what it was built for.

use serde::Serialize;

use crate::cli::generate::VersionArgs;
use crate::error::Result;
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::Table;
use crate::report::terminal;

#[derive(Serialize)]
struct Version {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
}

impl Tabular for Version {
    fn table(&self) -> Table {
        let mut table = Table::new(["VERSION", "OS", "ARCH"]);
        table.row([self.version, self.os, self.arch].map(Into::into));
        table
    }
}

/// Prints the version; for people in the one line that everybody expects.
pub(super) fn run(args: &VersionArgs) -> Result<u8> {
    let version =
        Version { version: env!("CARGO_PKG_VERSION"), os: std::env::consts::OS, arch: std::env::consts::ARCH };
    match args.output {
        Output::Table => terminal::out(&format!("pupperware {}\n", version.version))?,
        format => print_data(format, &Document::new(version))?,
    }
    Ok(0)
}

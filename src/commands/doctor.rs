//! `pupperware doctor`: is the ground good? Every check of `checks`, shown.

use serde::Serialize;

use super::context::{Context, Extra};
use crate::checks::{self, Check, Severity};
use crate::cli::global::GlobalArgs;
use crate::cli::inspect::DoctorArgs;
use crate::error::{Error, Kind, Result};
use crate::report::Report;
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::terminal;

#[derive(Debug, Serialize)]
struct Checks {
    ok: bool,
    checks: Vec<Check>,
}

impl Tabular for Checks {
    fn table(&self) -> Table {
        let mut table = Table::new(["CHECK", "RESULT", "FOUND"]);
        for check in &self.checks {
            let (word, tone) = match check.severity {
                Severity::Ok => ("ok", Tone::Good),
                Severity::Warning => ("warning", Tone::Warn),
                Severity::Error => ("error", Tone::Bad),
            };
            table.row([check.id.into(), Cell::toned(word, tone), check.found.as_str().into()]);
        }
        table
    }
}

/// Runs the checks; exit 3 when one found an error.
pub(super) async fn run(global: &GlobalArgs, args: &DoctorArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let platform = context.platform().await?;
    let mut checks = checks::all(&platform.engine, &platform.info, &platform.desired, &platform.observed).await?;
    if let Some(unknown) = args.check.iter().find(|id| !checks.iter().any(|c| c.id == id.as_str())) {
        let known: Vec<&str> = checks.iter().map(|c| c.id).collect();
        return Err(Error::usage(format!("there is no check \"{unknown}\" here"))
            .hint(format!("there are {}", known.join(", "))));
    }
    if !args.check.is_empty() {
        checks.retain(|c| args.check.iter().any(|id| id == c.id));
    }
    let ok = checks.iter().all(|c| c.severity != Severity::Error);
    let document = Checks { ok, checks };
    let hints: Vec<String> =
        document.checks.iter().filter_map(|c| Some(format!("{}: {}\n", c.id, c.hint.as_ref()?))).collect();
    print_data(args.output, &Document::new(document))?;
    if args.output == Output::Table && !hints.is_empty() {
        terminal::out(&format!("\nwhat to do:\n  {}", hints.join("  ")))?;
    }
    Ok(if ok { 0 } else { Kind::Differs.exit_code() })
}

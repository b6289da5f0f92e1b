//! `pupperware doctor`: is the ground good? Every check of `checks`, shown.

use serde::Serialize;

use super::context::{Context, Extra, machine};
use crate::checks::{self, Check, Ground, Severity};
use crate::cli::global::GlobalArgs;
use crate::cli::inspect::DoctorArgs;
use crate::config::types::Addon;
use crate::desired::{self, addons};
use crate::engine::Cause;
use crate::error::{Error, Kind, Result};
use crate::images::DesiredImage;
use crate::observed;
use crate::report::Report;
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::terminal;

#[derive(Debug, Serialize)]
pub(super) struct Checks {
    ok: bool,
    checks: Vec<Check>,
}

impl Checks {
    pub(super) fn of(checks: Vec<Check>) -> Self {
        Checks { ok: checks.iter().all(|c| matches!(c.severity, Severity::Ok | Severity::Warning)), checks }
    }
}

impl Tabular for Checks {
    fn table(&self) -> Table {
        let mut table = Table::new(["CHECK", "RESULT", "FOUND"]);
        for check in &self.checks {
            let (word, tone) = match check.severity {
                Severity::Ok => ("ok", Tone::Good),
                Severity::Warning => ("warning", Tone::Warn),
                Severity::Error => ("error", Tone::Bad),
                Severity::Skipped => ("-", Tone::Warn),
            };
            table.row([check.id.into(), Cell::toned(word, tone), check.found.as_str().into()]);
        }
        table
    }
}

/// Runs the checks; exit 3 when one found an error, or could not be made.
pub(super) async fn run(global: &GlobalArgs, args: &DoctorArgs, report: &Report) -> Result<u8> {
    let known = checks::ALL.map(|(_, id)| id);
    if let Some(unknown) = args.check.iter().find(|id| !known.contains(&id.as_str())) {
        return Err(
            Error::usage(format!("there is no check \"{unknown}\"")).hint(format!("there are {}", known.join(", ")))
        );
    }
    let context = Context::new(global, &Extra::default(), report)?;
    let mut checks = examine(&context).await?;
    if !args.check.is_empty() {
        checks.retain(|c| args.check.iter().any(|id| id == c.id));
    }
    let document = Checks::of(checks);
    let ok = document.ok;
    let hints: Vec<String> =
        document.checks.iter().filter_map(|c| Some(format!("{}: {}\n", c.id, c.hint.as_ref()?))).collect();
    print_data(args.output, &Document::new(document))?;
    if args.output == Output::Table && !hints.is_empty() {
        terminal::out(&format!("\nwhat to do:\n  {}", hints.join("  ")))?;
    }
    Ok(if ok { 0 } else { Kind::Differs.exit_code() })
}

/// All checks. What stops other commands, an engine that does not answer or a small machine, is a result here.
pub(super) async fn examine(context: &Context) -> Result<Vec<Check>> {
    let engine = match context.engine() {
        Ok(engine) => engine,
        Err(error) => return Ok(checks::no_engine(&error)),
    };
    let info = match engine.info().await {
        Ok(info) => info,
        Err(error) if error.cause == Cause::TooOld => return Ok(checks::old_engine(&engine, &error.into())),
        Err(error) => return Ok(checks::no_engine(&error.into())),
    };
    let observed = match observed::snapshot(&engine, context.project(), &context.references()?).await {
        Ok(observed) => observed,
        Err(error) => return Ok(checks::no_engine(&error)),
    };
    let supply = context.supplied(engine, info, observed)?;
    let desired = context.desired(&supply.release, machine(&supply.info), &supply.observed);
    let config = &context.settings.config;
    let board = config.puppetboard.publish;
    let images: Vec<DesiredImage> =
        supply.images.iter().filter(|i| addons::wants(config, &i.component)).cloned().collect();
    let ground = Ground {
        engine: &supply.engine,
        info: &supply.info,
        address: desired::address(config),
        puppetboard: config.has(Addon::Puppetboard).then(|| (board.address(), board.port())),
        relay: config.relay.publish.filter(|_| config.has(Addon::Relay)).map(|p| (p.address(), p.port())),
        images: &images,
        observed: &supply.observed,
        backup_max_age: context.settings.config.backup.max_age,
        desired: desired.as_ref().map(|(_, desired)| desired),
    };
    Ok(checks::all(&ground).await)
}

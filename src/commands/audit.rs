//! `pupperware audit`: the security model, checked against what really runs.

use super::context::{Context, Extra, machine};
use crate::audit::look::{Ground, look};
use crate::audit::model::{Finding, Severity};
use crate::audit::{Audit, judge, sarif};
use crate::cli::audit::{AuditArgs, AuditOutput};
use crate::cli::global::GlobalArgs;
use crate::cli::release::ReleaseArgs;
use crate::error::{Kind, Result};
use crate::report::output::{Document, Output, Tabular, json, render};
use crate::report::table::{Cell, Table, Tone};
use crate::report::{Report, terminal};

impl Tabular for Audit {
    fn table(&self) -> Table {
        let mut table = Table::new(["SEVERITY", "RULE", "WHERE", "EVIDENCE"]);
        for finding in &self.findings {
            let tone = if finding.severity == Severity::High { Tone::Bad } else { Tone::Warn };
            table.row([
                Cell::toned(finding.severity.name(), tone),
                finding.id.into(),
                finding.place.as_str().into(),
                finding.evidence.as_str().into(),
            ]);
        }
        table
    }
}

/// Looks, judges, and shows; exit 3 unless the platform is clean.
pub(super) async fn run(global: &GlobalArgs, args: &AuditArgs, report: &Report) -> Result<u8> {
    let release =
        ReleaseArgs { channel: args.channel.clone(), release: args.release.clone(), ..ReleaseArgs::default() };
    let context = Context::new(
        global,
        &Extra { release: Some(&release), with: &args.with, code: args.code.as_deref(), ..Extra::default() },
        report,
    )?;
    let (engine, observed) = context.observe().await?;
    // The machine that the platform was sized for, as `status` takes it: another program's memory is no drift.
    let sized_for = match observed.machine() {
        Some(machine) => machine,
        None => machine(&engine.info().await?),
    };
    let (_, desired) = context.desired(&context.release(&observed.lineage(), &observed)?, sized_for, &observed)?;
    let ground = Ground { engine: &engine, desired: &desired, observed: &observed, updates: args.updates };
    let audit = judge(context.project(), &look(&ground).await);
    terminal::out(&text(args.output, &audit)?)?;
    Ok(if audit.clean { 0 } else { Kind::Differs.exit_code() })
}

fn text(output: AuditOutput, audit: &Audit) -> Result<String> {
    match output {
        AuditOutput::Json => render(Output::Json, &Document::new(audit.clone()), None),
        AuditOutput::Yaml => render(Output::Yaml, &Document::new(audit.clone()), None),
        AuditOutput::Sarif => json(&sarif::document(audit)),
        AuditOutput::Table => Ok(table(audit)),
    }
}

/// Findings, what to do about them, and what was not seen.
fn table(audit: &Audit) -> String {
    let mut text = String::new();
    if !audit.findings.is_empty() {
        text += &audit.table().render(terminal::stdout_width());
        text += "\nwhat is wrong, and what to do:\n";
        let mut told: Vec<&Finding> = Vec::new();
        for finding in &audit.findings {
            if !told.iter().any(|t| t.id == finding.id) {
                text += &format!("  {}: {}\n    {}\n", finding.id, finding.title, finding.remedy);
                told.push(finding);
            }
        }
        text += "\n";
    }
    if !audit.unseen.is_empty() {
        text += "could not be looked at:\n";
        for unseen in &audit.unseen {
            text += &format!("  {}: {}\n", unseen.what, unseen.why);
        }
        text += "\n";
    }
    let found = audit.findings.len();
    text += &match (found, audit.unseen.len()) {
        (0, 0) => format!("{}: clean, nothing was found\n", audit.project),
        (0, _) => format!("{}: nothing was found in what could be looked at\n", audit.project),
        (1, _) => format!("{}: 1 finding\n", audit.project),
        _ => format!("{}: {found} findings\n", audit.project),
    };
    text
}

//! `pupperware history`: each change of the platform, from its journal.

use serde::Serialize;

use super::context::{Context, Extra};
use crate::cli::global::GlobalArgs;
use crate::cli::upgrade::HistoryArgs;
use crate::error::Result;
use crate::journal::history::{Ending, Run, runs};
use crate::journal::read;
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::{Report, terminal};

/// The answer. Its JSON shape is relied upon: fields may be added, none is renamed.
#[derive(Debug, Serialize)]
struct History {
    project: String,
    changes: Vec<Run>,
}

impl Tabular for History {
    fn table(&self) -> Table {
        let mut table = Table::new(["WHEN", "COMMAND", "WHO", "RELEASE", "RESULT", "TOOK", "STEPS", "ERROR"]);
        for run in &self.changes {
            let tone = match run.result {
                Ending::Done => Tone::Good,
                Ending::Failed => Tone::Bad,
                Ending::Interrupted | Ending::Unfinished => Tone::Warn,
            };
            table.row([
                run.at.split('.').next().unwrap_or(&run.at).into(),
                run.command.as_str().into(),
                who(run).into(),
                releases(run).into(),
                Cell::toned(run.result.name(), tone),
                run.elapsed_ms.map_or("-".to_owned(), |ms| format!("{} s", ms / 1000)).into(),
                format!("{}/{}", run.succeeded, run.steps).into(),
                run.error.as_deref().map_or("-", |e| e.lines().next().unwrap_or_default()).into(),
            ]);
        }
        table
    }
}

/// `root on host`, as far as it is known.
fn who(run: &Run) -> String {
    let host = run.by.rsplit_once(" on ").map_or(run.by.as_str(), |(_, host)| host);
    match &run.user {
        Some(user) => format!("{user} on {host}"),
        None => host.to_owned(),
    }
}

/// `7.0.0 -> 8.0.0`, or the one that stayed.
fn releases(run: &Run) -> String {
    match (&run.from, &run.to) {
        (Some(from), Some(to)) if from != to => format!("{from} -> {to}"),
        (_, Some(to)) => to.to_string(),
        (Some(from), None) => from.to_string(),
        (None, None) => "-".to_owned(),
    }
}

/// Shows it.
pub(super) async fn run(global: &GlobalArgs, args: &HistoryArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let journal = read::last(&context.engine()?, context.project(), usize::MAX).await?;
    let mut changes = runs(&journal.unwrap_or_default());
    if let Some(last) = args.last {
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        changes.drain(..changes.len().saturating_sub(last));
    }
    if changes.is_empty() && args.output == Output::Table {
        terminal::out(&format!("nothing was ever changed in {}\n", context.project()))?;
        return Ok(0);
    }
    let history = History { project: context.project().to_owned(), changes };
    print_data(args.output, &Document::new(history))?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn a_change_is_told_in_a_line() {
        let run = |command: &str, from: Option<&str>, to: &str, result, error: Option<&str>| Run {
            at: "2026-11-21T10:00:00.123456Z".into(),
            command: command.into(),
            user: (command != "up").then(|| "root".into()),
            by: "process 12 on build".into(),
            program: "0.1.0".into(),
            from: from.map(|v| v.parse().unwrap()),
            to: to.parse().ok(),
            result,
            steps: 3,
            succeeded: 1,
            elapsed_ms: (result != Ending::Unfinished).then_some(2345),
            error: error.map(Into::into),
        };
        let history = History {
            project: "demo".into(),
            changes: vec![
                run("up", None, "7.0.0", Ending::Unfinished, None),
                run("upgrade", Some("7.0.0"), "8.0.0", Ending::Failed, Some("puppetdb died: killed\nmore")),
            ],
        };
        let text = history.table().render(None);
        assert_snapshot!(anstream::adapter::strip_str(&text).to_string(), @"
        WHEN                 COMMAND  WHO            RELEASE         RESULT      TOOK  STEPS  ERROR
        2026-11-21T10:00:00  up       build          7.0.0           unfinished  -     1/3    -
        2026-11-21T10:00:00  upgrade  root on build  7.0.0 -> 8.0.0  failed      2 s   1/3    puppetdb died: killed
        ");
    }
}

//! The step that compiles every node's catalog with two releases and compares: containers of both, beside what serves, with
//! the code and the keys to read and nothing to write.

use super::Context;
use super::backup_steps::failed;
use crate::engine::spec::ContainerSpec;
use crate::engine::{ExecRequest, TransferError};
use crate::error::{Error, Result};
use crate::puppet::compare::{self, Catalogs, Comparison, Said};
use crate::puppet::puppetdb;

/// Most differences that are shown; how many more there are is told.
const SHOWN: usize = 15;
/// Processes that compile side by side: the platform serves meanwhile.
const WORKERS: u32 = 2;

/// Compiles with both, and tells what differs. A catalog that only the old release compiles is a failure, if `strict`.
pub(super) async fn compare(
    context: &Context,
    id: usize,
    (old, new): (&ContainerSpec, &ContainerSpec),
    puppetdb: &str,
    strict: bool,
) -> Result<Option<String>> {
    let before = compiled(context, id, old, puppetdb, "old").await?;
    let after = compiled(context, id, new, puppetdb, "new").await?;
    judged(context, &before.compare(&after), strict)
}

/// Shows what differs; fails where the new release breaks what works.
fn judged(context: &Context, comparison: &Comparison, strict: bool) -> Result<Option<String>> {
    let report = &context.report;
    for line in limited(&comparison.differences) {
        report.note(format!("catalogs: {line}"));
    }
    for line in limited(&comparison.broken_before) {
        report.warn(format!("no release compiles {line}"));
    }
    if comparison.broken.is_empty() {
        return Ok(Some(comparison.text()));
    }
    let count = comparison.broken.len();
    let what = match count {
        1 => "the catalog of 1 node does not compile under the new release".to_owned(),
        _ => format!("the catalogs of {count} nodes do not compile under the new release"),
    };
    if strict {
        return Err(Error::failed(what).details(limited(&comparison.broken)).hint(
            "nothing was changed; mend the code, or go on in spite of it with `pupperware upgrade --ignore-code-check`",
        ));
    }
    report.warn(what);
    for line in limited(&comparison.broken) {
        report.warn(line);
    }
    Ok(Some(comparison.text()))
}

/// The first of these lines, and how many more there are.
fn limited(lines: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = lines.iter().take(SHOWN).cloned().collect();
    if lines.len() > SHOWN {
        shown.push(format!("and {} more", lines.len() - SHOWN));
    }
    shown
}

/// The catalogs of all nodes as one release compiles them.
async fn compiled(context: &Context, id: usize, task: &ContainerSpec, puppetdb: &str, which: &str) -> Result<Catalogs> {
    let engine = &context.engine;
    engine.remove_container(&task.name).await?;
    engine.create_container(task).await?;
    let compiled = async {
        engine.start_container(&task.name).await?;
        let of = |container: &str, command| ExecRequest {
            container: container.to_owned(),
            command,
            ..ExecRequest::default()
        };
        let (from, into) = (of(puppetdb, puppetdb::factsets()), of(&task.name, compare::take_facts()));
        let (asked, taken) = engine.exec_pipe(&from, &into, &mut |_| {}).await?;
        for (output, what) in [(taken, "the facts cannot be kept"), (asked, "PuppetDB does not tell the facts")] {
            if output.code != 0 {
                return Err(failed(what, &output));
            }
        }
        compile(context, id, &task.name, which).await
    }
    .await;
    engine.remove_container(&task.name).await?;
    compiled
}

async fn compile(context: &Context, id: usize, container: &str, which: &str) -> Result<Catalogs> {
    let request =
        ExecRequest { container: container.to_owned(), command: compare::compile(WORKERS), ..ExecRequest::default() };
    let (mut catalogs, mut bad, mut done) = (Catalogs::default(), None, 0);
    let mut rest: Vec<u8> = Vec::new();
    let mut sink = |bytes: &[u8]| {
        rest.extend_from_slice(bytes);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            match compare::read(String::from_utf8_lossy(&line).trim_end()) {
                Said::Progress => {
                    done += 1;
                    context.progress(id, &format!("{done} catalogs compiled by the {which} release"));
                }
                Said::Catalog(json) => bad = bad.take().or(catalogs.add(json).err()),
                Said::Other => {}
            }
        }
        Ok(())
    };
    let output = context.engine.exec_output(&request, &mut sink).await.map_err(|error| match error {
        TransferError::Engine(error) => Error::from(error),
        TransferError::Local(error) => Error::failed("what was compiled cannot be read").because(error),
    })?;
    if output.code != 0 {
        return Err(failed(&format!("the {which} release's compilations broke down"), &output));
    }
    match bad {
        Some(error) => Err(error),
        None => Ok(catalogs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut_and_counted() {
        let lines: Vec<String> = (0..SHOWN + 2).map(|n| n.to_string()).collect();
        let shown = limited(&lines);
        assert_eq!((shown.len(), shown.last().unwrap().as_str()), (SHOWN + 1, "and 2 more"));
        assert_eq!(limited(&lines[..SHOWN]).len(), SHOWN);
    }
}

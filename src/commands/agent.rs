//! `pupperware agent run`: a Puppet run on the platform's own agents.

use serde::Serialize;

use super::context::{Context, Extra};
use crate::cli::agent::{AgentArgs, AgentCommand, AgentRunArgs};
use crate::cli::global::GlobalArgs;
use crate::desired::labels;
use crate::engine::ExecRequest;
use crate::error::{Error, Result};
use crate::puppet::agent::{self, Outcome, RunOptions};
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::{Report, terminal};

#[derive(Debug, Serialize)]
struct Runs {
    runs: Vec<Run>,
}

#[derive(Debug, Serialize)]
struct Run {
    certname: String,
    /// Puppet's detailed exit code.
    code: i64,
    outcome: Outcome,
    noop: bool,
}

impl Tabular for Runs {
    fn table(&self) -> Table {
        let mut table = Table::new(["AGENT", "OUTCOME", "CODE"]);
        for run in &self.runs {
            let tone = if run.outcome.ok() { Tone::Good } else { Tone::Bad };
            table.row([
                run.certname.as_str().into(),
                // Puppet's exit code of a dry run does not tell whether anything would change; its lines do.
                Cell::toned(
                    if run.noop && run.outcome.ok() { "looked, changed nothing" } else { run.outcome.text() },
                    tone,
                ),
                run.code.to_string().into(),
            ]);
        }
        table
    }
}

/// Runs the chosen agents side by side. The exit code is Puppet's detailed one of all runs together.
pub(super) async fn run(global: &GlobalArgs, args: &AgentArgs, report: &Report) -> Result<u8> {
    let AgentCommand::Run(args) = &args.command;
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let agents: Vec<(&String, &str)> = observed
        .services()
        .filter(|(_, c)| c.label(labels::SERVICE) == "agent" && c.running())
        .map(|(name, c)| (name, c.label(labels::CERTNAME)))
        .collect();
    if agents.is_empty() {
        return Err(Error::failed("no agent of the platform runs").hint("start the platform with `pupperware up`"));
    }
    if let Some(wrong) = args.nodes.iter().find(|n| !agents.iter().any(|(_, certname)| certname == n)) {
        let known: Vec<&str> = agents.iter().map(|(_, certname)| *certname).collect();
        return Err(Error::usage(format!("the platform runs no agent \"{wrong}\""))
            .hint(format!("it runs {}", known.join(", "))));
    }
    let chosen = agents.iter().filter(|(_, c)| args.nodes.is_empty() || args.nodes.iter().any(|n| n == c));
    let runs = chosen.map(|(name, certname)| one(&engine, args, name, certname));
    let runs = Runs { runs: futures_util::future::try_join_all(runs).await? };
    print_data(args.output, &Document::new(&runs))?;
    Ok(agent::combined(runs.runs.iter().map(|r| r.code)))
}

impl Tabular for &Runs {
    fn table(&self) -> Table {
        (*self).table()
    }
}

async fn one(engine: &crate::engine::Engine, args: &AgentRunArgs, name: &str, certname: &str) -> Result<Run> {
    let options = RunOptions { noop: args.noop, environment: args.environment.clone(), tags: args.tags.clone() };
    let request =
        ExecRequest { container: name.into(), command: agent::run_command(&options), ..ExecRequest::default() };
    let people = args.output == Output::Table;
    let output = engine
        .exec(&request, &mut |line| {
            if people {
                // Progress, not data: a program gets the summary on stdout.
                terminal::err(&format!("{certname}: {line}\n"));
            }
        })
        .await?;
    if people {
        for line in output.stderr.lines() {
            terminal::err(&format!("{certname}: {line}\n"));
        }
    }
    Ok(Run {
        certname: certname.to_owned(),
        code: output.code,
        outcome: Outcome::from_code(output.code),
        noop: args.noop,
    })
}

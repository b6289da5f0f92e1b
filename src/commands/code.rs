//! `pupperware code`: deploy from the control repository, check, tell what is served.

use serde::{Deserialize, Serialize};

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra};
use super::eyaml;
use crate::cli::change::ChangeArgs;
use crate::cli::code::{CodeArgs, CodeCommand, CodeStatusArgs};
use crate::cli::global::GlobalArgs;
use crate::desired::labels;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::journal::lock;
use crate::plan::{Plan, code};
use crate::report::output::{Document, Tabular, print_data};
use crate::report::table::Table;
use crate::report::{Report, terminal};

/// Carries out `code VERB`.
pub(super) async fn run(global: &GlobalArgs, args: &CodeArgs, report: &Report) -> Result<u8> {
    match &args.command {
        CodeCommand::Deploy(args) => {
            let names = &args.environments;
            let node = certname(args.node.as_deref())?;
            act(global, report, "code deploy", &args.change, names, |d, o| code::deploy(d, o, names, node)).await
        }
        CodeCommand::Undo(args) => act(global, report, "code undo", &args.change, &[], code::undo).await,
        CodeCommand::Check(args) => {
            let (names, node) = (&args.environments, certname(args.node.as_deref())?);
            act(global, report, "code check", &args.change, names, |d, o| code::check(d, o, names, node)).await
        }
        CodeCommand::Status(args) => status(global, args, report).await,
        CodeCommand::Eyaml(args) => eyaml::run(global, args, report).await,
    }
}

/// One change by a plan.
async fn act(
    global: &GlobalArgs,
    report: &Report,
    command: &str,
    args: &ChangeArgs,
    environments: &[String],
    plan: impl Fn(&crate::desired::Desired, &crate::observed::Observed) -> Result<Plan>,
) -> Result<u8> {
    if let Some(bad) = environments.iter().find(|name| !is_environment(name)) {
        return Err(Error::usage(format!("\"{bad}\" cannot be an environment"))
            .hint("Puppet takes names of letters, digits and `_`; a branch of another name is never deployed"));
    }
    let context = Context::new(global, &Extra::default(), report)?;
    let platform = context.platform().await?;
    let release = platform.release.version.clone();
    let change = Change { command, engine: &platform.engine, release, channel: None };
    let outcome =
        change::run(&context, &change, args, &platform.observed, async |o| plan(&platform.desired, o)).await?;
    if let Outcome::Done(_) = outcome {
        terminal::out(&match command {
            "code check" => "the code is well\n".to_owned(),
            _ => "served; `pupperware code status` tells which commit where\n".to_owned(),
        })?;
    }
    Ok(0)
}

/// A node's name that Puppet can have.
fn certname(node: Option<&str>) -> Result<Option<&str>> {
    match node.filter(|name| !is_certname(name)) {
        None => Ok(node),
        Some(bad) => Err(Error::usage(format!("\"{bad}\" is not a certificate name"))
            .hint("nodes that PuppetDB knows report under names like web01.example.com")),
    }
}

/// Whether Puppet takes it for an environment's name.
fn is_environment(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether Puppet takes it for a node's name.
fn is_certname(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && !name.starts_with(['.', '-']) && name.bytes().all(plain)
}

/// What is served, as the deployment wrote it down.
#[derive(Debug, Serialize, Deserialize)]
struct Served {
    /// The deployment's id.
    id: String,
    /// The control repository.
    url: String,
    /// When, RFC 3339.
    deployed_at: String,
    environments: Vec<Environment>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Environment {
    name: String,
    commit: String,
    /// When this environment was deployed, RFC 3339; later deployments of others leave it.
    deployed_at: String,
}

impl Tabular for Served {
    fn table(&self) -> Table {
        let mut table = Table::new(["ENVIRONMENT", "COMMIT", "DEPLOYED"]);
        for e in &self.environments {
            table.row([e.name.as_str().into(), e.commit.as_str().into(), e.deployed_at.as_str().into()]);
        }
        table
    }
}

async fn status(global: &GlobalArgs, args: &CodeStatusArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let volume = labels::scoped(context.project(), "code");
    let served = match observed.volumes.contains_key(&volume) {
        true => deployment(&engine, context.project(), volume).await?,
        false => None,
    };
    let Some(served) = served else {
        return Err(Error::failed("nothing was deployed here").hint(
            "`pupperware up` deploys from the `code.control_repo` of pupperware.yaml; code of a `code.dir` is served as it is",
        ));
    };
    print_data(args.output, &Document::new(served))?;
    Ok(0)
}

/// Reads what was written down, without anything that has to run.
async fn deployment(engine: &Engine, project: &str, volume: String) -> Result<Option<Served>> {
    lock::ensure_anchor(engine).await?;
    let name = format!("{project}-look-code-{}", std::process::id());
    let spec = lock::anchor_container(project, name.clone(), "task", &[("code".into(), volume)]);
    engine.create_container(&spec).await?;
    let files = engine.get_files(&name, "/volumes/code/current/deployment.json").await;
    engine.remove_container(&name).await?;
    let Some((_, content)) = files?.and_then(|files| files.into_iter().next()) else { return Ok(None) };
    serde_json::from_slice(&content).map(Some).map_err(|e| {
        Error::failed("what the last deployment wrote down is damaged")
            .because(e)
            .hint("deploy again with `pupperware code deploy`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_puppet_does_not_take() {
        assert!(is_environment("production") && is_environment("feature_1"));
        assert!(!is_environment("feature/x") && !is_environment("") && !is_environment("--all"));
        assert!(is_certname("web01.example.com") && is_certname("demo-agent-1"));
        assert!(!is_certname("-x") && !is_certname("../x") && !is_certname("A b"));
    }
}

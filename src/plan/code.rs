//! `code`: deployments from the control repository, and checks of what is served. Pure.
//!
//! A deployment is staged beside what is served, checked, and then served by one rename; a step for each. What the
//! containers do is in `images/code`.

use super::builder::Builder;
use super::images::get_image;
use super::unfinished;
use super::{Action, Plan, UndoCode, lifecycle};
use crate::config::model::ControlRepo;
use crate::desired::{COMPILER, CodeSource, Desired, PRIMARY, labels};
use crate::engine::spec::{Attachment, ContainerSpec, Labels, Mount, MountSource};
use crate::error::{Error, Result};
use crate::observed::{Container, Observed};

/// Where the code is, in every container.
const CODE: &str = "/etc/puppet/code";
/// Seconds that steps beside the deployment may take: none of them leaves the engine.
const CHECK_SECONDS: u64 = 600;
/// The network of agents: the only one with a way out.
const NETWORK: &str = "front";

/// Deploys environments, all branches when none is named. With a node, its catalog is compiled from what is served then;
/// when that fails, what was served before is served again.
///
/// # Errors
/// No control repository, or a platform that never came up.
pub fn deploy(desired: &Desired, observed: &Observed, environments: &[String], node: Option<&str>) -> Result<Plan> {
    let repo = repo(desired)?;
    unfinished::refuse(observed)?;
    if !reachable(desired, observed) {
        return Err(Error::failed("the platform is not up, so there is nothing to deploy to")
            .hint("`pupperware up` brings it up, and deploys what was never deployed"));
    }
    let mut plan = Builder::default();
    let needs = prepare(&mut plan, desired, observed);
    let switched = staged(&mut plan, desired, repo, environments, "asked to deploy", needs);
    flush_all(&mut plan, observed, switched);
    let mut needs = [vec![switched], plan.all("flush_environments")].concat();
    if let Some(certname) = node {
        let servers = servers(observed).map(|(name, c)| (name.clone(), compiler(c).map(ToOwned::to_owned))).collect();
        let undo = UndoCode { task: task(desired, &["undo"], false), servers };
        needs.extend(compile(&mut plan, observed, environments, certname, &needs, Some(&undo))?);
    }
    record(&mut plan, desired, repo, needs);
    Ok(plan.finish())
}

/// Serves the deployment before the one that is served.
///
/// # Errors
/// As [`deploy`].
pub fn undo(desired: &Desired, observed: &Observed) -> Result<Plan> {
    repo(desired)?;
    unfinished::refuse(observed)?;
    if !observed.volumes.contains_key(&labels::scoped(&desired.project, "code")) {
        return Err(Error::failed("nothing was ever deployed").hint("`pupperware up` deploys"));
    }
    let mut plan = Builder::default();
    let needs = prepare(&mut plan, desired, observed);
    let task = Box::new(task(desired, &["undo"], false));
    let switched = plan.add(Action::SwitchCode { task }, "asked to undo the last deployment", needs);
    flush_all(&mut plan, observed, switched);
    Ok(plan.finish())
}

/// Checks what is served; with a node, its catalog is compiled in each of the environments, too.
///
/// # Errors
/// There is no code yet, or nothing that compiles.
pub fn check(desired: &Desired, observed: &Observed, environments: &[String], node: Option<&str>) -> Result<Plan> {
    if let CodeSource::Volume(key) = &desired.code
        && !observed.volumes.contains_key(&labels::scoped(&desired.project, key))
    {
        return Err(Error::failed("there is no code yet").hint("bring the platform up with `pupperware up`"));
    }
    let mut plan = Builder::default();
    let needs = prepare(&mut plan, desired, observed);
    let mut words = vec!["check"];
    words.extend(environments.iter().map(String::as_str));
    let task = Box::new(task(desired, &words, false));
    let checked = plan.add(Action::CheckCode { task, seconds: CHECK_SECONDS }, "asked to check", needs);
    if let Some(certname) = node {
        compile(&mut plan, observed, environments, certname, &[checked], None)?;
    }
    Ok(plan.finish())
}

/// Compiles a node's catalog in environments, in `production` when none is named; the last step. One after the other:
/// whatever is undone when one fails, is undone once.
fn compile(
    plan: &mut Builder,
    observed: &Observed,
    environments: &[String],
    certname: &str,
    needs: &[usize],
    undo: Option<&UndoCode>,
) -> Result<Option<usize>> {
    let primary = servers(observed).find(|(_, c)| c.label(labels::SERVICE) == PRIMARY);
    let Some((server, _)) = primary else {
        return Err(Error::failed("no Puppet Server runs, so nothing compiles")
            .hint("start the platform with `pupperware start`, or leave `--node` out"));
    };
    let production = ["production".to_owned()];
    let mut last = None;
    for environment in if environments.is_empty() { &production } else { environments } {
        let (certname, environment) = (certname.to_owned(), environment.clone());
        let action =
            Action::CompileCatalog { server: server.clone(), certname, environment, undo: undo.cloned().map(Box::new) };
        let needs = needs.iter().copied().chain(last).collect();
        last = Some(plan.add(action, "asked for with a node", needs));
    }
    Ok(last)
}

/// Why `up` has to deploy; nothing when there is no control repository, or what it gave is in the volume.
pub(super) fn due(desired: &Desired, observed: &Observed) -> Option<String> {
    let repo = desired.control_repo.as_ref()?;
    let Some(deployed) = observed.record.as_ref().and_then(|r| r.code.as_ref()) else {
        return Some("nothing was deployed yet".into());
    };
    let volume = observed.volumes.get(&labels::scoped(&desired.project, "code"));
    if volume.and_then(|v| labels::made(&v.labels)) != Some(deployed.volume.as_str()) {
        return Some("the volume code is another one".into());
    }
    (deployed.url != repo.url.as_str()).then(|| "the control repository is another one".into())
}

/// Stage and switch: the last step that a server's start needs.
pub(super) fn staged(
    plan: &mut Builder,
    desired: &Desired,
    repo: &ControlRepo,
    environments: &[String],
    cause: &str,
    needs: Vec<usize>,
) -> usize {
    let mut words = vec!["stage", repo.url.as_str()];
    words.extend(environments.iter().map(String::as_str));
    let ControlRepo { ssh_key, token, ca, known_hosts, .. } = repo;
    let files = [("ssh_key", ssh_key), ("token", token), ("ca", ca), ("known_hosts", known_hosts)];
    let files = files.into_iter().filter_map(|(name, path)| Some((name.to_owned(), path.clone()?))).collect();
    let action = Action::StageCode { task: Box::new(task(desired, &words, true)), files, seconds: repo.seconds() };
    let staged = plan.add(action, cause, needs);
    let action = Action::SwitchCode { task: Box::new(task(desired, &["switch"], false)) };
    plan.add(action, "what was staged is well", vec![staged])
}

/// Remembers that code of this repository is served: as soon as that is true everywhere.
pub(super) fn record(plan: &mut Builder, desired: &Desired, repo: &ControlRepo, needs: Vec<usize>) {
    let action = Action::RecordCode { url: repo.url.to_string(), volume: labels::scoped(&desired.project, "code") };
    plan.add(action, "so that `up` does not deploy again", needs);
}

/// True when a deployment has its volume and a network to fetch code by.
pub(super) fn reachable(desired: &Desired, observed: &Observed) -> bool {
    let scoped = |key: &str| labels::scoped(&desired.project, key);
    observed.volumes.contains_key(&scoped("code")) && observed.networks.contains_key(&scoped(NETWORK))
}

/// Flushes the environments of a server.
pub(super) fn flush(plan: &mut Builder, server: &str, compiler: Option<&str>, needs: Vec<usize>) {
    let action = Action::FlushEnvironments { server: server.to_owned(), compiler: compiler.map(ToOwned::to_owned) };
    plan.add(action, "it may keep what was served before", needs);
}

/// Flushes the environments of every server that runs.
fn flush_all(plan: &mut Builder, observed: &Observed, switched: usize) {
    for (server, container) in servers(observed) {
        flush(plan, server, compiler(container), vec![switched]);
    }
}

/// A compiler's certname; the primary is asked without one.
fn compiler(container: &Container) -> Option<&str> {
    (container.label(labels::SERVICE) == COMPILER).then(|| container.label(labels::CERTNAME))
}

/// Servers that run, the primary and its compilers.
fn servers(observed: &Observed) -> impl Iterator<Item = (&String, &Container)> {
    let serves = |c: &Container| [PRIMARY, COMPILER].contains(&c.label(labels::SERVICE)) && c.running();
    observed.services().filter(move |(_, c)| serves(c))
}

/// The image, and no leftovers.
fn prepare(plan: &mut Builder, desired: &Desired, observed: &Observed) -> Vec<usize> {
    let removed = lifecycle::remove_tasks(plan, observed);
    let image = get_image(plan, &desired.images, &desired.debian, observed, "code");
    removed.into_iter().chain(image).collect()
}

fn repo(desired: &Desired) -> Result<&ControlRepo> {
    desired.control_repo.as_ref().ok_or_else(|| {
        Error::usage("no control repository is configured").hint(match desired.code {
            CodeSource::Directory(_) => {
                "the code is in the directory that `code.dir` names, and is served as it is there"
            }
            CodeSource::Volume(_) => "name one in pupperware.yaml: `code: { control_repo: { url: URL } }`",
        })
    })
}

/// A one-shot container over the code: the user that owns it, nothing else. Its root is written to only to carry the
/// repository's secrets in, which it takes into memory at once.
fn task(desired: &Desired, words: &[&str], network: bool) -> ContainerSpec {
    let project = &desired.project;
    let (source, read_only) = match &desired.code {
        CodeSource::Volume(key) => (MountSource::Volume(labels::scoped(project, key)), words[0] == "check"),
        CodeSource::Directory(path) => (MountSource::Directory(path.clone()), true),
    };
    ContainerSpec {
        name: format!("{project}-code-{}", words[0]),
        hostname: "code".into(),
        image: desired.image("code").map(|i| i.reference.clone()).unwrap_or_default(),
        command: Some(words.iter().map(|w| (*w).to_owned()).collect()),
        user: Some("920:920".into()),
        labels: labels::common(project, "task"),
        mounts: vec![Mount { source, target: CODE.into(), read_only, labels: Labels::new() }],
        tmpfs: [("/tmp".to_owned(), "mode=1777".to_owned())].into(),
        networks: network
            .then(|| Attachment { network: labels::scoped(project, NETWORK), aliases: vec![] })
            .into_iter()
            .collect(),
        cap_drop: vec!["ALL".into()],
        security_opt: vec!["no-new-privileges:true".into()],
        init: true,
        pids: Some(256),
        memory_bytes: Some(1 << 30),
        ..ContainerSpec::default()
    }
}

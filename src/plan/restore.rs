//! `backup restore`: from an archive to a running platform. Pure.
//!
//! What is replaced goes, comes back from the archive, and the rest is the plan of `up` for what is there then. Nothing is
//! removed before the images are there, the safety backup is written, and the platform is marked as half-restored.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::backup::{self, Order};
use super::builder::Builder;
use super::converge::reconcile;
use super::{Action, Plan, code, lifecycle, unfinished};
use crate::backup::Part;
use crate::desired::{Desired, PRIMARY, addons, compilers, labels};
use crate::error::{Error, Result};
use crate::observed::{Container, Observed};

/// What is put back.
#[derive(Debug, Clone)]
pub struct Restoration {
    /// The archive.
    pub file: String,
    /// The file with the keys that open it, when it is encrypted.
    pub identity: Option<PathBuf>,
    /// The configuration to write, where there is none: path, content.
    pub configuration: Option<(PathBuf, String)>,
    /// Keys of the volumes to put back from it.
    pub volumes: Vec<String>,
    /// Whether its database is put back.
    pub database: bool,
    /// Parts, when not everything.
    pub only: Vec<Part>,
    /// The backup of what is there now, to be written first; none when the user wants none.
    pub safety: Option<Order>,
}

/// The refusal to go on with a platform whose data is only half there.
pub(super) fn refuse_half_restored(observed: &Observed) -> Result<()> {
    let Some(restoring) = observed.record.as_ref().and_then(|r| r.restoring.as_ref()) else { return Ok(()) };
    let only: String = restoring.only.iter().map(|p| format!(" --only {}", p.name())).collect();
    // Said in any case: the archive may be of a platform of another name, which nobody wants to replace by this.
    let project = observed.volumes.values().find_map(|v| v.labels.get(labels::PROJECT));
    let project = project.map(|p| format!(" --as {p}")).unwrap_or_default();
    let identity = restoring.identity.as_ref().map(|path| format!(" --identity {path}")).unwrap_or_default();
    Err(Error::refused(format!("the platform is half-restored: putting {} back was interrupted", restoring.file))
        .hint(format!("finish it with `pupperware backup restore {}{only}{identity}{project}`", restoring.file)))
}

/// Keys of the volumes whose data a plan loses.
pub fn losses(plan: &Plan) -> Vec<String> {
    let lost = plan.steps.iter().filter(|s| s.action.data_loss());
    lost.filter_map(|s| match &s.action {
        Action::RemoveVolume { key, .. } => Some(key.clone()),
        _ => None,
    })
    .collect()
}

/// Puts an archive's data back, and brings the platform up with it.
///
/// # Errors
/// A part is put back where there is no platform, less is put back than an interrupted restore left open, no safety
/// backup can be made, or what [`reconcile`] refuses.
pub fn restore(desired: &Desired, observed: &Observed, what: &Restoration) -> Result<Plan> {
    // What is there is of two releases, and so would be what is put back into it.
    unfinished::refuse_half_upgraded(observed)?;
    refuse_strange(desired, what)?;
    refuse_parts(desired, observed, what)?;
    let mut plan = Builder::default();
    // Code from the archive is served as it was: the repository that it came from may be gone, too.
    let archived = Desired { control_repo: None, ..desired.clone() };
    let deploys = if what.volumes.iter().any(|key| key == "code") { &archived } else { desired };
    let rest = reconcile(deploys, &ground(desired, observed, what))?;
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    let is_image =
        |a: &Action| matches!(a, Action::PullImage { .. } | Action::MakeBase { .. } | Action::BuildImage { .. });
    for step in rest.steps.iter().filter(|s| is_image(&s.action)) {
        let needs = step.needs.iter().map(|n| moved[n]).collect();
        moved.insert(step.id, plan.add(step.action.clone(), step.cause.as_str(), needs));
    }
    let images: Vec<usize> = moved.values().copied().collect();

    let cleared = clear(&mut plan, desired, observed, what, images)?;
    let mut filled = fill(&mut plan, desired, observed, what, &cleared);
    if let (Some(repo), Some(back)) = (&desired.control_repo, plan.find("restore_volume", "code")) {
        code::record(&mut plan, desired, repo, vec![back]);
    }
    if let Some((path, text)) = &what.configuration {
        let action = Action::PlaceConfiguration { path: path.clone(), text: text.clone() };
        filled.push(plan.add(action, "from the archive; there is none here", cleared.clone()));
    }
    for step in rest.steps.iter().filter(|s| !is_image(&s.action)) {
        let mut needs: Vec<usize> = step.needs.iter().map(|n| moved[n]).collect();
        needs.extend(&cleared);
        match &step.action {
            Action::IssueCredentials { .. } | Action::RenewSecret { .. } => needs.extend(&filled),
            Action::PlaceFiles { key, .. } => needs.extend(plan.find("restore_volume", key)),
            Action::StartContainer { service, .. } if service == "puppetdb" || service == PRIMARY => {
                needs.extend(database(&mut plan, desired, what));
            }
            Action::Prove { .. } => needs.push(finish(&mut plan, &filled)),
            _ => {}
        }
        moved.insert(step.id, plan.add(step.action.clone(), step.cause.as_str(), needs));
    }
    Ok(plan.finish())
}

/// Volumes of an archive that no platform has.
fn refuse_strange(desired: &Desired, what: &Restoration) -> Result<()> {
    let agent =
        |key: &str| key.strip_prefix("agent-").is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()));
    let compiler = |key: &str| compilers::number_of(key).is_some();
    let known = |key: &str| {
        desired.volumes.contains_key(key) || key == "code" || agent(key) || compiler(key) || addons::owns(key)
    };
    match what.volumes.iter().find(|key| !known(key)) {
        None => Ok(()),
        Some(strange) => Err(Error::refused(format!(
            "{} holds a volume {strange:?}, which no platform of this release has",
            what.file
        ))),
    }
}

fn refuse_parts(desired: &Desired, observed: &Observed, what: &Restoration) -> Result<()> {
    if what.only.is_empty() {
        return Ok(());
    }
    if let Some(open) = observed.record.as_ref().and_then(|r| r.restoring.as_ref()) {
        let covered = !open.only.is_empty() && open.only.iter().all(|part| what.only.contains(part));
        return if covered { Ok(()) } else { refuse_half_restored(observed) };
    }
    if observed.volumes.contains_key(&labels::scoped(&desired.project, "ca")) {
        return Ok(());
    }
    Err(Error::refused(format!("there is no platform {} to put a part of {} into", desired.project, what.file))
        .hint("leave out `--only` to put everything back"))
}

/// What there is when what is put back is back, and everything else that is no data is gone. The volumes that come from
/// the archive look like none that anything was issued into, so that everything in them is looked at again.
fn ground(desired: &Desired, observed: &Observed, what: &Restoration) -> Observed {
    let mut ground = observed.clone();
    ground.containers.clear();
    for key in &what.volumes {
        let spec = volume(desired, key);
        let found = crate::engine::found::FoundVolume { name: spec.name.clone(), labels: spec.labels };
        ground.volumes.insert(spec.name, found);
    }
    if what.database {
        ground.volumes.remove(&labels::scoped(&desired.project, &desired.database));
    }
    if let Some(record) = &mut ground.record {
        (record.restoring, record.issued, record.proof) = (None, None, None);
    }
    ground
}

fn volume(desired: &Desired, key: &str) -> crate::engine::spec::VolumeSpec {
    let known = desired.volumes.get(key).map(|v| v.spec.clone());
    known.unwrap_or_else(|| {
        let mut spec = labels::volume(&desired.project, key);
        let stream = desired.release.split('.').next().unwrap_or_default();
        spec.labels.insert(labels::STREAM.into(), stream.into());
        spec
    })
}

/// The safety backup, the mark, and the end of all containers.
fn clear(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    what: &Restoration,
    images: Vec<usize>,
) -> Result<Vec<usize>> {
    let half = observed.record.as_ref().is_some_and(|r| r.restoring.is_some());
    let ca = labels::scoped(&desired.project, "ca");
    let data = observed.volumes.contains_key(&ca);
    let mut before = images;
    before.extend(lifecycle::remove_tasks(plan, observed));
    let held = |key: &String| *key != "state" && observed.volumes.contains_key(&labels::scoped(&desired.project, key));
    if what.safety.is_some() && !data && !half && what.volumes.iter().any(held) {
        return Err(Error::refused("no safety backup can be made of what is there now: its CA is missing")
            .hint("give up what is there now with `--no-safety-backup`"));
    }
    if let Some(order) = what.safety.as_ref().filter(|_| data && !half) {
        let source = backup::source(desired, observed, order).map_err(|error| {
            Error::refused("no safety backup can be made of what is there now")
                .because(error)
                .hint("start the platform, or give up what is there now with `--no-safety-backup`")
        })?;
        let action = Action::WriteBackup { source: Box::new(source) };
        before = vec![plan.add(action, "what is there now, before it is replaced", before)];
    }
    let replaced = what.volumes.iter().any(|key| key == "ca");
    let (file, identity, only) = (what.file.clone(), what.identity.clone(), what.only.clone());
    let action = Action::MarkRestore { file, identity, only, ca: (replaced && data).then_some(ca) };
    let marked = plan.add(action, "until all data is back, nothing else may start it", before);

    let others = observed.containers.iter().filter(|(_, c)| !matches!(c.label(labels::ROLE), "lock" | "task"));
    let others: Vec<(&String, &Container)> = others.collect();
    // Stopping has its order; the first to stop waits for the mark.
    let cause = "its data is replaced";
    let first = plan.len();
    lifecycle::stop_steps(plan, &others, cause);
    plan.need(first.., marked);
    let mut cleared = vec![marked];
    for (name, container) in others {
        let service = (container.label(labels::ROLE) == "service").then(|| container.label(labels::SERVICE).to_owned());
        let needs = plan.find("stop_container", name).into_iter().chain([marked]).collect();
        cleared.push(plan.add(Action::RemoveContainer { name: name.clone(), service }, cause, needs));
    }
    if what.database {
        let name = labels::scoped(&desired.project, &desired.database);
        if observed.volumes.contains_key(&name) {
            let action = Action::RemoveVolume { key: desired.database.clone(), name, throw_away: false };
            cleared.push(plan.add(action, "the archive's database takes its place", cleared.clone()));
        }
    }
    Ok(cleared)
}

/// Volumes with the archive's content.
fn fill(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    what: &Restoration,
    cleared: &[usize],
) -> Vec<usize> {
    let mut filled = vec![];
    for key in &what.volumes {
        let spec = volume(desired, key);
        let name = spec.name.clone();
        let mut needs = cleared.to_vec();
        // The lock holds the state volume: what is in the archive goes over what is there.
        if key != "state" {
            if observed.volumes.contains_key(&name) {
                let action = Action::RemoveVolume { key: key.clone(), name: name.clone(), throw_away: false };
                needs = vec![plan.add(action, "the archive's takes its place", needs)];
            }
            needs =
                vec![plan.add(Action::CreateVolume { key: key.clone(), spec }, "for what is in the archive", needs)];
        }
        let mounts = [(key.clone(), name.clone())];
        let task = Box::new(backup::helper(desired, &format!("restore-{key}"), &mounts));
        let (file, identity) = (what.file.clone(), what.identity.clone());
        let action = Action::RestoreVolume { key: key.clone(), file, identity, task };
        let mut back = plan.add(action, "from the archive", needs);
        if key == "ca" {
            filled.push(back);
            let action = Action::SettleCa { volume: name };
            back = plan.add(action, "it may have signed since the archive was made", vec![back]);
        }
        filled.push(back);
    }
    filled
}

/// The database, as soon as PostgreSQL serves a new cluster and before anyone uses it.
fn database(plan: &mut Builder, desired: &Desired, what: &Restoration) -> Option<usize> {
    if !what.database {
        return None;
    }
    if let Some(step) = plan.find("restore_database", "") {
        return Some(step);
    }
    let postgres = desired.replicas.iter().find(|r| r.service == "postgres")?.spec.name.clone();
    let ready = plan.find("wait_ready", &postgres).into_iter().collect();
    let (file, identity) = (what.file.clone(), what.identity.clone());
    let action = Action::RestoreDatabase { postgres, file, identity };
    Some(plan.add(action, "from the archive", ready))
}

/// Forgets the mark when everything is back. What is not proved then can be mended by `up`.
fn finish(plan: &mut Builder, filled: &[usize]) -> usize {
    if let Some(step) = plan.find("finish_restore", "") {
        return step;
    }
    let mut needs = filled.to_vec();
    needs.extend(plan.find("restore_database", ""));
    needs.extend(plan.all("record_issued"));
    plan.add(Action::FinishRestore, "all data is back", needs)
}

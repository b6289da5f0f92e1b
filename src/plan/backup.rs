//! `backup create`: what of a platform goes into an archive, and from where. Pure.

use serde::Serialize;

use super::builder::Builder;
use super::issue::task;
use super::{Action, Plan, lifecycle, unfinished};
use crate::backup::LeftOut;
use crate::config::types::AgeRecipient;
use crate::desired::{Desired, compilers, labels};
use crate::engine::spec::ContainerSpec;
use crate::error::{Error, Result};
use crate::observed::{self, Container, Observed};
use crate::release::Release;

/// Volumes that are not copied, and why.
const NOT_COPIED: [(&str, Option<&str>); 6] = [
    // Their certificates and keys are made again.
    ("puppetboard-config", None),
    (compilers::BALANCER_VOLUME, None),
    ("relay-config", None),
    ("bridge-config", None),
    ("puppetdb-data", Some("what PuppetDB has received and not stored yet changes while it is read")),
    ("puppetserver-config", Some("it is written again at every start")),
];

/// What the command knows and a snapshot does not.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// The file to write.
    pub file: String,
    /// The user's configuration file, if there is one.
    pub config: Option<String>,
    /// The user's directory with code, if one is mounted.
    pub code_dir: Option<String>,
    /// Other files of the user's that the configuration names: setting, path.
    pub beside: Vec<(String, String)>,
    /// Whom it is encrypted for; nobody: not encrypted.
    pub recipients: Vec<AgeRecipient>,
}

/// What goes into an archive, and from where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Source {
    /// The file to write.
    pub file: String,
    /// What runs: an upgrade, or the way back from one, is about to leave it.
    pub release: Release,
    /// Channel that the user named, if any.
    pub channel: Option<String>,
    /// Keys of the volumes.
    pub volumes: Vec<String>,
    /// The container that reads them, with each at `/volumes/KEY`.
    pub task: ContainerSpec,
    /// PostgreSQL's container.
    pub postgres: String,
    /// Containers that run, by service, to be asked for their packages.
    pub services: Vec<(String, String)>,
    /// The user's configuration file.
    pub config: Option<String>,
    /// Whom it is encrypted for.
    pub recipients: Vec<AgeRecipient>,
    /// What is not in it.
    pub left_out: Vec<LeftOut>,
}

/// Writes a backup while the platform serves.
///
/// # Errors
/// There is nothing to back up, or it is half-restored, or the database does not run.
pub fn backup(desired: &Desired, observed: &Observed, order: &Order) -> Result<Plan> {
    unfinished::refuse(observed)?;
    let source = source(desired, observed, order)?;
    let mut plan = Builder::default();
    let removed = lifecycle::remove_tasks(&mut plan, observed);
    let written = plan.add(Action::WriteBackup { source: Box::new(source) }, "asked for", removed);
    let action = Action::RecordBackup { file: order.file.clone() };
    plan.add(action, "so that its age is known", vec![written]);
    Ok(plan.finish())
}

/// Writes a backup that is not for keeping: the platform does not remember it.
///
/// # Errors
/// As [`backup`].
pub fn copy(desired: &Desired, observed: &Observed, order: &Order) -> Result<Plan> {
    unfinished::refuse(observed)?;
    let source = source(desired, observed, order)?;
    let mut plan = Builder::default();
    let removed = lifecycle::remove_tasks(&mut plan, observed);
    plan.add(Action::WriteBackup { source: Box::new(source) }, "a copy is made from it", removed);
    Ok(plan.finish())
}

/// Remembers that a backup was restored elsewhere and proved, where it is the platform's last one.
pub fn verified(observed: &Observed, finished_at: &str) -> Plan {
    let mut plan = Builder::default();
    let last = observed.record.as_ref().and_then(|r| r.backup.as_ref());
    if last.is_some_and(|b| b.finished_at == finished_at) {
        let action = Action::RecordVerification { finished_at: finished_at.into() };
        plan.add(action, "it was restored elsewhere, and proved", vec![]);
    }
    plan.finish()
}

/// What goes into the archive.
pub(super) fn source(desired: &Desired, observed: &Observed, order: &Order) -> Result<Source> {
    let project = &desired.project;
    if !observed.volumes.contains_key(&labels::scoped(project, "ca")) {
        return Err(
            Error::failed(format!("there is no platform {project} to back up")).hint("create it with `pupperware up`")
        );
    }
    let running = |service: &str| {
        let of = |c: &Container| c.label(labels::SERVICE) == service && c.running();
        observed.services().find(|(_, c)| of(c)).map(|(name, _)| name.clone())
    };
    let postgres = running("postgres").ok_or_else(|| {
        Error::failed("postgres does not run, so its database cannot be dumped")
            .hint(format!("start the platform with `pupperware --project {project} up`"))
    })?;
    let mut task = helper(desired, "backup", &[]);
    if !observed.has_image(&task.image) {
        return Err(Error::failed(format!("the image {} is not on the engine", task.image))
            .hint("make it with `pupperware images build provision`"));
    }
    let mut left_out = vec![];
    let mut mounts = vec![];
    for (name, volume) in &observed.volumes {
        let label = |key: &str| volume.labels.get(key).map_or("", String::as_str);
        if label(labels::ROLE) != "volume" {
            continue;
        }
        let key = label(labels::KEY).to_owned();
        // The dump stands for it; and a compiler's configuration is written again with its container. Its key is data: the
        // CA in the archive has signed it, and signs no other of that name.
        if observed::is_database(&key) || (compilers::number_of(&key).is_some() && !key.ends_with("-ssl")) {
            continue;
        }
        match NOT_COPIED.iter().find(|(not, _)| *not == key) {
            Some((_, None)) => {}
            Some((_, Some(why))) => left_out.push(LeftOut { what: key, why: (*why).into() }),
            None => mounts.push((key, name.clone())),
        }
    }
    if let Some(dir) = &order.code_dir {
        left_out.push(LeftOut { what: "code".into(), why: format!("code.dir is a directory of the host: {dir}") });
    }
    for (setting, path) in &order.beside {
        left_out.push(LeftOut { what: setting.clone(), why: format!("a file of the host: {path}") });
    }
    task = helper(desired, "backup", &mounts);
    for mount in &mut task.mounts {
        mount.read_only = true;
    }
    let of_services = observed.services().filter(|(_, c)| c.running());
    Ok(Source {
        file: order.file.clone(),
        release: desired.definition.clone(),
        channel: observed.record.as_ref().and_then(|r| r.channel.clone()),
        volumes: mounts.into_iter().map(|(key, _)| key).collect(),
        task,
        postgres,
        services: of_services.map(|(name, c)| (c.label(labels::SERVICE).to_owned(), name.clone())).collect(),
        config: order.config.clone(),
        recipients: order.recipients.clone(),
        left_out,
    })
}

/// A container that does nothing by itself: root over these volumes, no network, commands are run in it.
pub(super) fn helper(desired: &Desired, name: &str, mounts: &[(String, String)]) -> ContainerSpec {
    let mut spec = task(desired, mounts);
    spec.name = format!("{}-{name}", desired.project);
    spec.hostname = "backup".into();
    spec.entrypoint = Some(vec!["/bin/sleep".into(), "infinity".into()]);
    spec.cap_add.push("FSETID".into());
    spec.init = true;
    spec
}

//! One change at a time: a lock that lives with the engine, so that it holds for every operator and every machine.
//!
//! The lock is a container that is created and never started. Names of containers are unique on an engine, so the
//! creation is atomic: who creates it has the lock. It also has the state volume mounted, which makes it the way
//! to the journal. Its labels tell who holds it; a holder on this machine that is gone is replaced.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::desired::labels;
use crate::engine::Engine;
use crate::engine::spec::{ContainerSpec, Labels, Mount, MountSource};
use crate::error::{Error, Result};

/// Image of containers that are never started.
const ANCHOR: (&str, &str) = ("pupperware/anchor", "1");
const HOST: &str = "dev.pupperware.lock.host";
const PID: &str = "dev.pupperware.lock.pid";
const SINCE: &str = "dev.pupperware.lock.since";
const COMMAND: &str = "dev.pupperware.lock.command";
const BOOT: &str = "dev.pupperware.lock.boot";

/// A held lock. It must be given back with [`Lock::release`]; a process that dies leaves it to be found stale.
#[derive(Debug)]
pub struct Lock {
    engine: Engine,
    /// The container, which has the state volume at `/volumes/state`.
    pub container: String,
}

/// The reference of the image of containers that are never started.
pub fn anchor_image() -> String {
    format!("{}:{}", ANCHOR.0, ANCHOR.1)
}

/// Name of the lock's container.
pub fn container_name(project: &str) -> String {
    format!("{project}-lock")
}

/// Makes sure that the anchor image is there.
///
/// # Errors
/// The engine's.
pub async fn ensure_anchor(engine: &Engine) -> Result<()> {
    if engine.find_image(&anchor_image()).await?.is_none() {
        engine.import_empty(ANCHOR.0, ANCHOR.1).await?;
    }
    Ok(())
}

/// A container on the anchor image with these volumes at `/volumes/<key>`, to carry files into them.
pub fn anchor_container(project: &str, name: String, role: &str, volumes: &[(String, String)]) -> ContainerSpec {
    ContainerSpec {
        name,
        hostname: role.into(),
        image: anchor_image(),
        // Never run; the engine wants one.
        command: Some(vec!["/never-started".into()]),
        labels: labels::common(project, role),
        mounts: volumes
            .iter()
            .map(|(key, volume)| Mount {
                source: MountSource::Volume(volume.clone()),
                target: format!("/volumes/{key}"),
                read_only: false,
            })
            .collect(),
        tmpfs: BTreeMap::new(),
        ..ContainerSpec::default()
    }
}

/// Takes the project's lock, waiting up to `patience` for another holder.
///
/// # Errors
/// Someone else holds it (exit 6, naming who and since when), or the engine's.
pub async fn take(engine: &Engine, project: &str, command: &str, patience: Duration) -> Result<Lock> {
    ensure_anchor(engine).await?;
    let state = labels::volume(project, "state");
    let mut labelled = state.clone();
    labelled.labels.insert(labels::MADE.into(), super::now());
    engine.create_volume(&labelled).await?;
    let name = container_name(project);
    let mut spec = anchor_container(project, name.clone(), "lock", &[("state".into(), state.name)]);
    spec.labels.extend(identity(command));
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match engine.create_container(&spec).await {
            Ok(_) => return Ok(Lock { engine: engine.clone(), container: name }),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
        let held = engine.list_containers(&labels::selector(project)).await?.into_iter().find(|c| c.name == name);
        match held {
            // Given back in between.
            None => {}
            Some(holder) if is_stale(&holder.labels) => {
                tracing::info!(holder = ?holder.labels, "taking over the lock of a process that is gone");
                engine.remove_container(&holder.id).await?;
            }
            Some(holder) if tokio::time::Instant::now() >= deadline => return Err(busy(project, &holder.labels)),
            Some(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

impl Lock {
    /// Gives the lock back.
    ///
    /// # Errors
    /// The engine's.
    pub async fn release(self) -> Result<()> {
        Ok(self.engine.remove_container(&self.container).await?)
    }
}

/// Who we are, for the labels.
fn identity(command: &str) -> Labels {
    Labels::from([
        (HOST.into(), host()),
        (PID.into(), std::process::id().to_string()),
        (SINCE.into(), super::now()),
        (COMMAND.into(), command.into()),
        (BOOT.into(), boot_id()),
    ])
}

/// This machine's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Changes with every boot, so that an old process number is not mistaken for a new process; empty where unknown.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|s| s.trim().to_owned()).unwrap_or_default()
}

/// True when the holder was a process of this machine that does not live any more.
fn is_stale(labels: &Labels) -> bool {
    let get = |key: &str| labels.get(key).map_or("", String::as_str);
    if get(HOST) != host() {
        return false;
    }
    if get(BOOT) != boot_id() {
        return true;
    }
    let pid = get(PID).parse().ok().and_then(rustix::process::Pid::from_raw);
    // EPERM means that it lives and belongs to someone else.
    pid.is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

fn busy(project: &str, labels: &Labels) -> Error {
    let get = |key: &str| labels.get(key).map_or("?", String::as_str);
    Error::refused(format!(
        "another change of {project} is under way: `{}` by process {} on {}, since {}",
        get(COMMAND),
        get(PID),
        get(HOST),
        get(SINCE)
    ))
    .hint(format!(
        "wait for it with `--wait-lock 5m`; if that process is gone for good, free the lock with `docker rm {project}-lock`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_process_of_this_machine_holds_the_lock() {
        assert!(!is_stale(&identity("up")));
    }

    #[test]
    fn a_gone_process_or_an_earlier_boot_does_not() {
        let mut gone = identity("up");
        gone.insert(PID.into(), "2147483646".into());
        assert!(is_stale(&gone));
        let mut earlier = identity("up");
        earlier.insert(BOOT.into(), "another".into());
        assert!(is_stale(&earlier));
    }

    #[test]
    fn another_machine_is_never_judged() {
        let mut other = identity("up");
        other.insert(HOST.into(), "elsewhere".into());
        other.insert(PID.into(), "2147483646".into());
        assert!(!is_stale(&other));
    }
}

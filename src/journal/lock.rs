//! One change at a time: a lock that lives with the engine, so that it holds for every operator and every machine.
//!
//! The lock is a container that is created and never started. Names of containers are unique on an engine, so the
//! creation is atomic: who creates it has the lock. It also has the state volume mounted, which makes it the way
//! to the journal. Its labels tell who holds it; a holder that is gone (see `holder`) is replaced. Whoever made a lock
//! removes it by its id: another one may have the name by then.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use super::holder;
use crate::desired::labels;
use crate::engine::Engine;
use crate::engine::spec::{ContainerSpec, Labels, Mount, MountSource};
use crate::error::{Error, Result};

/// Image of containers that are never started.
const ANCHOR: (&str, &str) = ("pupperware/anchor", "1");
/// Between two tries to get a lock that another one holds.
const PAUSE: Duration = Duration::from_millis(200);

/// A held lock. It must be given back with [`Lock::release`]; a process that dies leaves it to be found stale.
#[derive(Debug)]
pub struct Lock {
    engine: Engine,
    /// The container's id. It has the state volume at `/volumes/state`.
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
                labels: Labels::new(),
            })
            .collect(),
        tmpfs: BTreeMap::new(),
        ..ContainerSpec::default()
    }
}

/// Takes the project's lock, waiting up to `patience` for another holder, and no longer than until `give_up` says why
/// not.
///
/// # Errors
/// Someone else holds it (exit 6, naming who and since when), what `give_up` said, or the engine's.
pub async fn take(
    engine: &Engine,
    project: &str,
    command: &str,
    patience: Duration,
    give_up: impl Future<Output = Error>,
) -> Result<Lock> {
    ensure_anchor(engine).await?;
    let spec = container(project, command);
    let deadline = tokio::time::Instant::now() + patience;
    let mut give_up = pin!(give_up);
    loop {
        match engine.create_container(&spec).await {
            Ok(container) => return Ok(Lock { engine: engine.clone(), container }),
            Err(e) if e.is_conflict() => {}
            Err(e) => return Err(e.into()),
        }
        // Among all: a container of that name that is not ours holds it as well.
        let held = engine.list_all_containers().await?.into_iter().find(|c| c.name == spec.name);
        match held {
            // Given back in between.
            None => {}
            Some(other) if holder::is_gone(&other.labels) => {
                tracing::info!(holder = ?other.labels, "taking over the lock of a process that is gone");
                engine.remove_container(&other.id).await?;
            }
            Some(other) if tokio::time::Instant::now() >= deadline => return Err(holder::busy(project, &other.labels)),
            // Only the waiting is given up: a call that was cut short might leave a lock that nobody knows of.
            Some(_) => tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                why = &mut give_up => return Err(why),
            },
        }
    }
}

/// The lock's container. Making it makes the state volume, with its labels, where there is none: in two calls, the last
/// holder's `down` could remove the volume between them.
fn container(project: &str, command: &str) -> ContainerSpec {
    let state = labels::volume(project, "state");
    let mut spec = anchor_container(project, container_name(project), "lock", &[("state".into(), state.name)]);
    for mount in &mut spec.mounts {
        mount.labels.clone_from(&state.labels);
        mount.labels.insert(labels::MADE.into(), super::now());
    }
    spec.labels.extend(holder::identity(command));
    spec
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::engine::fake::Fake;

    /// An engine on which somebody has the lock: whoever these labels tell.
    fn held(holder: Labels) -> Fake {
        let there = AtomicBool::new(true);
        let lock = json!([{ "Id": "old", "Names": ["/demo-lock"], "Labels": holder }]).to_string();
        Fake::new(move |question, _| match question.split('?').next().unwrap_or_default() {
            "POST /containers/create" if there.load(Ordering::Relaxed) => (409, r#"{"message":"in use"}"#.into()),
            "POST /containers/create" => (201, r#"{"Id":"new","Warnings":[]}"#.into()),
            "GET /containers/json" => (200, lock.clone()),
            "DELETE /containers/old" => {
                there.store(false, Ordering::Relaxed);
                (204, String::new())
            }
            "DELETE /containers/new" => (204, String::new()),
            _ => (200, "{}".into()),
        })
    }

    fn never() -> impl Future<Output = Error> {
        std::future::pending()
    }

    #[tokio::test]
    async fn a_lock_of_a_process_that_is_gone_is_taken_over_and_given_back_by_its_id() {
        let mut gone = holder::identity("up");
        gone.insert("dev.pupperware.lock.pid".into(), "2147483646".into());
        let fake = held(gone);
        let lock = take(&fake.engine, "demo", "up", Duration::ZERO, never()).await.unwrap();
        assert_eq!(lock.container, "new");
        lock.release().await.unwrap();
        let removed: Vec<_> = fake.asked().into_iter().filter(|q| q.starts_with("DELETE")).collect();
        assert!(removed[0].starts_with("DELETE /containers/old?"), "{removed:?}");
        assert!(removed[1].starts_with("DELETE /containers/new?"), "{removed:?}");
        assert_eq!(removed.len(), 2);
    }

    #[tokio::test]
    async fn a_lock_of_a_process_that_lives_is_waited_for_until_patience_ends() {
        let fake = held(holder::identity("up"));
        let error = take(&fake.engine, "demo", "up", Duration::from_millis(1), never()).await.unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Refused);
        assert!(fake.asked().iter().all(|q| !q.starts_with("DELETE")));
    }

    #[tokio::test]
    async fn waiting_can_be_given_up() {
        let fake = held(holder::identity("up"));
        let give_up = std::future::ready(Error::new(crate::error::Kind::Interrupted, "interrupted"));
        let error = take(&fake.engine, "demo", "up", Duration::from_secs(3600), give_up).await.unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Interrupted);
    }

    #[tokio::test]
    async fn the_state_volume_comes_with_the_lock_and_has_its_labels() {
        let fake = Fake::new(|question, body| match question.split('?').next().unwrap_or_default() {
            "POST /containers/create" => {
                let body: Value = serde_json::from_str(body).unwrap();
                let mount = &body["HostConfig"]["Mounts"][0];
                let labels = &mount["VolumeOptions"]["Labels"];
                assert_eq!((mount["Source"].as_str(), mount["Type"].as_str()), (Some("demo_state"), Some("volume")));
                assert_eq!(labels[labels::PROJECT], "demo");
                assert_eq!(labels[labels::KEY], "state");
                assert!(labels[labels::MADE].is_string());
                (201, r#"{"Id":"new","Warnings":[]}"#.into())
            }
            _ => (200, "{}".into()),
        });
        take(&fake.engine, "demo", "up", Duration::ZERO, never()).await.unwrap();
        assert!(fake.asked().iter().all(|q| !q.contains("/volumes")), "{:?}", fake.asked());
    }
}

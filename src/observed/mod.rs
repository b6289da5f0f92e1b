//! What a platform looks like now: one snapshot of the engine, as plain data.
//!
//! Three lists and a few inspections, all side by side. No judgement is made here; that is `plan::reconcile`'s work.

pub mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use semver::Version;

use crate::config::sizing::Machine;
use crate::desired::{DATABASE, labels};
use crate::engine::found::{ContainerDetail, ContainerState, FoundContainer, FoundNetwork, FoundPort, FoundVolume};
use crate::engine::{Engine, EngineError, reference};
use crate::error::Result;
use crate::release::Lineage;

pub use record::Record;

/// A platform, as it is.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Its containers by name: services, tasks, the lock.
    pub containers: BTreeMap<String, Container>,
    /// Its networks by name.
    pub networks: BTreeMap<String, FoundNetwork>,
    /// Names of all other networks on the engine.
    pub other_networks: BTreeSet<String>,
    /// Its volumes by name.
    pub volumes: BTreeMap<String, FoundVolume>,
    /// References of images that the engine has, of those that were asked about, in the spelling of [`reference::normal`].
    pub images: BTreeSet<String>,
    /// What these images are: the engine's ids of their content, by the same references.
    pub image_ids: BTreeMap<String, String>,
    /// What the platform recorded of itself; the newest when a crash left two.
    pub record: Option<Record>,
    /// Names of all record volumes, the newest last.
    pub record_volumes: Vec<String>,
    /// Host ports that other containers of the engine hold, with their names.
    pub ports: Vec<(FoundPort, String)>,
}

/// A container of the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// The engine's list row.
    pub found: FoundContainer,
    /// When its process last started, RFC 3339; only of those that run.
    pub started_at: Option<String>,
    /// The engine's own check: `healthy`, `starting`, `unhealthy`, or empty.
    pub health: String,
}

impl Container {
    /// A label, or nothing.
    pub fn label(&self, key: &str) -> &str {
        self.found.labels.get(key).map_or("", String::as_str)
    }

    /// True while its process runs.
    pub fn running(&self) -> bool {
        self.found.state == ContainerState::Running
    }

    /// True while its process runs, or can run again without anyone asking: frozen, or between two tries.
    pub fn alive(&self) -> bool {
        matches!(self.found.state, ContainerState::Running | ContainerState::Restarting | ContainerState::Paused)
    }

    /// True for a helper that nobody is busy with: a task belongs to whoever holds the lock, which is us; one that looks
    /// takes no lock, and is somebody's for as long as it runs.
    pub fn left_over(&self) -> bool {
        match self.label(labels::ROLE) {
            "task" => true,
            "look" => !self.running(),
            _ => false,
        }
    }
}

impl Observed {
    /// Containers of services, by name.
    pub fn services(&self) -> impl Iterator<Item = (&String, &Container)> {
        self.containers.iter().filter(|(_, c)| c.label(labels::ROLE) == "service")
    }

    /// True when the engine has this image, however the reference is spelt.
    pub fn has_image(&self, reference: &str) -> bool {
        self.images.contains(&reference::normal(reference))
    }

    /// Images that are not what was proved, though they have the same names: component and reference.
    pub fn exchanged(&self) -> Vec<(&str, &str)> {
        let lock = self.record.as_ref().and_then(|r| r.lock.as_ref());
        let locked = lock.into_iter().flat_map(|lock| &lock.images);
        let other = |reference: &str, id: &str| {
            self.image_ids.get(&reference::normal(reference)).is_some_and(|found| found != id)
        };
        let exchanged = locked.filter(|(_, image)| other(&image.reference, &image.id));
        exchanged.map(|(component, image)| (component.as_str(), image.reference.as_str())).collect()
    }

    /// The container of somebody else because of which nothing can be published at this address and port.
    pub fn holder(&self, address: IpAddr, port: u16) -> Option<&str> {
        self.ports.iter().find(|(held, _)| held.bars(address, port)).map(|(_, name)| name.as_str())
    }

    /// What tells which release the platform's data belongs to: its record, else its containers, else its volumes.
    pub fn lineage(&self) -> Lineage {
        let recorded = self.record.as_ref().map(|r| r.release.clone());
        let labelled = || self.services().filter_map(|(_, c)| c.label(labels::RELEASE).parse().ok()).max();
        if let Some(version) = recorded.or_else(labelled) {
            return Lineage::Release(version);
        }
        let label = |v: &FoundVolume, key: &str| v.labels.get(key).cloned().unwrap_or_default();
        // The state volume is there as soon as any command has taken the lock, whatever it was for.
        let mut data: Vec<&FoundVolume> = self
            .volumes
            .values()
            .filter(|v| label(v, labels::ROLE) == "volume" && label(v, labels::KEY) != "state")
            .collect();
        // All others are of the release that made them, whatever they were upgraded to.
        if data.iter().any(|v| is_database(&label(v, labels::KEY))) {
            data.retain(|v| is_database(&label(v, labels::KEY)));
        }
        let streams: BTreeSet<Option<u64>> = data.iter().map(|v| label(v, labels::STREAM).parse().ok()).collect();
        let told: Vec<u64> = streams.iter().copied().flatten().collect();
        match told[..] {
            _ if streams.is_empty() => Lineage::New,
            [stream] => Lineage::Stream(stream),
            _ => Lineage::Unknown,
        }
    }

    /// Key of the volume with the database of this release: the one of its stream. Where there is none, that of new
    /// platforms, or `next` where an older stream's data is there.
    pub fn database(&self, release: &Version, next: &str) -> String {
        let of_stream = |v: &&FoundVolume| {
            let stream = v.labels.get(labels::STREAM);
            stream.is_none_or(|s| s.parse() == Ok(release.major))
        };
        let all: Vec<&FoundVolume> = self.databases().collect();
        let key = |v: &FoundVolume| v.labels.get(labels::KEY).cloned().unwrap_or_default();
        let recorded = || {
            let record = self.record.as_ref().filter(|r| r.release.major == release.major)?;
            record.issued.as_ref()?.volumes.keys().find(|key| is_database(key)).cloned()
        };
        let new = || if all.iter().any(|v| key(v) == DATABASE) { next.to_owned() } else { DATABASE.to_owned() };
        all.iter().copied().find(of_stream).map(key).or_else(recorded).unwrap_or_else(new)
    }

    /// All volumes that hold, or held, the database.
    fn databases(&self) -> impl Iterator<Item = &FoundVolume> {
        let label = |v: &FoundVolume, key: &str| v.labels.get(key).cloned().unwrap_or_default();
        self.volumes.values().filter(move |v| label(v, labels::ROLE) == "volume" && is_database(&label(v, labels::KEY)))
    }

    /// The machine that the newest of its services was sized for.
    pub fn machine(&self) -> Option<Machine> {
        let (_, newest) = self.services().max_by_key(|(_, c)| c.found.created)?;
        Machine::from_label(newest.label(labels::MACHINE))
    }

    /// True when nothing of the platform exists.
    pub fn is_absent(&self) -> bool {
        self.containers.is_empty() && self.volumes.is_empty() && self.networks.is_empty()
    }

    /// Start times of the running service containers, as the proof remembers them.
    pub fn start_times(&self) -> BTreeMap<String, String> {
        let running = self.services().filter(|(_, c)| c.running());
        running.filter_map(|(name, c)| Some((name.clone(), c.started_at.clone()?))).collect()
    }

    /// True when the recorded proof is of exactly the containers that run now, since their last start.
    pub fn proved(&self) -> bool {
        let proof = self.record.as_ref().and_then(|r| r.proof.as_ref());
        let all_run = self.services().all(|(_, c)| c.running());
        proof.is_some_and(|p| all_run && !p.started.is_empty() && p.started == self.start_times())
    }
}

/// True for keys of volumes with a database: that of new platforms, and those that upgrades made.
pub fn is_database(key: &str) -> bool {
    key.strip_prefix(DATABASE).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Takes the snapshot of one project. Of these images it tells which are there: asked by name, because an engine takes as
/// long to list all that it has as everything else here takes together.
///
/// # Errors
/// The engine's, or a record that this program is too old for.
pub async fn snapshot(engine: &Engine, project: &str, references: &[String]) -> Result<Observed> {
    let selector = labels::selector(project);
    let asked: BTreeSet<String> = references.iter().map(|r| reference::normal(r)).collect();
    let (containers, volumes, networks, image_ids) = tokio::try_join!(
        engine.list_all_containers(),
        engine.list_volumes(&selector),
        engine.list_networks(),
        images(engine, references),
    )?;
    let (ours, others): (Vec<_>, Vec<_>) =
        containers.into_iter().partition(|c| c.labels.get(labels::PROJECT).map(String::as_str) == Some(project));
    let of_project = |n: &FoundNetwork| n.labels.get(labels::PROJECT).map(String::as_str) == Some(project);
    let (networks, other_networks): (Vec<_>, Vec<_>) = networks.into_iter().partition(of_project);
    let details = futures_util::future::try_join_all(ours.into_iter().map(|found| detailed(engine, found))).await?;
    let mut observed = Observed {
        containers: details.into_iter().flatten().map(|c| (c.found.name.clone(), c)).collect(),
        networks: networks.into_iter().map(|n| (n.name.clone(), n)).collect(),
        other_networks: other_networks.into_iter().map(|n| n.name).collect(),
        images: image_ids.keys().cloned().collect(),
        image_ids,
        ports: others.into_iter().flat_map(|c| c.ports.into_iter().map(move |port| (port, c.name.clone()))).collect(),
        ..Observed::default()
    };
    let (records, volumes): (Vec<_>, Vec<_>) =
        volumes.into_iter().partition(|v| v.labels.get(labels::ROLE).map(String::as_str) == Some(record::ROLE));
    observed.volumes = volumes.into_iter().map(|v| (v.name.clone(), v)).collect();
    (observed.record, observed.record_volumes) = record::newest(records)?;
    // A release that only the platform knows has images that nobody asked about.
    let own = observed.record.iter().filter_map(|r| r.lock.as_ref()).flat_map(|lock| lock.images.values());
    let own: Vec<String> = own.map(|image| reference::normal(&image.reference)).collect();
    let unknown: Vec<String> = own.into_iter().filter(|name| !asked.contains(name)).collect();
    if !references.is_empty() && !unknown.is_empty() {
        observed.image_ids.extend(self::images(engine, &unknown).await?);
        observed.images = observed.image_ids.keys().cloned().collect();
    }
    Ok(observed)
}

async fn images(engine: &Engine, references: &[String]) -> Result<BTreeMap<String, String>, EngineError> {
    let names: BTreeSet<String> = references.iter().map(|r| reference::normal(r)).collect();
    let found = futures_util::future::try_join_all(names.iter().map(|name| engine.find_image(name))).await?;
    Ok(names.into_iter().zip(found).filter_map(|(name, found)| Some((name, found?.id))).collect())
}

/// Adds what only an inspection tells. `None` when the container went away in between.
async fn detailed(engine: &Engine, found: FoundContainer) -> Result<Option<Container>, EngineError> {
    if found.state != ContainerState::Running {
        return Ok(Some(Container { found, started_at: None, health: String::new() }));
    }
    let detail: Option<ContainerDetail> = engine.inspect_container(&found.id).await?;
    Ok(detail.map(|d| Container { found, started_at: Some(d.started_at), health: d.health }))
}

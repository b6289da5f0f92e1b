//! What the platform should look like: config + release + Compose files, put together as plain data.
//!
//! Nothing here talks to an engine or reads a clock, so the same input always gives the same result.

pub mod addons;
pub mod compilers;
pub mod compose;
pub mod credentials;
pub mod export;
pub mod hash;
pub mod interpolate;
pub mod labels;
mod revocation;
mod services;

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::Config;
use crate::config::model::ControlRepo;
use crate::config::sizing::Sizing;
use crate::config::types::Addon;
use crate::engine::FileEntry;
use crate::engine::spec::{ContainerSpec, NetworkSpec, VolumeSpec};
use crate::error::Result;
use crate::images::{self, Debian, DesiredImage};
use crate::release::Release;
use compose::Holds;
use credentials::Credentials;
use interpolate::Variables;

pub use revocation::{CrlCopy, Reload};
pub use services::{BALANCER, COMPILER, PRIMARY, Private, Replica};

/// A whole platform, as it should be.
#[derive(Debug, Clone)]
pub struct Desired {
    /// Project name.
    pub project: String,
    /// Release version.
    pub release: String,
    /// The release, as its manifest describes it.
    pub definition: Release,
    /// Channel, when the user named one.
    pub channel: Option<String>,
    /// The Debian below the images.
    pub debian: Debian,
    /// Images, in build order.
    pub images: Vec<DesiredImage>,
    /// Networks by key.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// Key of the database's volume.
    pub database: String,
    /// Volumes by key.
    pub volumes: BTreeMap<String, DesiredVolume>,
    /// Containers, in the order in which they depend on each other.
    pub replicas: Vec<Replica>,
    /// CA, certificates and secrets.
    pub credentials: Credentials,
    /// Rendered configuration by volume key.
    pub files: BTreeMap<String, Vec<FileEntry>>,
    /// The user's files that go with it.
    pub private: BTreeMap<String, Vec<Private>>,
    /// Where agents from outside find the server.
    pub address: (IpAddr, u16),
    /// Services that it is without: what is there of them goes, but for data.
    pub absent: Vec<Addon>,
    /// The repository that code is deployed from.
    pub control_repo: Option<ControlRepo>,
    /// What code checks look at: the code volume's key, or the user's directory.
    pub code: CodeSource,
}

/// Where the servers' code is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeSource {
    /// A volume, by its key.
    Volume(String),
    /// A directory of the engine's host.
    Directory(String),
}

/// A volume, and what is lost with it.
#[derive(Debug, Clone)]
pub struct DesiredVolume {
    /// As the engine makes it.
    pub spec: VolumeSpec,
    /// What is lost with it.
    pub holds: Holds,
    /// For people.
    pub about: String,
}

/// Who runs the command, for labels that other tools read. Not part of any hash.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Working directory.
    pub working_dir: String,
    /// The configuration file, or what stands for it.
    pub config_file: String,
}

/// Key of the database's volume on a new platform.
pub const DATABASE: &str = "postgres-data";

/// Key of the volume that an upgrade to this release copies the database into: each major version of PostgreSQL has files
/// of its own, and the old ones are kept.
pub fn next_database(release: &Release) -> String {
    let major = release.components.get("postgres").map_or("", |c| c.version.as_str());
    format!("{DATABASE}-{major}")
}

/// Puts a platform together; `database` is the key of its database's volume.
///
/// # Errors
/// A release or Compose file that is not whole: bugs of ours, caught by tests.
pub fn build(config: &Config, release: &Release, sizing: &Sizing, origin: &Origin, database: &str) -> Result<Desired> {
    let project = config.project.to_string();
    let images = images(config, release)?;

    let platform = compose::read(compose::PLATFORM, &Variables::from([("DATABASE", database.to_owned())]))?;
    let mut volumes = platform.volumes.clone();
    if config.code.dir.is_some() {
        // The user's directory stands in its place.
        volumes.remove("code");
    }
    let absent = addons::absent(config);
    for parts in absent.iter().map(|addon| addons::parts(*addon)) {
        volumes.remove(parts.volume);
        parts.data.and_then(|key| volumes.remove(key));
    }
    let networks = platform
        .networks
        .iter()
        .filter(|(key, _)| !absent.iter().any(|addon| addons::parts(*addon).network == Some(key.as_str())))
        .map(|(key, n)| (key.clone(), labels::network(&project, key, n.internal)))
        .collect::<BTreeMap<_, _>>();

    let files = services::files(config, sizing);
    let credentials = credentials::of(config, database);
    let context = services::Context {
        config,
        release,
        sizing,
        images: &images,
        networks: &networks,
        files: &files,
        credentials: &credentials,
        origin,
        database,
    };
    let mut replicas = Vec::new();
    let added = addons::present(config).map(|addon| addons::parts(addon).source);
    for source in compose::SERVICES.into_iter().chain(added) {
        let mut file = compose::read(source, &context.variables(1)?)?;
        if let (Some(relay), None) = (file.services.get_mut(Addon::Relay.name()), config.relay.publish) {
            relay.ports.clear();
        }
        replicas.extend(context.replicas(&file, 1)?);
    }
    if config.balanced() {
        let file = compose::read(compose::BALANCER, &context.variables(1)?)?;
        replicas.extend(context.replicas(&file, 1)?);
        volumes.extend(file.volumes);
    }
    for number in 1..=config.compilers.replicas.get() {
        let file = compose::read(compose::COMPILER, &context.variables(number)?)?;
        replicas.extend(context.replicas(&file, number)?);
        volumes.extend(file.volumes);
    }
    for number in 1..=config.agents.replicas.get() {
        let file = compose::read(compose::AGENT, &context.variables(number)?)?;
        replicas.extend(context.replicas(&file, number)?);
        volumes.extend(file.volumes);
    }
    let volumes = volumes
        .into_iter()
        .map(|(key, v)| {
            let mut spec = labels::volume(&project, &key);
            // What tells the stream of the data when nothing else is left.
            spec.labels.insert(labels::STREAM.into(), release.version.major.to_string());
            (key, DesiredVolume { spec, holds: v.pupperware.holds, about: v.pupperware.about })
        })
        .collect();
    Ok(Desired {
        release: release.version.to_string(),
        definition: release.clone(),
        channel: config.channel().map(ToString::to_string),
        debian: images::debian(release)?,
        images,
        networks,
        database: database.to_owned(),
        volumes,
        replicas,
        credentials,
        files,
        private: services::private(config),
        address: address(config),
        absent,
        control_repo: config.code.control_repo.clone(),
        code: config
            .code
            .dir
            .as_ref()
            .map_or_else(|| CodeSource::Volume("code".into()), |d| CodeSource::Directory(d.display().to_string())),
        project,
    })
}

/// The images of a release, in build order, with the user's own in their places.
///
/// # Errors
/// As [`build`].
pub fn images(config: &Config, release: &Release) -> Result<Vec<DesiredImage>> {
    images::desired(release, &overrides(config))
}

/// Where agents from outside find the server.
pub fn address(config: &Config) -> (IpAddr, u16) {
    let publish = &config.puppetserver.publish;
    (publish.address(), publish.port())
}

/// The user's own images by component.
fn overrides(config: &Config) -> BTreeMap<String, String> {
    let images = &config.images;
    [
        ("base", &images.base),
        ("provision", &images.provision),
        ("jre", &images.jre),
        ("postgres", &images.postgres),
        ("puppetdb", &images.puppetdb),
        ("puppetserver", &images.puppetserver),
        ("agent", &images.agent),
        ("code", &images.code),
        ("puppetboard", &images.puppetboard),
        ("balancer", &images.balancer),
        ("relay", &images.relay),
    ]
    .into_iter()
    .filter_map(|(component, image)| Some((component.to_owned(), image.as_ref()?.to_string())))
    .collect()
}

impl Desired {
    /// The replica that holds the CA.
    pub fn primary(&self) -> Option<&Replica> {
        self.replicas.iter().find(|r| r.service == PRIMARY)
    }

    /// The balancer, where there is one.
    pub fn balancer(&self) -> Option<&Replica> {
        self.replicas.iter().find(|r| r.service == BALANCER)
    }

    /// The compilers, by number.
    pub fn compilers(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|r| r.service == COMPILER)
    }

    /// The image of a component.
    pub fn image(&self, component: &str) -> Option<&DesiredImage> {
        self.images.iter().find(|i| i.component == component)
    }

    /// A container's spec by its name.
    pub fn container(&self, name: &str) -> Option<&ContainerSpec> {
        self.replicas.iter().map(|r| &r.spec).find(|s| s.name == name)
    }
}

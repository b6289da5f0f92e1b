//! From a Compose service, the configuration and the release to a container, ready to be created.

use std::collections::BTreeMap;

use serde::Serialize;

use super::compose::{self, ComposeFile, Service};
use super::credentials::{self, Credentials};
use super::interpolate::Variables;
use super::{Origin, addons, compilers, hash, labels};
use crate::config::Config;
use crate::config::model::Pids;
use crate::config::sizing::{BALANCER_MEMORY, Sizing};
use crate::config::types::{Addon, Cpus};
use crate::engine::FileEntry;
use crate::engine::spec::{
    Attachment, ContainerSpec, HealthCheck, Labels, Mount, MountSource, NetworkSpec, PublishedPort, Restart,
};
use crate::error::{Error, Result};
use crate::images::DesiredImage;
use crate::puppet;
use crate::release::Release;

/// The service that holds the CA.
pub const PRIMARY: &str = "puppetserver";
/// The service that agents come to where there are compilers.
pub const BALANCER: &str = "balancer";
/// The servers without a CA behind it.
pub const COMPILER: &str = "compiler";

/// One container of a service.
#[derive(Debug, Clone)]
pub struct Replica {
    /// Service name.
    pub service: String,
    /// Number in the service, from 1.
    pub number: u32,
    /// Component whose image it runs.
    pub component: String,
    /// Host name and certname.
    pub certname: String,
    /// What to create.
    pub spec: ContainerSpec,
    /// Hash over everything that makes it what it is: a difference means it must be made anew.
    pub hash: String,
    /// Key of the volume that its rendered configuration goes into.
    pub config_volume: Option<String>,
    /// Keys of all its volumes.
    pub volumes: Vec<String>,
    /// Keys of its networks.
    pub networks: Vec<String>,
    /// Services that it needs; stopped after it.
    pub depends_on: Vec<String>,
}

/// A file of the user's with a secret: known by its path, and read when it is delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Private {
    /// Path in the volume.
    pub path: String,
    /// Where it is on this machine.
    pub from: std::path::PathBuf,
    /// Owner and group; nobody else may read it.
    pub owner: u32,
}

/// What goes into a replica's hash.
#[derive(Serialize)]
struct Identity<'a> {
    spec: &'a ContainerSpec,
    networks: Vec<&'a NetworkSpec>,
    files: Option<&'a Vec<FileEntry>>,
    certificate: Option<&'a credentials::Certificate>,
}

/// Everything that is needed to make containers of services.
pub(super) struct Context<'a> {
    pub config: &'a Config,
    pub release: &'a Release,
    pub sizing: &'a Sizing,
    pub images: &'a [DesiredImage],
    pub networks: &'a BTreeMap<String, NetworkSpec>,
    pub files: &'a BTreeMap<String, Vec<FileEntry>>,
    pub credentials: &'a Credentials,
    pub origin: &'a Origin,
    pub database: &'a str,
}

/// Rendered configuration by volume key.
pub(super) fn files(config: &Config, sizing: &Sizing) -> BTreeMap<String, Vec<FileEntry>> {
    let mut files = BTreeMap::from([
        ("postgres-config".to_owned(), puppet::postgres::files(sizing)),
        ("puppetdb-config".to_owned(), puppet::puppetdb::files(config, sizing)),
        ("puppetserver-config".to_owned(), puppet::server::files(config, sizing)),
    ]);
    if config.has(Addon::Puppetboard) {
        files.insert("puppetboard-config".to_owned(), puppet::puppetboard::files(config));
    }
    if config.balanced() {
        files.insert(compilers::BALANCER_VOLUME.to_owned(), puppet::balancer::files(config, sizing));
    }
    for number in 1..=config.compilers.replicas.get() {
        let certname = compilers::certname(config.project.as_str(), number);
        files.insert(compilers::config_volume(number), puppet::server::compiler_files(config, sizing, &certname));
    }
    if config.has(Addon::Relay) {
        files.insert(addons::parts(Addon::Relay).volume.to_owned(), puppet::relay::files(config));
    }
    if config.has(Addon::Bridge) {
        files.insert(addons::BRIDGE_CONFIG.to_owned(), puppet::bridge::files(config));
    }
    files
}

/// The user's files with secrets, by volume key.
pub(super) fn private(config: &Config) -> BTreeMap<String, Vec<Private>> {
    let private = puppet::relay::private(config);
    let there = config.has(Addon::Relay) && !private.is_empty();
    there.then(|| (addons::parts(Addon::Relay).volume.to_owned(), private)).into_iter().collect()
}

impl Context<'_> {
    /// The variables of the Compose files, for replica `number`.
    pub(super) fn variables(&self, number: u32) -> Result<Variables> {
        let project = self.config.project.to_string();
        let image = |component: &str| {
            let found = self.images.iter().find(|i| i.component == component);
            found.map(|i| i.reference.clone()).ok_or_else(|| Error::failed(format!("no image for {component}")))
        };
        let config = self.config;
        let cpus = |cores: Option<Cpus>| cores.map(|c| (f64::from(c.milli()) / 1000.0).to_string()).unwrap_or_default();
        Ok(Variables::from([
            ("POSTGRES_IMAGE", image("postgres")?),
            ("PUPPETDB_IMAGE", image("puppetdb")?),
            ("PUPPETSERVER_IMAGE", image("puppetserver")?),
            ("AGENT_IMAGE", image("agent")?),
            ("PUPPETBOARD_IMAGE", image("puppetboard")?),
            ("BALANCER_IMAGE", image("balancer")?),
            ("BALANCER_CERTNAME", compilers::balancer_certname(&project)),
            ("BALANCER_MEMORY", BALANCER_MEMORY.to_string()),
            ("COMPILER_NUMBER", number.to_string()),
            ("COMPILER_CERTNAME", compilers::certname(&project, number)),
            ("COMPILER_MEMORY", self.sizing.compiler.memory.value.to_string()),
            ("RELAY_IMAGE", image("relay")?),
            ("POSTGRES_MEMORY", self.sizing.postgres.memory.value.to_string()),
            ("PUPPETDB_MEMORY", self.sizing.puppetdb.memory.value.to_string()),
            ("PUPPETSERVER_MEMORY", self.sizing.puppetserver.memory.value.to_string()),
            ("AGENT_MEMORY", self.sizing.agent_memory.value.to_string()),
            ("PUPPETBOARD_CERTNAME", addons::certname(&project, Addon::Puppetboard)),
            ("RELAY_CERTNAME", addons::certname(&project, Addon::Relay)),
            ("BRIDGE_CERTNAME", addons::certname(&project, Addon::Bridge)),
            ("PUPPETBOARD_MEMORY", config.puppetboard.memory.bytes().to_string()),
            ("POSTGRES_CPUS", cpus(config.postgres.cpus)),
            ("PUPPETDB_CPUS", cpus(config.puppetdb.cpus)),
            ("PUPPETSERVER_CPUS", cpus(config.puppetserver.cpus)),
            ("PUPPETSERVER_PIDS", config.puppetserver.pids.map_or(4096, Pids::get).to_string()),
            ("PUPPETSERVER_PUBLISH", config.puppetserver.publish.to_string()),
            ("PUPPETBOARD_PUBLISH", config.puppetboard.publish.to_string()),
            ("RELAY_PUBLISH", config.relay.publish.unwrap_or_default().to_string()),
            ("CODE", config.code.dir.as_ref().map_or_else(|| "code".into(), |d| d.display().to_string())),
            ("DATABASE", self.database.to_owned()),
            ("AGENT_NUMBER", number.to_string()),
            ("AGENT_CERTNAME", credentials::agent_certname(&project, number)),
        ]))
    }

    /// The containers of a file's services, each as replica `number`.
    pub(super) fn replicas(&self, file: &ComposeFile, number: u32) -> Result<Vec<Replica>> {
        file.services.iter().map(|(name, service)| self.replica(name, service, number)).collect()
    }

    fn replica(&self, name: &str, service: &Service, number: u32) -> Result<Replica> {
        let project = self.config.project.to_string();
        let depends: Vec<String> =
            service.depends_on.iter().map(|(n, d)| format!("{n}:{}:false", d.condition)).collect();
        let behind = name == PRIMARY && self.config.balanced();
        let plain = |v: &str| v.strip_suffix(":ro").map_or((v.to_owned(), false), |rest| (rest.to_owned(), true));
        let written: Vec<(String, bool)> = service.volumes.iter().map(|v| plain(v)).collect();
        let volumes: Vec<(&str, &str, bool)> =
            written.iter().filter_map(|(v, ro)| v.rsplit_once(':').map(|(from, to)| (from, to, *ro))).collect();
        let is_path = |source: &str| source.starts_with('/');
        let mut spec = ContainerSpec {
            name: labels::container_name(&project, name, number),
            image: service.image.clone(),
            hostname: service.hostname.clone(),
            user: service.user.clone(),
            environment: service.environment.clone(),
            labels: labels::service(&project, name, number, &service.hostname, &depends.join(",")),
            mounts: volumes
                .iter()
                .map(|(source, target, read_only)| Mount {
                    source: if is_path(source) {
                        MountSource::Directory((*source).into())
                    } else {
                        MountSource::Volume(labels::scoped(&project, source))
                    },
                    target: (*target).into(),
                    // A directory that the user names is only read: deploying code is not this container's work.
                    read_only: is_path(source) || *read_only,
                    labels: Labels::new(),
                })
                .collect(),
            tmpfs: service
                .tmpfs
                .iter()
                .map(|t| t.split_once(':').map_or((t.clone(), String::new()), |(p, o)| (p.into(), o.into())))
                .collect(),
            networks: service
                .networks
                .iter()
                .map(|(key, n)| Attachment {
                    network: labels::scoped(&project, key),
                    // Agents are to find the balancer by their usual name.
                    aliases: n.aliases.iter().filter(|alias| !behind || *alias != "puppet").cloned().collect(),
                })
                .collect(),
            ports: service.ports.iter().filter(|_| !behind).map(|p| port(p)).collect::<Result<_>>()?,
            health: Some(health(&service.healthcheck)?),
            cap_drop: service.cap_drop.clone(),
            cap_add: service.cap_add.clone(),
            security_opt: service.security_opt.clone(),
            read_only: service.read_only,
            init: service.init,
            restart: if service.restart == "unless-stopped" { Restart::UnlessStopped } else { Restart::No },
            stop_grace_seconds: compose::seconds(&service.stop_grace_period)?,
            memory_bytes: service.mem_limit,
            nano_cpus: service.cpus.map(nanos),
            cpu_shares: service.cpu_shares,
            pids: service.pids_limit,
            shm_bytes: service.shm_size,
            ..ContainerSpec::default()
        };
        let network_keys: Vec<String> = service.networks.keys().cloned().collect();
        let config_volume = service.pupperware.config_volume.clone();
        // A compiler trusts the balancer's, and has to learn another one.
        let balancer = compilers::balancer_certname(&project);
        let certname = if name == COMPILER { &balancer } else { &service.hostname };
        let hash = hash::of(&Identity {
            spec: &spec,
            networks: network_keys.iter().filter_map(|k| self.networks.get(k)).collect(),
            files: config_volume.as_ref().and_then(|k| self.files.get(k)),
            certificate: self.credentials.certificate(certname),
        });
        let release = self.release.version.to_string();
        labels::finish(&mut spec.labels, &hash, &release, self.sizing.machine, self.origin);
        Ok(Replica {
            service: name.to_owned(),
            number,
            component: service.pupperware.component.clone(),
            certname: service.hostname.clone(),
            hash,
            config_volume,
            volumes: volumes.iter().filter(|(s, ..)| !is_path(s)).map(|(s, ..)| (*s).to_owned()).collect(),
            networks: network_keys,
            depends_on: service.depends_on.keys().cloned().collect(),
            spec,
        })
    }
}

/// Cores -> billionths of a core.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "validated: between 0.01 and the thousands"
)]
fn nanos(cores: f64) -> u64 {
    (cores * 1e9).round() as u64
}

/// `ADDRESS:PORT:TARGET`; the address may be `[v6]`.
fn port(text: &str) -> Result<PublishedPort> {
    let parsed = text.rsplit_once(':').and_then(|(front, target)| {
        let (address, port) = front.rsplit_once(':')?;
        Some(PublishedPort {
            address: address.trim_start_matches('[').trim_end_matches(']').parse().ok()?,
            port: port.parse().ok()?,
            target: target.parse().ok()?,
        })
    });
    parsed.ok_or_else(|| {
        Error::failed(format!("a built-in Compose file publishes \"{text}\", which is not ADDRESS:PORT:TARGET"))
    })
}

fn health(check: &compose::HealthCheck) -> Result<HealthCheck> {
    Ok(HealthCheck {
        test: check.test.iter().skip_while(|t| *t == "CMD").cloned().collect(),
        interval_seconds: compose::seconds(&check.interval)?,
        timeout_seconds: compose::seconds(&check.timeout)?,
        retries: check.retries,
        start_period_seconds: compose::seconds(&check.start_period)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_of_both_families() {
        let v4 = port("0.0.0.0:8140:8140").unwrap();
        assert_eq!((v4.address.to_string().as_str(), v4.port, v4.target), ("0.0.0.0", 8140, 8140));
        assert_eq!(port("[::1]:8141:8140").unwrap().address.to_string(), "::1");
        assert!(port("8140:8140").is_err());
        assert!(port("localhost:8140:8140").is_err());
    }
}

//! The resolved stack as a Compose file, for people who want to run it without us.
//!
//! Volumes are `external`: they hold what pupperware made, and no Compose command removes them.

use std::net::SocketAddr;

use serde_yaml::{Mapping, Value};

use super::Desired;
use crate::engine::spec::{ContainerSpec, MountSource, Restart};

/// A Compose document that `docker compose -f - config` accepts.
pub fn compose(desired: &Desired) -> Value {
    let mut services = Mapping::new();
    for replica in &desired.replicas {
        let name = if replica.number == 1 {
            replica.service.clone()
        } else {
            format!("{}-{}", replica.service, replica.number)
        };
        let mut service = service(desired, &replica.spec);
        if !replica.depends_on.is_empty() {
            put(&mut service, "depends_on", replica.depends_on.clone());
        }
        services.insert(name.into(), service.into());
    }
    let networks: Mapping = desired
        .networks
        .iter()
        .map(|(key, n)| {
            let mut network = Mapping::new();
            put(&mut network, "name", n.name.clone());
            if n.internal {
                put(&mut network, "internal", true);
            }
            (key.clone().into(), network.into())
        })
        .collect();
    let volumes: Mapping = desired
        .volumes
        .iter()
        .map(|(key, v)| {
            let mut volume = Mapping::new();
            put(&mut volume, "name", v.spec.name.clone());
            put(&mut volume, "external", true);
            (key.clone().into(), volume.into())
        })
        .collect();
    let mut file = Mapping::new();
    put(&mut file, "services", services);
    put(&mut file, "networks", networks);
    put(&mut file, "volumes", volumes);
    file.into()
}

fn put(mapping: &mut Mapping, key: &str, value: impl Into<Value>) {
    mapping.insert(key.into(), value.into());
}

fn service(desired: &Desired, spec: &ContainerSpec) -> Mapping {
    let mut out = Mapping::new();
    put(&mut out, "image", spec.image.clone());
    put(&mut out, "container_name", spec.name.clone());
    put(&mut out, "hostname", spec.hostname.clone());
    if let Some(user) = &spec.user {
        put(&mut out, "user", user.clone());
    }
    if !spec.environment.is_empty() {
        let environment: Mapping = spec.environment.iter().map(|(k, v)| (k.clone().into(), v.clone().into())).collect();
        put(&mut out, "environment", environment);
    }
    let mut networks = Mapping::new();
    for attachment in &spec.networks {
        let key = desired.networks.iter().find(|(_, n)| n.name == attachment.network).map(|(k, _)| k.clone());
        let mut network = Mapping::new();
        if !attachment.aliases.is_empty() {
            put(&mut network, "aliases", attachment.aliases.clone());
        }
        networks.insert(key.unwrap_or_default().into(), network.into());
    }
    put(&mut out, "networks", networks);
    if !spec.ports.is_empty() {
        let ports: Vec<String> =
            spec.ports.iter().map(|p| format!("{}:{}", SocketAddr::new(p.address, p.port), p.target)).collect();
        put(&mut out, "ports", ports);
    }
    let mounts: Vec<String> = spec
        .mounts
        .iter()
        .map(|m| {
            let source = match &m.source {
                MountSource::Volume(name) => {
                    let key = desired.volumes.iter().find(|(_, v)| v.spec.name == *name).map(|(k, _)| k.as_str());
                    key.unwrap_or(name)
                }
                MountSource::Directory(path) => path,
            };
            format!("{source}:{}{}", m.target, if m.read_only { ":ro" } else { "" })
        })
        .collect();
    put(&mut out, "volumes", mounts);
    if !spec.tmpfs.is_empty() {
        let tmpfs: Vec<String> = spec.tmpfs.iter().map(|(p, o)| format!("{p}:{o}")).collect();
        put(&mut out, "tmpfs", tmpfs);
    }
    for (key, set) in [("read_only", spec.read_only), ("init", spec.init)] {
        if set {
            put(&mut out, key, true);
        }
    }
    for (key, list) in [("cap_drop", &spec.cap_drop), ("cap_add", &spec.cap_add), ("security_opt", &spec.security_opt)]
    {
        if !list.is_empty() {
            put(&mut out, key, list.clone());
        }
    }
    if spec.restart == Restart::UnlessStopped {
        put(&mut out, "restart", "unless-stopped");
    }
    put(&mut out, "stop_grace_period", format!("{}s", spec.stop_grace_seconds));
    for (key, number) in [
        ("mem_limit", spec.memory_bytes),
        ("cpu_shares", spec.cpu_shares.map(u64::from)),
        ("pids_limit", spec.pids.map(u64::from)),
        ("shm_size", spec.shm_bytes),
    ] {
        if let Some(number) = number {
            put(&mut out, key, number);
        }
    }
    if let Some(nanos) = spec.nano_cpus {
        #[expect(clippy::cast_precision_loss, reason = "cores with a few decimals")]
        put(&mut out, "cpus", nanos as f64 / 1e9);
    }
    if let Some(check) = &spec.health {
        let mut health = Mapping::new();
        let test: Vec<String> = ["CMD".to_owned()].into_iter().chain(check.test.iter().cloned()).collect();
        put(&mut health, "test", test);
        put(&mut health, "interval", format!("{}s", check.interval_seconds));
        put(&mut health, "timeout", format!("{}s", check.timeout_seconds));
        put(&mut health, "retries", u64::from(check.retries));
        put(&mut health, "start_period", format!("{}s", check.start_period_seconds));
        put(&mut out, "healthcheck", health);
    }
    // Labels of ours say which release this is; those of Compose are its own business.
    let ours: Mapping = spec
        .labels
        .iter()
        .filter(|(k, _)| !k.starts_with("com.docker.compose."))
        .map(|(k, v)| (k.clone().into(), v.clone().into()))
        .collect();
    put(&mut out, "labels", ours);
    out
}

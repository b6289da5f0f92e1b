//! How a container is confined: the part of `inspect` that the audit judges.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{ContainerInspectResponse, HostConfig, MountPoint, PortMap};
use bollard::query_parameters::InspectContainerOptions;

use super::found::{ContainerSettings, FoundMount, FoundPort};
use super::spec::MountSource;
use super::{Engine, EngineError};

impl Engine {
    /// The settings of one container; `None` when there is none of that name.
    ///
    /// # Errors
    /// The engine's.
    pub async fn inspect_settings(&self, name: &str) -> Result<Option<ContainerSettings>, EngineError> {
        let answer = self.fast.inspect_container(name, None::<InspectContainerOptions>).await;
        match answer.map_err(EngineError::from) {
            Ok(response) => Ok(Some(settings(response))),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn settings(response: ContainerInspectResponse) -> ContainerSettings {
    let config = response.config.unwrap_or_default();
    let host = response.host_config.unwrap_or_default();
    let network = response.network_settings.unwrap_or_default();
    let mut networks: Vec<String> = network.networks.unwrap_or_default().into_keys().collect();
    networks.sort();
    // What was asked for, and what is there: the engine chooses ports itself where none was named.
    let ports: BTreeSet<(FoundPort, u16)> =
        [host.port_bindings.clone(), network.ports].into_iter().flatten().flat_map(published).collect();
    ContainerSettings {
        user: config.user.unwrap_or_default(),
        environment: config.env.unwrap_or_default(),
        command: response.path.into_iter().chain(response.args.unwrap_or_default()).collect(),
        cap_add: capabilities(host.cap_add.as_deref()),
        cap_drop: capabilities(host.cap_drop.as_deref()),
        security_opt: host.security_opt.clone().unwrap_or_default(),
        privileged: host.privileged.unwrap_or(false),
        read_only: host.readonly_rootfs.unwrap_or(false),
        // Zero and -1 are no limit.
        pids: host.pids_limit.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
        memory_bytes: host.memory.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
        shared_namespaces: shared_namespaces(&host),
        devices: devices(&host),
        mounts: response.mounts.unwrap_or_default().into_iter().filter_map(mount).collect(),
        networks,
        ports: ports.into_iter().collect(),
        image_id: response.image.unwrap_or_default(),
    }
}

/// Without the prefix that some engines add, in capitals.
fn capabilities(list: Option<&[String]>) -> Vec<String> {
    let plain = |name: &String| name.to_uppercase().trim_start_matches("CAP_").to_owned();
    list.unwrap_or_default().iter().map(plain).collect()
}

/// The control group's namespace is left out: on older kernels the host's is everybody's, and it is only read.
fn shared_namespaces(host: &HostConfig) -> Vec<String> {
    let modes = [
        ("network", &host.network_mode),
        ("process", &host.pid_mode),
        ("ipc", &host.ipc_mode),
        ("host name", &host.uts_mode),
        ("user", &host.userns_mode),
    ];
    let shared = |mode: &str| mode == "host" || mode.starts_with("container:");
    modes
        .into_iter()
        .filter_map(|(what, mode)| mode.as_deref().filter(|m| shared(m)).map(|m| format!("{what} {m}")))
        .collect()
}

fn devices(host: &HostConfig) -> Vec<String> {
    let mapped = host.devices.iter().flatten().filter_map(|d| d.path_on_host.clone());
    let requested = host.device_requests.iter().flatten().map(|d| d.driver.clone().unwrap_or_default());
    mapped.chain(requested).chain(host.device_cgroup_rules.clone().unwrap_or_default()).collect()
}

fn published(map: PortMap) -> Vec<(FoundPort, u16)> {
    let mut ports = Vec::new();
    for (inside, bindings) in map {
        let (target, protocol) = inside.split_once('/').unwrap_or((&inside, "tcp"));
        for binding in bindings.unwrap_or_default() {
            let address = binding.host_ip.and_then(|ip| ip.parse().ok());
            let (Some(port), Ok(target)) = (binding.host_port.and_then(|p| p.parse().ok()), target.parse()) else {
                continue;
            };
            let address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            ports.push((FoundPort { address, port, tcp: protocol == "tcp" }, target));
        }
    }
    ports
}

fn mount(point: MountPoint) -> Option<FoundMount> {
    let source = match point.typ.as_deref() {
        Some("volume") => MountSource::Volume(point.name?),
        Some("tmpfs") => return None,
        _ => MountSource::Directory(point.source?),
    };
    Some(FoundMount { source, target: point.destination.unwrap_or_default(), writable: point.rw.unwrap_or(true) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_weakens_a_container_is_seen() {
        let json = r#"{"Id": "x", "Image": "sha256:1", "Path": "sh", "Args": ["-c", "x"],
            "Config": {"User": "920:920", "Env": ["A=b"]},
            "HostConfig": {"PidsLimit": -1, "Memory": 0, "Privileged": true, "NetworkMode": "host", "PidMode": "container:y",
                "CapAdd": ["CAP_CHOWN"], "Devices": [{"PathOnHost": "/dev/kvm"}],
                "PortBindings": {"8081/tcp": [{"HostIp": "", "HostPort": "18081"}]}},
            "Mounts": [{"Type": "bind", "Source": "/run/docker.sock", "Destination": "/s", "RW": false},
                {"Type": "tmpfs", "Source": "", "Destination": "/tmp"}]}"#;
        let found = settings(serde_json::from_str(json).unwrap());
        assert_eq!((found.pids, found.memory_bytes, found.privileged), (None, None, true));
        assert_eq!(found.cap_add, ["CHOWN"]);
        assert_eq!(found.shared_namespaces, ["network host", "process container:y"]);
        assert_eq!(found.devices, ["/dev/kvm"]);
        assert_eq!((found.ports[0].0.to_string().as_str(), found.ports[0].1), ("0.0.0.0:18081", 8081));
        assert_eq!(found.mounts.len(), 1);
        assert_eq!(found.mounts[0].source, MountSource::Directory("/run/docker.sock".into()));
        assert_eq!(found.command, ["sh", "-c", "x"]);
    }
}

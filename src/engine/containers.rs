//! Containers: list, create, start, stop, remove, inspect, wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, ContainerSummary, ContainerSummaryStateEnum, EndpointSettings, HealthConfig, HostConfig,
    Mount as BollardMount, MountType, MountVolumeOptions, NetworkConnectRequest, NetworkingConfig, PortBinding,
    PortSummary, PortSummaryTypeEnum, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;

use super::found::{ContainerDetail, ContainerState, FoundContainer, FoundPort};
use super::spec::{ContainerSpec, HealthCheck, MountSource, Restart};
use super::{Engine, EngineError};

impl Engine {
    /// All containers with this label (`key=value`), in every state.
    ///
    /// # Errors
    /// The engine's.
    pub async fn list_containers(&self, label: &str) -> Result<Vec<FoundContainer>, EngineError> {
        self.containers(HashMap::from([("label", vec![label])])).await
    }

    /// Every container on the engine, ours or not, in every state.
    ///
    /// # Errors
    /// The engine's.
    pub async fn list_all_containers(&self) -> Result<Vec<FoundContainer>, EngineError> {
        self.containers(HashMap::new()).await
    }

    async fn containers(&self, filters: HashMap<&str, Vec<&str>>) -> Result<Vec<FoundContainer>, EngineError> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let rows = self.fast.list_containers(Some(options)).await.map_err(|e| self.unreachable(e))?;
        Ok(rows.into_iter().map(found).collect())
    }

    /// Creates a container and attaches it to all its networks. It is not started.
    ///
    /// Engines before API 1.44 take one network at creation; the others are connected after it, and the container is
    /// removed again if that fails, so that no half-made one stays.
    ///
    /// # Errors
    /// The engine's; [`super::Cause::Conflict`] when the name is taken.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<String, EngineError> {
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let created = self.fast.create_container(Some(options), body(spec)).await?;
        for attachment in spec.networks.iter().skip(1) {
            let request = NetworkConnectRequest {
                container: created.id.clone(),
                endpoint_config: Some(EndpointSettings {
                    aliases: Some(attachment.aliases.clone()),
                    ..Default::default()
                }),
            };
            if let Err(error) = self.fast.connect_network(&attachment.network, request).await {
                self.remove_container(&created.id).await?;
                return Err(error.into());
            }
        }
        Ok(created.id)
    }

    /// Starts it; nothing happens when it runs already.
    ///
    /// # Errors
    /// The engine's; [`super::Cause::PortTaken`] when a port cannot be bound.
    pub async fn start_container(&self, name: &str) -> Result<(), EngineError> {
        Ok(self.slow.start_container(name, None::<StartContainerOptions>).await?)
    }

    /// Stops it (SIGTERM, then SIGKILL after the grace time); nothing happens when it is stopped or gone.
    ///
    /// # Errors
    /// The engine's.
    pub async fn stop_container(&self, name: &str, grace_seconds: u32) -> Result<(), EngineError> {
        let grace = i32::try_from(grace_seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(grace).build();
        absent_is_fine(self.slow.stop_container(name, Some(options)).await)
    }

    /// Removes it, killing it first if it runs; its volumes stay. Nothing happens when it is gone.
    ///
    /// # Errors
    /// The engine's.
    pub async fn remove_container(&self, name: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(false).build();
        let mut tries = 0;
        loop {
            match absent_is_fine(self.slow.remove_container(name, Some(options.clone())).await) {
                // A file system that is still being unmounted; the engine keeps the container, and can be asked again.
                Err(error) if tries < 5 && error.message.contains("failed to remove root filesystem") => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                other => return other,
            }
        }
    }

    /// Details of one container; `None` when there is none of that name.
    ///
    /// # Errors
    /// The engine's.
    pub async fn inspect_container(&self, name: &str) -> Result<Option<ContainerDetail>, EngineError> {
        let answer =
            self.fast.inspect_container(name, None::<InspectContainerOptions>).await.map_err(EngineError::from);
        let response = match answer {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        let state = response.state.unwrap_or_default();
        Ok(Some(ContainerDetail {
            id: response.id.unwrap_or_default(),
            running: state.running.unwrap_or(false),
            started_at: state.started_at.unwrap_or_default(),
            exit_code: state.exit_code.unwrap_or(0),
            oom_killed: state.oom_killed.unwrap_or(false),
            error: state.error.unwrap_or_default(),
            restarts: response.restart_count.unwrap_or(0),
            health: state.health.and_then(|h| h.status).map(|s| s.to_string()).unwrap_or_default(),
        }))
    }

    /// Waits until it exits, and returns its exit code. Call before the start to lose no race.
    ///
    /// # Errors
    /// The engine's.
    pub async fn wait_exit(&self, name: &str) -> Result<i64, EngineError> {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut stream = self.slow.wait_container(name, Some(options));
        match stream.next().await {
            Some(Ok(response)) => Ok(response.status_code),
            // bollard reports a non-zero exit code as an error.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(e)) => Err(e.into()),
            None => Err(EngineError::new(
                super::Cause::Other,
                format!("the engine ended the wait for {name} without an answer"),
            )),
        }
    }
}

fn absent_is_fine(result: Result<(), bollard::errors::Error>) -> Result<(), EngineError> {
    match result.map_err(EngineError::from) {
        // 404: gone already; 304 (already stopped) is Ok in bollard 0.21.
        Err(e) if e.is_not_found() => Ok(()),
        // "removal of container x is already in progress": someone else does what we want.
        Err(e) if e.is_conflict() && e.message.contains("already in progress") => Ok(()),
        other => other,
    }
}

fn found(row: ContainerSummary) -> FoundContainer {
    let names = row.names.unwrap_or_default();
    let networks = row.network_settings.and_then(|n| n.networks).unwrap_or_default();
    let mut networks: Vec<String> = networks.into_keys().collect();
    networks.sort();
    let mut ports: Vec<FoundPort> = row.ports.unwrap_or_default().into_iter().filter_map(port).collect();
    ports.sort();
    let mut volumes: Vec<String> = row.mounts.unwrap_or_default().into_iter().filter_map(|m| m.name).collect();
    volumes.sort();
    FoundContainer {
        id: row.id.unwrap_or_default(),
        // Links show up as further names with more than one slash.
        name: names.iter().map(|n| n.trim_start_matches('/')).find(|n| !n.contains('/')).unwrap_or_default().to_owned(),
        image: row.image.unwrap_or_default(),
        image_id: row.image_id.unwrap_or_default(),
        state: state(row.state),
        status: row.status.unwrap_or_default(),
        created: row.created.unwrap_or(0),
        labels: row.labels.unwrap_or_default().into_iter().collect(),
        ports,
        networks,
        volumes,
    }
}

/// A port as the engine lists it; nothing for one that is only exposed.
fn port(row: PortSummary) -> Option<FoundPort> {
    Some(FoundPort {
        address: row.ip.and_then(|ip| ip.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        port: row.public_port?,
        tcp: matches!(row.typ, None | Some(PortSummaryTypeEnum::TCP | PortSummaryTypeEnum::EMPTY)),
    })
}

fn state(state: Option<ContainerSummaryStateEnum>) -> ContainerState {
    use ContainerSummaryStateEnum as S;
    match state {
        Some(S::CREATED) => ContainerState::Created,
        Some(S::RUNNING | S::STOPPING) => ContainerState::Running,
        Some(S::PAUSED) => ContainerState::Paused,
        Some(S::RESTARTING) => ContainerState::Restarting,
        Some(S::REMOVING) => ContainerState::Removing,
        Some(S::DEAD) => ContainerState::Dead,
        Some(S::EXITED | S::EMPTY) | None => ContainerState::Exited,
    }
}

/// Our words -> the engine's.
fn body(spec: &ContainerSpec) -> ContainerCreateBody {
    let exposed: Vec<String> = spec.ports.iter().map(|p| format!("{}/tcp", p.target)).collect();
    let first = spec.networks.first();
    ContainerCreateBody {
        hostname: Some(spec.hostname.clone()),
        user: spec.user.clone(),
        env: Some(spec.environment.iter().map(|(k, v)| format!("{k}={v}")).collect()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        image: Some(spec.image.clone()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        healthcheck: spec.health.as_ref().map(health),
        stop_timeout: Some(i64::from(spec.stop_grace_seconds)),
        exposed_ports: (!exposed.is_empty()).then_some(exposed),
        host_config: Some(host_config(spec)),
        networking_config: first.map(|a| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(
                a.network.clone(),
                EndpointSettings { aliases: Some(a.aliases.clone()), ..Default::default() },
            )])),
        }),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec) -> HostConfig {
    let mounts = spec.mounts.iter().map(|m| {
        let (typ, source) = match &m.source {
            MountSource::Volume(name) => (MountType::VOLUME, name),
            MountSource::Directory(path) => (MountType::BIND, path),
        };
        BollardMount {
            target: Some(m.target.clone()),
            source: Some(source.clone()),
            typ: Some(typ),
            read_only: Some(m.read_only),
            volume_options: (!m.labels.is_empty()).then(|| MountVolumeOptions {
                labels: Some(m.labels.clone().into_iter().collect()),
                ..Default::default()
            }),
            ..Default::default()
        }
    });
    let ports = spec.ports.iter().map(|p| {
        let binding = PortBinding { host_ip: Some(p.address.to_string()), host_port: Some(p.port.to_string()) };
        (format!("{}/tcp", p.target), Some(vec![binding]))
    });
    HostConfig {
        memory: spec.memory_bytes.map(|b| i64::try_from(b).unwrap_or(i64::MAX)),
        nano_cpus: spec.nano_cpus.map(|n| i64::try_from(n).unwrap_or(i64::MAX)),
        cpu_shares: spec.cpu_shares.map(i64::from),
        pids_limit: spec.pids.map(i64::from),
        init: Some(spec.init),
        network_mode: Some(spec.networks.first().map_or_else(|| "none".to_owned(), |a| a.network.clone())),
        port_bindings: Some(ports.collect()),
        restart_policy: Some(RestartPolicy {
            name: Some(match spec.restart {
                Restart::No => RestartPolicyNameEnum::NO,
                Restart::UnlessStopped => RestartPolicyNameEnum::UNLESS_STOPPED,
            }),
            maximum_retry_count: None,
        }),
        mounts: Some(mounts.collect()),
        cap_add: Some(spec.cap_add.clone()),
        cap_drop: Some(spec.cap_drop.clone()),
        security_opt: Some(spec.security_opt.clone()),
        readonly_rootfs: Some(spec.read_only),
        tmpfs: Some(spec.tmpfs.clone().into_iter().collect()),
        shm_size: spec.shm_bytes.map(|b| i64::try_from(b).unwrap_or(i64::MAX)),
        ..Default::default()
    }
}

fn health(check: &HealthCheck) -> HealthConfig {
    let nanos = |seconds: u32| Some(i64::from(seconds) * 1_000_000_000);
    let mut test = vec!["CMD".to_owned()];
    test.extend(check.test.iter().cloned());
    HealthConfig {
        test: Some(test),
        interval: nanos(check.interval_seconds),
        timeout: nanos(check.timeout_seconds),
        retries: Some(i64::from(check.retries)),
        start_period: nanos(check.start_period_seconds),
        start_interval: None,
    }
}

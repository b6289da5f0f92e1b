//! Networks and volumes.

use std::collections::HashMap;

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{
    InspectNetworkOptions, ListNetworksOptions, ListVolumesOptionsBuilder, RemoveVolumeOptions,
};

use super::found::{FoundNetwork, FoundVolume};
use super::spec::{NetworkSpec, VolumeSpec};
use super::{Engine, EngineError};

impl Engine {
    /// All networks.
    ///
    /// # Errors
    /// The engine's.
    pub async fn list_networks(&self) -> Result<Vec<FoundNetwork>, EngineError> {
        let rows = self.fast.list_networks(None::<ListNetworksOptions>).await?;
        let found = rows.into_iter().map(|n| FoundNetwork {
            id: n.id.unwrap_or_default(),
            name: n.name.unwrap_or_default(),
            labels: n.labels.unwrap_or_default().into_iter().collect(),
            internal: n.internal.unwrap_or(false),
        });
        Ok(found.collect())
    }

    /// One network by name; `None` when there is none of that name.
    ///
    /// # Errors
    /// The engine's, also when several have that name.
    pub async fn find_network(&self, name: &str) -> Result<Option<FoundNetwork>, EngineError> {
        match self.fast.inspect_network(name, None::<InspectNetworkOptions>).await.map_err(EngineError::from) {
            Ok(n) => Ok(Some(FoundNetwork {
                id: n.id.unwrap_or_default(),
                name: n.name.unwrap_or_default(),
                labels: n.labels.unwrap_or_default().into_iter().collect(),
                internal: n.internal.unwrap_or(false),
            })),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Volumes with this label (`key=value`).
    ///
    /// # Errors
    /// The engine's.
    pub async fn list_volumes(&self, label: &str) -> Result<Vec<FoundVolume>, EngineError> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let rows = self.fast.list_volumes(Some(options)).await?.volumes.unwrap_or_default();
        let found = rows.into_iter().map(|v| FoundVolume { name: v.name, labels: v.labels.into_iter().collect() });
        Ok(found.collect())
    }

    /// Creates a network.
    ///
    /// # Errors
    /// The engine's; `Conflict` when one of that name exists.
    pub async fn create_network(&self, spec: &NetworkSpec) -> Result<(), EngineError> {
        let request = NetworkCreateRequest {
            name: spec.name.clone(),
            driver: Some("bridge".into()),
            internal: Some(spec.internal),
            labels: Some(spec.labels.clone().into_iter().collect()),
            ..Default::default()
        };
        self.fast.create_network(request).await?;
        Ok(())
    }

    /// Removes a network; nothing happens when it is gone.
    ///
    /// # Errors
    /// The engine's; `Conflict` while containers use it.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        match self.fast.remove_network(name).await.map_err(EngineError::from) {
            Err(e) if e.is_not_found() => Ok(()),
            other => other,
        }
    }

    /// Creates a volume. One of that name that exists already stays as it is, data and labels.
    ///
    /// # Errors
    /// The engine's.
    pub async fn create_volume(&self, spec: &VolumeSpec) -> Result<(), EngineError> {
        let request = VolumeCreateRequest {
            name: Some(spec.name.clone()),
            labels: Some(spec.labels.clone().into_iter().collect()),
            ..Default::default()
        };
        self.fast.create_volume(request).await?;
        Ok(())
    }

    /// Removes a volume WITH ITS DATA; nothing happens when it is gone.
    ///
    /// # Errors
    /// The engine's; `Conflict` while a container uses it.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        // As long as its files take.
        match self.slow.remove_volume(name, None::<RemoveVolumeOptions>).await.map_err(EngineError::from) {
            Err(e) if e.is_not_found() => Ok(()),
            other => other,
        }
    }
}

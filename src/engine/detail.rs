//! Looking closely: what the engine tells of one object, as JSON; memory in use; when a file was written.

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, InspectContainerOptions, InspectNetworkOptions, StatsOptionsBuilder,
};
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::Value;

use super::{Cause, Engine, EngineError};

/// A sort of object that can be inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// A container.
    Container,
    /// A network.
    Network,
    /// A volume.
    Volume,
}

impl Engine {
    /// All that the engine tells of an object, as it tells it; for people to read, never to decide by.
    ///
    /// # Errors
    /// The engine's, also when there is no such object.
    pub async fn inspect(&self, object: Object, name: &str) -> Result<Value, EngineError> {
        match object {
            Object::Container => json(&self.fast.inspect_container(name, None::<InspectContainerOptions>).await?),
            Object::Network => json(&self.fast.inspect_network(name, None::<InspectNetworkOptions>).await?),
            Object::Volume => json(&self.fast.inspect_volume(name).await?),
        }
    }

    /// Bytes of memory that a container uses, without what the kernel would give back at once; nothing when it does not
    /// run.
    ///
    /// # Errors
    /// The engine's.
    pub async fn memory(&self, container: &str) -> Result<Option<u64>, EngineError> {
        // One shot: without it, the engine takes a second for a second sample of the processor.
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let mut stream = Box::pin(self.fast.stats(container, Some(options)));
        let Some(stats) = stream.next().await.transpose()? else { return Ok(None) };
        let Some(memory) = stats.memory_stats else { return Ok(None) };
        let detail = memory.stats.unwrap_or_default();
        // As `docker stats` counts: the names differ between the two versions of control groups.
        let cache = ["total_inactive_file", "inactive_file"].iter().find_map(|key| detail.get(*key)).copied();
        Ok(memory.usage.map(|usage| usage.saturating_sub(cache.unwrap_or_default())))
    }

    /// When a file in a container was last written, RFC 3339; nothing when there is none. The container need not run.
    ///
    /// # Errors
    /// The engine's.
    pub async fn written_at(&self, container: &str, path: &str) -> Result<Option<String>, EngineError> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        let answer = self.fast.get_container_archive_info(container, Some(options)).await;
        match answer.map_err(EngineError::from) {
            Ok(stat) => Ok(stat.modification_time),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn json(found: &impl Serialize) -> Result<Value, EngineError> {
    serde_json::to_value(found).map_err(|e| EngineError::new(Cause::Decode, format!("the answer is not JSON: {e}")))
}

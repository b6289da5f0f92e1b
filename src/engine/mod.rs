//! The only room that knows bollard: everything that is asked of a Docker Engine goes through here.
//!
//! Callers see plain data (`spec`, `found`) and `EngineError`; no bollard type leaves this room.
//! What to ask and when is decided elsewhere (`plan`), never here.

mod archive;
mod build;
pub mod connect;
mod containers;
mod detail;
mod error;
mod events;
mod exec;
#[cfg(test)]
pub(crate) mod fake;
pub mod found;
mod foundation;
mod images;
mod inspect;
mod logs;
pub mod reference;
pub mod spec;
mod transfer;

use std::time::Duration;

pub use archive::{FileEntry, pack, unpack};
pub use build::BuildRequest;
pub use detail::Object;
pub use error::{Cause, EngineError};
pub use events::Died;
pub use exec::{ExecOutput, ExecRequest, Terminal};
pub use logs::{LogLine, LogQuery};
pub use transfer::TransferError;

/// The oldest engine API that we work with (Docker 20.10).
pub const OLDEST_API: (u16, u16) = (1, 41);

/// Calls that answer at once.
const FAST: Duration = Duration::from_secs(30);
/// Calls whose answer only comes when long work is done (stop, commit, load, big uploads).
const SLOW: Duration = Duration::from_secs(6 * 3600);

/// A connection to one engine. Cheap to clone; connects lazily.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) fast: bollard::Docker,
    pub(crate) slow: bollard::Docker,
    /// Where it is and what told us so, for messages.
    pub endpoint: connect::Endpoint,
}

/// What the machine under the engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Engine version, as it says (`20.10.24+dfsg1`).
    pub version: String,
    /// API version it offers.
    pub api: (u16, u16),
    /// Logical cores.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Where images and volumes live on the engine's machine.
    pub root_dir: String,
    /// `linux`, `windows`.
    pub os: String,
    /// The engine's clock, RFC 3339.
    pub system_time: String,
    /// The image storage driver.
    pub storage_driver: String,
}

impl Engine {
    /// Asks whether it is there and new enough; one round trip.
    ///
    /// # Errors
    /// Unreachable, permission denied, or an API older than [`OLDEST_API`].
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.fast.ping().await.map_err(|e| self.unreachable(e))?;
        Ok(())
    }

    /// What it is and runs on. Slower than [`Engine::ping`] by some milliseconds.
    ///
    /// # Errors
    /// As [`Engine::ping`].
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        let (version, info) = tokio::join!(self.fast.version(), self.fast.info());
        let version = version.map_err(|e| self.unreachable(e))?;
        let info = info.map_err(|e| self.unreachable(e))?;
        let api = parse_api(version.api_version.as_deref().unwrap_or_default());
        if api < OLDEST_API {
            return Err(EngineError::too_old(api, version.version.as_deref().unwrap_or("unknown")));
        }
        Ok(EngineInfo {
            version: version.version.unwrap_or_default(),
            api,
            cpus: u32::try_from(info.ncpu.unwrap_or(1)).unwrap_or(1).max(1),
            memory_bytes: u64::try_from(info.mem_total.unwrap_or(0)).unwrap_or(0),
            root_dir: info.docker_root_dir.unwrap_or_default(),
            os: info.os_type.unwrap_or_default(),
            system_time: info.system_time.unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
        })
    }

    /// True when the engine runs on this machine, so that its disk and ports can be looked at.
    pub fn is_local(&self) -> bool {
        self.endpoint.url.starts_with("unix://")
    }

    fn unreachable(&self, error: bollard::errors::Error) -> EngineError {
        EngineError::from_connect(error, &self.endpoint)
    }
}

/// `1.41` -> (1, 41); anything else counts as the oldest thinkable.
fn parse_api(text: &str) -> (u16, u16) {
    let mut parts = text.split('.').map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_compare_by_number() {
        assert!(parse_api("1.9") < parse_api("1.41"));
        assert_eq!(parse_api("1.41"), (1, 41));
        assert_eq!(parse_api("soon"), (0, 0));
    }
}

//! Services that a platform can be without, and what else is there for one of them alone.

use super::compose::{self, Source};
use super::credentials::{PUPPETBOARD, RELAY};
use crate::config::Config;
use crate::config::types::Addon;

/// What comes and goes with such a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Its Compose file.
    pub(super) source: Source,
    /// Key of its volume: configuration and certificate, nothing that could not be made again.
    pub volume: &'static str,
    /// Key of the volume with what nobody can make again, if there is any. It stays when the service goes.
    pub data: Option<&'static str>,
    /// Key of its network, if it has one of its own.
    pub network: Option<&'static str>,
    /// Names in its certificate beside its certname.
    pub(super) names: &'static [&'static str],
    /// uid and gid of it.
    pub(super) owner: u32,
}

/// Key of the volume with the bridge's keys.
pub const BRIDGE_CONFIG: &str = "bridge-config";

/// What comes and goes with it.
pub fn parts(addon: Addon) -> Parts {
    match addon {
        Addon::Puppetboard => Parts {
            source: compose::PUPPETBOARD,
            volume: "puppetboard-config",
            data: None,
            network: Some("board"),
            names: &[],
            owner: PUPPETBOARD,
        },
        Addon::Relay => Parts {
            source: compose::RELAY,
            volume: "relay-config",
            data: Some("relay-data"),
            network: Some("relay"),
            names: &["relay", "localhost"],
            owner: RELAY,
        },
        Addon::Bridge => Parts {
            source: compose::BRIDGE,
            volume: BRIDGE_CONFIG,
            data: Some("bridge-data"),
            network: None,
            names: &[],
            owner: RELAY,
        },
    }
}

/// Its certname, with the project's name before it as agents of the platform have it: a bare one could be some machine's,
/// whose certificate would be revoked for this one.
pub fn certname(project: &str, addon: Addon) -> String {
    format!("{project}-{addon}")
}

/// Those that it is without.
pub fn absent(config: &Config) -> Vec<Addon> {
    Addon::ALL.into_iter().filter(|addon| !config.has(*addon)).collect()
}

/// Those that were.
pub fn present(config: &Config) -> impl Iterator<Item = Addon> {
    Addon::ALL.into_iter().filter(|addon| config.has(*addon))
}

/// False for the component of a service that was not asked for.
pub fn wants(config: &Config, component: &str) -> bool {
    !absent(config).iter().any(|addon| addon.name() == component)
}

/// True for a volume of such a service, asked for or not.
pub fn owns(volume: &str) -> bool {
    Addon::ALL.into_iter().map(parts).any(|parts| parts.volume == volume || parts.data == Some(volume))
}

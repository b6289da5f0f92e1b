//! Services that a platform has only when they are asked for, and what else is there for one of them alone.

use super::compose::{self, Source};
use crate::config::Config;
use crate::config::types::Addon;

/// What comes and goes with such a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Its Compose file.
    pub(super) source: Source,
    /// Key of its volume: configuration and certificate, nothing that could not be made again.
    pub volume: &'static str,
    /// Key of its network.
    pub network: &'static str,
}

/// What comes and goes with it.
pub fn parts(addon: Addon) -> Parts {
    match addon {
        Addon::Puppetboard => Parts { source: compose::PUPPETBOARD, volume: "puppetboard-config", network: "board" },
    }
}

/// Its certname, with the project's name before it as agents of the platform have it: a bare one could be some machine's,
/// whose certificate would be revoked for this one.
pub fn certname(project: &str, addon: Addon) -> String {
    format!("{project}-{addon}")
}

/// Those that were not asked for.
pub fn absent(config: &Config) -> Vec<Addon> {
    Addon::ALL.into_iter().filter(|addon| !config.has(*addon)).collect()
}

/// False for the component of a service that was not asked for.
pub fn wants(config: &Config, component: &str) -> bool {
    !absent(config).iter().any(|addon| addon.name() == component)
}

/// True for the volume of such a service, asked for or not.
pub fn owns(volume: &str) -> bool {
    Addon::ALL.into_iter().any(|addon| parts(addon).volume == volume)
}

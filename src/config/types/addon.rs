//! Services that a platform can be without.

use std::fmt;

use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

/// A service that is not always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addon {
    /// What PuppetDB holds, as web pages.
    Puppetboard,
    /// The server of the Relay API; the bridge comes with it. There unless it is switched off.
    Relay,
    /// What takes runs from that server and carries them out. Nobody asks for it by itself.
    Bridge,
}

impl Addon {
    /// Every one.
    pub const ALL: [Addon; 3] = [Addon::Puppetboard, Addon::Relay, Addon::Bridge];
    /// Those that a user can ask for.
    const NAMED: [Addon; 2] = [Addon::Puppetboard, Addon::Relay];

    /// The name of the service and of its component.
    pub fn name(self) -> &'static str {
        match self {
            Addon::Puppetboard => "puppetboard",
            Addon::Relay => "relay",
            Addon::Bridge => "bridge",
        }
    }

    /// The one that is asked for when this one is wanted.
    pub fn comes_with(self) -> Addon {
        match self {
            Addon::Bridge => Addon::Relay,
            other => other,
        }
    }
}

impl fmt::Display for Addon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Setting for Addon {
    fn expected() -> String {
        let names: Vec<String> = Self::NAMED.iter().map(|addon| format!("`{addon}`")).collect();
        names.join(" or ")
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        Self::NAMED.into_iter().find(|addon| addon.name() == text).ok_or_else(|| {
            Refusal::new(format!("{} is no service that can be added", quote(text)))
                .suggest(format!("write {}; every other service is always there", Self::expected()))
        })
    }

    fn schema() -> Value {
        json!({ "enum": Self::NAMED.map(Addon::name) })
    }
}

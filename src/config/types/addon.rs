//! Services that a platform has only when they are asked for.

use std::fmt;

use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

/// A service that is not always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addon {
    /// What PuppetDB holds, as web pages.
    Puppetboard,
}

impl Addon {
    /// Every one.
    pub const ALL: [Addon; 1] = [Addon::Puppetboard];

    /// The name of the service and of its component.
    pub fn name(self) -> &'static str {
        match self {
            Addon::Puppetboard => "puppetboard",
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
        let names: Vec<String> = Self::ALL.iter().map(|addon| format!("`{addon}`")).collect();
        names.join(" or ")
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|addon| addon.name() == text).ok_or_else(|| {
            Refusal::new(format!("{} is no service that can be added", quote(text)))
                .suggest(format!("write {}; every other service is always there", Self::expected()))
        })
    }

    fn schema() -> Value {
        json!({ "enum": Self::ALL.map(Addon::name) })
    }
}

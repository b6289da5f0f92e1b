//! Whether a platform has a balancer before it has compilers.

use std::fmt;

use serde_json::{Value, json};

use super::{Refusal, Setting};

/// When there is a balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balancer {
    /// As long as there are compilers.
    #[default]
    Auto,
    /// From the start: the first compiler then comes without a gap.
    Always,
}

impl fmt::Display for Balancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Balancer::Auto => "auto",
            Balancer::Always => "always",
        })
    }
}

impl Setting for Balancer {
    fn expected() -> String {
        "`auto` or `always`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "auto" => Ok(Balancer::Auto),
            "always" => Ok(Balancer::Always),
            _ => Err(Refusal::new("neither `auto` nor `always`")),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "enum": ["auto", "always"] })
    }
}

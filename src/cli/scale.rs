//! `pupperware scale`.

use std::str::FromStr;

use clap::Args;

use super::change::ChangeArgs;
use crate::config::model::{Agents, Compilers};
use crate::config::types::Setting;

/// Change how many compilers and agents there are.
///
/// Compilers are servers without a CA behind a balancer; agents need not know of them. Another one takes requests when it
/// serves, and one that goes finishes those that it has. The number is remembered with the platform, and holds from then
/// on, whatever `compilers.replicas` and `agents.replicas` say.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware scale compilers=3             three compilers behind the balancer\n  \
    pupperware scale compilers=0             the primary alone\n  \
    pupperware scale compilers=2 --dry-run   what would be done\n  \
    pupperware scale --advise                how many the load asks for")]
pub struct ScaleArgs {
    /// What to have how many of: compilers=N, from 0 to 16, and agents=N, from 1 to 50.
    #[arg(value_name = "WHAT=N", required_unless_present = "advise", conflicts_with = "advise")]
    pub wanted: Vec<Wanted>,
    /// Measure for 20 s how busy the servers are, and tell how many to have.
    #[arg(long, group = "shown")]
    pub advise: bool,
    /// Start more compilers than the machine has memory for.
    #[arg(long)]
    pub force: bool,
    /// How the plan is shown or carried out.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// How many of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Compilers.
    Compilers(Compilers),
    /// The platform's own agents.
    Agents(Agents),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (what, count) = text.split_once('=').ok_or("write it like compilers=3")?;
        match what {
            "compilers" | "compiler" => Compilers::parse(count).map(Wanted::Compilers).map_err(|r| r.reason),
            "agents" | "agent" => Agents::parse(count).map(Wanted::Agents).map_err(|r| r.reason),
            _ => Err(format!("\"{what}\" cannot be scaled; compilers and agents can")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_of_what_can_be_scaled() {
        assert_eq!("compilers=3".parse(), Ok(Wanted::Compilers(Compilers::new(3).unwrap())));
        assert_eq!("agents=2".parse(), Ok(Wanted::Agents(Agents::new(2).unwrap())));
        for bad in [
            "compilers=-1",
            "compilers=1000",
            "compilers=three",
            "compilers=",
            "compilers",
            "=3",
            "postgres=2",
            "agents=0",
            "compilers=1.5",
            "compilers=17",
        ] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }
}

//! Plans: what is to be done, as data. A directed acyclic graph of steps, each with its cause.
//!
//! Plans are made by pure functions (`converge`, `lifecycle`) from desired and observed state, shown by `render`, and
//! carried out by `execute`, which decides nothing.

mod action;
pub mod backup;
mod builder;
pub mod ca;
mod clear;
pub mod code;
mod compilers;
mod converge;
mod describe;
mod fate;
mod images;
mod import;
mod issue;
mod lifecycle;
pub mod render;
mod restore;
mod retire;
mod rolling;
mod rotate;
mod smoke;
pub mod timeline;
mod unfinished;
mod upgrade;

use std::collections::BTreeMap;

use crate::report::event::Stage;

pub use action::{Action, Running, UndoCode};
pub use backup::backup;
pub use converge::{Scale, reconcile, reissue, scale};
pub use images::images;
pub use import::{Import, import};
pub use lifecycle::{chosen, down, not_our_network, restart, start, stop};
pub use restore::{Restoration, losses, restore};
pub use rotate::{TOKENS, rotate};
pub use smoke::{enrol, smoke, smoke_cleanup};
pub use unfinished::half_upgraded;
pub use upgrade::{Upgrade, forget, leave, rollback, upgrade};

/// A plan: steps whose `needs` point backwards only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The steps; a step's id is its index.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Index in the plan.
    pub id: usize,
    /// What to do.
    pub action: Action,
    /// Why.
    pub cause: String,
    /// Steps that must have succeeded before.
    pub needs: Vec<usize>,
}

impl Plan {
    /// How many steps each stage has.
    pub fn stages(&self) -> BTreeMap<Stage, usize> {
        let mut stages = BTreeMap::new();
        for step in &self.steps {
            *stages.entry(step.action.stage()).or_default() += 1;
        }
        stages
    }

    /// True when there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

//! The bridge: takes runs from a Relay API, runs Puppet on their nodes, and says how it went.
//!
//! ```text
//! service ----> drive ------> backend (ssh, bolt) ---> nodes
//! (polls)       | ^             |
//!               v |             v
//!     machine <- journal <--- floor ---> board ---> reporter (a thread of its own) ---> server
//! ```
//!
//! - [`machine`] is pure: what is written decides what comes next. [`drive`] does it.
//! - [`journal`] is what a killed bridge goes on from. No node is started that was not written down before.
//! - [`policy`] is what this site allows, whatever the server asks; [`audit`] what it can prove.

pub mod audit;
pub mod backend;
pub mod board;
mod changes;
pub mod config;
pub mod drive;
pub mod floor;
pub mod job;
pub mod journal;
pub mod machine;
pub mod policy;
pub mod record;
pub mod reporter;
pub mod reports;
pub mod schedule;
pub mod service;
pub mod verdict;

//! Puppet runs on request: the Relay API, and what speaks it.
//!
//! - [`api`]: the wire format, as types that both halves share, and the rules that a run's state follows. Pure.
//! - [`client`]: asks any server of this API. [`bridge`]: takes runs and carries them out.
//! - [`server`]: keeps requests and their state, and serves the API. `glob`: patterns of names, for both halves.
//!
//! The API is the one of Relay's Puppet integration (`/_puppet/*`), with additions that its original clients ignore.

pub mod api;
pub mod bridge;
pub mod client;
mod glob;
pub mod server;

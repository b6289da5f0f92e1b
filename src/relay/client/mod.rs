//! A client of any Relay API, and of PuppetDB: HTTP over TLS with limits.
//!
//! What is asked and what answers mean is in [`relay`]; when to ask is in [`pace`].

pub mod connection;
pub mod pace;
pub mod relay;
pub mod target;
pub mod tls;
pub mod token;

//! What we know about Puppet's own software: the configuration files that it wants, and how to talk to it.
//!
//! How containers are made from it is in `desired`; when anything runs is in `plan`.

pub mod agent;
pub mod api;
pub mod authority;
pub mod balancer;
pub mod bridge;
pub mod ca;
pub mod catalog;
pub mod compare;
pub mod eyaml;
pub mod inventory;
pub mod metrics;
pub mod postgres;
pub mod puppetboard;
pub mod puppetdb;
pub mod relay;
pub mod serial;
pub mod server;
pub mod volumes;

use crate::engine::FileEntry;

/// A directory entry for a config volume.
fn directory(path: &str, owner: u32, mode: u32) -> FileEntry {
    FileEntry { path: format!("{path}/"), content: String::new(), owner: (owner.into(), owner.into()), mode }
}

/// A file entry for a config volume.
fn file(path: &str, content: String, owner: u32) -> FileEntry {
    FileEntry { path: path.into(), content, owner: (owner.into(), owner.into()), mode: 0o640 }
}

/// Bytes as the JVM and PostgreSQL write megabytes, rounded down, at least 1.
fn megabytes(bytes: u64) -> u64 {
    (bytes >> 20).max(1)
}

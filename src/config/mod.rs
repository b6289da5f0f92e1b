//! The user's file: from YAML text to a typed configuration, with every error located and shown at once.
//!
//! `source` reads the file, `tree` parses YAML, `validate` makes a [`model::Config`] of it, `schema` and
//! `reference` describe the file, `sizing` says what `auto` comes to. Where the file is found, and what flags
//! and environment override, is for [`crate::settings`].

pub mod keys;
pub mod model;
pub mod problem;
pub mod reference;
pub mod render;
pub mod schema;
pub mod sizing;
pub mod source;
pub mod tree;
pub mod types;
pub mod validate;

pub use model::Config;
pub use problem::{Invalid, Problem, Severity, Source, Span};
pub use sizing::{Machine, Sizing};

//! pupperware runs a whole Puppet platform in containers on any Docker Engine.
//!
//! Data flows one way:
//!
//! ```text
//! flags, env, pupperware.yaml --> settings --> config --+
//! images/channels.yaml ---------> release --------------+--> desired --+
//! compose/*.yaml (embedded) ----------------------------+              +--> plan::reconcile --> Plan --> execute --> report
//! Docker Engine ----------------> engine --> observed -----------------+        pure                 journal
//! ```

pub mod audit;
pub mod backup;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod config;
pub mod desired;
pub mod engine;
pub mod error;
pub mod execute;
pub mod hook;
pub mod images;
pub mod journal;
pub mod observed;
pub mod plan;
pub mod puppet;
pub mod relay;
pub mod release;
pub mod report;
pub mod settings;
pub mod web;

//! The security model, checked against what really runs.
//!
//! [`look`] gathers evidence from the engine and from inside the containers, as plain data ([`model`]); the [`rules`] are
//! pure functions from evidence to findings. What could not be looked at is told apart: a platform is clean only when
//! everything was seen and nothing was found.

pub mod look;
pub mod model;
pub mod policy;
pub mod reference;
pub mod rules;
pub mod sarif;

use serde::Serialize;

use model::{Evidence, Finding, Unseen};

/// The outcome. Its JSON shape is relied upon: fields may be added, none is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The platform's name.
    pub project: String,
    /// Everything was seen, and nothing found.
    pub clean: bool,
    /// What is not as it should be, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unseen: Vec<Unseen>,
}

/// Judges what was seen.
pub fn judge(project: &str, evidence: &Evidence) -> Audit {
    let mut findings: Vec<Finding> = rules::THEMES.iter().flat_map(|theme| (theme.check)(evidence)).collect();
    findings.sort_by(|a, b| (b.severity, a.id, &a.place).cmp(&(a.severity, b.id, &b.place)));
    findings.dedup();
    let mut unseen = evidence.unseen.clone();
    unseen.extend(rules::access::unknown(evidence));
    unseen.dedup();
    Audit { project: project.to_owned(), clean: findings.is_empty() && unseen.is_empty(), findings, unseen }
}

//! Checks of the ground that a platform stands on: engine, disk, memory, ports, clock, images, certificates.
//!
//! `doctor` runs them all and shows each; `up` runs those without which it would fail half-way, before it changes
//! anything. Each check has an id that scripts may rely on.

mod certificates;
mod machine;
mod ports;

use serde::Serialize;

use crate::engine::{Engine, EngineInfo};
use crate::error::{Error, Result};
use crate::plan::{Action, Plan};
use crate::{desired::Desired, observed::Observed};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// The platform works, and someone should look at it.
    Warning,
    /// The platform does not work, or will not.
    Error,
}

/// One check's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable name (`engine-api`).
    pub id: &'static str,
    /// Group (`engine`, `machine`, `network`, `images`, `certificates`, `platform`).
    pub category: &'static str,
    /// How it ended.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Check {
    fn ok(category: &'static str, id: &'static str, found: impl Into<String>) -> Self {
        Check { id, category, severity: Severity::Ok, found: found.into(), hint: None }
    }

    fn warning(category: &'static str, id: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Check { id, category, severity: Severity::Warning, found: found.into(), hint: Some(hint.into()) }
    }

    fn error(category: &'static str, id: &'static str, found: impl Into<String>, hint: impl Into<String>) -> Self {
        Check { id, category, severity: Severity::Error, found: found.into(), hint: Some(hint.into()) }
    }
}

/// Every check.
///
/// # Errors
/// Only when the engine goes away meanwhile.
pub async fn all(engine: &Engine, info: &EngineInfo, desired: &Desired, observed: &Observed) -> Result<Vec<Check>> {
    let mut checks = vec![
        Check::ok("engine", "engine-reachable", format!("{} (from {})", engine.endpoint.url, engine.endpoint.origin)),
        Check::ok("engine", "engine-api", format!("Docker {} with API {}.{}", info.version, info.api.0, info.api.1)),
        machine::linux(info),
        machine::disk(engine, info, 2),
        machine::memory(info, desired),
        machine::clock(info),
        ports::published(engine, desired, observed),
        images(desired, observed),
    ];
    checks.extend(certificates::all(engine, desired, observed).await?);
    checks.push(platform(observed));
    Ok(checks)
}

/// What must hold before `up` changes anything.
///
/// # Errors
/// The first check that fails, as an error with its hint.
pub fn before_up(
    engine: &Engine,
    info: &EngineInfo,
    desired: &Desired,
    observed: &Observed,
    plan: &Plan,
) -> Result<()> {
    let builds = plan.steps.iter().filter(|s| matches!(s.action, Action::BuildImage { .. })).count() as u64;
    let starts_server =
        plan.steps.iter().any(|s| matches!(&s.action, Action::CreateContainer { spec, .. } if !spec.ports.is_empty()));
    let mut checks = vec![machine::linux(info)];
    if !plan.is_empty() {
        // An image with its build stages takes a bit over a gigabyte until the stages are cleaned up.
        checks.push(machine::disk(engine, info, 1 + builds * 3 / 2));
    }
    if starts_server {
        checks.push(machine::memory(info, desired));
        checks.push(ports::published(engine, desired, observed));
    }
    match checks.into_iter().find(|c| c.severity == Severity::Error) {
        None => Ok(()),
        Some(check) => {
            let error = Error::failed(check.found).details([format!("(check {}; nothing was changed)", check.id)]);
            Err(match check.hint {
                Some(hint) => error.hint(hint),
                None => error,
            })
        }
    }
}

fn images(desired: &Desired, observed: &Observed) -> Check {
    let missing: Vec<&str> =
        desired.images.iter().filter(|i| !observed.has_image(&i.reference)).map(|i| i.component.as_str()).collect();
    if missing.is_empty() {
        return Check::ok("images", "images-present", format!("all images of release {} are here", desired.release));
    }
    Check::warning(
        "images",
        "images-present",
        format!("not here yet: {}", missing.join(", ")),
        "`pupperware images build` makes them ahead of `up`; `pupperware images load FILE` brings them from elsewhere",
    )
}

fn platform(observed: &Observed) -> Check {
    if observed.is_absent() {
        return Check::ok("platform", "platform-proved", "there is no platform yet");
    }
    if observed.proved() {
        return Check::ok("platform", "platform-proved", "an agent's run went through everything that runs now");
    }
    Check::warning("platform", "platform-proved", "not proved since its last start", "run `pupperware up`")
}

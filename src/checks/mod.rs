//! Checks of the ground that a platform stands on: engine, disk, memory, ports, clock, images, certificates, backups.
//!
//! `doctor` runs them all and shows each; `up` runs those without which it would fail half-way, before it changes
//! anything. Each check has an id that scripts may rely on.

mod archives;
mod backups;
mod certificates;
mod machine;
mod ports;
mod upgrade;

pub use machine::free_bytes;
pub use upgrade::{Outlook, before_upgrade};

use jiff::Timestamp;
use serde::Serialize;

use std::net::IpAddr;

use crate::config::types::Ttl;
use crate::desired::Desired;
use crate::engine::{Engine, EngineInfo};
use crate::error::{Error, Result};
use crate::images::DesiredImage;
use crate::observed::Observed;
use crate::plan::{Action, Plan};

/// Every check, in order: group and id.
pub const ALL: [(&str, &str); 23] = [
    ("engine", "engine-reachable"),
    ("engine", "engine-api"),
    ("engine", "engine-linux"),
    ("machine", "disk-space"),
    ("machine", "memory"),
    ("machine", "clock"),
    ("network", "port-published"),
    ("network", "port-puppetboard"),
    ("network", "port-relay"),
    ("images", "images-present"),
    ("certificates", "certificate-ca"),
    ("certificates", "certificate-puppetserver"),
    ("certificates", "certificate-puppetdb"),
    ("certificates", "certificate-postgres"),
    ("certificates", "certificate-puppetboard"),
    ("certificates", "certificate-relay"),
    ("certificates", "certificate-bridge"),
    ("certificates", "certificate-balancer"),
    ("certificates", "certificate-compilers"),
    ("images", "class-archive-puppetserver"),
    ("images", "class-archive-puppetdb"),
    ("platform", "platform-proved"),
    ("platform", "backup-age"),
];

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
    /// Not known: an earlier check failed that this one needs.
    Skipped,
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

    /// What a command would have ended with.
    fn failed(category: &'static str, id: &'static str, error: &Error) -> Self {
        Check { id, category, severity: Severity::Error, found: error.to_string(), hint: error.hint.clone() }
    }
}

/// What the checks look at.
pub struct Ground<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// What its machine has.
    pub info: &'a EngineInfo,
    /// Where the server is to be published.
    pub address: (IpAddr, u16),
    /// Where Puppetboard is to be published; nothing when it was not asked for.
    pub puppetboard: Option<(IpAddr, u16)>,
    /// Where the Relay server is to be published; nothing when it is not.
    pub relay: Option<(IpAddr, u16)>,
    /// The images that are needed.
    pub images: &'a [DesiredImage],
    /// The platform as it is.
    pub observed: &'a Observed,
    /// How old the last good backup may be, if that was said.
    pub backup_max_age: Option<Ttl>,
    /// The platform as it should be, or why it cannot be on this machine.
    pub desired: Result<&'a Desired, &'a Error>,
}

/// Every check.
pub async fn all(ground: &Ground<'_>) -> Vec<Check> {
    let Ground { engine, info, observed, .. } = ground;
    let mut checks = vec![
        reachable(engine),
        Check::ok("engine", "engine-api", format!("Docker {} with API {}.{}", info.version, info.api.0, info.api.1)),
        machine::linux(info),
        machine::disk(engine, info, 2),
        match ground.desired {
            Ok(desired) => machine::memory(info, desired),
            Err(error) => Check::failed("machine", "memory", error),
        },
        machine::clock(info),
        ports::SERVER.check(engine, ground.address, observed),
        match ground.puppetboard {
            Some(address) => ports::PUPPETBOARD.check(engine, address, observed),
            None => Check::ok("network", ports::PUPPETBOARD.id, "puppetboard was not asked for"),
        },
        match ground.relay {
            Some(address) => ports::RELAY.check(engine, address, observed),
            None => Check::ok("network", ports::RELAY.id, "relay is not published"),
        },
        images(ground.images, observed),
    ];
    checks.extend(certificates::all(engine, observed).await);
    checks.extend(archives::all(engine, observed).await);
    checks.push(platform(observed));
    checks.push(backups::last(observed, ground.backup_max_age, Timestamp::now()));
    checks
}

/// Every check, where no engine answers.
pub fn no_engine(error: &Error) -> Vec<Check> {
    and_skipped(vec![Check::failed("engine", "engine-reachable", error)], "no engine")
}

/// Every check, where the engine is too old to be asked.
pub fn old_engine(engine: &Engine, error: &Error) -> Vec<Check> {
    and_skipped(vec![reachable(engine), Check::failed("engine", "engine-api", error)], "the engine is too old")
}

/// The checks that were made, and all later ones as skipped.
fn and_skipped(mut made: Vec<Check>, why: &str) -> Vec<Check> {
    let later = ALL.into_iter().skip(made.len());
    made.extend(later.map(|(category, id)| Check {
        id,
        category,
        severity: Severity::Skipped,
        found: format!("skipped: {why}"),
        hint: None,
    }));
    made
}

fn reachable(engine: &Engine) -> Check {
    Check::ok("engine", "engine-reachable", format!("{} (from {})", engine.endpoint.url, engine.endpoint.origin))
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
    let created = |port: ports::Port| {
        plan.steps.iter().find_map(|s| match &s.action {
            Action::CreateContainer { spec, service } if port.is_of(service) => spec.ports.first(),
            _ => None,
        })
    };
    let mut checks = vec![machine::linux(info)];
    if !plan.is_empty() {
        // An image with its build stages takes a bit over a gigabyte until the stages are cleaned up.
        checks.push(machine::disk(engine, info, 1 + builds * 3 / 2));
    }
    for port in [ports::SERVER, ports::PUPPETBOARD, ports::RELAY] {
        if let Some(published) = created(port) {
            checks.push(machine::memory(info, desired));
            checks.push(port.check(engine, (published.address, published.port), observed));
        }
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

fn images(images: &[DesiredImage], observed: &Observed) -> Check {
    let missing: Vec<&str> =
        images.iter().filter(|i| !observed.has_image(&i.reference)).map(|i| i.component.as_str()).collect();
    if missing.is_empty() {
        return Check::ok("images", "images-present", "all images of the release are here");
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

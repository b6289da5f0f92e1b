//! `pupperware stop`, `start`, `restart`: what exists stops and starts; nothing is made or removed.

use semver::Version;

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra};
use crate::cli::change::ChangeArgs;
use crate::cli::global::GlobalArgs;
use crate::cli::service::ServiceRef;
use crate::error::Result;
use crate::observed::Observed;
use crate::plan::{self, Plan};
use crate::report::{Report, terminal};

/// One of the three.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    /// Stop.
    Stop,
    /// Start and wait until ready.
    Start,
    /// Both.
    Restart,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Verb::Stop => "stop",
            Verb::Start => "start",
            Verb::Restart => "restart",
        }
    }

    /// What was done, in a line.
    fn summary(self, project: &str, services: &[ServiceRef]) -> String {
        let named: Vec<String> = services.iter().map(ToString::to_string).collect();
        let (what, ready) = if named.is_empty() {
            (format!("{project} is"), ": all services are ready")
        } else {
            (format!("{project}: {}", named.join(", ")), " and ready")
        };
        match self {
            Verb::Stop => format!("{what} stopped\n"),
            Verb::Start => format!("{what} started{ready}\n"),
            Verb::Restart => format!("{what} restarted{ready}\n"),
        }
    }

    fn plan(self, observed: &Observed, services: &[ServiceRef]) -> Result<Plan> {
        match self {
            Verb::Stop => plan::stop(observed, services),
            Verb::Start => plan::start(observed, services),
            Verb::Restart => plan::restart(observed, services),
        }
    }
}

/// Does it.
pub(super) async fn run(
    global: &GlobalArgs,
    verb: Verb,
    services: &[ServiceRef],
    args: &ChangeArgs,
    report: &Report,
) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let change = Change { command: verb.name(), engine: &engine, release: recorded(&observed), channel: None };
    match change::run(&context, &change, args, &observed, async |o| verb.plan(o, services)).await? {
        Outcome::Nothing => terminal::out("nothing to do\n")?,
        Outcome::Done(_) => terminal::out(&verb.summary(context.project(), services))?,
        Outcome::Shown(_) => {}
    }
    Ok(0)
}

/// The release that the platform's record names; these commands never change it.
pub(super) fn recorded(observed: &Observed) -> Version {
    observed.record.as_ref().map_or(Version::new(0, 0, 0), |r| r.release.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said_in_a_line() {
        assert_eq!(Verb::Stop.summary("demo", &[]), "demo is stopped\n");
        assert_eq!(Verb::Start.summary("demo", &[]), "demo is started: all services are ready\n");
        assert_eq!(Verb::Restart.summary("demo", &[]), "demo is restarted: all services are ready\n");
        let named: Vec<ServiceRef> = ["puppetdb", "agent.2"].iter().map(|s| s.parse().unwrap()).collect();
        assert_eq!(Verb::Stop.summary("demo", &named), "demo: puppetdb, agent.2 stopped\n");
        assert_eq!(Verb::Restart.summary("demo", &named), "demo: puppetdb, agent.2 restarted and ready\n");
    }
}

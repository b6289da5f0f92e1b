//! `pupperware up`: converge, and prove it.

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra, Platform};
use crate::checks;
use crate::cli::global::GlobalArgs;
use crate::cli::up::UpArgs;
use crate::error::{Kind, Result};
use crate::plan;
use crate::report::{Report, terminal};

/// Brings the platform up; with `--dry-run` shows what would be done.
pub(super) async fn run(global: &GlobalArgs, args: &UpArgs, report: &Report) -> Result<u8> {
    let extra = Extra { release: Some(&args.release), code: args.code.as_deref() };
    let context = Context::new(global, &extra, report)?;
    let platform = context.platform().await?;
    let desired = &platform.desired;
    let plan = |observed: &crate::observed::Observed| plan::reconcile(desired, observed);
    if !args.change.dry_run {
        checks::before_up(&platform.engine, &platform.info, desired, &platform.observed, &plan(&platform.observed)?)?;
        for warning in &platform.sizing.warnings {
            context.report.warn(warning.clone());
        }
    }
    let change = Change {
        command: "up",
        engine: &platform.engine,
        release: platform.release.version.clone(),
        channel: desired.channel.clone(),
    };
    match change::run(&context, &change, &args.change, &platform.observed, plan).await? {
        Outcome::Shown(empty) if args.exit_code && !empty => Ok(Kind::Differs.exit_code()),
        Outcome::Shown(_) => Ok(0),
        Outcome::Nothing => {
            terminal::out(&format!("nothing to do: {} runs release {}, proved\n", desired.project, desired.release))?;
            Ok(0)
        }
        Outcome::Done => {
            terminal::out(&what_now(&context, &platform))?;
            Ok(0)
        }
    }
}

/// What a user wants to know next.
fn what_now(context: &Context, platform: &Platform) -> String {
    let desired = &platform.desired;
    let (address, port) = &desired.address;
    let host = match address.as_str() {
        "0.0.0.0" | "::" => crate::journal::host(),
        other => other.to_owned(),
    };
    let server_port =
        if *port == 8140 { String::new() } else { format!("\n  puppet config set serverport {port} --section main") };
    let project =
        if context.project() == "pupperware" { String::new() } else { format!(" --project {}", context.project()) };
    format!(
        "{name} is up and proved: release {release}, agents reach it at {address}:{port}\n\n\
         attach an agent (this machine must be known to it as \"puppet\", or add its name to puppetserver.dns_alt_names):\n\
         \x20 puppet config set server puppet --section main{server_port}\n\
         \x20 echo \"<address of {host}> puppet\" >> /etc/hosts\n\
         \x20 puppet agent --test --waitforcert 10\n\n\
         sign it:   pupperware{project} exec puppetserver -- puppetserver ca sign --certname NAME\n\
         status:    pupperware{project} status\n\
         proof:     pupperware{project} smoke\n",
        name = desired.project,
        release = desired.release,
    )
}

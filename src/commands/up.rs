//! `pupperware up`: converge, and prove it.

use std::net::{IpAddr, UdpSocket};

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra, Platform};
use crate::checks;
use crate::cli::global::GlobalArgs;
use crate::cli::up::UpArgs;
use crate::config::Config;
use crate::config::types::Addon;
use crate::desired::credentials;
use crate::error::{Kind, Result};
use crate::plan;
use crate::report::{Report, terminal};

/// Brings the platform up; with `--dry-run` shows what would be done.
pub(super) async fn run(global: &GlobalArgs, args: &UpArgs, report: &Report) -> Result<u8> {
    let extra = Extra {
        release: Some(&args.release),
        manifest: Some(&args.release.manifest),
        with: &args.with,
        code: args.code.as_deref(),
        ..Extra::default()
    };
    let context = Context::new(global, &extra, report)?;
    let platform = context.platform().await?;
    let desired = &platform.desired;
    let plan = |observed: &crate::observed::Observed| plan::reconcile(desired, observed);
    if !args.change.dry_run {
        checks::before_up(&platform.engine, &platform.info, desired, &platform.observed, &plan(&platform.observed)?)?;
        for warning in &platform.sizing.warnings {
            context.report.warn(warning.clone());
        }
        for (component, reference) in platform.observed.exchanged() {
            context.report.warn_with_hint(
                format!(
                    "the image of {component} is not the one that was proved, though it has the same name: {reference}"
                ),
                "it was built or loaded anew; containers that are made from now on have it".to_owned(),
            );
        }
    }
    let change = Change {
        command: "up",
        engine: &platform.engine,
        release: platform.release.version.clone(),
        channel: desired.channel.clone(),
    };
    match change::run(&context, &change, &args.change, &platform.observed, async |o| plan(o)).await? {
        Outcome::Shown(empty) if args.exit_code && !empty => Ok(Kind::Differs.exit_code()),
        Outcome::Shown(_) => Ok(0),
        Outcome::Nothing => {
            terminal::out(&format!("nothing to do: {} runs release {}, proved\n", desired.project, desired.release))?;
            Ok(0)
        }
        Outcome::Done(_) => {
            terminal::out(&what_now(&context, &platform))?;
            Ok(0)
        }
    }
}

/// What a user wants to know next.
fn what_now(context: &Context, platform: &Platform) -> String {
    let desired = &platform.desired;
    let (address, port) = &desired.address;
    let reached = reached_at(*address, platform.engine.is_local(), primary_address);
    let server_port =
        if *port == 8140 { String::new() } else { format!("\n  puppet config set serverport {port} --section main") };
    let project =
        if context.project() == "pupperware" { String::new() } else { format!(" --project {}", context.project()) };
    format!(
        "{name} is up and proved: release {release}, agents reach it at {address}:{port}\n{board}\n\
         attach an agent (this machine must be known to it as \"puppet\", or add its name to puppetserver.dns_alt_names):\n\
         \x20 puppet config set server puppet --section main{server_port}\n\
         \x20 echo \"{reached} puppet\" >> /etc/hosts\n\
         \x20 puppet agent --test --waitforcert 10\n\n\
         sign it:   pupperware{project} ca sign NAME\n\
         status:    pupperware{project} status\n\
         proof:     pupperware{project} smoke\n",
        board = puppetboard(&context.settings.config) + &on_request(&context.settings.config, &project),
        name = desired.project,
        release = desired.release,
    )
}

/// Where a browser finds Puppetboard; a loopback by its name, which is the same for both families.
fn puppetboard(config: &Config) -> String {
    let publish = config.puppetboard.publish;
    match (config.has(Addon::Puppetboard), publish.address().is_loopback()) {
        (false, _) => String::new(),
        (true, true) => format!("puppetboard: http://localhost:{}/\n", publish.port()),
        (true, false) => format!("puppetboard: http://{publish}/\n"),
    }
}

/// How Puppet is run on request, unless that is switched off.
fn on_request(config: &Config, project: &str) -> String {
    if !config.has(Addon::Relay) {
        return String::new();
    }
    let agent = credentials::agent_certname(config.project.as_str(), 1);
    format!("on request:  pupperware{project} relay run --nodes {agent} --wait\n")
}

/// By which address agents reach a server that is published at `address`; where that is not known, words for it.
fn reached_at(address: IpAddr, local: bool, primary: impl Fn(IpAddr) -> Option<IpAddr>) -> String {
    if !address.is_unspecified() {
        return address.to_string();
    }
    if !local {
        return "<address of the engine's machine>".to_owned();
    }
    primary(address).map_or_else(|| format!("<address of {}>", crate::journal::host()), |a| a.to_string())
}

/// The address that this machine would send from to a far one of the same family, as its routes tell. Connecting a UDP
/// socket sends no packet; the far addresses are reserved for documentation.
fn primary_address(any: IpAddr) -> Option<IpAddr> {
    let far = if any.is_ipv4() { "192.0.2.1" } else { "2001:db8::1" };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((far.parse::<IpAddr>().ok()?, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_use_is_told_where_it_is_known() {
        let primary = |any: IpAddr| any.is_ipv4().then_some(IpAddr::from([198, 51, 100, 7]));
        let reached = |address: &str, local| reached_at(address.parse().unwrap(), local, primary);
        assert_eq!(reached("0.0.0.0", true), "198.51.100.7");
        assert_eq!(reached("192.0.2.10", true), "192.0.2.10");
        assert!(reached("::", true).starts_with("<address of "));
        assert_eq!(reached("0.0.0.0", false), "<address of the engine's machine>");
    }
}

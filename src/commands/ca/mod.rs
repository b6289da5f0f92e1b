//! `pupperware ca`: certificates of agents and services. What the CA lists is read under the lock before each change.

mod import;
mod list;

use sha2::{Digest, Sha256};

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra, Platform};
use crate::cli::ca::{CaArgs, CaCommand, ReissueArgs, SignArgs, TokenArgs};
use crate::cli::change::ChangeArgs;
use crate::cli::global::GlobalArgs;
use crate::desired::COMPILER;
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::plan::{self, Plan, ca};
use crate::puppet::ca::{CertName, Certificate, State};
use crate::report::{Report, terminal};

/// Does it.
pub(super) async fn run(global: &GlobalArgs, args: &CaArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let platform = context.platform().await?;
    let ca = Ca { context: &context, platform: &platform };
    match &args.command {
        CaCommand::List(args) => list::run(&platform, args.output).await,
        CaCommand::Sign(args) => ca.sign(args).await,
        CaCommand::Revoke(args) => {
            let canary = canary()?;
            ca.end(&args.names, &args.change, "revoke", "revoked, and refused everywhere", |observed, listed| {
                ca::revoke(&platform.desired, observed, listed, &args.names, &canary)
            })
            .await
        }
        CaCommand::Clean(args) => {
            let canary = canary()?;
            ca.end(&args.names, &args.change, "clean", "removed", |observed, listed| {
                ca::clean(&platform.desired, observed, listed, &args.names, &canary)
            })
            .await
        }
        CaCommand::Reissue(args) => ca.reissue(args).await,
        CaCommand::Crl(args) => {
            let canary = canary()?;
            let make = |o: &Observed, listed: &[Certificate]| ca::crl(&platform.desired, o, listed, &canary);
            if let Outcome::Done(_) = ca.change("ca crl", &args.change, make).await? {
                terminal::out("every service has the revocation list, and refuses whoever is on it\n")?;
            }
            Ok(0)
        }
        CaCommand::Token(args) => ca.token(args).await,
        CaCommand::Import(args) => import::run(&context, &platform, args).await,
    }
}

/// What every one of them works with.
struct Ca<'a> {
    context: &'a Context,
    platform: &'a Platform,
}

impl Ca<'_> {
    /// Plans from what the CA lists, read each time a plan is made, and carries out.
    async fn change(
        &self,
        command: &str,
        args: &ChangeArgs,
        make: impl Fn(&Observed, &[Certificate]) -> Result<Plan>,
    ) -> Result<Outcome> {
        let Platform { engine, desired, observed, .. } = self.platform;
        change::run(self.context, &self.what(command), args, observed, async |observed| {
            let primary = ca::primary(desired, observed)?;
            make(observed, &list::read(engine, &primary.spec.name).await?)
        })
        .await
    }

    fn what<'c>(&'c self, command: &'c str) -> Change<'c> {
        let release = self.platform.release.version.clone();
        Change { command, engine: &self.platform.engine, release, channel: self.platform.desired.channel.clone() }
    }

    async fn listed(&self) -> Result<Vec<Certificate>> {
        let Platform { engine, desired, observed, .. } = self.platform;
        list::read(engine, &ca::primary(desired, observed)?.spec.name).await
    }

    async fn sign(&self, args: &SignArgs) -> Result<u8> {
        let mut approved: Vec<(CertName, Option<String>)> = args.names.iter().map(|n| (n.clone(), None)).collect();
        if args.all {
            let listed = self.listed().await?;
            let waiting: Vec<&Certificate> = listed.iter().filter(|c| c.state == State::Pending).collect();
            for request in &waiting {
                // The CA holds to the same rules as we do; a name beyond them is somebody's trick.
                let name = request.certname.parse().map_err(|why: String| {
                    Error::refused(format!("there is a request of a strange name: {why}"))
                        .hint("sign those that you know by name")
                })?;
                approved.push((name, Some(request.fingerprint.clone())));
            }
            if !waiting.is_empty() && !args.change.dry_run {
                let lines: String = waiting.iter().map(|c| format!("  {}  {}\n", c.certname, c.fingerprint)).collect();
                terminal::err(&format!("requests that wait:\n{lines}"));
                let count = waiting.len();
                let question = if count == 1 { "sign it".to_owned() } else { format!("sign these {count}") };
                change::confirm(self.context, &question)?;
            }
        }
        let desired = &self.platform.desired;
        let make = |observed: &Observed, listed: &[Certificate]| {
            // Of all that waited, some may have been dealt with in the meantime; named ones have to be there.
            let there = |name: &CertName| listed.iter().any(|c| c.certname == name.as_str());
            let still: Vec<_> = approved.iter().filter(|(name, _)| !args.all || there(name)).cloned().collect();
            ca::sign(desired, observed, listed, &still)
        };
        match self.change("ca sign", &args.change, make).await? {
            Outcome::Nothing if args.all => terminal::out("no request waits\n")?,
            Outcome::Nothing => terminal::out("nothing to do: signed already\n")?,
            Outcome::Done(_) => {
                let names: Vec<&CertName> = approved.iter().map(|(name, _)| name).collect();
                terminal::out(&format!("{}: signed\n", joined(&names)))?;
            }
            Outcome::Shown(_) => {}
        }
        Ok(0)
    }

    /// What cannot be undone: planned first, so that nobody is asked about what would be refused.
    async fn end(
        &self,
        names: &[CertName],
        args: &ChangeArgs,
        verb: &str,
        done: &str,
        make: impl Fn(&Observed, &[Certificate]) -> Result<Plan>,
    ) -> Result<u8> {
        if !args.dry_run {
            make(&self.platform.observed, &self.listed().await?)?;
            let names: Vec<&CertName> = names.iter().collect();
            change::confirm(self.context, &format!("{verb} {} for good", joined(&names)))?;
        }
        if let Outcome::Done(_) = self.change(&format!("ca {verb}"), args, make).await? {
            let names: Vec<&CertName> = names.iter().collect();
            terminal::out(&format!("{}: {done}\n", joined(&names)))?;
        }
        Ok(0)
    }

    async fn reissue(&self, args: &ReissueArgs) -> Result<u8> {
        let Platform { desired, observed, .. } = self.platform;
        let again = services(desired, &args.services)?;
        let make = async |observed: &Observed| {
            ca::primary(desired, observed)?;
            plan::reissue(desired, observed, &again)
        };
        if let Outcome::Done(_) =
            change::run(self.context, &self.what("ca reissue"), &args.change, observed, make).await?
        {
            terminal::out(&format!("{}: issued anew, and the platform is proved\n", again.join(", ")))?;
        }
        Ok(0)
    }

    /// The token is made here, because it is shown here; the platform gets its hash.
    async fn token(&self, args: &TokenArgs) -> Result<u8> {
        if args.change.timings && !args.change.dry_run {
            return Err(Error::usage("the token is all that this prints").hint("leave out `--timings`"));
        }
        let token = hex(&random::<32>()?);
        let hash = hex(&Sha256::digest(token.as_bytes()));
        let desired = &self.platform.desired;
        let make = |o: &Observed, listed: &[Certificate]| ca::token(desired, o, listed, &args.name, &hash);
        if let Outcome::Done(_) = self.change("ca token", &args.change, make).await? {
            terminal::out(&format!("{token}\n"))?;
        }
        Ok(0)
    }
}

/// The certnames of services; `all` is all of them.
fn services(desired: &crate::desired::Desired, named: &[String]) -> Result<Vec<String>> {
    let has = |service: &str| desired.replicas.iter().any(|r| r.service == service);
    if let Some(wrong) = named.iter().find(|n| *n != "all" && !has(n)) {
        let mut known: Vec<&str> = desired.replicas.iter().map(|r| r.service.as_str()).collect();
        known.dedup();
        return Err(Error::usage(format!("the platform has no service \"{wrong}\""))
            .hint(format!("it has {}; or write `all`", known.join(", "))));
    }
    if named.iter().any(|n| n == COMPILER) {
        return Err(Error::usage("a compiler's certificate is not issued anew: it comes and goes with the compiler")
            .hint("`pupperware scale compilers=0`, and then as many as there were, makes all of them anew"));
    }
    let wanted = |service: &String| named.iter().any(|n| n == "all" || n == service);
    let all = desired.replicas.iter().filter(|r| wanted(&r.service)).map(|r| r.certname.clone());
    Ok(all.filter(|name| desired.credentials.certificate(name).is_some()).collect())
}

fn joined(names: &[&CertName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A name that no canary had before.
pub(super) fn canary() -> Result<String> {
    Ok(format!("{}{}", ca::CANARY, hex(&random::<6>()?)))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes)
        .map_err(|e| Error::failed("the system gives no random numbers").because(anyhow::anyhow!("{e}")))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

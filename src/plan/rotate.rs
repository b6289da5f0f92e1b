//! `secrets rotate`: a new value of a secret, with a restart of nothing but who uses it. Pure.
//!
//! Key pairs of eyaml and one-time tokens are used by nobody who would have to restart: a step each.
//!
//! For the others the record is marked first. As long as the mark is there, nobody knows who has which value, so whoever
//! comes next, `secrets rotate` or `up`, does all of it again: a new value, all copies, whoever has to be told.
//!
//! - The database password: PostgreSQL is told while it runs, PuppetDB restarts.
//! - A token of the Relay server: that restarts, and lets nobody in with the old one. Who shows a token reads it each time.

use super::builder::Builder;
use super::converge::prove;
use super::fate::{Fate, fate};
use super::images::{image_step, images_needed};
use super::issue::{scoped, task};
use super::unfinished;
use super::{Action, Plan, ca};
use crate::desired::credentials::{BRIDGE_TOKEN, DATABASE_PASSWORD, EYAML, OPERATOR_TOKEN, TRIGGER_TOKEN};
use crate::desired::{Desired, PRIMARY, Replica};
use crate::error::{Error, Result};
use crate::observed::Observed;

/// Who is concerned when a secret gets a new value.
struct Concerned {
    /// Who lets others in with it, and can be told while it runs.
    told: Option<&'static str>,
    /// Who reads it when it starts.
    restarts: &'static str,
    /// What it is, for people.
    what: &'static str,
}

/// Who that is; nobody for what is no such secret.
fn concerned(secret: &str) -> Option<Concerned> {
    match secret {
        DATABASE_PASSWORD => Some(Concerned { told: Some("postgres"), restarts: "puppetdb", what: "password" }),
        BRIDGE_TOKEN | OPERATOR_TOKEN | TRIGGER_TOKEN => {
            Some(Concerned { told: None, restarts: "relay", what: "token" })
        }
        _ => None,
    }
}

/// Run where secrets are kept: makes and delivers the new value, then puts it in the place of the old one.
const RENEW: &str =
    "/usr/local/bin/pupperware-provision; cd /volumes/state/secrets; mv -f \"$1.next\" \"$1\"; sync -f \"$1\"";

/// What one-time tokens for agents are called together.
pub const TOKENS: &str = "tokens";

/// The plan that gives a secret a new value.
///
/// # Errors
/// There is no such secret, or a service is not as it should be.
pub fn rotate(desired: &Desired, observed: &Observed, secret: &str) -> Result<Plan> {
    unfinished::refuse(observed)?;
    let there = || desired.credentials.secrets.iter().map(|(name, _)| name.as_str());
    match secret {
        EYAML => key_pair(desired, observed),
        TOKENS => tokens(desired, observed),
        _ => match concerned(secret).filter(|_| there().any(|name| name == secret)) {
            Some(concerned) => value(desired, observed, secret, &concerned),
            None => {
                let names = there().chain([EYAML]).collect::<Vec<_>>().join(", ");
                Err(Error::usage(format!("there is no secret \"{secret}\" that can be rotated"))
                    .hint(format!("there are {names} and {TOKENS}")))
            }
        },
    }
}

/// Another key pair beside those that there are: what was encrypted for them stays readable. Done twice, there is one
/// more, and that is all.
fn key_pair(desired: &Desired, observed: &Observed) -> Result<Plan> {
    well(desired, observed, PRIMARY)?;
    let pairs = &desired.credentials.eyaml;
    let mut plan = Builder::default();
    images_needed(&mut plan, desired, observed, &[], true);
    let needs = image_step(&plan, "provision").into_iter().collect();
    let task = Box::new(task(desired, &scoped(desired, &["state", pairs.volume.as_str()])));
    let action = Action::MakeKeyPair { task, request: pairs.order(true) + "\n" };
    let made = plan.add(action, "asked to rotate; the old ones stay, to read with", needs);
    let action = Action::RecordRotation { secret: EYAML.into(), under_way: false };
    plan.add(action, "so that its age is known", vec![made]);
    Ok(plan.finish())
}

/// No token that was given away and not used lets anybody in any more. The platform's own agents have used theirs.
fn tokens(desired: &Desired, observed: &Observed) -> Result<Plan> {
    let primary = ca::primary(desired, observed)?.spec.name.clone();
    for agent in desired.replicas.iter().filter(|r| r.service == "agent") {
        sound(desired, observed, agent)?;
    }
    let mut plan = Builder::default();
    plan.add(Action::WithdrawTokens { primary }, "asked to rotate", vec![]);
    Ok(plan.finish())
}

fn value(desired: &Desired, observed: &Observed, secret: &str, concerned: &Concerned) -> Result<Plan> {
    let server = concerned.told.map(|service| well(desired, observed, service)).transpose()?;
    let client = well(desired, observed, concerned.restarts)?;
    // With these, the platform is proved.
    for service in [PRIMARY, "puppetdb", "agent"] {
        well(desired, observed, service)?;
    }
    let mut plan = Builder::default();
    images_needed(&mut plan, desired, observed, &[], true);
    let images = image_step(&plan, "provision").into_iter().collect();
    let mark = Action::RecordRotation { secret: secret.into(), under_way: true };
    let marked = plan.add(mark, "so that it is finished whatever happens", images);
    let renewed = renew(&mut plan, desired, secret, server, vec![marked]);

    let (name, service) = (client.spec.name.clone(), client.service.clone());
    let action = Action::StopContainer {
        name: name.clone(),
        service: service.clone(),
        grace_seconds: client.spec.stop_grace_seconds,
    };
    let stopped = plan.add(action, format!("it knows the old {}", concerned.what), vec![renewed]);
    let action = Action::StartContainer { name: name.clone(), service: service.clone() };
    let started = plan.add(action, format!("it was stopped for its {}", concerned.what), vec![stopped]);
    plan.add(Action::WaitReady { name, service }, "it starts", vec![started]);
    finish(&mut plan, secret);
    prove(&mut plan, desired);
    Ok(plan.finish())
}

/// A service's first container, which must run and be as it should be: what needs mending is for `up`.
fn well<'d>(desired: &'d Desired, observed: &Observed, service: &str) -> Result<&'d Replica> {
    let found = desired.replicas.iter().find(|r| r.service == service);
    let replica = found.ok_or_else(|| Error::failed(format!("the platform has no {service}")))?;
    sound(desired, observed, replica)?;
    Ok(replica)
}

fn sound(desired: &Desired, observed: &Observed, replica: &Replica) -> Result<()> {
    let service = &replica.service;
    let cause = match fate(desired, observed, replica) {
        // Of a first `up` that was killed, services may run and still wait for what they have not got.
        Fate::Keep | Fate::Wait(_) if observed.record.as_ref().is_none_or(|r| r.issued.is_none()) => {
            return Err(Error::failed("it is not on record what was issued, so nothing is rotated")
                .hint("bring the platform up with `pupperware up`"));
        }
        Fate::Keep | Fate::Wait(_) => return Ok(()),
        Fate::Start(cause) | Fate::Restart(cause) | Fate::Create(cause) | Fate::Recreate(cause) => cause,
    };
    Err(Error::failed(format!("{service} is not as it should be, so nothing is rotated: {cause}"))
        .hint("mend the platform with `pupperware up`"))
}

/// The secret whose rotation did not get to its end.
pub(super) fn interrupted<'d>(desired: &'d Desired, observed: &Observed) -> Option<&'d str> {
    let rotating = observed.record.as_ref()?.rotating.as_deref()?;
    desired.credentials.secrets.iter().map(|(name, _)| name.as_str()).find(|name| *name == rotating)
}

/// Whoever reads the secret when it starts has to read it again.
pub(super) fn restart_clients(fates: &mut [(&Replica, Fate)], secret: &str) {
    let Some(Concerned { restarts, what, .. }) = concerned(secret) else { return };
    for (replica, fate) in fates {
        if replica.service == restarts && matches!(fate, Fate::Keep | Fate::Wait(_)) {
            *fate = Fate::Restart(format!("the rotation of its {what} was interrupted"));
        }
    }
}

/// The server that goes on running, and must be told; one that starts reads its copy.
pub(super) fn server_that_stays<'d>(fates: &[(&'d Replica, Fate)], secret: &str) -> Option<&'d Replica> {
    let told = concerned(secret)?.told?;
    let stays = |(r, fate): &&(&Replica, Fate)| r.service == told && matches!(fate, Fate::Keep | Fate::Wait(_));
    fates.iter().find(stays).map(|(r, _)| *r)
}

/// Steps that make and deliver a new value, and tell the server that goes on running; the last of them.
pub(super) fn renew(
    plan: &mut Builder,
    desired: &Desired,
    secret: &str,
    server: Option<&Replica>,
    mut needs: Vec<usize>,
) -> usize {
    let credentials = &desired.credentials;
    let bytes = credentials.secrets.iter().find(|(name, _)| name == secret).map_or(24, |(_, bytes)| *bytes);
    let mut request = format!("secret {secret}.next {bytes}\n");
    for (volume, path, owner) in credentials.copies_of(secret) {
        request += &format!("copysecret {secret}.next {volume} {path} {owner}\n");
    }
    let keys: Vec<&str> = ["state"].into_iter().chain(credentials.copies_of(secret).map(|(key, ..)| key)).collect();
    let mut task = task(desired, &scoped(desired, &keys));
    task.entrypoint = Some(["/bin/sh", "-euc", RENEW, "renew", secret].map(String::from).to_vec());

    needs.extend(plan.all("create_volume"));
    needs.extend(image_step(plan, "provision"));
    needs.extend(plan.all("remove_container"));
    let action = Action::RenewSecret { secret: secret.into(), task: Box::new(task), request };
    let renewed = plan.add(action, "it is being rotated", needs);
    match server {
        Some(server) => {
            let action = Action::SetPassword { postgres: server.spec.name.clone() };
            plan.add(action, "it goes on running", vec![renewed])
        }
        None => renewed,
    }
}

/// The step that takes the mark away, when all who use the secret are ready with it.
pub(super) fn finish(plan: &mut Builder, secret: &str) {
    let needs = [plan.all("wait_ready"), plan.all("record_issued"), plan.all("renew_secret")].concat();
    let action = Action::RecordRotation { secret: secret.into(), under_way: false };
    plan.add(action, "all have the new one", needs);
}

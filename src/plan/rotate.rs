//! `secrets rotate`: a new value of a secret, with a restart of nothing but who uses it. Pure.
//!
//! Key pairs of eyaml and one-time tokens are used by nobody who would have to restart: a step each.
//!
//! For the database password the record is marked first. As long as the mark is there, nobody knows who has which value,
//! so whoever comes next, `secrets rotate` or `up`, does all of it again: a new value, all copies, PostgreSQL's role, who
//! logs in with it.

use super::builder::Builder;
use super::converge::prove;
use super::fate::{Fate, fate};
use super::images::{image_step, images_needed};
use super::issue::{scoped, task};
use super::unfinished;
use super::{Action, Plan, ca};
use crate::desired::credentials::{DATABASE_PASSWORD, EYAML};
use crate::desired::{Desired, PRIMARY, Replica};
use crate::error::{Error, Result};
use crate::observed::Observed;

/// Who lets others in with the secret. It can be told of a new value while it runs.
const SERVER: &str = "postgres";
/// Who logs in with it, and reads it when it starts.
const CLIENT: &str = "puppetdb";
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
    match secret {
        DATABASE_PASSWORD => password(desired, observed, secret),
        EYAML => key_pair(desired, observed),
        TOKENS => tokens(desired, observed),
        _ => Err(Error::usage(format!("there is no secret \"{secret}\" that can be rotated"))
            .hint(format!("there are {DATABASE_PASSWORD}, {EYAML} and {TOKENS}"))),
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

fn password(desired: &Desired, observed: &Observed, secret: &str) -> Result<Plan> {
    let server = well(desired, observed, SERVER)?;
    let client = well(desired, observed, CLIENT)?;
    // With these, the platform is proved.
    for service in [PRIMARY, "agent"] {
        well(desired, observed, service)?;
    }
    let mut plan = Builder::default();
    images_needed(&mut plan, desired, observed, &[], true);
    let images = image_step(&plan, "provision").into_iter().collect();
    let mark = Action::RecordRotation { secret: secret.into(), under_way: true };
    let marked = plan.add(mark, "so that it is finished whatever happens", images);
    let renewed = renew(&mut plan, desired, secret, Some(server), vec![marked]);

    let (name, service) = (client.spec.name.clone(), client.service.clone());
    let action = Action::StopContainer {
        name: name.clone(),
        service: service.clone(),
        grace_seconds: client.spec.stop_grace_seconds,
    };
    let stopped = plan.add(action, "it knows the old password", vec![renewed]);
    let action = Action::StartContainer { name: name.clone(), service: service.clone() };
    let started = plan.add(action, "it was stopped for its password", vec![stopped]);
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

/// Whoever logs in with the secret has to read it again.
pub(super) fn restart_clients(fates: &mut [(&Replica, Fate)]) {
    for (replica, fate) in fates {
        if replica.service == CLIENT && matches!(fate, Fate::Keep | Fate::Wait(_)) {
            *fate = Fate::Restart("the rotation of its password was interrupted".into());
        }
    }
}

/// The server that goes on running, and must be told; one that starts reads its copy.
pub(super) fn server_that_stays<'d>(fates: &[(&'d Replica, Fate)]) -> Option<&'d Replica> {
    let stays = |(r, fate): &&(&Replica, Fate)| r.service == SERVER && matches!(fate, Fate::Keep | Fate::Wait(_));
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
    let copies = || credentials.copies.iter().filter(|(name, ..)| name == secret);
    let mut request = format!("secret {secret}.next {bytes}\n");
    for (_, volume, path, owner) in copies() {
        request += &format!("copysecret {secret}.next {volume} {path} {owner}\n");
    }
    let keys: Vec<&str> = ["state"].into_iter().chain(copies().map(|(_, key, ..)| key.as_str())).collect();
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

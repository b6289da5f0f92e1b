//! `smoke`: a throw-away agent goes the whole way, and is cleaned up whatever comes of it. Pure.

use super::builder::Builder;
use super::issue::task;
use super::{Action, Plan, ca};
use crate::desired::{CrlCopy, Desired, Replica, credentials, labels};
use crate::engine::spec::{ContainerSpec, MountSource};
use crate::error::{Error, Result};
use crate::observed::{Container, Observed};

/// Role label of what `smoke` makes.
const ROLE: &str = "smoke";

fn replica<'d>(desired: &'d Desired, service: &str) -> Result<&'d Replica> {
    let found = desired.replicas.iter().find(|r| r.service == service);
    found.ok_or_else(|| Error::failed(format!("the platform has no {service}")))
}

/// New agent with a key of its own, CSR signed by policy, catalog applied, report in PuppetDB, second run unchanged.
///
/// # Errors
/// The platform does not run.
pub fn smoke(desired: &Desired, observed: &Observed, certname: &str) -> Result<Plan> {
    let mut plan = Builder::default();
    let (agent, proved) = enrolled(&mut plan, desired, observed, certname)?;
    let action = Action::RunAgent { agent, certname: certname.into() };
    plan.add(action, "a second run has nothing to change", vec![proved]);
    Ok(plan.finish())
}

/// The same without the second run: whether the user's code is idempotent is another question.
///
/// # Errors
/// As [`smoke`].
pub fn enrol(desired: &Desired, observed: &Observed, certname: &str) -> Result<Plan> {
    let mut plan = Builder::default();
    enrolled(&mut plan, desired, observed, certname)?;
    Ok(plan.finish())
}

/// A new agent, from its key to its report: its container, and the last step.
fn enrolled(plan: &mut Builder, desired: &Desired, observed: &Observed, certname: &str) -> Result<(String, usize)> {
    for service in ["postgres", "puppetdb", "puppetserver"] {
        let name = &replica(desired, service)?.spec.name;
        if !observed.containers.get(name).is_some_and(crate::observed::Container::running) {
            return Err(Error::failed(format!("{service} does not run, so there is nothing to prove"))
                .hint("start the platform with `pupperware up`"));
        }
    }
    let mut volume = labels::volume(&desired.project, certname);
    volume.labels.insert(labels::ROLE.into(), ROLE.into());
    let action = Action::CreateVolume { key: certname.into(), spec: volume.clone() };
    let volume_made = plan.add(action, "the agent's own", vec![]);

    let mounts = [("state", "state"), ("puppetserver-data", "puppetserver-data"), (certname, certname)]
        .map(|(key, volume)| (key.to_owned(), labels::scoped(&desired.project, volume)));
    let request = credentials::enrolment(&[(certname, certname)]);
    let action = Action::IssueCredentials { task: Box::new(task(desired, &mounts)), request, certificates: vec![] };
    let token = plan.add(action, "a one-time token that lets its request be signed", vec![volume_made]);

    let spec = agent(desired, certname, &volume.name)?;
    let name = spec.name.clone();
    let action = Action::CreateContainer { spec: Box::new(spec), service: ROLE.into() };
    let created = plan.add(action, "a new agent that nobody knows", vec![token]);
    let started =
        plan.add(Action::StartContainer { name: name.clone(), service: ROLE.into() }, "it is new", vec![created]);
    let puppetdb = replica(desired, "puppetdb")?.spec.name.clone();
    let action = Action::Prove { agent: name.clone(), certname: certname.into(), puppetdb };
    let proved = plan.add(action, "key, request, signature, catalog, report", vec![started]);
    Ok((name, proved))
}

/// Removes all that any smoke run left: containers, volumes, certificates, nodes.
///
/// # Errors
/// A platform without a primary or PuppetDB: a bug of ours.
pub fn smoke_cleanup(desired: &Desired, observed: &Observed) -> Result<Plan> {
    let mut plan = Builder::default();
    let primary = &replica(desired, crate::desired::PRIMARY)?.spec.name;
    let puppetdb = &replica(desired, "puppetdb")?.spec.name;
    for (name, container) in &observed.containers {
        if container.label(labels::ROLE) == ROLE {
            plan.add(Action::RemoveContainer { name: name.clone(), service: Some(ROLE.into()) }, "thrown away", vec![]);
        }
    }
    let removed = plan.all("remove_container");
    let left = observed.volumes.iter().filter(|(_, v)| v.labels.get(labels::ROLE).map(String::as_str) == Some(ROLE));
    let left: Vec<(&String, String)> =
        left.map(|(name, v)| (name, v.labels.get(labels::KEY).cloned().unwrap_or_default())).collect();
    for (_, certname) in &left {
        let action = Action::RevokeCertificate { primary: primary.clone(), certname: certname.clone() };
        plan.add(action, "thrown away", removed.clone());
    }
    if !left.is_empty() {
        // Who does not run gets the next one.
        let runs = |c: &CrlCopy| observed.containers.get(&c.container).is_some_and(Container::running);
        let copies = ca::without_pause(desired.crl_copies().into_iter().filter(runs).collect());
        let revoked = plan.all("revoke_certificate");
        ca::push(&mut plan, desired, &copies, "thrown away", &revoked);
    }
    let pushed = plan.all("push_crl");
    for (name, certname) in left {
        let action = Action::RemoveCertificate { primary: primary.clone(), certname: certname.clone() };
        let cleaned = plan.add(action, "thrown away", pushed.clone());
        let action = Action::DeactivateNode { puppetdb: puppetdb.clone(), certname: certname.clone() };
        let forgotten = plan.add(action, "thrown away", removed.clone());
        // Last: as long as the volume is there, an interrupted clean-up can go on.
        let action = Action::RemoveVolume { key: certname, name: name.clone(), throw_away: true };
        plan.add(action, "thrown away", vec![cleaned, forgotten]);
    }
    Ok(plan.finish())
}

/// The platform's agent, as somebody else.
fn agent(desired: &Desired, certname: &str, volume: &str) -> Result<ContainerSpec> {
    let mut spec = replica(desired, "agent")?.spec.clone();
    spec.name = certname.to_owned();
    spec.hostname = certname.to_owned();
    for mount in &mut spec.mounts {
        if let MountSource::Volume(name) = &mut mount.source {
            volume.clone_into(name);
        }
    }
    spec.restart = crate::engine::spec::Restart::No;
    spec.labels = labels::common(&desired.project, ROLE);
    Ok(spec)
}

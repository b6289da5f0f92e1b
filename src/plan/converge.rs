//! `up`: from what is to what should be. Pure: no engine, no clock, no files.

use std::collections::BTreeMap;

use super::builder::Builder;
use super::fate::{Fate, fate};
use super::images::{get_image, image_step, images_needed};
use super::issue::{self, Issue, Issued, credentials};
use super::rolling::{self, Rolling};
use super::{Action, Plan, Running, ca, clear, code, compilers, lifecycle, retire, rotate};
use crate::desired::{BALANCER, COMPILER, CrlCopy, Desired, PRIMARY, Replica, labels};
use crate::engine::found::FoundPort;
use crate::error::{Error, Result};
use crate::observed::Observed;

/// The plan that makes `observed` into `desired`. Empty when they agree and the platform is proved.
///
/// # Errors
/// Refusals: a restore was interrupted, the CA is lost while its certificates live, a port is held by another container,
/// or a network of ours has the name of somebody else's.
pub fn reconcile(desired: &Desired, observed: &Observed) -> Result<Plan> {
    reissue(desired, observed, &[])
}

/// The same, with the certificates of these names issued anew whatever they are like.
///
/// # Errors
/// As [`reconcile`].
pub fn reissue(desired: &Desired, observed: &Observed, again: &[String]) -> Result<Plan> {
    converge(desired, observed, again, None)
}

/// How many of what a platform is to have from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scale {
    /// Compilers; as many as before when unset.
    pub compilers: Option<u32>,
    /// Agents; as many as before when unset.
    pub agents: Option<u32>,
}

/// The plan of [`reconcile`] for a platform of other numbers, which are remembered first: whoever comes after an
/// interruption goes on with them. `desired` has them already.
///
/// # Errors
/// As [`reconcile`].
pub fn scale(desired: &Desired, observed: &Observed, scale: Scale) -> Result<Plan> {
    let known = observed.record.as_ref().map(|r| r.scale).unwrap_or_default();
    let news = |asked: Option<u32>, known: Option<u32>| asked.is_some() && asked != known;
    let news = news(scale.compilers, known.compilers) || news(scale.agents, known.agents);
    converge(desired, observed, &[], news.then_some(scale))
}

fn converge(desired: &Desired, observed: &Observed, again: &[String], scale: Option<Scale>) -> Result<Plan> {
    super::unfinished::refuse(observed)?;
    refuse_lost_ca(desired, observed)?;
    let rotation = rotate::interrupted(desired, observed);
    let issue = issue::issue(desired, observed, again, rotation.is_some());
    let mut fates: Vec<(&Replica, Fate)> = desired.replicas.iter().map(|r| (r, fate(desired, observed, r))).collect();
    if let Some(secret) = rotation {
        rotate::restart_clients(&mut fates, secret);
    }
    let anew = matches!(issue, Some(Issue::All { .. }));
    let stranger = compilers::restart_where_balancer_is_new(desired, observed, again, anew, &mut fates);
    let rolling = Rolling::of(desired, observed, anew || rotation.is_some(), stranger);
    refuse_taken_ports(observed, &fates)?;
    refuse_other_networks(desired, observed)?;

    let mut plan = Builder::default();
    let remembered = scale.map(|Scale { compilers, agents }| {
        plan.add(Action::RecordScale { compilers, agents }, "whoever goes on after this has to know", vec![])
    });
    // Where nothing else is to be issued or made first, code comes before the old server goes: a deployment that fails
    // leaves the platform as it was.
    lifecycle::remove_tasks(&mut plan, observed);
    let there = issue.is_none() && rotation.is_none() && code::reachable(desired, observed);
    let early = there.then(|| deployment(&mut plan, desired, observed)).flatten();
    clear::clear(&mut plan, desired, observed, &fates, early, rolling);
    images_needed(&mut plan, desired, observed, &fates, issue.is_some() || rotation.is_some());
    let due = desired.control_repo.as_ref().and_then(|repo| Some((repo, code::due(desired, observed)?)));
    if due.is_some() {
        get_image(&mut plan, &desired.images, &desired.debian, observed, "code");
    }
    foundation(&mut plan, desired, observed);
    // Everybody starts anew where all is issued, and reads the new value then.
    let server = rotation.and_then(|secret| rotate::server_that_stays(&fates, secret)).filter(|_| !anew);
    let renewed = rotation.map(|secret| rotate::renew(&mut plan, desired, secret, server, vec![]));
    let issues = issue.is_some();
    let issued = match issue {
        Some(issue) => Some(credentials(&mut plan, desired, observed, &fates, &issue, renewed)),
        None => renewed.map(|step| Issued { step, stopped: BTreeMap::new(), first: false }),
    };
    // What is issued anew may revoke what it takes the place of, and is done when everybody knows.
    let revokes = anew && issued.as_ref().is_some_and(|i| !i.first);
    if let Some(Issued { step, .. }) = issued.as_ref().filter(|_| issues && !revokes) {
        issue::record(&mut plan, desired, vec![*step]);
    }
    let deployed = early.or_else(|| deployment(&mut plan, desired, observed));
    for (replica, fate) in rolling::in_turn(&fates, rolling).filter(|(r, _)| r.service != COMPILER) {
        if rolling.services {
            rolling::make_way(&mut plan, desired, observed, &fates, (*replica, fate), early);
        }
        let code = deployed.filter(|_| replica.service == PRIMARY);
        service(&mut plan, desired, observed, replica, fate, issued.as_ref(), code);
    }
    rolling::go_on(&mut plan, desired, &fates);
    compilers::bring_up(&mut plan, desired, observed, &fates, rolling);
    if let Some(switched) = deployed {
        for compiler in desired.compilers() {
            let ready = plan.find("wait_ready", &compiler.spec.name);
            let needs = [switched].into_iter().chain(ready).collect();
            code::flush(&mut plan, &compiler.spec.name, Some(&compiler.certname), needs);
        }
    }
    if let (Some((repo, _)), Some(switched)) = (&due, deployed) {
        let needs = [vec![switched], plan.all("flush_environments")].concat();
        code::record(&mut plan, desired, repo, needs);
    }
    if let Some(Issued { step, .. }) = issued.as_ref().filter(|_| revokes) {
        // Whoever starts afterwards reads the list then.
        let kept = |copy: &CrlCopy| plan.find("start_container", &copy.container).is_none();
        let copies: Vec<CrlCopy> = desired.crl_copies().into_iter().filter(kept).collect();
        let ready = [vec![*step], plan.all("wait_ready")].concat();
        ca::push(&mut plan, desired, &copies, "what was issued anew is revoked there", &ready);
        let needs = [vec![*step], plan.all("push_crl")].concat();
        issue::record(&mut plan, desired, needs);
    }
    retire::retire(&mut plan, desired, observed);
    if let Some(secret) = rotation {
        rotate::finish(&mut plan, secret);
    }
    if plan.len() > 0 || !observed.proved() {
        compilers::settle(&mut plan, desired);
        prove(&mut plan, desired);
    }
    if let Some(remembered) = remembered {
        plan.need(remembered + 1.., remembered);
    }
    Ok(plan.finish())
}

/// Deploys code that was never deployed here. All that it needs must be in the plan already, or be there.
fn deployment(plan: &mut Builder, desired: &Desired, observed: &Observed) -> Option<usize> {
    let repo = desired.control_repo.as_ref()?;
    let cause = code::due(desired, observed)?;
    let mut needs: Vec<usize> = plan.all("issue_credentials");
    needs.extend(plan.all("create_network"));
    needs.extend(plan.all("create_volume"));
    needs.extend(plan.all("remove_container"));
    needs.extend(get_image(plan, &desired.images, &desired.debian, observed, "code"));
    Some(code::staged(plan, desired, repo, &[], &cause, needs))
}

/// A CA that is gone while certificates of it live is never replaced: agents would trust nobody.
fn refuse_lost_ca(desired: &Desired, observed: &Observed) -> Result<()> {
    let exists = |key: &str| observed.volumes.contains_key(&labels::scoped(&desired.project, key));
    if exists("ca") {
        return Ok(());
    }
    let survivors: Vec<&str> =
        desired.credentials.certificates.iter().map(|c| c.volume.as_str()).filter(|v| exists(v)).collect();
    if survivors.is_empty() {
        return Ok(());
    }
    let project = &desired.project;
    Err(Error::refused(format!("the CA volume {} is missing, and certificates that it signed still exist", labels::scoped(project, "ca")))
        .details([
            format!("certificates are in: {}", survivors.join(", ")),
            "a new CA would be trusted by no existing agent, so none is made silently".into(),
        ])
        .hint(format!(
            "restore the volume {}; or give up the old certificates and start with a new CA: `pupperware --project {project} down --destroy-data {}`",
            labels::scoped(project, "ca"),
            survivors.join(" --destroy-data ")
        )))
}

/// A port that another container of the engine holds, at the same address or at all of them; or that two services want.
fn refuse_taken_ports(observed: &Observed, fates: &[(&Replica, Fate)]) -> Result<()> {
    // The balancer takes the server's place, and has its port.
    fn setting(service: &str) -> &str {
        if service == BALANCER { PRIMARY } else { service }
    }
    let wanted = || fates.iter().flat_map(|(r, _)| r.spec.ports.iter().map(move |p| (r.service.as_str(), p)));
    for (at, (service, port)) in wanted().enumerate() {
        let held = FoundPort { address: port.address, port: port.port, tcp: true };
        if let Some((other, _)) = wanted().skip(at + 1).find(|(_, p)| held.bars(p.address, p.port)) {
            return Err(Error::usage(format!("{service} and {other} would both be published on port {}", port.port))
                .hint(format!("choose another with `{}.publish` in pupperware.yaml", setting(other))));
        }
    }
    for (replica, fate) in fates {
        if matches!(fate, Fate::Keep | Fate::Wait(_)) {
            continue;
        }
        for port in &replica.spec.ports {
            if let Some(holder) = observed.holder(port.address, port.port) {
                return Err(Error::failed(format!("port {} is already taken by the container {holder}", port.port))
                    .hint(format!(
                        "choose another with `{}.publish` in pupperware.yaml, or `docker stop {holder}`",
                        setting(&replica.service)
                    )));
            }
        }
    }
    Ok(())
}

/// A network that has the name of one of ours and is not ours: whoever else is on it could reach the services.
fn refuse_other_networks(desired: &Desired, observed: &Observed) -> Result<()> {
    let other = desired.networks.values().find(|n| observed.other_networks.contains(&n.name));
    other.map_or(Ok(()), |network| Err(lifecycle::not_our_network(&network.name)))
}

/// Networks and volumes. After the images: a build that fails leaves nothing behind but images.
fn foundation(plan: &mut Builder, desired: &Desired, observed: &Observed) {
    let images: Vec<usize> = plan.all("build_image").into_iter().chain(plan.all("pull_image")).collect();
    // A network comes after its old members went: were this run killed in between, they would look like the new one's.
    let gone = plan.all("remove_container");
    for spec in desired.networks.values() {
        let removed = plan.find("remove_network", &spec.name);
        if removed.is_some() || !observed.networks.contains_key(&spec.name) {
            let needs = images.iter().chain(&gone).copied().chain(removed).collect();
            plan.add(Action::CreateNetwork { spec: spec.clone() }, "no such network", needs);
        }
    }
    // The CA's volume comes first: where it is missing and others exist, it was lost (see `refuse_lost_ca`).
    let mut keys: Vec<&String> = desired.volumes.keys().collect();
    keys.sort_by_key(|key| key.as_str() != "ca");
    let mut first = None;
    for key in keys {
        let spec = &desired.volumes[key].spec;
        if !observed.volumes.contains_key(&spec.name) {
            let action = Action::CreateVolume { key: key.clone(), spec: spec.clone() };
            let id = plan.add(action, "no such volume", images.iter().copied().chain(first).collect());
            if key == "ca" {
                first = Some(id);
            }
        }
    }
}

/// A step that stops a replica's container.
pub(super) fn stop(plan: &mut Builder, replica: &Replica, cause: &str) -> usize {
    let action = Action::StopContainer {
        name: replica.spec.name.clone(),
        service: replica.service.clone(),
        grace_seconds: replica.spec.stop_grace_seconds,
    };
    plan.add(action, cause, vec![])
}

/// Steps that bring one replica up.
fn service(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    replica: &Replica,
    fate: &Fate,
    issued: Option<&Issued>,
    code: Option<usize>,
) {
    let name = &replica.spec.name;
    let beside = issued.filter(|i| i.first).map(|i| i.step);
    let start = |plan: &mut Builder, cause: &str, mut needs: Vec<usize>| {
        needs.extend(code);
        if replica.service == PRIMARY {
            // What an interrupted run left may still take serial numbers of the CA.
            let helpers = observed.containers.iter().filter(|(_, c)| c.left_over());
            needs.extend(helpers.filter_map(|(helper, _)| plan.find("remove_container", helper)));
        }
        let action = Action::StartContainer { name: name.clone(), service: replica.service.clone() };
        let started = plan.add(action, cause, needs);
        wait(plan, replica, "it starts", [started].into_iter().chain(beside).collect());
    };
    let stopped = issued.and_then(|i| i.stopped.get(name));
    match (fate, stopped) {
        (Fate::Keep | Fate::Wait(_), Some(cause)) => {
            start(plan, cause, issued.map(|i| i.step).into_iter().collect());
        }
        (Fate::Keep, None) => {
            if let Some(code) = code {
                code::flush(plan, name, None, vec![code]);
            }
        }
        (Fate::Wait(cause), None) => {
            // Started beside an issuing that was killed, it may wait for what is issued now.
            let ready = wait(plan, replica, cause, issued.map(|i| i.step).into_iter().collect());
            if let Some(code) = code {
                code::flush(plan, name, None, vec![code, ready]);
            }
        }
        (Fate::Start(cause), _) => start(plan, cause, issued.map(|i| i.step).into_iter().collect()),
        (Fate::Restart(cause), _) => {
            // Already being stopped where its CA issues.
            let stopped = plan.find("stop_container", name).unwrap_or_else(|| stop(plan, replica, cause));
            start(plan, cause, issued.map(|i| i.step).into_iter().chain([stopped]).collect());
        }
        (Fate::Create(cause) | Fate::Recreate(cause), _) => {
            let mut needs: Vec<usize> = issued.filter(|i| !i.first).map(|i| i.step).into_iter().collect();
            needs.extend(plan.find("remove_container", name));
            if [PRIMARY, BALANCER].contains(&replica.service.as_str()) {
                // Either has the published port and the name that agents use: the other has to have left them.
                let other = if replica.service == PRIMARY { BALANCER } else { PRIMARY };
                let other = labels::container_name(&desired.project, other, 1);
                needs.extend(plan.find("remove_container", &other));
            }
            needs.extend(replica.volumes.iter().filter_map(|key| plan.find("create_volume", key)));
            needs.extend(replica.spec.networks.iter().filter_map(|n| plan.find("create_network", &n.network)));
            needs.extend(image_step(plan, &replica.component));
            if let Some((key, files)) =
                replica.config_volume.as_ref().and_then(|key| Some((key, desired.files.get(key)?)))
            {
                let mut before: Vec<usize> = plan.find("remove_container", name).into_iter().collect();
                before.extend(plan.find("create_volume", key));
                // An interrupted run's helper has the name of the one that carries the files now.
                let helpers = observed.containers.iter().filter(|(_, c)| c.left_over());
                before.extend(helpers.filter_map(|(helper, _)| plan.find("remove_container", helper)));
                let action = Action::PlaceFiles {
                    key: key.clone(),
                    volume: labels::scoped(&desired.project, key),
                    files: files.clone(),
                    private: desired.private.get(key).cloned().unwrap_or_default(),
                };
                let new = !observed.containers.contains_key(name);
                needs.push(plan.add(action, if new { "for its first start" } else { cause.as_str() }, before));
            }
            let action =
                Action::CreateContainer { spec: Box::new(replica.spec.clone()), service: replica.service.clone() };
            let created = plan.add(action, cause.as_str(), needs);
            start(plan, "it is new", vec![created]);
        }
    }
}

fn wait(plan: &mut Builder, replica: &Replica, cause: &str, needs: Vec<usize>) -> usize {
    let action = Action::WaitReady { name: replica.spec.name.clone(), service: replica.service.clone() };
    plan.add(action, cause, needs)
}

/// The proof, after everything is ready.
pub(super) fn prove(plan: &mut Builder, desired: &Desired) {
    let find = |service: &str| desired.replicas.iter().find(|r| r.service == service);
    let (Some(agent), Some(puppetdb)) = (find("agent"), find("puppetdb")) else { return };
    let mut needs = plan.all("wait_ready");
    needs.extend(plan.all("record_issued"));
    needs.extend(plan.all("record_code"));
    needs.extend(plan.all("flush_environments"));
    needs.extend(plan.all("record_rotation"));
    needs.extend(plan.all("remove_container"));
    needs.extend(plan.all("push_crl"));
    needs.extend(plan.all("balance"));
    needs.extend(plan.all("deactivate_node"));
    needs.extend(plan.all("remove_network"));
    needs.extend(plan.all("remove_volume"));
    let action = Action::Prove {
        agent: agent.spec.name.clone(),
        certname: agent.certname.clone(),
        puppetdb: puppetdb.spec.name.clone(),
    };
    let proved = plan.add(action, format!("release {} is not proved as it runs now", desired.release), needs);
    let action = Action::RecordProof { certname: agent.certname.clone(), running: Running::of(desired) };
    plan.add(action, "so that it is proved once", vec![proved]);
}

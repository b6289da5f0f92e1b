//! Forward: prepare beside what serves, stop who writes, move the data, put the new release in the old one's place, see that
//! everything is there, and only then remember it. An interrupted upgrade goes on from its phase.

use std::collections::BTreeMap;

use super::super::backup;
use super::super::builder::Builder;
use super::super::converge::reconcile;
use super::super::images::get_image;
use super::super::{Action, Plan, ca, compilers, lifecycle, restore, unfinished};
use super::{NEW, Upgrade, code, issued, looker, mark, moves, new_ground, replica, rolls, stopped, verify, verify_ca};
use crate::desired::{COMPILER, Desired, PRIMARY, labels};
use crate::engine::found::FoundVolume;
use crate::engine::reference;
use crate::engine::spec::{ContainerSpec, Restart};
use crate::error::{Error, Result};
use crate::observed::record::Phase;
use crate::observed::{Container, Observed};
use crate::puppet::inventory::Part;

/// The plan that brings the platform to the new release.
///
/// # Errors
/// The platform is not as it should be, another upgrade was interrupted, or nothing can be resumed.
pub fn upgrade(what: &Upgrade<'_>, observed: &Observed) -> Result<Plan> {
    restore::refuse_half_restored(observed)?;
    let Some((now, mark)) = mark(observed) else { return fresh(what, observed) };
    let stuck = || unfinished::half_upgraded(now, mark);
    if mark.to.to_string() != what.to.release {
        return Err(stuck());
    }
    let resumed = match mark.phase {
        Phase::Undoing => return Err(stuck()),
        Phase::Preparing => again(what, observed)?,
        Phase::Switching => go_on(what, observed)?,
    };
    resumed
        .map_err(|why| stuck().details([why]).hint("go back with `pupperware upgrade --rollback`, then upgrade again"))
}

/// A plan, or why an interrupted upgrade cannot go on.
type Resumed = Result<Plan, String>;

/// Nothing was begun yet.
fn fresh(what: &Upgrade<'_>, observed: &Observed) -> Result<Plan> {
    let (from, to) = (what.from, what.to);
    if !reconcile(from, observed)?.is_empty() {
        return Err(Error::refused(format!(
            "{} is not as it should be, or not proved, so it is not upgraded",
            from.project
        ))
        .hint("mend it with `pupperware up`; `pupperware up --dry-run` shows what is wrong"));
    }
    let new = labels::scoped(&to.project, &to.database);
    if moves(from, to) && observed.volumes.contains_key(&new) {
        return Err(Error::refused(format!(
            "there is a volume {new} already, and the database would be copied into it"
        ))
        .hint(format!("if nobody needs what is in it, remove it with `docker volume rm {new}`")));
    }
    let mut plan = Builder::default();
    let ready = images(&mut plan, to, observed);
    let mut willing = vec![plan.add(
        code::compare(from, to, what.ignore_code)?,
        "the new release must compile what the old one does",
        ready,
    )];
    if let Some((hook, occasion)) = &what.before {
        let action = Action::CallHook { hook: hook.clone(), occasion: occasion.clone() };
        willing = vec![plan.add(action, "it may say no", willing)];
    }
    let source = backup::source(from, observed, &what.backup)?;
    let backup = source.file.clone();
    let saved =
        plan.add(Action::WriteBackup { source: Box::new(source) }, "so that all of it can be put back", willing);
    let action = mark_as(to, Phase::Preparing, Some(backup));
    let marked = plan.add(action, "so that it is finished, or undone, whatever happens", vec![saved]);
    let gate = prepare(&mut plan, what, observed, vec![marked])?;
    switch(plan, what, &emptied(what, observed)?, gate, part(what, observed))
}

/// It was interrupted before anything of the old release was replaced.
fn again(what: &Upgrade<'_>, observed: &Observed) -> Result<Resumed> {
    for service in ["postgres", "puppetdb", PRIMARY] {
        let replica = replica(what.from, service)?;
        let there = observed.containers.get(&replica.spec.name);
        if there.is_none_or(|c| c.label(labels::SPEC_HASH) != replica.hash) {
            return Ok(Err(format!("{} is not as it was", replica.spec.name)));
        }
    }
    if !observed.volumes.contains_key(&labels::scoped(&what.from.project, &what.from.database)) {
        return Ok(Err(format!("the volume {} is missing", what.from.database)));
    }
    let mut plan = Builder::default();
    let ready = images(&mut plan, what.to, observed);
    let gate = prepare(&mut plan, what, observed, ready)?;
    Ok(Ok(switch(plan, what, &emptied(what, observed)?, gate, part(what, observed))?))
}

/// What can be compared afterwards: agents report throughout, where somebody serves them.
fn part(what: &Upgrade<'_>, observed: &Observed) -> Part {
    if rolls(what.from, what.to, observed) { Part::AtLeast } else { Part::Recent }
}

/// It was interrupted after all data was moved.
fn go_on(what: &Upgrade<'_>, observed: &Observed) -> Result<Resumed> {
    let to = what.to;
    if !observed.volumes.contains_key(&labels::scoped(&to.project, &to.database)) {
        return Ok(Err(format!("the volume {} is missing", to.database)));
    }
    let mut plan = Builder::default();
    let gate = images(&mut plan, to, observed);
    let mut ground = new_ground(to, observed);
    ground.images.extend(to.images.iter().map(|i| reference::normal(&i.reference)));
    // The new server may have served agents before it was interrupted.
    Ok(Ok(switch(plan, what, &ground, gate, Part::AtLeast)?))
}

/// Helpers of an interrupted run go, and the images of the new release come.
fn images(plan: &mut Builder, to: &Desired, observed: &Observed) -> Vec<usize> {
    let mut ready = lifecycle::remove_tasks(plan, observed);
    let mut components: Vec<&str> = to.replicas.iter().map(|r| r.component.as_str()).collect();
    // Helpers run on it.
    components.push("provision");
    if to.control_repo.is_some() {
        components.push("code");
    }
    for component in components {
        ready.extend(get_image(plan, &to.images, &to.debian, observed, component));
    }
    ready
}

/// Steps after which the new release has all data, and nobody writes who could write into the old one's; the last of them.
fn prepare(plan: &mut Builder, what: &Upgrade<'_>, observed: &Observed, begun: Vec<usize>) -> Result<Vec<usize>> {
    let (from, to) = (what.from, what.to);
    let name = |service| replica(from, service).map(|r| r.spec.name.clone());
    let (postgres, puppetdb) = (name("postgres")?, name("puppetdb")?);
    let alive = |name: &str| observed.containers.get(name).is_some_and(Container::alive);
    let cause = "nobody may write while the data moves";
    let mut quiet = begun.clone();
    if !rolls(from, to, observed) {
        quiet.extend(servers_stop(plan, from, observed, cause, &begun));
        if alive(&puppetdb) {
            if observed.containers.get(&puppetdb).is_some_and(Container::running) {
                let action = Action::DrainQueue { puppetdb: puppetdb.clone() };
                quiet = vec![plan.add(action, "what it has received belongs to the data", quiet)];
            }
            quiet = vec![stop(plan, &puppetdb, "puppetdb", cause, quiet)];
        }
    }
    if !observed.containers.get(&postgres).is_some_and(Container::running) {
        quiet = start(plan, &postgres, "its data is copied", quiet);
    }
    let action =
        Action::TakeInventory { postgres: postgres.clone(), task: looker(to), kept_seconds: what.kept_seconds };
    let mut done = plan.add(action, "to be compared with afterwards", quiet);
    if moves(from, to) {
        done = copy(plan, what, observed, &postgres, done)?;
    }
    let action = mark_as(to, Phase::Switching, None);
    Ok(vec![plan.add(action, "it has all data", vec![done])])
}

/// Steps after which no server of the old release runs: compilers leave first, and the primary answers in their stead until it
/// stops.
fn servers_stop(plan: &mut Builder, from: &Desired, observed: &Observed, cause: &str, begun: &[usize]) -> Vec<usize> {
    let mut stopped = begun.to_vec();
    for service in [COMPILER, PRIMARY] {
        let before = stopped.clone();
        for server in from.replicas.iter().filter(|r| r.service == service) {
            let name = &server.spec.name;
            let Some(container) = observed.containers.get(name).filter(|c| c.alive()) else { continue };
            let left = compilers::leave(plan, observed, container, cause, before.clone());
            let needs = left.map_or(before.clone(), |left| vec![left]);
            stopped.push(stop(plan, name, service, cause, needs));
        }
    }
    stopped
}

/// The database, into a new volume, by a server of the new release that nobody else reaches.
fn copy(plan: &mut Builder, what: &Upgrade<'_>, observed: &Observed, postgres: &str, counted: usize) -> Result<usize> {
    let to = what.to;
    let volume = to.volumes.get(&to.database).ok_or_else(|| Error::failed("the platform has no database"))?;
    let mut needs = vec![counted];
    if observed.volumes.contains_key(&volume.spec.name) {
        let name = volume.spec.name.clone();
        let action = Action::RemoveVolume { key: to.database.clone(), name, throw_away: true };
        needs = vec![plan.add(action, "the copy in it was interrupted", needs)];
    }
    let action = Action::CreateVolume { key: to.database.clone(), spec: volume.spec.clone() };
    let made = plan.add(action, "PostgreSQL of the new release has files of its own", needs);
    let spec = copier(to)?;
    let name = spec.name.clone();
    let action = Action::CreateContainer { spec: Box::new(spec), service: "postgres".into() };
    let created = plan.add(action, "it takes the copy", vec![made]);
    let ready = start(plan, &name, "it takes the copy", vec![created]);
    let action = Action::CopyDatabase { from: postgres.to_owned(), into: name.clone() };
    let copied = plan.add(action, "the old volume is kept as it is", ready);
    let same = verify(plan, &name, Part::All, "everything arrived", vec![copied]);
    let done = stop(plan, &name, "postgres", "it has the copy", vec![same]);
    let action = Action::RemoveContainer { name, service: Some("postgres".into()) };
    Ok(plan.add(action, "it has the copy", vec![done]))
}

/// PostgreSQL of the new release on the new volume, on no network.
fn copier(to: &Desired) -> Result<ContainerSpec> {
    let mut spec = replica(to, "postgres")?.spec.clone();
    spec.name = format!("{}-postgres-next", to.project);
    spec.labels = labels::common(&to.project, "task");
    spec.labels.insert(labels::RELEASE.into(), to.release.clone());
    spec.restart = Restart::No;
    spec.health = None;
    spec.networks.clear();
    Ok(spec)
}

fn stop(plan: &mut Builder, name: &str, service: &str, cause: &str, needs: Vec<usize>) -> usize {
    let (name, service) = (name.to_owned(), service.to_owned());
    let grace_seconds = lifecycle::grace(&service);
    plan.add(Action::StopContainer { name, service, grace_seconds }, cause, needs)
}

/// Starts a PostgreSQL; the step after which it is ready.
fn start(plan: &mut Builder, name: &str, cause: &str, needs: Vec<usize>) -> Vec<usize> {
    let (name, service) = (name.to_owned(), "postgres".to_owned());
    let action = Action::StartContainer { name: name.clone(), service: service.clone() };
    let started = plan.add(action, cause, needs);
    vec![plan.add(Action::WaitReady { name, service }, "it starts", vec![started])]
}

/// What there is when [`prepare`] is done.
fn emptied(what: &Upgrade<'_>, observed: &Observed) -> Result<Observed> {
    let (from, to) = (what.from, what.to);
    let mut after = observed.clone();
    after.images.extend(to.images.iter().map(|i| reference::normal(&i.reference)));
    let quiet = !rolls(from, to, observed);
    let writes = |service: &str| [PRIMARY, COMPILER, "puppetdb"].contains(&service);
    for replica in from.replicas.iter().filter(|r| quiet && writes(&r.service)) {
        stopped(&mut after, &replica.spec.name);
    }
    if let Some(volume) = to.volumes.get(&to.database).filter(|_| moves(from, to)) {
        let mut found = FoundVolume { name: volume.spec.name.clone(), labels: volume.spec.labels.clone() };
        found.labels.insert(labels::MADE.into(), NEW.into());
        after.volumes.insert(found.name.clone(), found);
    }
    Ok(new_ground(to, &after))
}

/// The new release in the old one's place: the plan of `up` for what is there by then, with its proof as the commit. The
/// server, by which agents write, starts when the data was counted under the new PuppetDB.
fn switch(mut plan: Builder, what: &Upgrade<'_>, ground: &Observed, gate: Vec<usize>, part: Part) -> Result<Plan> {
    let to = what.to;
    let postgres = &replica(to, "postgres")?.spec.name;
    let puppetdb = &replica(to, "puppetdb")?.spec.name;
    let counted = |plan: &mut Builder, gate: &[usize]| {
        let ready = [postgres, puppetdb].into_iter().filter_map(|name| plan.find("wait_ready", name));
        let needs = ready.chain(gate.iter().copied()).collect();
        verify(plan, postgres, part, "it is all there under the new release", needs)
    };
    let mut moved: BTreeMap<usize, usize> = BTreeMap::new();
    for step in reconcile(to, ground)?.steps {
        let mut needs: Vec<usize> = step.needs.iter().map(|n| moved[n]).chain(gate.iter().copied()).collect();
        let id = match step.action {
            Action::RecordProof { certname, running } => {
                let ready = [plan.all("wait_ready"), plan.all("compare_ca")].concat();
                needs.extend(ca::tried(&mut plan, to, &what.canary, ready));
                let (request, volumes) = issued(to);
                let (before, database) = (Box::new(what.from.definition.clone()), what.from.database.clone());
                let channel = what.channel.clone();
                let action = Action::CommitUpgrade { running, before, database, channel, certname, request, volumes };
                plan.add(action, "it is proved", needs)
            }
            action => {
                match &action {
                    // By then the old server is gone, whose database this PuppetDB would change.
                    Action::StartContainer { name, .. } if name == puppetdb => {
                        needs.extend(plan.find("wait_ready", postgres));
                    }
                    Action::StartContainer { service, .. } if service == PRIMARY => {
                        needs.push(counted(&mut plan, &gate));
                    }
                    Action::Prove { .. } => {
                        needs.push(counted(&mut plan, &gate));
                        let ready = [plan.all("wait_ready"), gate.clone()].concat();
                        needs.push(verify_ca(&mut plan, to, ready));
                    }
                    _ => {}
                }
                plan.add(action, step.cause, needs)
            }
        };
        moved.insert(step.id, id);
    }
    Ok(plan.finish())
}

/// The mark of an upgrade that leads there.
fn mark_as(to: &Desired, phase: Phase, backup: Option<String>) -> Action {
    Action::MarkUpgrade { to: Box::new(to.definition.clone()), phase, backup, left: false }
}

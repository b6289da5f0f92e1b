//! Compilers in a plan: they get what they need before they start, the balancer is told of them when they serve, and they
//! leave it before they stop. Pure.
//!
//! New ones start side by side. Those that have to stop for a moment do so one after the other, so that never more than one
//! is missing.

use super::Action;
use super::builder::Builder;
use super::fate::Fate;
use super::images::{image_step, images_needed};
use super::issue::{scoped, task};
use super::rolling::{self, Rolling};
use crate::desired::{BALANCER, COMPILER, Desired, PRIMARY, Replica, compilers, labels};
use crate::engine::spec::ContainerSpec;
use crate::observed::{Container, Observed};

/// How long a compiler that leaves may take for the requests that it has: as long as the largest catalogs do.
const DRAIN_SECONDS: u32 = 300;

/// Makes keys, and puts what is signed into its place. Run again after the CA has signed, it finishes.
///
/// The CRL comes last: with it, a server starts. The balancer's certificate itself is what a compiler trusts, and its own
/// for its ready check; the primary's is for those who ask on its behalf.
const ENROL: &str = r#"
[ ! -s /volumes/state/provision.request ] || /usr/local/bin/pupperware-provision
cd /volumes
for name in "$@"; do
    ssl=/volumes/compiler-${name##*-}-ssl
    key=$ssl/private_keys/$name.pem
    own=$ssl/certs/$name.pem
    mkdir -p "$ssl/certs" "$ssl/private_keys"
    fits() {
        [ -s "$own" ] && [ -s "$key" ] && [ -s "ca/signed/$name.pem" ] &&
            [ "$(openssl x509 -in "$own" -noout -serial)" = "$(openssl x509 -in "ca/signed/$name.pem" -noout -serial)" ] &&
            [ "$(openssl x509 -in "$own" -noout -pubkey)" = "$(openssl pkey -in "$key" -pubout)" ] &&
            openssl x509 -in "$own" -noout -checkend 2592000 > /dev/null &&
            openssl verify -crl_check -CAfile ca/ca_crt.pem -CRLfile ca/ca_crl.pem "$own" > /dev/null 2>&1
    }
    if fits; then
        cat balancer-config/ssl/cert.pem "$own" > "$ssl/trust.pem.new"
        cp puppetserver-ssl/certs/puppet.pem "$ssl/primary.pem.new"
        cp ca/ca_crt.pem "$ssl/certs/ca.pem"
        cp ca/ca_crl.pem "$ssl/crl.pem.new"
        chown -R 920:920 "$ssl"
        chmod 644 "$ssl/trust.pem.new" "$ssl/primary.pem.new" "$ssl/crl.pem.new" "$ssl"/certs/*.pem
        chmod 771 "$ssl" "$ssl/certs"
        for file in trust.pem primary.pem crl.pem; do mv -f "$ssl/$file.new" "$ssl/$file"; done
        rm -f "$ssl/request.pem" "$ssl/old.pem"
        continue
    fi
    if [ -s "$own" ]; then
        mv -f "$own" "$ssl/old.pem"
        rm -f "$key"
    fi
    if [ ! -s "$key" ]; then
        openssl genrsa -out "$key.new" 3072 2> /dev/null
        mv -f "$key.new" "$key"
    fi
    openssl req -new -key "$key" -subj "/CN=$name" -out "$ssl/request.pem"
    chown -R 920:920 "$ssl"
    chmod 750 "$ssl/private_keys"
    chmod 640 "$key"
done
"#;

/// The container that enrols: root over these volumes, no network.
fn enrolment(desired: &Desired, certnames: &[String], numbers: &[u32]) -> ContainerSpec {
    let own: Vec<String> =
        numbers.iter().flat_map(|n| [compilers::ssl_volume(*n), compilers::config_volume(*n)]).collect();
    let read = ["ca", "puppetserver-ssl", compilers::BALANCER_VOLUME];
    let keys: Vec<&str> = ["state"].into_iter().chain(read).chain(own.iter().map(String::as_str)).collect();
    let mut task = task(desired, &scoped(desired, &keys));
    task.name = format!("{}-enrol", desired.project);
    let words = ["/bin/sh", "-euc", ENROL, "enrol"].map(String::from).into_iter();
    task.entrypoint = Some(words.chain(certnames.iter().cloned()).collect());
    for mount in &mut task.mounts {
        mount.read_only = read.iter().any(|key| mount.target.ends_with(&format!("/{key}")));
    }
    task
}

/// The step that gives these compilers their keys and certificates.
fn enrol(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    replicas: &[&Replica],
    cause: &str,
    mut needs: Vec<usize>,
) -> Option<usize> {
    let primary = desired.primary()?.spec.name.clone();
    images_needed(plan, desired, observed, &[], true);
    needs.extend(image_step(plan, "provision"));
    needs.extend(plan.find("wait_ready", &primary));
    needs.extend(plan.all("issue_credentials"));
    // One container of that name at a time.
    needs.extend(plan.all("enrol_compilers"));
    for key in replicas.iter().flat_map(|r| &r.volumes) {
        needs.extend(plan.find("create_volume", key));
        needs.extend(plan.find("place_files", key));
    }
    let certnames: Vec<String> = replicas.iter().map(|r| r.certname.clone()).collect();
    let numbers: Vec<u32> = replicas.iter().map(|r| r.number).collect();
    let owner = desired.credentials.eyaml.owner;
    let mut request: String =
        numbers.iter().map(|n| format!("eyaml {} {owner}\n", compilers::config_volume(*n))).collect();
    for (name, volume, path, owner) in &desired.credentials.compiler_copies {
        if numbers.iter().any(|n| compilers::config_volume(*n) == *volume) {
            request += &format!("copysecret {name} {volume} {path} {owner}\n");
        }
    }
    let task = Box::new(enrolment(desired, &certnames, &numbers));
    Some(plan.add(Action::EnrolCompilers { primary, certnames, task, request }, cause, needs))
}

/// Compilers trust exactly one certificate of a balancer: where that is issued anew, they have to learn it. True where it may
/// be: no compiler is known to the other side then. `anew` says that whatever has other names now is issued anew; those that
/// the balancer's names concern are made anew themselves.
pub(super) fn restart_where_balancer_is_new(
    desired: &Desired,
    observed: &Observed,
    again: &[String],
    anew: bool,
    fates: &mut [(&Replica, Fate)],
) -> bool {
    let Some(balancer) = desired.balancer() else { return false };
    let gone = !observed.volumes.contains_key(&labels::scoped(&desired.project, compilers::BALANCER_VOLUME));
    if gone || again.contains(&balancer.certname) {
        for (replica, fate) in fates.iter_mut().filter(|(r, _)| r.service == COMPILER) {
            if matches!(fate, Fate::Keep | Fate::Wait(_)) {
                *fate = Fate::Restart(format!("{} gets another balancer to trust", replica.certname));
            }
        }
        return true;
    }
    anew && fates.iter().any(|(r, fate)| r.service == BALANCER && matches!(fate, Fate::Recreate(_)))
}

/// Steps that bring all compilers up and into the balancer. `stopped` were stopped in the plan already.
pub(super) fn bring_up(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    fates: &[(&Replica, Fate)],
    rolling: Rolling,
) {
    let Some(balancer) = desired.balancer().map(|b| b.spec.name.clone()) else { return };
    let (mut away, mut turns) = (vec![], vec![]);
    for (replica, fate) in fates.iter().filter(|(r, _)| r.service == COMPILER) {
        let alive = observed.containers.get(&replica.spec.name).is_some_and(Container::alive);
        match fate {
            Fate::Keep => {}
            Fate::Wait(cause) => {
                wait(plan, replica, cause, vec![]);
            }
            Fate::Recreate(_) | Fate::Restart(_) if rolling.compilers && alive => turns.push((*replica, fate)),
            Fate::Restart(cause) => {
                if plan.find("stop_container", &replica.spec.name).is_none() {
                    let needs = cut_off(plan, desired);
                    stop(plan, replica, cause, needs);
                }
                away.push((*replica, fate));
            }
            Fate::Create(_) | Fate::Start(_) | Fate::Recreate(_) => away.push((*replica, fate)),
        }
    }
    // Those that do not serve now, at once.
    start_all(plan, desired, observed, &away);
    // The others one after the other, each after those that can stand in for it, and when there is all that it needs.
    let mut around = rolling::waits(plan, desired, &[BALANCER, PRIMARY]);
    around.extend(plan.find("hold_requests", &balancer).and_then(|_| plan.find("balance", &balancer)));
    if !turns.is_empty() {
        images_needed(plan, desired, observed, &[], true);
        around.extend(["provision", "puppetserver"].iter().filter_map(|component| image_step(plan, component)));
    }
    let mut before: Vec<usize> = compiler_waits(plan, desired);
    for (replica, fate) in turns {
        let (Fate::Recreate(cause) | Fate::Restart(cause)) = fate else { continue };
        if !before.is_empty() {
            let needs = [before, around.clone()].concat();
            before = vec![balance(plan, desired, &balancer, "those that serve stand in", needs)];
        }
        let needs = [before, around.clone()].concat();
        let drained = drain(plan, &balancer, &replica.certname, cause, needs);
        let stopped = stop(plan, replica, cause, vec![drained]);
        if matches!(fate, Fate::Recreate(_)) {
            let action =
                Action::RemoveContainer { name: replica.spec.name.clone(), service: Some(replica.service.clone()) };
            plan.add(action, cause.as_str(), vec![stopped]);
        }
        start_all(plan, desired, observed, &[(replica, fate)]);
        before = plan.find("wait_ready", &replica.spec.name).into_iter().collect();
    }
}

/// The step after which no agent gets to a compiler that is to stop undrained: where who sends them there stops, too.
pub(super) fn cut_off(plan: &Builder, desired: &Desired) -> Vec<usize> {
    let others = [BALANCER, PRIMARY].map(|service| labels::container_name(&desired.project, service, 1));
    let mut stopped = others.iter().filter_map(|other| plan.find("stop_container", other));
    stopped.next().into_iter().collect()
}

/// Steps that make these ready, side by side.
fn start_all(plan: &mut Builder, desired: &Desired, observed: &Observed, these: &[(&Replica, &Fate)]) {
    let mut causes = vec![];
    for (replica, fate) in these {
        let (Fate::Create(cause) | Fate::Recreate(cause) | Fate::Start(cause) | Fate::Restart(cause)) = fate else {
            continue;
        };
        causes.push(cause.as_str());
        if let (Fate::Create(_) | Fate::Recreate(_), Some(key)) = (fate, &replica.config_volume) {
            let mut before: Vec<usize> = plan.find("remove_container", &replica.spec.name).into_iter().collect();
            before.extend(plan.find("create_volume", key));
            let helper = format!("{}-place-{key}", desired.project);
            before.extend(plan.find("remove_container", &helper));
            let files = desired.files.get(key).cloned().unwrap_or_default();
            let action = Action::PlaceFiles {
                key: key.clone(),
                volume: labels::scoped(&desired.project, key),
                files,
                private: vec![],
            };
            plan.add(action, cause.as_str(), before);
        }
    }
    let Some(cause) = causes.first() else { return };
    let replicas: Vec<&Replica> = these.iter().map(|(r, _)| *r).collect();
    let mut needs: Vec<usize> = replicas.iter().filter_map(|r| plan.find("stop_container", &r.spec.name)).collect();
    needs.extend(replicas.iter().filter_map(|r| plan.find("remove_container", &r.spec.name)));
    let Some(enrolled) = enrol(plan, desired, observed, &replicas, cause, needs) else { return };
    for (replica, fate) in these {
        let name = &replica.spec.name;
        let mut needs = vec![enrolled];
        if matches!(fate, Fate::Create(_) | Fate::Recreate(_)) {
            let mut before: Vec<usize> = plan.find("remove_container", name).into_iter().collect();
            before.extend(replica.spec.networks.iter().filter_map(|n| plan.find("create_network", &n.network)));
            before.extend(replica.volumes.iter().filter_map(|key| plan.find("create_volume", key)));
            before.extend(image_step(plan, &replica.component));
            before.push(enrolled);
            let action =
                Action::CreateContainer { spec: Box::new(replica.spec.clone()), service: replica.service.clone() };
            needs = vec![plan.add(action, *cause, before)];
        }
        let action = Action::StartContainer { name: name.clone(), service: replica.service.clone() };
        let started = plan.add(action, *cause, needs);
        wait(plan, replica, "it starts", vec![started]);
    }
}

/// The step after which exactly the wanted compilers take requests. The last of it: all that starts is in the plan.
pub(super) fn settle(plan: &mut Builder, desired: &Desired) {
    let Some(balancer) = desired.balancer().map(|b| b.spec.name.clone()) else { return };
    let mut needs = compiler_waits(plan, desired);
    needs.extend(plan.find("wait_ready", &balancer));
    needs.extend(plan.all("drain_compiler"));
    needs.extend(plan.all("balance"));
    balance(plan, desired, &balancer, "these serve", needs);
}

fn compiler_waits(plan: &Builder, desired: &Desired) -> Vec<usize> {
    desired.compilers().filter_map(|r| plan.find("wait_ready", &r.spec.name)).collect()
}

fn balance(plan: &mut Builder, desired: &Desired, balancer: &str, cause: &str, needs: Vec<usize>) -> usize {
    let members = desired.compilers().map(|r| r.certname.clone()).collect();
    plan.add(Action::Balance { balancer: balancer.to_owned(), members }, cause, needs)
}

fn drain(plan: &mut Builder, balancer: &str, certname: &str, cause: &str, mut needs: Vec<usize>) -> usize {
    // One after the other: the last one is another matter than the others.
    needs.extend(plan.all("drain_compiler"));
    let (balancer, certname) = (balancer.to_owned(), certname.to_owned());
    plan.add(Action::DrainCompiler { balancer, certname, seconds: DRAIN_SECONDS }, cause, needs)
}

/// The step that lets a compiler that goes for good finish; nothing where no balancer runs that knows it.
pub(super) fn leave(
    plan: &mut Builder,
    observed: &Observed,
    container: &Container,
    cause: &str,
    needs: Vec<usize>,
) -> Option<usize> {
    let balancer = running_balancer(observed)?;
    let certname = container.label(labels::CERTNAME).to_owned();
    (container.label(labels::SERVICE) == COMPILER && container.running())
        .then(|| drain(plan, &balancer, &certname, cause, needs))
}

/// The balancer's container, when it runs.
pub(super) fn running_balancer(observed: &Observed) -> Option<String> {
    let balancer = observed.services().find(|(_, c)| c.label(labels::SERVICE) == BALANCER && c.running());
    balancer.map(|(name, _)| name.clone())
}

/// Steps that restart running compilers one after the other: asked for, without what they should be.
pub(super) fn restart(plan: &mut Builder, observed: &Observed, these: &[(&String, &Container)], needs: &[usize]) {
    let Some(balancer) = running_balancer(observed) else { return };
    let all: Vec<String> = observed
        .services()
        .filter(|(_, c)| c.label(labels::SERVICE) == COMPILER)
        .map(|(_, c)| c.label(labels::CERTNAME).to_owned())
        .collect();
    let mut before = needs.to_vec();
    for (name, container) in these {
        let certname = container.label(labels::CERTNAME);
        let cause = "asked to restart";
        let drained = drain(plan, &balancer, certname, cause, before);
        let (name, service) = ((*name).clone(), COMPILER.to_owned());
        let action = Action::StopContainer { name: name.clone(), service: service.clone(), grace_seconds: 30 };
        let stopped = plan.add(action, cause, vec![drained]);
        let action = Action::StartContainer { name: name.clone(), service: service.clone() };
        let started = plan.add(action, cause, vec![stopped]);
        let ready = plan.add(Action::WaitReady { name, service }, "it starts", vec![started]);
        let action = Action::Balance { balancer: balancer.clone(), members: all.clone() };
        before = vec![plan.add(action, "it serves again", vec![ready])];
    }
}

fn stop(plan: &mut Builder, replica: &Replica, cause: &str, needs: Vec<usize>) -> usize {
    let action = Action::StopContainer {
        name: replica.spec.name.clone(),
        service: replica.service.clone(),
        grace_seconds: replica.spec.stop_grace_seconds,
    };
    plan.add(action, cause, needs)
}

fn wait(plan: &mut Builder, replica: &Replica, cause: &str, needs: Vec<usize>) -> usize {
    let action = Action::WaitReady { name: replica.spec.name.clone(), service: replica.service.clone() };
    plan.add(action, cause, needs)
}

//! Credentials in a plan: what must be issued and why, the step that does it, and who has to be down meanwhile. Pure.
//!
//! How they are made is `images/provision/pupperware-provision`; which there are is `desired::credentials`.

use std::collections::BTreeMap;

use super::Action;
use super::builder::Builder;
use super::converge::stop;
use super::fate::Fate;
use super::images::image_step;
use crate::desired::{Desired, PRIMARY, Replica, addons, credentials, hash, labels};
use crate::engine::spec::{ContainerSpec, Labels, Mount, MountSource};
use crate::observed::{Container, Observed, record};

/// What must be issued.
pub(super) enum Issue {
    /// CA, certificates, secrets: the server must be down, and those that share a secret when it may be made anew.
    All { cause: String, new_secrets: bool, again: Vec<String> },
    /// One-time tokens for new agents, by volume key: the server may run.
    Enrol(String, Vec<String>),
}

/// The hash of no request: on record while another one is being issued.
const OPEN: &str = "";
/// The volume that secrets are kept in.
const SECRETS: &str = "state";

/// What must be issued, and why; nothing when the record covers the volumes that exist.
pub(super) fn issue(desired: &Desired, observed: &Observed, again: &[String], rotation: bool) -> Option<Issue> {
    match (missing(desired, observed, rotation), again.is_empty()) {
        (issue, true) => issue,
        (Some(Issue::All { cause, new_secrets, .. }), false) => {
            Some(Issue::All { cause, new_secrets, again: again.to_vec() })
        }
        (_, false) => {
            Some(Issue::All { cause: "asked to issue anew".into(), new_secrets: rotation, again: again.to_vec() })
        }
    }
}

/// What must be issued because it is not there.
fn missing(desired: &Desired, observed: &Observed, rotation: bool) -> Option<Issue> {
    let all = |cause: String, new_secrets| Some(Issue::All { cause, new_secrets, again: vec![] });
    let core = desired.credentials.core();
    let Some(issued) = observed.record.as_ref().and_then(|r| r.issued.as_ref()) else {
        let first = !observed.volumes.contains_key(&labels::scoped(&desired.project, "ca"));
        let cause = if first { "a new platform".into() } else { "no record of what was issued".into() };
        return all(cause, true);
    };
    let uncovered = |key: &str| uncovered(desired, observed, issued, key);
    let new_secrets = rotation || uncovered(SECRETS).is_some();
    if let Some(cause) = core.volumes().into_iter().find_map(uncovered) {
        return all(cause, new_secrets);
    }
    if issued.request != hash::of(&desired.credentials.lasting()) {
        return all("certificate names or secrets changed".into(), new_secrets);
    }
    let agents: Vec<(String, String)> = desired
        .credentials
        .agent_volumes()
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), uncovered(key)?)))
        .collect();
    // One that was issued before is known to the CA, which signs no second request of that name.
    if let Some((_, cause)) = agents.iter().find(|(key, _)| issued.volumes.contains_key(key)) {
        return all(cause.clone(), new_secrets);
    }
    let cause = agents.first()?.1.clone();
    Some(Issue::Enrol(cause, agents.into_iter().map(|(key, _)| key).collect()))
}

/// Why what was issued does not cover a volume; nothing when it does.
fn uncovered(desired: &Desired, observed: &Observed, issued: &record::Issued, key: &str) -> Option<String> {
    match observed.volumes.get(&labels::scoped(&desired.project, key)) {
        None => Some(format!("volume {key} is missing")),
        Some(volume) if issued.volumes.get(key).map(String::as_str) != labels::made(&volume.labels) => {
            Some(format!("nothing was issued into volume {key}"))
        }
        Some(_) => None,
    }
}

/// Steps around the issuing of credentials. The primary must not run while its CA's serials are taken, and the two
/// ends of a password that may change start with the same one.
pub(super) fn credentials(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    fates: &[(&Replica, Fate)],
    issue: &Issue,
    renewed: Option<usize>,
) -> Issued {
    let mut needs = plan.all("create_volume");
    needs.extend(renewed);
    needs.extend(image_step(plan, "provision"));
    needs.extend(plan.all("remove_container"));
    let mut stopped = BTreeMap::new();
    let (cause, keys, request, certificates) = match issue {
        Issue::All { cause, new_secrets, again } => {
            // Who keeps running with the old one knows another password than who starts next.
            let shares = |r: &Replica| desired.credentials.copies.iter().any(|(_, key, ..)| r.volumes.contains(key));
            for (replica, fate) in fates {
                let (before, after) = if replica.service == PRIMARY {
                    ("its CA issues certificates while it is down", "it was stopped for its CA")
                } else if *new_secrets && shares(replica) {
                    ("its password may be made anew", "it was stopped for its password")
                } else if again.contains(&replica.certname) {
                    // Before, not after: were this run killed in between, it would go on with the revoked one.
                    ("its certificate is issued anew", "it was stopped for its certificate")
                } else {
                    continue;
                };
                // Frozen or between two tries counts: it can be back at its CA before the last certificate is signed.
                let alive = observed.containers.get(&replica.spec.name).is_some_and(Container::alive);
                if alive && !matches!(fate, Fate::Recreate(_)) {
                    needs.push(stop(plan, replica, before));
                    stopped.insert(replica.spec.name.clone(), after);
                }
            }
            needs.extend(reopen(plan, desired, observed, again));
            let credentials = &desired.credentials;
            (cause, credentials.volumes(), credentials.request(again), credentials.places())
        }
        Issue::Enrol(cause, keys) => {
            let agents: Vec<(&str, &str)> = desired
                .credentials
                .certificates
                .iter()
                .filter(|c| keys.contains(&c.volume))
                .map(|c| (c.certname.as_str(), c.volume.as_str()))
                .collect();
            let mut keys = vec!["state", "puppetserver-data"];
            keys.extend(agents.iter().map(|(_, key)| *key));
            let mut request = credentials::enrolment(&agents);
            if desired.credentials.bridge {
                keys.push(addons::BRIDGE_CONFIG);
                request += &credentials::bridged(&agents);
            }
            (cause, keys, request, vec![])
        }
    };
    let mounts = scoped(desired, &keys);
    let action = Action::IssueCredentials { task: Box::new(task(desired, &mounts)), request, certificates };
    let step = plan.add(action, cause.as_str(), needs);
    let first = renewed.is_none() && !observed.volumes.contains_key(&labels::scoped(&desired.project, "ca"));
    Issued { step, stopped, first }
}

/// The step that remembers what was issued.
pub(super) fn record(plan: &mut Builder, desired: &Desired, needs: Vec<usize>) {
    let record = Action::RecordIssued {
        request: hash::of(&desired.credentials.lasting()),
        volumes: scoped(desired, &desired.credentials.volumes()),
    };
    plan.add(record, "so that it is issued once", needs);
}

/// The step that forgets which names were issued, where others are going to be. Were this run killed after issuing, a
/// return to the old configuration would find its names on record, and the new ones in the certificates.
fn reopen(plan: &mut Builder, desired: &Desired, observed: &Observed, again: &[String]) -> Option<usize> {
    let issued = observed.record.as_ref()?.issued.as_ref()?;
    let same = issued.request == hash::of(&desired.credentials.lasting());
    if issued.request == OPEN || (same && again.is_empty()) {
        return None;
    }
    let mut keys = desired.credentials.volumes();
    keys.retain(|key| uncovered(desired, observed, issued, key).is_none());
    let action = Action::RecordIssued { request: OPEN.into(), volumes: scoped(desired, &keys) };
    Some(plan.add(
        action,
        if same { "until they are issued, nothing is" } else { "the old names hold no longer" },
        vec![],
    ))
}

/// The issuing step, and the containers that it needed stopped, with why they start again.
pub(super) struct Issued {
    /// The step.
    pub step: usize,
    /// Containers by name.
    pub stopped: BTreeMap<String, &'static str>,
    /// There is no CA yet, and so no volume with a certificate. New services may start beside the issuing: they wait for
    /// what comes into their volumes.
    pub first: bool,
}

/// The one-shot container that issues: root over the volumes, no network, nothing else.
pub(super) fn task(desired: &Desired, mounts: &[(String, String)]) -> ContainerSpec {
    let project = &desired.project;
    let name = format!("{project}-provision");
    ContainerSpec {
        hostname: "provision".into(),
        image: desired.image("provision").map(|i| i.reference.clone()).unwrap_or_default(),
        entrypoint: Some(vec!["/usr/local/bin/pupperware-provision".into()]),
        command: Some(vec![]),
        user: Some("0:0".into()),
        labels: labels::common(project, "task"),
        mounts: mounts
            .iter()
            .map(|(key, volume)| Mount {
                source: MountSource::Volume(volume.clone()),
                target: format!("/volumes/{key}"),
                read_only: false,
                labels: Labels::new(),
            })
            .collect(),
        tmpfs: BTreeMap::from([("/tmp".into(), "mode=1777".into())]),
        cap_drop: vec!["ALL".into()],
        cap_add: ["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(String::from).to_vec(),
        security_opt: vec!["no-new-privileges:true".into()],
        read_only: true,
        pids: Some(64),
        memory_bytes: Some(256 << 20),
        name,
        ..ContainerSpec::default()
    }
}

/// Volume keys with the names that they have on the engine.
pub(super) fn scoped(desired: &Desired, keys: &[&str]) -> Vec<(String, String)> {
    keys.iter().map(|key| ((*key).to_owned(), labels::scoped(&desired.project, key))).collect()
}

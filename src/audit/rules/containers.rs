//! How containers are confined: users, capabilities, limits, namespaces, and whether they are as configured.

use super::Theme;
use crate::audit::model::{Container, Evidence, Finding, Rule, Severity};
use crate::audit::policy;

/// The theme.
pub const THEME: Theme = Theme {
    title: "Containers",
    rules: &[
        &PRIVILEGED,
        &NAMESPACE,
        &DEVICE,
        &ROOT,
        &CAPABILITIES,
        &NEW_PRIVILEGES,
        &CONFINEMENT,
        &WRITABLE_ROOT,
        &PIDS,
        &MEMORY,
        &DRIFT,
        &UNKNOWN,
    ],
    check,
};

/// What puts a container back: it is made anew from its specification.
const ANEW: &str = "have it made anew: `docker rm --force CONTAINER`, then `pupperware up`";

static PRIVILEGED: Rule = Rule {
    id: "container-privileged",
    severity: Severity::High,
    title: "a container is privileged: it can do what root of the host can",
    remedy: ANEW,
};
static NAMESPACE: Rule = Rule {
    id: "container-namespace",
    severity: Severity::High,
    title: "a container shares a namespace with the host or another container",
    remedy: ANEW,
};
static DEVICE: Rule = Rule {
    id: "container-device",
    severity: Severity::High,
    title: "a container has a device of the host",
    remedy: ANEW,
};
static ROOT: Rule =
    Rule { id: "container-root", severity: Severity::High, title: "a service runs as root", remedy: ANEW };
static CAPABILITIES: Rule = Rule {
    id: "container-capabilities",
    severity: Severity::High,
    title: "a container has capabilities that it does not need",
    remedy: ANEW,
};
static NEW_PRIVILEGES: Rule = Rule {
    id: "container-new-privileges",
    severity: Severity::Medium,
    title: "processes of a container can gain privileges",
    remedy: ANEW,
};
static CONFINEMENT: Rule = Rule {
    id: "container-unconfined",
    severity: Severity::Medium,
    title: "the engine's system call filter or access control is switched off",
    remedy: ANEW,
};
static WRITABLE_ROOT: Rule = Rule {
    id: "container-writable-root",
    severity: Severity::Medium,
    title: "a service can write to its own programs",
    remedy: ANEW,
};
static PIDS: Rule = Rule {
    id: "container-no-pids-limit",
    severity: Severity::Medium,
    title: "a container can fill the host with processes",
    remedy: ANEW,
};
static MEMORY: Rule = Rule {
    id: "container-no-memory-limit",
    severity: Severity::Medium,
    title: "a container can take all memory of the host",
    remedy: ANEW,
};
static DRIFT: Rule = Rule {
    id: "container-drift",
    severity: Severity::Medium,
    title: "a container is not as the configuration and this program say",
    remedy: "see what differs with `pupperware up --dry-run`, then run `pupperware up`",
};
static UNKNOWN: Rule = Rule {
    id: "container-unknown",
    severity: Severity::High,
    title: "a container says that it belongs to the platform, and the configuration knows none such",
    remedy: "find out who made it; `pupperware up --dry-run` tells whether it would be removed, else `docker rm --force CONTAINER`",
};

fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in &evidence.containers {
        barriers(container, &mut findings);
        // Helpers live for seconds, and some are root to set owners in volumes.
        if !matches!(container.role.as_str(), "task" | "lock") {
            least(container, &mut findings);
            as_configured(container, &mut findings);
        }
    }
    findings
}

/// What nothing of the platform ever needs.
fn barriers(container: &Container, findings: &mut Vec<Finding>) {
    let (name, settings) = (&container.name, &container.settings);
    if settings.privileged {
        findings.push(PRIVILEGED.broken(name, "started with --privileged"));
    }
    for namespace in &settings.shared_namespaces {
        findings.push(NAMESPACE.broken(name, format!("namespace: {namespace}")));
    }
    for device in &settings.devices {
        findings.push(DEVICE.broken(name, format!("device: {device}")));
    }
    for option in settings.security_opt.iter().filter(|o| o.contains("unconfined") || o.ends_with(":disable")) {
        findings.push(CONFINEMENT.broken(name, format!("security option: {option}")));
    }
}

/// The least that a service needs.
fn least(container: &Container, findings: &mut Vec<Finding>) {
    let (name, settings) = (&container.name, &container.settings);
    let allowed = policy::allowed(&container.service);
    let user = settings.user.split(':').next().unwrap_or_default();
    if !allowed.root && matches!(user, "" | "0" | "root") {
        findings.push(ROOT.broken(name, format!("user: \"{}\"", settings.user)));
    }
    let more: Vec<&str> =
        settings.cap_add.iter().map(String::as_str).filter(|c| !allowed.capabilities.contains(c)).collect();
    if !settings.cap_drop.iter().any(|c| c == "ALL") {
        findings.push(CAPABILITIES.broken(name, "the engine's default capabilities are not dropped"));
    }
    if !more.is_empty() {
        findings.push(CAPABILITIES.broken(name, format!("added: {}", more.join(", "))));
    }
    let set =
        |o: &String| matches!(o.as_str(), "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true");
    if !settings.security_opt.iter().any(set) {
        findings.push(NEW_PRIVILEGES.broken(name, "no-new-privileges is not set"));
    }
    if !settings.read_only && !allowed.writable_root {
        findings.push(WRITABLE_ROOT.broken(name, "the root file system is not read-only"));
    }
    if settings.pids.is_none() {
        findings.push(PIDS.broken(name, "no limit of processes"));
    }
    if settings.memory_bytes.is_none() {
        findings.push(MEMORY.broken(name, "no limit of memory"));
    }
}

fn as_configured(container: &Container, findings: &mut Vec<Finding>) {
    match &container.wanted {
        None => findings.push(UNKNOWN.broken(&container.name, "it carries the label of this project")),
        Some(wanted) if wanted.hash != container.hash => {
            let evidence = format!("specification {}, and {} is wanted", container.hash, wanted.hash);
            findings.push(DRIFT.broken(&container.name, evidence));
        }
        Some(_) => {}
    }
}

//! Who can reach what: published ports, networks, who is on them, what listens.

use super::Theme;
use crate::audit::model::{Container, Evidence, Finding, Rule, Severity};
use crate::audit::policy;

/// The theme.
pub const THEME: Theme = Theme {
    title: "Ports and networks",
    rules: &[
        &STORE_PUBLISHED,
        &PORT_UNEXPECTED,
        &BOARD_PUBLISHED,
        &NETWORK_NOT_INTERNAL,
        &NETWORK_MEMBERSHIP,
        &NETWORK_STRANGER,
        &FRONT_STRANGER,
        &LISTENER_UNEXPECTED,
    ],
    check,
};

static STORE_PUBLISHED: Rule = Rule {
    id: "store-published",
    severity: Severity::High,
    title: "PuppetDB or PostgreSQL is published on the host",
    remedy: "nothing outside may reach them: run `pupperware up`, which makes the container anew without the port",
};
static PORT_UNEXPECTED: Rule = Rule {
    id: "port-unexpected",
    severity: Severity::High,
    title: "a port is published that the configuration does not name",
    remedy: "run `pupperware up`, which makes the container anew; what should be published belongs into pupperware.yaml",
};
static BOARD_PUBLISHED: Rule = Rule {
    id: "puppetboard-published",
    severity: Severity::Medium,
    title: "Puppetboard, which has no login, can be reached from other machines",
    remedy: "set `puppetboard.publish` to a port alone, run `pupperware up`, and put a proxy that asks who is there before it",
};
static NETWORK_NOT_INTERNAL: Rule = Rule {
    id: "network-not-internal",
    severity: Severity::High,
    title: "a network that should have no way out has one",
    remedy: "`pupperware down`, remove the network with `docker network rm`, and `pupperware up`",
};
static NETWORK_MEMBERSHIP: Rule = Rule {
    id: "network-membership",
    severity: Severity::High,
    title: "a service is on a network where it does not belong",
    remedy: "take it off with `docker network disconnect NETWORK CONTAINER`",
};
static NETWORK_STRANGER: Rule = Rule {
    id: "network-stranger",
    severity: Severity::High,
    title: "a container of somebody else is on a private network",
    remedy: "take it off with `docker network disconnect NETWORK CONTAINER`, and find out who put it there",
};
static FRONT_STRANGER: Rule = Rule {
    id: "front-stranger",
    severity: Severity::Low,
    title: "a container of somebody else is on the network of the agents",
    remedy: "agents reach the published port from anywhere: `docker network disconnect NETWORK CONTAINER` unless you put it there",
};
static LISTENER_UNEXPECTED: Rule = Rule {
    id: "listener-unexpected",
    severity: Severity::High,
    title: "a service listens on a port that it should not have",
    remedy: "clear-text and debugging ports have no place here: find it with `pupperware exec`, then run `pupperware up`",
};

fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in &evidence.containers {
        ports(container, &mut findings);
        networks(container, &mut findings);
    }
    for network in &evidence.networks {
        if !network.internal && network.wanted_internal == Some(true) {
            findings.push(NETWORK_NOT_INTERNAL.broken(&network.name, "the engine says that it is not internal"));
        }
    }
    for neighbour in &evidence.neighbours {
        for key in &neighbour.networks {
            let rule = if key == "front" { &FRONT_STRANGER } else { &NETWORK_STRANGER };
            findings.push(rule.broken(&neighbour.name, format!("attached to the network {key}")));
        }
    }
    for listener in &evidence.listeners {
        if !policy::allowed(&listener.service).listeners.contains(&listener.port) {
            findings
                .push(LISTENER_UNEXPECTED.broken(&listener.container, format!("listens on port {}", listener.port)));
        }
    }
    findings
}

fn ports(container: &Container, findings: &mut Vec<Finding>) {
    let wanted = container.wanted.as_ref().map(|w| w.spec.ports.as_slice()).unwrap_or_default();
    for (held, target) in &container.settings.ports {
        let evidence = format!("port {target} at {held}");
        let named =
            wanted.iter().any(|w| (w.address, w.port, w.target) == (held.address, held.port, *target) && held.tcp);
        if !policy::allowed(&container.service).published {
            findings.push(STORE_PUBLISHED.broken(&container.name, evidence));
        } else if !named {
            findings.push(PORT_UNEXPECTED.broken(&container.name, evidence));
        } else if container.service == "puppetboard" && !held.address.is_loopback() {
            findings.push(BOARD_PUBLISHED.broken(&container.name, evidence));
        }
    }
}

fn networks(container: &Container, findings: &mut Vec<Finding>) {
    let Some(wanted) = &container.wanted else { return };
    for network in &container.settings.networks {
        if !wanted.spec.networks.iter().any(|n| n.network == *network) {
            findings.push(NETWORK_MEMBERSHIP.broken(&container.name, format!("attached to {network}")));
        }
    }
}

//! PostgreSQL's own rules: who may connect, how, and with which rights.

use super::Theme;
use crate::audit::model::{Evidence, Finding, HbaRule, Rule, Severity};

/// The theme.
pub const THEME: Theme =
    Theme { title: "PostgreSQL's rules", rules: &[&HBA, &HBA_SUPERUSER, &SUPERUSER, &WEAK_PASSWORD], check };

static HBA: Rule = Rule {
    id: "postgres-hba",
    severity: Severity::High,
    title: "a line of pg_hba.conf lets clients in without TLS, or without SCRAM",
    remedy: "have it written anew: `docker rm --force CONTAINER`, then `pupperware up`",
};
static HBA_SUPERUSER: Rule = Rule {
    id: "postgres-hba-superuser",
    severity: Severity::High,
    title: "the database's administrator can connect over the network",
    remedy: "have pg_hba.conf written anew: `docker rm --force CONTAINER`, then `pupperware up`",
};
static SUPERUSER: Rule = Rule {
    id: "postgres-superuser",
    severity: Severity::High,
    title: "another role than the administrator's is a superuser of the database",
    remedy: "take the right away (`ALTER ROLE NAME NOSUPERUSER`) by `pupperware exec postgres -- psql -U postgres`",
};
static WEAK_PASSWORD: Rule = Rule {
    id: "postgres-weak-password",
    severity: Severity::Medium,
    title: "a password of the database is not kept as SCRAM",
    remedy: "set it anew: `pupperware restart postgres` does that for PuppetDB's",
};

/// The administrator, who comes by the socket inside only.
const ADMINISTRATOR: &str = "postgres";
/// Where these rules stand.
const PLACE: &str = "postgres-config/pg_hba.conf";

fn check(evidence: &Evidence) -> Vec<Finding> {
    let Some(database) = &evidence.database else { return vec![] };
    let mut findings = Vec::new();
    for rule in &database.rules {
        line(rule, &mut findings);
    }
    for role in database.superusers.iter().filter(|role| *role != ADMINISTRATOR) {
        findings.push(SUPERUSER.broken("postgres", format!("the role {role}")));
    }
    for role in &database.weak_passwords {
        findings.push(WEAK_PASSWORD.broken("postgres", format!("the role {role}")));
    }
    findings
}

fn line(rule: &HbaRule, findings: &mut Vec<Finding>) {
    if rule.method == "reject" {
        return;
    }
    let secure = match rule.kind.as_str() {
        "local" => rule.method == "peer" || rule.method == "scram-sha-256",
        "hostssl" => matches!(rule.method.as_str(), "scram-sha-256" | "cert"),
        _ => false,
    };
    if !secure {
        findings.push(HBA.broken(PLACE, rule.text.clone()));
    }
    if rule.kind != "local" && rule.users.split(',').any(|user| user == ADMINISTRATOR || user == "all") {
        findings.push(HBA_SUPERUSER.broken(PLACE, rule.text.clone()));
    }
}

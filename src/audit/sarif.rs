//! The audit as SARIF 2.1.0, the form in which code hosts and security dashboards take findings.

use serde_json::{Value, json};

use super::Audit;
use super::model::{Finding, Rule, Severity};
use super::rules;

/// The document. What could not be looked at is a notification of a run that was not successful.
pub fn document(audit: &Audit) -> Value {
    let known: Vec<&Rule> = rules::all().collect();
    let notifications: Vec<Value> = audit
        .unseen
        .iter()
        .map(|u| json!({ "level": "error", "message": { "text": format!("could not look at {}: {}", u.what, u.why) } }))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "pupperware audit",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": known.iter().map(|r| rule(r)).collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": audit.unseen.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": audit.findings.iter().map(|f| result(&audit.project, &known, f)).collect::<Vec<_>>(),
        }],
    })
}

fn rule(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "help": { "text": rule.remedy },
        "defaultConfiguration": { "level": level(rule.severity) },
        // The scale that dashboards sort by: 0 to 10, as CVSS has it.
        "properties": { "tags": ["security"], "security-severity": score(rule.severity) },
    })
}

fn result(project: &str, known: &[&Rule], finding: &Finding) -> Value {
    json!({
        "ruleId": finding.id,
        "ruleIndex": known.iter().position(|r| r.id == finding.id),
        "level": level(finding.severity),
        "message": { "text": format!("{}: {} ({})", finding.place, finding.title, finding.evidence) },
        "locations": [{ "logicalLocations": [{
            "name": finding.place,
            "fullyQualifiedName": format!("{project}/{}", finding.place),
            "kind": "resource",
        }]}],
        // The same finding of a later run has the same one.
        "partialFingerprints": { "placeAndRule/v1": format!("{project}/{}/{}", finding.place, finding.id) },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High => "error",
    }
}

fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "3.0",
        Severity::Medium => "5.5",
        Severity::High => "8.0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::judge;
    use crate::audit::model::{Evidence, Network};

    #[test]
    fn findings_and_what_was_not_seen_are_both_told() {
        let network = Network { name: "demo_back".into(), internal: false, wanted_internal: Some(true) };
        let mut evidence = Evidence { networks: vec![network], ..Evidence::default() };
        evidence.unseen("puppetdb", "it does not run");
        let document = document(&judge("demo", &evidence));
        let run = &document["runs"][0];
        let result = &run["results"][0];
        assert_eq!((&result["ruleId"], &result["level"]), (&json!("network-not-internal"), &json!("error")));
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], "network-not-internal");
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        let notified = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
        assert_eq!(notified, "could not look at puppetdb: it does not run");
    }
}

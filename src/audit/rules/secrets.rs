//! Secrets where they can be read: environments, labels, arguments, logs.

use super::Theme;
use crate::audit::model::{Evidence, Finding, Rule, Severity, Surface};

/// The theme.
pub const THEME: Theme = Theme { title: "Secrets", rules: &[&ENVIRONMENT, &LABELS, &ARGUMENTS, &LOGS], check };

static ENVIRONMENT: Rule = Rule {
    id: "secret-in-environment",
    severity: Severity::High,
    title: "a secret is in an environment variable, which everyone who may inspect can read",
    remedy: "remove the variable (`docker rm --force CONTAINER`, then `pupperware up`), and replace the secret: it was shown",
};
static LABELS: Rule = Rule {
    id: "secret-in-labels",
    severity: Severity::High,
    title: "a secret is in a label, which everyone who may inspect can read",
    remedy: "remove what carries the label, run `pupperware up`, and replace the secret: it was shown",
};
static ARGUMENTS: Rule = Rule {
    id: "secret-in-arguments",
    severity: Severity::High,
    title: "a secret is among a command's arguments, which every process list shows",
    remedy: "end that command, and replace the secret: it was shown",
};
static LOGS: Rule = Rule {
    id: "secret-in-logs",
    severity: Severity::High,
    title: "a secret is in a container's log",
    remedy: "have the container made anew (`docker rm --force CONTAINER`, then `pupperware up`), which drops its log, and replace the secret",
};

fn check(evidence: &Evidence) -> Vec<Finding> {
    let found = evidence.leaks.iter().map(|leak| {
        let rule = match leak.surface {
            Surface::Environment => &ENVIRONMENT,
            Surface::Labels => &LABELS,
            Surface::Arguments => &ARGUMENTS,
            Surface::Logs => &LOGS,
        };
        // Nothing more: which secret and where exactly would help who reads this, and should not.
        rule.broken(&leak.place, "the text of a secret of this platform, compared inside the engine")
    });
    found.collect()
}

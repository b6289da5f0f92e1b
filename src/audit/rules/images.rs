//! Images: whether what runs is what the release says, and what waits to be updated.

use std::collections::BTreeMap;

use super::Theme;
use crate::audit::model::{Container, Evidence, Finding, Rule, Severity};

/// The theme.
pub const THEME: Theme =
    Theme { title: "Images", rules: &[&MOVED, &CONTENT, &FLOATING, &SECURITY_UPDATES, &UPDATES], check };

static MOVED: Rule = Rule {
    id: "image-moved",
    severity: Severity::High,
    title: "a container runs another image than the one that its reference names",
    remedy: "find out what moved the name; `docker rm --force CONTAINER` and `pupperware up` take the one that it names now",
};
static CONTENT: Rule = Rule {
    id: "image-content",
    severity: Severity::High,
    title: "an image is not made from what this program would make it from",
    remedy: "build it anew: `docker image rm REFERENCE`, then `pupperware up`",
};
static FLOATING: Rule = Rule {
    id: "image-floating",
    severity: Severity::Low,
    title: "an image of your own is named by a tag, which its owner can move",
    remedy: "name it by its digest (`NAME@sha256:...`) below `images` in pupperware.yaml",
};
static SECURITY_UPDATES: Rule = Rule {
    id: "updates-security",
    severity: Severity::High,
    title: "security updates wait for packages of an image",
    remedy: "build the image anew: `pupperware down`, `docker image rm REFERENCE` for it and those below it, then `pupperware up`",
};
static UPDATES: Rule = Rule {
    id: "updates-other",
    severity: Severity::Low,
    title: "other updates wait for packages of an image",
    remedy: "they come with the next build of the image",
};

/// How many packages are named.
const NAMED: usize = 8;

fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for container in &evidence.containers {
        image(container, &mut findings);
    }
    // Packages by container, those of the security suite apart.
    let mut waiting: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
    for update in &evidence.updates {
        let package = format!("{} {} -> {}", update.package, update.installed, update.available);
        waiting.entry((update.security, &update.container)).or_default().push(package);
    }
    for ((security, container), packages) in waiting {
        let more = packages.len().saturating_sub(NAMED);
        let mut text = packages.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            text += &format!(", and {more} more");
        }
        findings.push(if security { &SECURITY_UPDATES } else { &UPDATES }.broken(container, text));
    }
    findings
}

fn image(container: &Container, findings: &mut Vec<Finding>) {
    let (Some(image), Some(wanted)) = (&container.image, &container.wanted) else { return };
    let running = &container.settings.image_id;
    match &image.named {
        Some(named) if named == running => {}
        Some(named) => {
            findings
                .push(MOVED.broken(&container.name, format!("{} is {named} now, and {running} runs", image.reference)));
        }
        None => findings.push(MOVED.broken(&container.name, format!("{} names no image any more", image.reference))),
    }
    match &wanted.image_key {
        Some(key) if image.key.as_ref() != Some(key) => {
            let found = image.key.as_deref().unwrap_or("none");
            findings.push(CONTENT.broken(&container.name, format!("content key {found}, and {key} is wanted")));
        }
        None if !wanted.spec.image.contains('@') => {
            findings.push(FLOATING.broken(&container.name, wanted.spec.image.clone()));
        }
        _ => {}
    }
}

//! `releases` and `upgrade`: where releases are listed, and when and how the platform goes to one.

use super::reader::{Context, Section};
use crate::config::model::{Releases, Upgrades};
use crate::config::problem::Problem;
use crate::config::tree::Node;
use crate::config::types::Place;

/// Reads `releases`.
pub(super) fn releases(context: &mut Context, node: Option<Node>) -> Releases {
    let mut s = Section::new(context, "releases", node);
    let releases =
        Releases { manifest: s.read("manifest"), sha256: s.read("sha256"), public_key: s.read("public_key") };
    s.finish();
    let known = releases.sha256.is_some() || releases.public_key.is_some();
    if let (Some(Place::Web(_)), false, Some(span)) =
        (&releases.manifest, known, context.given.get("releases.manifest"))
    {
        let problem = Problem::error(*span, "releases.manifest", "nothing tells that what comes from there is genuine");
        context
            .problems
            .push(problem.suggest("give its `releases.sha256`, or the `releases.public_key` that signs it"));
    }
    releases
}

/// Reads `upgrade`.
pub(super) fn upgrade(context: &mut Context, node: Option<Node>) -> Upgrades {
    let default = Upgrades::default();
    let mut s = Section::new(context, "upgrade", node);
    let upgrades = Upgrades {
        window: s.read("window"),
        before: s.read("before"),
        after: s.read("after"),
        keep: s.read("keep").unwrap_or(default.keep),
    };
    s.finish();
    upgrades
}

#[cfg(test)]
mod tests {
    use crate::config::tree;
    use crate::config::validate::validate;

    #[test]
    fn what_comes_from_the_web_must_be_known_by_something() {
        let problems = |rest: &str| {
            let text = format!("releases: {{ manifest: https://example.com/releases.yaml{rest} }}\n");
            validate(tree::parse(&text), None).problems.len()
        };
        assert_eq!(problems(""), 1);
        assert_eq!(problems(&format!(", sha256: {}", "ab".repeat(32))), 0);
        assert_eq!(validate(tree::parse("releases: { manifest: releases.yaml }\n"), None).problems.len(), 0);
    }

    #[test]
    fn an_upgrade_has_a_window_and_hooks() {
        let text = "upgrade: { window: \"Sun 02:00-04:00\", before: hooks/before, keep: 30d }\n";
        let upgrade = validate(tree::parse(text), None).config.upgrade;
        assert_eq!(upgrade.window.unwrap().to_string(), "Sun 02:00-04:00");
        assert_eq!((upgrade.before.unwrap().to_string(), upgrade.after), ("hooks/before".to_owned(), None));
        assert_eq!(upgrade.keep.seconds(), 30 * 86_400);
    }
}

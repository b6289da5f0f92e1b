//! What this bridge will run, whatever the server asks: the server is the less trusted side.

use serde::{Deserialize, Serialize};

use crate::relay::api::{Environment, NodeName, Run};
use crate::relay::glob;

/// What is allowed. Everything that is not said is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Only nodes whose name fits one of these patterns, in which `*` stands for any characters.
    pub nodes: Option<Vec<Pattern>>,
    /// Only runs that name one of these environments.
    pub environments: Option<Vec<Environment>>,
    /// Only runs that change nothing.
    pub noop_only: bool,
    /// Only runs of at most so many nodes.
    pub max_nodes: Option<usize>,
}

/// A pattern of node names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | '*');
        if text.is_empty() || text.len() > 253 || !text.chars().all(fits) {
            return Err(format!("{text:?} is no pattern of node names: a-z, 0-9, `.`, `_`, `-`, and `*` for anything"));
        }
        Ok(Pattern(text))
    }
}

impl Pattern {
    /// True when the whole name fits.
    pub fn fits(&self, name: &str) -> bool {
        glob::fits(&self.0, name)
    }
}

impl Policy {
    /// Why the run is not allowed, for its requester; `None` when it is.
    pub fn refusal(&self, run: &Run) -> Option<String> {
        if self.noop_only && !run.noop {
            return Some("this bridge runs noop only".into());
        }
        if let Some(allowed) = &self.environments {
            match &run.environment {
                None => {
                    return Some("this bridge runs only in environments that are named, and the run names none".into());
                }
                Some(wanted) if !allowed.contains(wanted) => {
                    return Some(format!("this bridge does not run in the environment {wanted}"));
                }
                Some(_) => {}
            }
        }
        let limited = self.nodes.is_some() || self.max_nodes.is_some();
        let Some(nodes) = run.scope.nodes() else {
            let kind = run.scope.kind();
            return limited.then(|| format!("this bridge must know the nodes, and a {kind} does not tell them"));
        };
        if let Some(most) = self.max_nodes.filter(|most| nodes.len() > *most) {
            return Some(format!("this bridge runs on at most {most} nodes at once, and the run has {}", nodes.len()));
        }
        let forbidden: Vec<&NodeName> = nodes.iter().filter(|node| !self.allows(node)).collect();
        let more = match forbidden.len() {
            0 => return None,
            1..=3 => String::new(),
            count => format!(" and {} more", count - 3),
        };
        let named: Vec<&str> = forbidden.iter().take(3).map(|node| node.as_str()).collect();
        Some(format!("this bridge does not run on {}{more}", named.join(", ")))
    }

    fn allows(&self, node: &NodeName) -> bool {
        self.nodes.as_ref().is_none_or(|patterns| patterns.iter().any(|p| p.fits(node.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(more: &str) -> Run {
        let text = format!(
            r#"{{"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{{"status":"pending"}},"scope":{{"nodes":["web01.example.com","db01.example.com"]}}{more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn policy(text: &str) -> Policy {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_not_allowed_is_said() {
        assert_eq!(Policy::default().refusal(&run("")), None);
        let refused = |text: &str, more: &str| policy(text).refusal(&run(more)).unwrap_or_default();
        assert!(refused(r#"{"noop_only":true}"#, "").contains("noop only"));
        assert_eq!(refused(r#"{"noop_only":true}"#, r#","noop":true"#), "");
        assert!(refused(r#"{"max_nodes":1}"#, "").contains("the run has 2"));
        assert!(refused(r#"{"nodes":["web*.example.com"]}"#, "").contains("db01.example.com"));
        assert_eq!(refused(r#"{"nodes":["web*","*.example.com"]}"#, ""), "");
        assert!(refused(r#"{"environments":["dev"]}"#, "").contains("names none"));
        assert!(refused(r#"{"environments":["dev"]}"#, r#","environment":"production""#).contains("production"));
        assert_eq!(refused(r#"{"environments":["dev"]}"#, r#","environment":"dev""#), "");
        assert!(refused(r#"{"nodes":[]}"#, "").contains("web01"), "an empty list allows nothing");
    }

    #[test]
    fn a_query_tells_no_nodes() {
        let mut query = run("");
        query.scope = serde_json::from_str(r#"{"query":["=","certname","a"]}"#).unwrap();
        assert!(policy(r#"{"max_nodes":100}"#).refusal(&query).unwrap().contains("query"));
        assert_eq!(Policy::default().refusal(&query), None);
    }

    #[test]
    fn patterns() {
        let fits = |pattern: &str, name: &str| Pattern::try_from(pattern.to_owned()).unwrap().fits(name);
        assert!(fits("*", "anything") && fits("a", "a") && fits("a*", "a") && fits("*a*b*", "xaxxbx"));
        assert!(fits("web*.example.com", "web01.example.com"));
        assert!(!fits("a", "ab") && !fits("ab*ba", "aba") && !fits("*.example.com", "example.com"));
        for bad in ["", "A", "a?", "[a]", "a b"] {
            assert!(Pattern::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    proptest! {
        /// A star where something is left out fits what it was left out of.
        #[test]
        fn a_star_stands_for_anything(name in "[a-c]{1,12}", from in 0usize..12, to in 0usize..12) {
            let (from, to) = (from.min(to).min(name.len()), to.max(from).min(name.len()));
            let pattern = Pattern::try_from(format!("{}*{}", &name[..from], &name[to..])).unwrap();
            prop_assert!(pattern.fits(&name));
        }
    }
}

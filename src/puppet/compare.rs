//! Catalogs of the same nodes, compiled by two releases: how they are compiled without a server, and what differs.
//!
//! Values never leave the container that compiles: what comes here are parts of their hashes. Where it runs is for
//! `execute`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Error, Result};

/// Where the facts of all nodes are put, in the container that compiles.
const FACTS: &str = "/tmp/facts.json";
/// How many nodes are named for a difference that they share.
const NAMED: usize = 3;

/// The parameters of each resource: a part of each value's hash.
type Resources = BTreeMap<String, BTreeMap<String, String>>;

/// A node's catalog, or why there is none.
#[derive(Debug, Clone, Deserialize)]
struct Compiled {
    node: String,
    environment: String,
    resources: Option<Resources>,
    error: Option<String>,
}

/// Catalogs that one release compiled, by node.
#[derive(Debug, Default)]
pub struct Catalogs(BTreeMap<String, Compiled>);

/// What one release makes of the nodes, beside what the other does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Nodes that were compiled.
    pub nodes: usize,
    /// Nodes whose catalog the new release does not compile while the old one does: a line each.
    pub broken: Vec<String>,
    /// Nodes that neither compiles: a line each.
    pub broken_before: Vec<String>,
    /// Nodes whose catalogs differ.
    pub differ: usize,
    /// What differs, with the nodes that share it: a line each, the most common first.
    pub differences: Vec<String>,
}

/// The command that takes facts from its standard input.
pub fn take_facts() -> Vec<String> {
    ["sh", "-euc", &format!("umask 077; cat > {FACTS}")].map(String::from).to_vec()
}

/// The command that compiles, with so many processes.
pub fn compile(workers: u32) -> Vec<String> {
    ["ruby", "-e", include_str!("compile.rb"), FACTS, &workers.to_string()].map(String::from).to_vec()
}

/// A line of what [`compile`] says.
#[derive(Debug)]
pub enum Said<'a> {
    /// Another node is done.
    Progress,
    /// A catalog, to be added with [`Catalogs::add`].
    Catalog(&'a str),
    /// Something else.
    Other,
}

/// Reads a line.
pub fn read(line: &str) -> Said<'_> {
    match (line, line.strip_prefix("catalog ")) {
        ("compiled", _) => Said::Progress,
        (_, Some(json)) => Said::Catalog(json),
        _ => Said::Other,
    }
}

impl Catalogs {
    /// Adds what a line says of a node.
    ///
    /// # Errors
    /// It is not what our program says.
    pub fn add(&mut self, json: &str) -> Result<()> {
        let compiled: Compiled =
            serde_json::from_str(json).map_err(|e| Error::failed("a compiled catalog cannot be read").because(e))?;
        self.0.insert(compiled.node.clone(), compiled);
        Ok(())
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there is no node.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares with what the new release compiled.
    pub fn compare(&self, new: &Catalogs) -> Comparison {
        let mut comparison = Comparison { nodes: new.len(), ..Comparison::default() };
        let mut shared: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (name, after) in &new.0 {
            // Facts that came in between: there is nothing to compare with.
            let Some(before) = self.0.get(name) else { continue };
            match (&before.resources, &after.resources) {
                (Some(old), Some(new)) => {
                    let found = differences(old, new);
                    comparison.differ += usize::from(!found.is_empty());
                    found.into_iter().for_each(|line| shared.entry(line).or_default().push(name));
                }
                (Some(_), None) => comparison.broken.push(failure(after)),
                (None, None) => comparison.broken_before.push(failure(after)),
                // The new release compiles what the old one does not.
                (None, Some(_)) => {}
            }
        }
        let mut shared: Vec<(String, Vec<&str>)> = shared.into_iter().collect();
        shared.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
        comparison.differences = shared.iter().map(|(line, nodes)| format!("{line} ({})", named(nodes))).collect();
        comparison
    }
}

impl Comparison {
    /// For people, in a line.
    pub fn text(&self) -> String {
        let same = self.nodes - self.differ - self.broken.len() - self.broken_before.len();
        let mut text = format!("{} nodes compiled by both releases: {same} the same", self.nodes);
        for (count, what) in [
            (self.differ, "differ"),
            (self.broken.len(), "only by the old one"),
            (self.broken_before.len(), "by neither"),
        ] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        text
    }
}

fn failure(compiled: &Compiled) -> String {
    let why = compiled.error.as_deref().unwrap_or("no catalog");
    format!("{} in {}: {why}", compiled.node, compiled.environment)
}

fn named(nodes: &[&str]) -> String {
    let first = nodes.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    match nodes.len() {
        many if many > NAMED => format!("{first} and {} more", many - NAMED),
        _ => first,
    }
}

/// A line for each resource that is not the same in both.
fn differences(old: &Resources, new: &Resources) -> Vec<String> {
    let mut lines = vec![];
    for (resource, before) in old {
        let Some(after) = new.get(resource) else {
            lines.push(format!("{resource} goes"));
            continue;
        };
        let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
        let changed: Vec<&str> = names.filter(|n| before.get(*n) != after.get(*n)).map(String::as_str).collect();
        if !changed.is_empty() {
            lines.push(format!("{resource} changes in {}", changed.join(", ")));
        }
    }
    lines
        .extend(new.keys().filter(|resource| !old.contains_key(*resource)).map(|resource| format!("{resource} comes")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogs(lines: &[&str]) -> Catalogs {
        let mut catalogs = Catalogs::default();
        lines.iter().for_each(|line| catalogs.add(line).unwrap());
        catalogs
    }

    #[test]
    fn what_differs_is_told_once_for_all_nodes_that_share_it() {
        let node = |name: &str, rest: &str| format!(r#"{{"node":"{name}","environment":"production",{rest}}}"#);
        let old = r#""resources":{"File[/a]":{"content":"1","mode":"2"},"File[/b]":{}}"#;
        let new = r#""resources":{"File[/a]":{"content":"9","mode":"2","owner":"3"},"File[/c]":{}}"#;
        let broken = r#""error":"Evaluation Error: Unknown variable: 'x'""#;
        let lines = |rows: [(&str, &str); 6]| rows.map(|(name, rest)| node(name, rest));
        let before = lines([("a", old), ("b", old), ("c", old), ("d", old), ("broken", old), ("never", broken)]);
        let after = lines([("a", new), ("b", new), ("c", new), ("d", new), ("broken", broken), ("never", broken)]);
        let read = |lines: &[String]| catalogs(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let comparison = read(&before).compare(&read(&after));
        assert_eq!(comparison.broken, ["broken in production: Evaluation Error: Unknown variable: 'x'"]);
        assert_eq!(comparison.broken_before, ["never in production: Evaluation Error: Unknown variable: 'x'"]);
        assert_eq!(
            comparison.differences,
            [
                "File[/a] changes in content, owner (a, b, c and 1 more)",
                "File[/b] goes (a, b, c and 1 more)",
                "File[/c] comes (a, b, c and 1 more)"
            ]
        );
        assert_eq!(
            comparison.text(),
            "6 nodes compiled by both releases: 0 the same, 4 differ, 1 only by the old one, 1 by neither"
        );
        let same = read(&before).compare(&read(&before));
        assert_eq!((same.differ, same.broken.len()), (0, 0));
        assert_eq!(same.text(), "6 nodes compiled by both releases: 5 the same, 1 by neither");
    }

    #[test]
    fn lines_are_told_apart() {
        assert!(matches!(read("compiled"), Said::Progress));
        assert!(matches!(read("catalog {}"), Said::Catalog("{}")));
        assert!(matches!(read("warning: x"), Said::Other));
        assert!(Catalogs::default().add("{").is_err());
    }
}

//! What is said of many events at once: each thing that happened, and on which nodes. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::matching::Found;

/// The most lines of a message for people, and names in a line.
const LINES: usize = 20;
/// The most names of nodes in a line for people.
const NAMES: usize = 5;
/// The most names of nodes beside a thing for programs.
const ALL_NAMES: usize = 1_000;

/// Many events of one rule.
#[derive(Debug, Default)]
pub struct Message {
    things: BTreeMap<(String, &'static str), Vec<String>>,
    events: usize,
}

impl Message {
    /// Takes an event in.
    pub fn add(&mut self, found: &Found) {
        self.events += 1;
        for what in &found.what {
            let nodes = self.things.entry((what.to_string(), found.how)).or_default();
            if !nodes.iter().any(|node| node == found.node.as_str()) {
                nodes.push(found.node.to_string());
            }
        }
    }

    /// True when there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// For people, as Slack takes it.
    pub fn slack(&self, rule: &str) -> Value {
        let mut text = format!("*{}*", escaped(rule));
        for ((what, how), nodes) in self.things.iter().take(LINES) {
            let shown = nodes.iter().take(NAMES).map(|node| escaped(node)).collect::<Vec<_>>().join(", ");
            let rest = nodes.len().saturating_sub(NAMES);
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            let count = if nodes.len() == 1 { String::new() } else { format!("{} nodes: ", nodes.len()) };
            let _ = write!(text, "\n\u{2022} `{}` {how} on {count}{shown}{rest}", escaped(what).replace('`', "'"));
        }
        if self.things.len() > LINES {
            let _ = write!(text, "\n\u{2022} and {} more", self.things.len() - LINES);
        }
        json!({ "text": text })
    }

    /// For programs.
    pub fn webhook(&self, rule: &str, now: jiff::Timestamp) -> Value {
        let things = self.things.iter().map(|((what, how), nodes)| {
            json!({"what": what, "how": how.replace(' ', "_"), "count": nodes.len(),
                "nodes": nodes.iter().take(ALL_NAMES).collect::<Vec<_>>()})
        });
        json!({"type": "puppet.report", "timestamp": now.to_string(),
            "data": {"rule": rule, "events": self.events, "things": things.collect::<Vec<_>>()}})
    }
}

/// What Slack would take for a link or a mention.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(node: &str, what: &str) -> Found {
        Found { node: node.into(), what: vec![what.into()], how: "changed" }
    }

    #[test]
    fn many_nodes_are_one_line() {
        let mut message = Message::default();
        (0..412).for_each(|n| message.add(&found(&format!("web{n:03}"), "File[/etc/motd]")));
        message.add(&found("web000", "File[/etc/motd]"));
        message.add(&found("db01", "Exec[<!channel> `x`]"));
        let text = message.slack("motd")["text"].as_str().unwrap().to_owned();
        assert!(text.contains("`File[/etc/motd]` changed on 412 nodes: web000, web001"), "{text}");
        assert!(
            text.contains("and 407 more") && text.contains("Exec[&lt;!channel&gt; 'x']` changed on db01"),
            "{text}"
        );
        let body = message.webhook("motd", "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!((&body["data"]["events"], &body["data"]["things"][1]["count"]), (&json!(414), &json!(412)));
    }

    #[test]
    fn a_message_has_an_end() {
        let mut message = Message::default();
        (0..100).for_each(|n| message.add(&found("a", &format!("File[{n:03}]"))));
        let text = message.slack("r")["text"].as_str().unwrap().to_owned();
        assert_eq!(text.lines().count(), 22);
        assert!(text.ends_with("and 80 more"));
    }
}

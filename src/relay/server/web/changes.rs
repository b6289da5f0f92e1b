//! What a run changed or would change, and what was approved against what happened.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use super::markup::{E, badge};
use crate::relay::api::{Change, ChangeStatus, Comparison, Line, NodeResult, Verdict};

/// The most different changes that are shown.
const CHANGES: usize = 200;
/// The most names of nodes beside a change.
const NAMES: usize = 30;

/// What makes two changes the same: resource, property, both values, and what became of it.
type Same<'c> = (&'c str, Option<&'c str>, Option<&'c str>, Option<&'c str>, ChangeStatus);

/// Changes, each one once, with the nodes that have it: ten thousand nodes mostly have the same.
pub(super) fn changes(heading: &str, more: &str, nodes: &[NodeResult]) -> String {
    let mut groups: Vec<(&Change, Vec<&str>)> = Vec::new();
    let mut places: HashMap<Same<'_>, usize> = HashMap::new();
    let (mut unknown, mut uncounted, mut total) = (0, 0_usize, 0_usize);
    for node in nodes {
        let Some(changes) = &node.changes else {
            unknown += usize::from(node.status.is_final() && node.status.is_good());
            continue;
        };
        total += changes.total as usize;
        uncounted += changes.total as usize - changes.first.len();
        for change in &changes.first {
            let key = (
                change.resource.as_str(),
                change.property.as_ref().map(Line::as_str),
                change.from.as_ref().map(Line::as_str),
                change.to.as_ref().map(Line::as_str),
                change.status,
            );
            let place = *places.entry(key).or_insert_with(|| {
                groups.push((change, Vec::new()));
                groups.len() - 1
            });
            groups[place].1.push(node.certname.as_str());
        }
    }
    let mut out = String::from("<section id=\"changes\" data-live>\n");
    if groups.is_empty() && unknown == 0 {
        out.push_str("</section>\n");
        return out;
    }
    let _ = write!(out, "<h2>{heading}</h2>\n<p>{total} changes; {} different ones", groups.len());
    if uncounted > 0 {
        let _ = write!(out, ", and {uncounted} of which only the number is known");
    }
    if unknown > 0 {
        let _ = write!(out, ". Of {unknown} nodes the changes are not known: their reports have not been seen");
    }
    out.push('.');
    if !more.is_empty() {
        let _ = write!(out, " <a href=\"{more}\">Node by node</a>.");
    }
    out.push_str("</p>\n");
    groups.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.resource.as_str().cmp(b.0.resource.as_str())));
    out.push_str("<ul class=\"changes\">\n");
    for (change, names) in groups.iter().take(CHANGES) {
        let _ = write!(out, "<li>{}", line(change));
        out.push_str(&on(names));
        out.push_str("</li>\n");
    }
    out.push_str("</ul>\n");
    if groups.len() > CHANGES {
        let _ = writeln!(out, "<p>And {} more.</p>", groups.len() - CHANGES);
    }
    out.push_str("</section>\n");
    out
}

/// A change: what, from what, to what.
fn line(change: &Change) -> String {
    let mut out = format!("<code class=\"resource\">{}</code>", E(&change.resource));
    match &change.property {
        Some(property) => drop(write!(out, " <span>{}</span>", E(property))),
        None => out.push_str(" <span>refresh</span>"),
    }
    if let Some(from) = &change.from {
        let _ = write!(out, " <del>{}</del>", E(from));
    }
    if let Some(to) = &change.to {
        let _ = write!(out, " <span aria-hidden=\"true\">\u{2192}</span> <ins>{}</ins>", E(to));
    }
    if change.status == ChangeStatus::Failed {
        let _ = write!(out, " {}", badge("failed", "bad"));
    }
    if change.corrective {
        let _ = write!(out, " {}", badge("corrective", "warn"));
    }
    out
}

fn on(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("<span class=\"about\">on {}</span>", E(one)),
        _ => {
            let shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
            let rest = names.len().saturating_sub(NAMES);
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            format!("<details class=\"about\"><summary>on {} nodes</summary>{}{rest}</details>", names.len(), E(shown))
        }
    }
}

/// What was approved against what happened.
pub(super) fn compared(comparison: &Comparison) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    comparison.nodes.iter().for_each(|node| *counts.entry(node.verdict.as_str()).or_default() += 1);
    let mut out = String::from("<section id=\"compared\" data-live>\n<h2>Approved and done</h2>\n<p>");
    for verdict in [Verdict::AsApproved, Verdict::Drift, Verdict::Failed, Verdict::NotRun, Verdict::Unknown] {
        if let Some(count) = counts.get(verdict.as_str()) {
            let tone = match verdict {
                Verdict::AsApproved => "good",
                Verdict::Drift | Verdict::Failed => "bad",
                Verdict::NotRun | Verdict::Unknown => "plain",
            };
            let _ = write!(out, "{} ", badge(&format!("{count} {}", verdict.as_str().replace('_', " ")), tone));
        }
    }
    out.push_str("</p>\n<ul class=\"changes\">\n");
    let drifted = comparison.nodes.iter().filter(|node| !node.unapproved.is_empty() || !node.missing.is_empty());
    for node in drifted.take(CHANGES) {
        let _ = write!(out, "<li><strong>{}</strong><ul>", E(&node.certname));
        for (changes, word) in [(&node.unapproved, "not approved"), (&node.missing, "did not happen")] {
            for change in changes {
                let _ = write!(out, "<li>{} {}</li>", badge(word, "bad"), line(change));
            }
        }
        out.push_str("</ul></li>\n");
    }
    out.push_str("</ul>\n</section>\n");
    out
}

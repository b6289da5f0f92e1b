//! One run: how far it is, what its noop run found, the decision, and its nodes.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::changes::{changes, compared};
use super::form::Form;
use super::markup::{E, Page, badge, bar, csrf, state, time, tone, words};
use super::runs::{asker, count, name};
use super::session::Session;
use crate::relay::api::{
    ApprovalStatus, Comparison, Line, NodeResult, NodeStatus, Progress, Run, RunId, Status, TokenScope,
};
use crate::relay::server::http::Server;
use crate::relay::server::refusal::Refusal;

/// Nodes of one page.
const NODES: usize = 200;

/// Everything that the page shows.
struct Seen {
    run: Run,
    asker: String,
    nodes: Vec<NodeResult>,
    /// What is approved or was: the noop run's nodes, and how they compare with the real ones.
    noop: Option<(Run, Vec<NodeResult>)>,
    comparison: Option<Comparison>,
}

impl Server {
    /// The page.
    pub(super) fn run_page(&self, session: &Session, id: &RunId, query: &str) -> Result<Page, Refusal> {
        let form = Form::parse(query.as_bytes());
        let seen: Result<Seen, Refusal> = self.keeper.read(|book| {
            let all = |id: &RunId| book.nodes(&session.connection, id, 0, usize::MAX).map(|page| page.nodes);
            let entry = book.run(&session.connection, id)?;
            let run = entry.view();
            let noop = run.approval.as_ref().and_then(|approval| approval.preview.clone());
            let noop = noop.and_then(|id| Some((book.run(&session.connection, &id).ok()?.view(), all(&id).ok()?)));
            let taken = run.state.accepted_at.is_some() && run.state.status == Status::Complete;
            let comparison = match taken && noop.is_some() {
                true => Some(book.comparison(&session.connection, id, 0, usize::MAX)?),
                false => None,
            };
            let asker = asker(book, &entry.requester);
            Ok(Seen { nodes: all(id)?, run, asker, noop, comparison })
        });
        let seen = seen?;
        let run = &seen.run;
        let status = run.approval.as_ref().map(|approval| approval.status);
        let deciding = status == Some(ApprovalStatus::Waiting) && run.state.status != Status::Complete;
        let mut main = format!("<h1>{}</h1>\n", E(name(run)));
        main.push_str(&facts(&seen));
        main.push_str(&controls(&seen, session));
        if deciding {
            main.push_str(&decision(&seen, session));
        }
        if let Some((noop, nodes)) = &seen.noop
            && seen.comparison.is_none()
        {
            main.push_str(&changes("What would change", &format!("/runs/{}", noop.id), nodes));
        }
        if let Some(comparison) = &seen.comparison {
            main.push_str(&compared(comparison));
        }
        main.push_str(&nodes(&seen, form.value("state"), form.value("from")));
        if seen.noop.is_none() {
            let heading = if run.noop { "What would change" } else { "What changed" };
            main.push_str(&changes(heading, "", &seen.nodes));
        }
        let live = run.state.status != Status::Complete;
        Ok(Page {
            title: name(run),
            here: "",
            main,
            live: live.then(|| format!("/runs/{id}/live")),
            // Whoever writes a reason should not lose it.
            reload: (live && !deciding).then_some(5),
        })
    }
}

/// State and circumstances.
fn facts(seen: &Seen) -> String {
    let run = &seen.run;
    let mut out = format!("<section id=\"facts\" data-live>\n<p class=\"state\" role=\"status\">{}", state(run));
    if let Some(Progress { total, .. }) = run.state.progress {
        let ended: u32 = NodeStatus::ALL.into_iter().filter(|s| s.is_final()).map(|s| of(run, s)).sum();
        let _ = write!(out, " <span>{ended} of {total} nodes have ended</span>");
    }
    out.push_str("</p>\n");
    if let Some(progress) = &run.state.progress {
        out.push_str(&bar(progress));
    }
    let mut list: Vec<(&str, String)> =
        vec![("Run", E(&run.id).to_string()), ("Asked for by", E(&seen.asker).to_string())];
    list.extend(run.created_at.map(|at| ("Asked for", time(at))));
    list.extend(run.environment.as_ref().map(|name| ("Environment", E(name).to_string())));
    let options = [
        (run.noop, "noop"),
        (run.no_noop, "no noop"),
        (run.debug, "debug"),
        (run.trace, "trace"),
        (run.evaltrace, "evaltrace"),
    ];
    let options: Vec<&str> = options.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
    if !options.is_empty() {
        list.push(("Options", options.join(", ")));
    }
    list.extend(run.state.accepted_at.map(|at| ("Accepted", time(at))));
    if let Some(of) = &run.preview_of {
        list.push(("For", format!("<a href=\"/runs/{of}\">the run that waits for it</a>")));
    }
    if let Some(approval) = &run.approval {
        if let Some(preview) = &approval.preview {
            list.push(("Noop run", format!("<a href=\"/runs/{preview}\">{}</a>", &preview.as_str()[..8])));
        }
        let mut said = E(approval.status.as_str().replace('_', " ")).to_string();
        if let Some(by) = &approval.decided_by {
            let _ = write!(said, " by {}", E(by));
        }
        if let Some(at) = approval.decided_at {
            let _ = write!(said, ", {}", time(at));
        }
        if let Some(reason) = &approval.reason {
            let _ = write!(said, ": {}", E(reason));
        }
        list.push(("Approval", said));
        if approval.left_out > 0 {
            list.push(("Left out", format!("{} on which the noop run failed", several(approval.left_out as usize))));
        }
    }
    let why = run.state.run_results.as_ref().and_then(|results| results.get("result")?.get("msg")?.as_str());
    list.extend(why.map(|text| ("Remark", E(Line::from(text)).to_string())));
    out.push_str("<dl>\n");
    for (term, text) in list {
        let _ = writeln!(out, "<div><dt>{term}</dt><dd>{text}</dd></div>");
    }
    out.push_str("</dl>\n</section>\n");
    out
}

fn of(run: &Run, status: NodeStatus) -> u32 {
    run.state.progress.map_or(0, |progress| progress.of(status))
}

fn several(nodes: usize) -> String {
    if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") }
}

/// The button that stops it.
fn controls(seen: &Seen, session: &Session) -> String {
    let run = &seen.run;
    if run.state.status == Status::Complete || run.state.cancel_requested || !session.may(TokenScope::Run) {
        return "<section id=\"controls\" data-live></section>\n".into();
    }
    format!(
        "<section id=\"controls\" data-live><form method=\"post\" action=\"/runs/{}/cancel\">{}\
         <button>Stop this run</button></form></section>\n",
        run.id,
        csrf(session)
    )
}

/// The forms by which somebody decides.
fn decision(seen: &Seen, session: &Session) -> String {
    let run = &seen.run;
    let Some(approval) = &run.approval else { return String::new() };
    let mut out =
        String::from("<section id=\"decision\" class=\"card decision\" aria-labelledby=\"decide\" data-live>\n");
    out.push_str("<h2 id=\"decide\">Shall this run be carried out?</h2>\n");
    let _ = write!(out, "<p>On {}", several(count(run)));
    if let Some(at) = approval.expires_at {
        let _ = write!(out, "; until {}", time(at));
    }
    out.push_str(".</p>\n");
    if !session.may(TokenScope::Approve) {
        out.push_str("<p class=\"hint\">You are not signed in with the scope <code>approve</code>.</p>\n</section>\n");
        return out;
    }
    let _ = write!(
        out,
        "<form method=\"post\" action=\"/runs/{id}/approve\">{csrf}\n<label for=\"reason\">Reason (optional)</label>\n\
         <input id=\"reason\" name=\"reason\" maxlength=\"500\" autocomplete=\"off\">\n<div class=\"buttons\">\
         <button class=\"main\">Approve</button>\n<button formaction=\"/runs/{id}/deny\" class=\"danger\">Deny</button>\
         </div>\n</form>\n</section>\n",
        id = run.id,
        csrf = csrf(session)
    );
    out
}

/// The nodes, those with trouble first.
fn nodes(seen: &Seen, only: Option<&str>, from: Option<&str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    seen.nodes.iter().for_each(|node| *counts.entry(node.status.as_str()).or_default() += 1);
    let rank = |status: NodeStatus| match status {
        NodeStatus::Failed => 0,
        NodeStatus::Unreachable => 1,
        NodeStatus::Running => 2,
        NodeStatus::Changed | NodeStatus::WouldChange => 3,
        _ => 4,
    };
    let mut shown: Vec<&NodeResult> = seen
        .nodes
        .iter()
        .filter(|node| only.is_none_or(|only| only.is_empty() || node.status.as_str() == only))
        .collect();
    shown.sort_by_key(|node| rank(node.status));
    let from = from.and_then(|text| text.parse().ok()).unwrap_or(0_usize);
    let path = format!("/runs/{}", seen.run.id);
    let mut out = String::from("<section id=\"nodes\" data-live>\n<h2>Nodes</h2>\n<ul class=\"filter\">\n");
    let current = |on: bool| if on { " aria-current=\"true\"" } else { "" };
    let all = only.is_none_or(str::is_empty);
    let _ = writeln!(out, "<li><a href=\"{path}\"{}>{} in all</a></li>", current(all), seen.nodes.len());
    for status in NodeStatus::ALL {
        if let Some(count) = counts.get(status.as_str()) {
            let word = status.as_str();
            let _ = writeln!(
                out,
                "<li><a href=\"{path}?state={word}\" class=\"{}\"{}>{count} {}</a></li>",
                tone(status),
                current(only == Some(word)),
                words(status)
            );
        }
    }
    out.push_str("</ul>\n<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Table\"><table>\n<caption class=\"visually-hidden\">Nodes of this run</caption>\n<thead><tr>");
    for heading in ["Node", "State", "Code", "Took", "Report", "Message"] {
        let _ = write!(out, "<th scope=\"col\">{heading}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for node in shown.iter().skip(from).take(NODES) {
        out.push_str(&row(node));
    }
    out.push_str("</tbody></table></div>\n");
    let state = only.filter(|only| NodeStatus::ALL.iter().any(|status| status.as_str() == *only)).unwrap_or_default();
    out.push_str("<nav class=\"pages\" aria-label=\"More nodes\">\n");
    if from > 0 {
        let _ = writeln!(out, "<a href=\"{path}?state={state}&amp;from={}\">Before</a>", from.saturating_sub(NODES));
    }
    if shown.len() > from.saturating_add(NODES) {
        let _ = writeln!(out, "<a href=\"{path}?state={state}&amp;from={}\">After</a>", from + NODES);
    }
    out.push_str("</nav>\n</section>\n");
    out
}

fn row(node: &NodeResult) -> String {
    let took = match (node.started_at, node.finished_at) {
        (Some(start), Some(end)) => format!("{} s", end.duration_since(start).as_secs()),
        _ => String::new(),
    };
    let url = node.report_url.as_ref().map(ToString::to_string);
    // Another scheme than the web's would be run when somebody presses it.
    let url = url.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let report = match (url, &node.report_hash) {
        (Some(url), _) => {
            format!(
                "<a href=\"{}\" rel=\"noreferrer\">report<span class=\"visually-hidden\"> of {}</span></a>",
                E(url),
                E(&node.certname)
            )
        }
        (None, Some(hash)) => format!("<code>{}</code>", E(hash.as_str().chars().take(8).collect::<String>())),
        (None, None) => String::new(),
    };
    let message = node.message.as_ref().map(ToString::to_string).unwrap_or_default();
    let error = node.error.as_ref().map(|error| format!("{} ", badge(error.as_str(), "bad"))).unwrap_or_default();
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{took}</td><td>{report}</td><td>{error}{}</td></tr>\n",
        E(&node.certname),
        badge(&words(node.status), tone(node.status)),
        node.exit_code.map(|code| code.to_string()).unwrap_or_default(),
        E(message)
    )
}

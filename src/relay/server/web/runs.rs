//! The list of runs: what waits for a decision first, then all, the newest first.

use std::fmt::Write;

use super::form::Form;
use super::markup::{E, Page, bar, state, time};
use super::session::Session;
use crate::relay::api::{Run, TokenId};
use crate::relay::server::book::Book;
use crate::relay::server::http::Server;

/// Runs of one page.
const RUNS: usize = 50;

impl Server {
    /// The page.
    pub(super) fn runs_page(&self, session: &Session, query: &str) -> Page {
        let form = Form::parse(query.as_bytes());
        let offset = form.value("from").and_then(|text| text.parse().ok()).unwrap_or(0_usize);
        let (undecided, runs, more) = self.keeper.read(|book| {
            let seen = |entry: &crate::relay::server::book::Entry| (entry.view(), asker(book, &entry.requester));
            let undecided: Vec<_> = book.undecided(&session.connection).into_iter().take(20).map(seen).collect();
            let all = book.all(&session.connection, offset, RUNS + 1);
            let more = all.len() > RUNS;
            (undecided, all.into_iter().take(RUNS).map(seen).collect::<Vec<_>>(), more)
        });
        let mut main = String::from("<h1>Runs</h1>\n");
        main.push_str("<section id=\"undecided\" data-live>\n");
        if !undecided.is_empty() {
            main.push_str("<h2>Somebody has to decide</h2>\n<ul class=\"cards\">\n");
            for (run, asker) in &undecided {
                let expires = run.approval.as_ref().and_then(|approval| approval.expires_at);
                let _ = write!(
                    main,
                    "<li class=\"card\"><a href=\"/runs/{}\">{}</a><span>{} nodes, asked for by {}</span>",
                    run.id,
                    E(name(run)),
                    count(run),
                    E(asker)
                );
                if let Some(at) = expires {
                    let _ = write!(main, "<span>until {}</span>", time(at));
                }
                main.push_str("</li>\n");
            }
            main.push_str("</ul>\n");
        }
        main.push_str("</section>\n<section id=\"runs\" data-live>\n<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"Table\"><table>\n");
        main.push_str("<caption class=\"visually-hidden\">All runs, the newest first</caption>\n<thead><tr>");
        for heading in ["Run", "State", "Nodes", "Asked for"] {
            let _ = write!(main, "<th scope=\"col\">{heading}</th>");
        }
        main.push_str("</tr></thead>\n<tbody>\n");
        for (run, asker) in &runs {
            main.push_str(&row(run, asker));
        }
        main.push_str("</tbody></table></div>\n");
        if runs.is_empty() {
            main.push_str(
                "<p class=\"empty\">No runs yet. <code>pupperware relay run --nodes NODE</code> asks for one.</p>\n",
            );
        }
        main.push_str("</section>\n<nav class=\"pages\" aria-label=\"Older and newer runs\">\n");
        if offset > 0 {
            let _ = writeln!(main, "<a href=\"/?from={}\" rel=\"prev\">Newer</a>", offset.saturating_sub(RUNS));
        }
        if more {
            let _ = writeln!(main, "<a href=\"/?from={}\" rel=\"next\">Older</a>", offset + RUNS);
        }
        main.push_str("</nav>");
        Page { title: "Runs".into(), here: "Runs", main, live: Some("/live".into()), reload: Some(10) }
    }
}

/// Who asked for it.
pub(super) fn asker(book: &Book, token: &TokenId) -> String {
    book.token_name(token).map_or_else(|| token.to_string(), ToString::to_string)
}

/// What a run is called: why it is there, or else by its identifier.
pub(super) fn name(run: &Run) -> String {
    run.description.as_ref().map_or_else(|| format!("Run {}", &run.id.as_str()[..8]), ToString::to_string)
}

/// How many nodes it has, as far as they are known by name.
pub(super) fn count(run: &Run) -> usize {
    let heard = run.state.progress.map_or(0, |progress| progress.total as usize);
    run.scope.nodes().map_or(heard, <[_]>::len)
}

fn row(run: &Run, asker: &str) -> String {
    let mut out = String::from("<tr>");
    let _ = write!(out, "<th scope=\"row\"><a href=\"/runs/{}\">{}</a>", run.id, E(name(run)));
    let mut about = vec![run.id.as_str()[..8].to_owned()];
    if run.noop {
        about.push("noop".into());
    }
    if run.preview_of.is_some() {
        about.push("for an approval".into());
    }
    about.extend(run.environment.as_ref().map(|environment| format!("environment {environment}")));
    let _ = write!(out, "<span class=\"about\">{}</span></th>", E(about.join(" \u{b7} ")));
    let drifted = run.approval.as_ref().and_then(|approval| approval.drifted).unwrap_or(0);
    let _ = write!(out, "<td>{}", state(run));
    if drifted > 0 {
        let _ = write!(out, " <span class=\"badge bad\">drift on {drifted}</span>");
    }
    let _ = write!(out, "</td><td>{}", count(run));
    if let Some(progress) = &run.state.progress {
        out.push_str(&bar(progress));
    }
    out.push_str("</td><td>");
    if let Some(at) = run.created_at {
        out.push_str(&time(at));
    }
    let _ = writeln!(out, "<span class=\"about\">by {}</span></td></tr>", E(asker));
    out
}

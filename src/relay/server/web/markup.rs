//! What every page is made of: escaping, the frame around a page, times, states.

use std::fmt::{self, Display, Write};

use jiff::Timestamp;

use super::session::Session;
use crate::relay::api::{ApprovalStatus, NodeStatus, Progress, Run, Status};

/// Text in a page: what it shows is escaped, wherever it stands.
pub struct E<T>(pub T);

impl<T: Display> Display for E<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl Write for Escaping<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for c in text.chars() {
                    match c {
                        '&' => self.0.write_str("&amp;")?,
                        '<' => self.0.write_str("&lt;")?,
                        '>' => self.0.write_str("&gt;")?,
                        '"' => self.0.write_str("&quot;")?,
                        '\'' => self.0.write_str("&#39;")?,
                        c => self.0.write_char(c)?,
                    }
                }
                Ok(())
            }
        }
        write!(Escaping(f), "{}", self.0)
    }
}

/// A page, but for its frame.
#[derive(Debug, Default)]
pub struct Page {
    /// In the window's title.
    pub title: String,
    /// Which entry of the menu it is.
    pub here: &'static str,
    /// Its content, escaped.
    pub main: String,
    /// Where the script hears of news.
    pub live: Option<String>,
    /// Without a script, it is loaded again after so many seconds.
    pub reload: Option<u32>,
}

/// The page in its frame.
pub fn framed(page: &Page, session: Option<&Session>) -> String {
    let mut out = String::with_capacity(page.main.len() + 2_048);
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    let _ = writeln!(out, "<title>{} - Relay</title>", E(&page.title));
    out.push_str("<link rel=\"icon\" href=\"/relay/icon.svg\">\n<link rel=\"stylesheet\" href=\"/relay/style.css\">\n");
    if let Some(seconds) = page.reload {
        let _ = writeln!(out, "<noscript><meta http-equiv=\"refresh\" content=\"{seconds}\"></noscript>");
    }
    if page.live.is_some() {
        out.push_str("<script src=\"/relay/live.js\" defer></script>\n");
    }
    out.push_str("</head>\n");
    match &page.live {
        Some(path) => drop(writeln!(out, "<body data-live-from=\"{}\">", E(path))),
        None => out.push_str("<body>\n"),
    }
    out.push_str(
        "<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n<span class=\"brand\">Relay</span>\n",
    );
    if let Some(session) = session {
        out.push_str("<nav aria-label=\"Pages\"><ul>\n");
        let entries: &[(&str, &str)] =
            if session.run.is_some() { &[] } else { &[("/", "Runs"), ("/connections", "Connection")] };
        for (path, name) in entries {
            let current = if page.here == *name { " aria-current=\"page\"" } else { "" };
            let _ = writeln!(out, "<li><a href=\"{path}\"{current}>{name}</a></li>");
        }
        out.push_str("</ul></nav>\n<form class=\"who\" method=\"post\" action=\"/sign-out\">");
        let _ = write!(out, "{}<span>{} of {}</span> ", csrf(session), E(&session.name), E(&session.connection));
        out.push_str("<button class=\"quiet\">Sign out</button></form>\n");
    }
    let _ = write!(out, "</header>\n<main id=\"main\">\n{}\n</main>\n</body>\n</html>\n", page.main);
    out
}

/// The field that shows that a form came from a page of ours.
pub fn csrf(session: &Session) -> String {
    format!("<input type=\"hidden\" name=\"csrf\" value=\"{}\">", E(&session.csrf))
}

/// A time, to the second.
pub fn time(at: Timestamp) -> String {
    let shown = at.strftime("%d %b %Y, %H:%M:%S");
    format!("<time datetime=\"{}\">{shown} UTC</time>", at.strftime("%FT%TZ"))
}

/// A word in a box whose colour goes with it; the word alone says everything.
pub fn badge(word: &str, tone: &str) -> String {
    format!("<span class=\"badge {tone}\">{}</span>", E(word))
}

/// How far a run is.
pub fn state(run: &Run) -> String {
    let approval = run.approval.as_ref().map(|approval| approval.status);
    match (run.state.status, &run.state.outcome) {
        (Status::Complete, Some(outcome)) if outcome.is_good() => badge(outcome.as_str(), "good"),
        (Status::Complete, outcome) => badge(outcome.as_ref().map_or("complete", |o| o.as_str()), "bad"),
        (Status::Pending, _) if approval == Some(ApprovalStatus::Waiting) => badge("needs approval", "warn"),
        (Status::Pending, _) if approval == Some(ApprovalStatus::Previewing) => badge("noop run first", "plain"),
        (Status::Pending, _) if run.state.accepted_at.is_some() => badge("accepted", "plain"),
        (Status::Pending, _) => badge("waiting for a bridge", "plain"),
        (Status::InProgress, _) if run.state.cancel_requested => badge("stopping", "warn"),
        (Status::InProgress, _) => badge("under way", "busy"),
    }
}

/// The colour of a node's state.
pub fn tone(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Unchanged => "good",
        NodeStatus::Changed => "changed",
        NodeStatus::WouldChange | NodeStatus::Cancelled => "warn",
        NodeStatus::Failed | NodeStatus::Unreachable => "bad",
        NodeStatus::Running => "busy",
        NodeStatus::Pending | NodeStatus::Skipped => "plain",
    }
}

/// A node's state as words.
pub fn words(status: NodeStatus) -> String {
    status.as_str().replace('_', " ")
}

/// How many nodes are how far, as a bar. The words beside it say the same.
pub fn bar(progress: &Progress) -> String {
    let mut out =
        String::from("<svg class=\"bar\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    let total = f64::from(progress.total.max(1));
    let mut from = 0.0;
    // What is to come, at the end.
    let (open, ended): (Vec<_>, Vec<_>) = NodeStatus::ALL.into_iter().partition(|status| !status.is_final());
    for status in ended.into_iter().chain(open.into_iter().rev()) {
        let wide = 1000.0 * f64::from(progress.of(status)) / total;
        if wide > 0.0 {
            let _ = write!(out, "<rect class=\"{}\" x=\"{from:.1}\" width=\"{wide:.1}\" height=\"10\"/>", tone(status));
            from += wide;
        }
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_place() {
        assert_eq!(E("<a href='\"&x\">").to_string(), "&lt;a href=&#39;&quot;&amp;x&quot;&gt;");
        assert_eq!(E(7).to_string(), "7");
        let page = Page { title: "</title><script>".into(), ..Page::default() };
        assert!(!framed(&page, None).contains("<script>"));
    }

    #[test]
    fn a_bar_is_as_long_as_there_are_nodes() {
        let progress = [NodeStatus::Changed, NodeStatus::Failed, NodeStatus::Failed, NodeStatus::Pending];
        let bar = bar(&progress.into_iter().collect());
        assert!(bar.contains("class=\"bad\" x=\"500.0\" width=\"500.0\"") || bar.contains("width=\"500.0\""), "{bar}");
        assert_eq!(bar.matches("<rect").count(), 3);
    }
}

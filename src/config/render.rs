//! One problem as lines of text: place, message, the line of the file with carets, help.
//!
//! Whether there is colour is the caller's word; nothing here looks at the terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::problem::{Problem, Severity, Source, Span};

/// Longest stretch of a line that is shown, in characters.
const WIDTH: usize = 100;

/// The problem as text, each line ended by a newline.
///
/// Without a source, or for a problem without a place, only the message and the help are shown.
pub fn render(source: Option<&Source>, problem: &Problem, color: bool) -> String {
    let paint = Paint { color };
    let accent = match problem.severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
    };
    let accent = accent.on_default().bold();
    let mut out = String::new();

    let place = match (source, problem.span) {
        (Some(source), Some(span)) => format!("{}:{}:{}: ", source.name, span.line, span.column),
        (Some(source), None) if problem.path.is_empty() => format!("{}: ", source.name),
        _ => String::new(),
    };
    let path = match problem.path.as_str() {
        "" => String::new(),
        path => format!("{path}: "),
    };
    let severity = paint.with(accent, &format!("{}:", problem.severity));
    let _ = writeln!(out, "{place}{severity} {path}{}", problem.message);

    if let (Some(source), Some(span)) = (source, problem.span) {
        snippet(&mut out, source, span, "^", paint, accent);
        if let Some(related) = &problem.related {
            let note = paint.with(AnsiColor::Cyan.on_default().bold(), "note:");
            let Span { line, column, .. } = related.span;
            let _ = writeln!(out, "{}:{line}:{column}: {note} {}", source.name, related.message);
            snippet(&mut out, source, related.span, "-", paint, AnsiColor::Cyan.on_default());
        }
    }
    if let Some(suggestion) = &problem.suggestion {
        let help = paint.with(AnsiColor::Green.on_default().bold(), "help:");
        let _ = writeln!(out, "  {help} {suggestion}");
    }
    out
}

/// The line and the marks below it; nothing for a place past the end of the text.
fn snippet(out: &mut String, source: &Source, span: Span, mark: &str, paint: Paint, accent: Style) {
    let Some(line) = source.text.lines().nth(span.line.saturating_sub(1) as usize) else {
        return;
    };
    let chars: Vec<char> = line.chars().map(printable).collect();
    let start = (span.column.saturating_sub(1) as usize).min(chars.len());
    let len = (span.len as usize).min(chars.len() - start).max(1);

    // A line of a megabyte is legal YAML: show what surrounds the place.
    let from = if start > WIDTH * 3 / 4 { start - WIDTH / 2 } else { 0 };
    let to = chars.len().min(from + WIDTH);
    let (before, after) = (if from > 0 { "..." } else { "" }, if to < chars.len() { "..." } else { "" });
    let shown: String = chars[from..to].iter().collect();
    let pad = " ".repeat(before.len() + start - from);
    let marks = paint.with(accent, &mark.repeat(len.min(from + WIDTH - start)));

    let number = span.line.to_string();
    let gutter = " ".repeat(number.len());
    let (bar, number) = (paint.with(Style::new().dimmed(), "|"), paint.with(Style::new().dimmed(), &number));
    let _ = writeln!(out, "  {number} {bar} {before}{}{after}", shown.trim_end());
    let _ = writeln!(out, "  {gutter} {bar} {pad}{marks}");
}

/// Keeps columns and keeps escape sequences of a hostile file off the terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        // Characters that reorder what stands around them.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn with(self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, column: u32, len: u32) -> Span {
        Span { line, column, len }
    }

    fn source(text: &str) -> Source {
        Source { name: "pupperware.yaml".into(), text: text.into() }
    }

    #[test]
    fn shows_place_snippet_and_help() {
        let problem = Problem::error(at(2, 12, 5), "puppetserver.publish", "port 99999 is too large")
            .suggest("write a port from 1 to 65535");
        let text = render(Some(&source("puppetserver:\n  publish: 99999\n")), &problem, false);
        insta::assert_snapshot!(text, @r"
        pupperware.yaml:2:12: error: puppetserver.publish: port 99999 is too large
          2 |   publish: 99999
            |            ^^^^^
          help: write a port from 1 to 65535
        ");
    }

    #[test]
    fn shows_both_places_of_a_duplicate() {
        let problem = Problem::error(at(2, 1, 7), "project", "given twice").relate(at(1, 1, 7), "first given here");
        let text = render(Some(&source("project: a\nproject: b\n")), &problem, false);
        insta::assert_snapshot!(text, @r"
        pupperware.yaml:2:1: error: project: given twice
          2 | project: b
            | ^^^^^^^
        pupperware.yaml:1:1: note: first given here
          1 | project: a
            | -------
        ");
    }

    #[test]
    fn long_and_hostile_lines_are_tamed() {
        let text = format!("{}\x1b[2Jx\u{202e}", "a".repeat(500));
        let shown = render(Some(&source(&text)), &Problem::error(at(1, 501, 1), "", "bad"), false);
        assert!(shown.lines().all(|line| line.chars().count() < 130), "{shown}");
        assert!(!shown.contains('\x1b') && !shown.contains('\u{202e}'));
        let caret = shown.lines().nth(2).and_then(|l| l.find('^'));
        let sign = shown.lines().nth(1).and_then(|l| l.chars().position(|c| c == '\u{fffd}'));
        assert_eq!(caret, sign);
    }

    #[test]
    fn colour_only_when_asked() {
        let problem = Problem::error(at(9, 9, 9), "", "bad").suggest("good");
        assert!(!render(Some(&source("x")), &problem, false).contains('\x1b'));
        assert!(render(Some(&source("x")), &problem, true).contains('\x1b'));
    }
}

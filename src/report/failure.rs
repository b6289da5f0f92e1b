//! How a failure and a warning read: what, why, what was seen, what to do next.

use serde::Serialize;

use super::style::{BAD, HINT, WARN, paint};
use crate::error::Error;

/// A failure for people: `error: ...`, its causes, details as they are, and a hint.
pub fn text(error: &Error) -> String {
    let mut text = format!("{} {}\n", paint(BAD, "error:"), error.what);
    for cause in error.causes() {
        text += &format!("  {} {}\n", paint(BAD, "caused by:"), indent_rest(&cause, "    "));
    }
    if !error.details.is_empty() {
        text.push('\n');
    }
    for line in &error.details {
        text += format!("    {}", indent_rest(line, "    ")).trim_end();
        text.push('\n');
    }
    if let Some(hint) = &error.hint {
        text += &format!("\n{} {hint}\n", paint(HINT, "hint:"));
    }
    text
}

/// A warning for people, with its hint below it.
pub fn warning(text: &str, hint: Option<&str>) -> String {
    let mut lines = format!("{} {text}\n", paint(WARN, "warning:"));
    if let Some(hint) = hint {
        lines += &format!("{} {hint}\n", paint(HINT, "hint:"));
    }
    lines
}

/// A failure for programs.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    event: &'static str,
    kind: &'static str,
    message: &'a str,
    causes: Vec<String>,
    details: &'a [String],
    hint: Option<&'a str>,
    exit_code: u8,
}

impl<'a> Record<'a> {
    /// The record of this failure.
    pub fn of(error: &'a Error) -> Self {
        Record {
            event: "error",
            kind: error.kind.name(),
            message: &error.what,
            causes: error.causes(),
            details: &error.details,
            hint: error.hint.as_deref(),
            exit_code: error.kind.exit_code(),
        }
    }
}

fn indent_rest(text: &str, by: &str) -> String {
    text.trim_end().replace('\n', &format!("\n{by}"))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn reads_from_what_to_what_next() {
        let cause = anyhow::anyhow!("exit code 137").context("container puppetserver-1 ended");
        let error = Error::failed("puppetserver did not become ready")
            .because(cause)
            .details(["OutOfMemoryError".into(), "  at clojure.core".into()])
            .hint("give it more memory: `puppetserver.heap` in pupperware.yaml");
        assert_snapshot!(anstream::adapter::strip_str(&text(&error)), @"
        error: puppetserver did not become ready
          caused by: container puppetserver-1 ended
          caused by: exit code 137

            OutOfMemoryError
              at clojure.core

        hint: give it more memory: `puppetserver.heap` in pupperware.yaml
        ");
    }

    #[test]
    fn short_when_there_is_no_more_to_say() {
        let text = text(&Error::usage("no such service: web"));
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), "error: no such service: web\n");
    }
}

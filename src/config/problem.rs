//! What can be wrong with a configuration: one located problem, and the text it was found in.
//!
//! How a problem looks on a terminal lives in `render`; how it is found lives in `tree` and `validate`.

use std::fmt;

use serde::Serialize;

use super::render;
use crate::error::Error;

/// How many problems are printed before the rest is only counted.
const SHOWN: usize = 20;

/// A stretch of one line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in characters (not bytes).
    pub column: u32,
    /// How many characters, at least 1. May reach past the end of the line for values of several lines.
    pub len: u32,
}

/// Whether a problem stops the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, and the user should know this.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// A second place that explains a problem, such as where a duplicate key stood first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Where.
    pub span: Span,
    /// What is there, lower case.
    pub message: String,
}

/// One thing that is wrong with, or remarkable about, the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// Where in the file; none for a value that came from a flag or the environment.
    pub span: Option<Span>,
    /// The dotted path of the setting (`puppetserver.publish`, `puppetserver.autosign[1]`), the flag
    /// (`--channel`) or the variable (`PUPPERWARE_CHANNEL`); empty for a problem of the file as a whole.
    pub path: String,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// What to write or do instead.
    pub suggestion: Option<String>,
    /// Another place that explains it.
    pub related: Option<Related>,
}

impl Problem {
    /// An error at a place of the file.
    pub fn error(span: Span, path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem {
            severity: Severity::Error,
            span: Some(span),
            path: path.into(),
            message: message.into(),
            suggestion: None,
            related: None,
        }
    }

    /// A warning at a place of the file.
    pub fn warning(span: Span, path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { severity: Severity::Warning, ..Problem::error(span, path, message) }
    }

    /// An error in a value that stands in no file.
    pub fn outside(name: impl Into<String>, message: impl Into<String>) -> Self {
        Problem {
            severity: Severity::Error,
            span: None,
            path: name.into(),
            message: message.into(),
            suggestion: None,
            related: None,
        }
    }

    /// Adds what to do instead.
    pub fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(suggestion.into());
        self
    }

    /// Adds what to do instead, where something is known.
    pub fn maybe_suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// Adds the other place.
    pub fn relate(mut self, span: Span, message: impl Into<String>) -> Self {
        self.related = Some(Related { span, message: message.into() });
        self
    }
}

/// A configuration text and the name it is shown under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as the user would name it.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug, Clone)]
pub struct Invalid {
    /// Where the located problems are; none when no file was read.
    pub source: Option<Source>,
    /// Errors and warnings in the order of the file, those without a place last. At least one is an error.
    pub problems: Vec<Problem>,
}

impl Invalid {
    /// Orders the problems by their place.
    pub fn new(source: Option<Source>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| (p.span.is_none(), p.span));
        Invalid { source, problems }
    }

    /// How many of the problems are errors.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|p| p.severity == Severity::Error).count()
    }

    /// The failure to show (exit code 2): a heading, and each problem with its snippet as detail lines.
    pub fn into_error(self, color: bool) -> Error {
        let count = self.errors();
        let errors = if count == 1 { "error" } else { "errors" };
        let heading = match &self.source {
            Some(source) => format!("{} has {count} {errors}", source.name),
            None => format!("the configuration has {count} {errors}"),
        };
        let mut lines = Vec::new();
        for problem in self.problems.iter().take(SHOWN) {
            let text = render::render(self.source.as_ref(), problem, color);
            lines.extend(text.lines().map(str::to_owned));
        }
        if let Some(more) = self.problems.len().checked_sub(SHOWN).filter(|n| *n > 0) {
            lines.push(format!("... and {more} more"));
        }
        Error::usage(heading).details(lines)
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        invalid.into_error(false)
    }
}

/// A user's text as it may stand in a message: quoted, control characters escaped, cut after 160 characters.
pub fn quote(text: &str) -> String {
    const MOST: usize = 160;
    let cut: String = text.chars().take(MOST).collect();
    let dots = if text.chars().nth(MOST).is_some() { "..." } else { "" };
    format!("`{}{dots}`", cut.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_cannot_reach_the_terminal_raw() {
        assert_eq!(quote("a\x1b[31mb"), "`a\\u{1b}[31mb`");
        assert_eq!(quote("it's \"so\""), "`it's \"so\"`");
        assert_eq!(quote(&"x".repeat(161)), format!("`{}...`", "x".repeat(160)));
    }

    #[test]
    fn a_flood_of_problems_is_counted_not_printed() {
        let span = Span { line: 1, column: 1, len: 1 };
        let problems = vec![Problem::error(span, "", "bad"); 25];
        let error = Invalid::new(None, problems).into_error(false);
        assert_eq!(error.what, "the configuration has 25 errors");
        assert_eq!(error.details.last().map(String::as_str), Some("... and 5 more"));
        assert_eq!(error.kind.exit_code(), 2);
    }
}

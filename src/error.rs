//! The one error type of the program: what failed, why, what the user sees of it, and the exit code.
//!
//! Library rooms may have error types of their own (see `engine::error`); they turn into this one where
//! they leave their room. Printing lives in `report`, not here.

use std::fmt;

/// The result of everything that can fail in front of a user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is. It decides the exit code, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The operation was tried and failed; the platform is in the state that the message describes. Exit 1.
    Failed,
    /// The command line, the configuration or another input is wrong; nothing was changed. Exit 2.
    Usage,
    /// Nothing failed, but the platform differs from what it should be (`status --check`, `up --dry-run --exit-code`,
    /// `doctor`, `audit`). Exit 3.
    Differs,
    /// No Docker Engine could be reached, or it is too old or refuses us. Exit 4.
    Engine,
    /// A deadline passed. Exit 5.
    TimedOut,
    /// We decline: a flag is needed, or another change is under way. Exit 6.
    Refused,
    /// The operation failed, and everything that it had changed was undone. Exit 10.
    RolledBack,
    /// The user interrupted (Ctrl-C). Exit 130.
    Interrupted,
    /// The process was asked to end (SIGTERM). Exit 143.
    Terminated,
    /// A program that we ran for the user ended with this code, which becomes ours.
    Child(u8),
}

impl Kind {
    /// The process exit code, as documented in `docs/reference/exit-codes.md`.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Differs => 3,
            Kind::Engine => 4,
            Kind::TimedOut => 5,
            Kind::Refused => 6,
            Kind::RolledBack => 10,
            Kind::Interrupted => 130,
            Kind::Terminated => 143,
            Kind::Child(code) => code,
        }
    }

    /// A stable snake_case name, used in JSON output.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::Usage => "usage",
            Kind::Differs => "differs",
            Kind::Engine => "engine",
            Kind::TimedOut => "timed_out",
            Kind::Refused => "refused",
            Kind::RolledBack => "rolled_back",
            Kind::Interrupted => "interrupted",
            Kind::Terminated => "terminated",
            Kind::Child(_) => "child",
        }
    }
}

/// A failure, ready to be shown.
///
/// Printed as `error: <what>`, the causes, the details (log lines, snippets), and `hint: <next command>`.
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// What failed, lower case, without a full stop.
    pub what: String,
    /// Why, outermost first.
    pub source: Option<anyhow::Error>,
    /// Lines shown verbatim below the causes: the last log lines of a service, a config snippet.
    pub details: Vec<String>,
    /// The next command to type, or the thing to change.
    pub hint: Option<String>,
}

impl Error {
    /// A failure of this kind.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Error { kind, what: what.into(), source: None, details: Vec::new(), hint: None }
    }

    /// The operation failed (exit 1).
    pub fn failed(what: impl Into<String>) -> Self {
        Self::new(Kind::Failed, what)
    }

    /// Wrong input (exit 2).
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Kind::Usage, what)
    }

    /// Declined (exit 6).
    pub fn refused(what: impl Into<String>) -> Self {
        Self::new(Kind::Refused, what)
    }

    /// Adds the reason.
    pub fn because(mut self, source: impl Into<anyhow::Error>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the next thing to do. Commands go in backticks.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds lines to show verbatim.
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }

    /// The reasons, outermost first, each once.
    pub fn causes(&self) -> Vec<String> {
        let chain = self.source.iter().flat_map(|source| source.chain());
        let mut causes: Vec<String> = chain.map(ToString::to_string).collect();
        // Some libraries show their source in their own message, too.
        causes.dedup();
        causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for cause in self.causes() {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        for line in &self.details {
            write!(f, "\n  {line}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_then_each_cause() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::failed("cannot write the journal").because(anyhow::Error::from(io).context("flush"));
        assert_eq!(error.to_string(), "cannot write the journal: flush: disk on fire");
        assert_eq!(error.kind.exit_code(), 1);
    }
}

//! A Puppet agent's run: the command, and what its exit code means.

/// What an agent is asked for.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Show what would change, change nothing.
    pub noop: bool,
    /// Another environment than the server's choice.
    pub environment: Option<String>,
    /// Only resources with these tags.
    pub tags: Vec<String>,
}

/// The command of one run in an agent's container. Its exit code is Puppet's detailed one.
pub fn run_command(options: &RunOptions) -> Vec<String> {
    let mut command = vec!["/usr/local/bin/pupperware-agent-run".to_owned(), "--color=false".to_owned()];
    if options.noop {
        command.push("--noop".into());
    }
    if let Some(environment) = &options.environment {
        command.extend(["--environment".into(), environment.clone()]);
    }
    if !options.tags.is_empty() {
        command.extend(["--tags".into(), options.tags.join(",")]);
    }
    command
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The catalog was applied; nothing had to change.
    Unchanged,
    /// The catalog was applied; something changed.
    Changed,
    /// Some resources failed.
    Failures,
    /// There was no catalog, or another run is under way.
    NoRun,
}

impl Outcome {
    /// From `--detailed-exitcodes`: 0 unchanged, 2 changed, 4 failures, 6 changes and failures, 1 no run.
    pub fn from_code(code: i64) -> Self {
        match code {
            0 => Outcome::Unchanged,
            2 => Outcome::Changed,
            4 | 6 => Outcome::Failures,
            _ => Outcome::NoRun,
        }
    }

    /// True when the whole catalog was applied.
    pub fn ok(self) -> bool {
        matches!(self, Outcome::Unchanged | Outcome::Changed)
    }

    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Outcome::Unchanged => "unchanged",
            Outcome::Changed => "changed",
            Outcome::Failures => "resources failed",
            Outcome::NoRun => "no catalog was applied",
        }
    }
}

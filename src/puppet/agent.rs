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
        // Strict: else Puppet takes another environment when this one does not exist, and applies it.
        command.extend(["--strict_environment_mode".into(), "--environment".into(), environment.clone()]);
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

/// The detailed exit code of several runs together: 2 and 4 are bits, for "changed" and "failed" anywhere. A run that
/// applied no catalog (1, or a code that is none of Puppet's) outweighs them all.
pub fn combined(codes: impl IntoIterator<Item = i64>) -> u8 {
    codes.into_iter().fold(0, |all, code| match (all, code) {
        (1, _) => 1,
        (_, 0) => all,
        (_, 2) => all | 2,
        (_, 4) => all | 4,
        (_, 6) => all | 6,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_add_up_and_no_run_outweighs_them() {
        assert_eq!(combined([]), 0);
        assert_eq!(combined([0, 0]), 0);
        assert_eq!(combined([0, 2]), 2);
        assert_eq!(combined([2, 4]), 6);
        assert_eq!(combined([4, 0, 4]), 4);
        assert_eq!(combined([1, 2]), 1);
        assert_eq!(combined([6, 1, 0]), 1);
        assert_eq!(combined([2, 137]), 1);
        assert_eq!(combined([2, -1]), 1);
    }
}

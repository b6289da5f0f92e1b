//! What a run asks of each node: the words of one Puppet run.

use crate::relay::api::{Environment, Run, RunId};

/// A run, as a back-end needs it: nothing in it can be anything but what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of Puppet")]
pub struct Job {
    /// The run; reports carry it as their `job_id`.
    pub id: RunId,
    /// The environment, when one was asked for.
    pub environment: Option<Environment>,
    /// Change nothing.
    pub noop: bool,
    /// Enforce, whatever the node's own setting says.
    pub no_noop: bool,
    /// More output.
    pub debug: bool,
    /// Ruby's stack in errors.
    pub trace: bool,
    /// Each resource as it is evaluated.
    pub evaltrace: bool,
}

impl Job {
    /// What a run asks for.
    pub fn of(run: &Run) -> Self {
        Job {
            id: run.id.clone(),
            environment: run.environment.clone(),
            noop: run.noop,
            no_noop: run.no_noop && !run.noop,
            debug: run.debug,
            trace: run.trace,
            evaltrace: run.evaltrace,
        }
    }

    /// The command. What `--test` stands for, without `--show_diff`: differences of files can hold secrets, and they would
    /// leave the node.
    pub fn words(&self, puppet: &str) -> Vec<String> {
        let mut words: Vec<String> = [
            puppet,
            "agent",
            "--onetime",
            "--no-daemonize",
            "--no-usecacheonfailure",
            "--no-splay",
            "--detailed-exitcodes",
            "--verbose",
            "--no-show_diff",
            "--color=false",
        ]
        .map(String::from)
        .to_vec();
        words.extend(["--job-id".to_owned(), self.id.to_string()]);
        if let Some(environment) = &self.environment {
            words.extend(["--environment".to_owned(), environment.to_string()]);
        }
        let flags = [
            (self.noop, "--noop"),
            (self.no_noop, "--no-noop"),
            (self.debug, "--debug"),
            (self.trace, "--trace"),
            (self.evaltrace, "--evaltrace"),
        ];
        words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| (*flag).to_owned()));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_its_word_and_no_environment_means_the_nodes_own() {
        let run = |text: &str| Job::of(&serde_json::from_str(text).unwrap()).words("puppet").join(" ");
        let plain = run(
            r#"{"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{"status":"pending"},"scope":{"nodes":["a"]}}"#,
        );
        insta::assert_snapshot!(plain, @"puppet agent --onetime --no-daemonize --no-usecacheonfailure --no-splay --detailed-exitcodes --verbose --no-show_diff --color=false --job-id 8e659097-254a-4b27-bb93-88efea9a9f0e");
        let all =
            run(r#"{"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{"status":"pending"},"scope":{"nodes":["a"]},
                "environment":"dev","noop":true,"no_noop":true,"debug":true,"trace":true,"evaltrace":true}"#);
        assert!(all.ends_with("--environment dev --noop --debug --trace --evaltrace"), "{all}");
    }
}

//! What a Puppet run on one node came to, from its exit code and what it said. PuppetDB's report knows better, where it
//! can be had: see [`super::reports`].

use crate::relay::api::{Line, NodeName, NodeResult, NodeStatus};

/// How the attempt on one node ended, before anybody asked PuppetDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Puppet ended with this code, having said this last.
    Puppet {
        /// The exit code.
        code: i32,
        /// The end of its output.
        output: String,
    },
    /// The connection did not come about, or broke: what the transport said.
    Transport(String),
    /// It took longer than a node may.
    TimedOut,
    /// We stopped it, because somebody asked for it.
    Cancelled,
    /// The run's deadline passed.
    Deadline,
    /// The bridge itself could not do it.
    Local(String),
}

/// What is known of the node then.
pub fn result(node: NodeName, ended: &Ended) -> NodeResult {
    let (status, code, error, message) = match ended {
        Ended::Puppet { code, output } => puppet(*code, output),
        Ended::Transport(text) => transport(text),
        Ended::TimedOut => (NodeStatus::Failed, None, Some("timeout"), "the node took too long".to_owned()),
        Ended::Deadline => (NodeStatus::Failed, None, Some("deadline"), "the run's deadline passed".to_owned()),
        Ended::Cancelled => {
            (NodeStatus::Cancelled, None, None, "stopped; what the agent had begun, it may bring to its end".to_owned())
        }
        Ended::Local(text) => (NodeStatus::Failed, None, Some("bridge"), text.clone()),
    };
    NodeResult {
        exit_code: code,
        error: error.map(Line::from),
        message: (!message.is_empty()).then(|| Line::from(message)),
        ..NodeResult::new(node, status)
    }
}

type Parts = (NodeStatus, Option<i32>, Option<&'static str>, String);

/// Puppet's `--detailed-exitcodes`, and a shell's own codes. In noop, 0 does not tell whether anything would change.
fn puppet(code: i32, output: &str) -> Parts {
    let (status, error) = match code {
        0 => (NodeStatus::Unchanged, None),
        2 => (NodeStatus::Changed, None),
        4 | 6 => (NodeStatus::Failed, Some("resources")),
        126 | 127 => (NodeStatus::Failed, Some("no_agent")),
        254 => (NodeStatus::Failed, Some("out_of_memory")),
        129..=192 => (NodeStatus::Failed, Some("killed")),
        _ => (NodeStatus::Failed, Some(no_run(output))),
    };
    let message = if error.is_some() { said(output) } else { String::new() };
    (status, Some(code), error, message)
}

/// Why there was no run at all; Puppet has one code for all of it, so its words decide.
fn no_run(output: &str) -> &'static str {
    let has = |text: &str| output.contains(text);
    if has("already in progress") {
        "locked"
    } else if has("administratively disabled") {
        "disabled"
    } else if has("Could not retrieve catalog") || has("Failed to apply catalog") || has("Evaluation Error") {
        "catalog"
    } else if has("certificate") || has("SSL") {
        "certificate"
    } else {
        "no_run"
    }
}

/// What OpenSSH says, as a word.
fn transport(text: &str) -> Parts {
    let has = |words: &str| text.contains(words);
    let (status, error) = if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("Host key verification failed") {
        (NodeStatus::Failed, "host_key")
    } else if has("Permission denied") || has("Too many authentication failures") {
        (NodeStatus::Failed, "auth")
    } else {
        (NodeStatus::Unreachable, "unreachable")
    };
    let message = if error == "host_key" {
        "the node's host key is not the one that is known; if it was made anew on purpose, put the new one into known_hosts"
            .to_owned()
    } else {
        said(text)
    };
    (status, None, Some(error), message)
}

/// The most telling line: the first error, or else the last thing that was said.
fn said(output: &str) -> String {
    let lines = || output.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find(|line| line.starts_with("Error:") || line.starts_with("error:"));
    error.or_else(|| lines().next_back()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ended: Ended) -> NodeResult {
        result("web01".parse().unwrap(), &ended)
    }

    fn code(code: i32, output: &str) -> (NodeStatus, String) {
        let result = of(Ended::Puppet { code, output: output.into() });
        assert_eq!(result.exit_code, Some(code));
        (result.status, result.error.map(|e| e.to_string()).unwrap_or_default())
    }

    #[test]
    fn every_exit_code_has_a_meaning() {
        use NodeStatus::{Changed, Failed, Unchanged};
        assert_eq!(code(0, "noise"), (Unchanged, String::new()));
        assert_eq!(code(2, ""), (Changed, String::new()));
        assert_eq!(code(4, ""), (Failed, "resources".into()));
        assert_eq!(code(6, ""), (Failed, "resources".into()));
        assert_eq!(code(127, "sh: 1: puppet: not found"), (Failed, "no_agent".into()));
        assert_eq!(code(126, ""), (Failed, "no_agent".into()));
        assert_eq!(code(137, ""), (Failed, "killed".into()));
        assert_eq!(code(254, ""), (Failed, "out_of_memory".into()));
        for other in [1, 3, 5, 7, 255, -1] {
            assert_eq!(code(other, ""), (Failed, "no_run".into()));
        }
    }

    #[test]
    fn puppets_words_tell_why_there_was_no_run() {
        let cases = [
            (
                "Notice: Run of Puppet configuration client already in progress; skipping  (/x/agent_catalog_run.lock exists)",
                "locked",
            ),
            (
                "Notice: Skipping run of Puppet configuration client; administratively disabled (Reason: 'repair');",
                "disabled",
            ),
            ("Error: Could not retrieve catalog from remote server: Error 500 on SERVER: Evaluation Error", "catalog"),
            ("Error: The certificate for 'CN=x' has expired", "certificate"),
        ];
        for (output, error) in cases {
            assert_eq!(code(1, output).1, error, "{output}");
        }
    }

    #[test]
    fn what_openssh_says_is_told_apart() {
        let told = |text: &str| {
            let result = of(Ended::Transport(text.into()));
            (result.status, result.error.unwrap().to_string())
        };
        assert_eq!(told("ssh: connect to host a port 22: No route to host").1, "unreachable");
        assert_eq!(told("").0, NodeStatus::Unreachable);
        assert_eq!(told("root@a: Permission denied (publickey).").1, "auth");
        assert_eq!(
            told("@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\nHost key verification failed.").1,
            "host_key"
        );
    }

    #[test]
    fn the_message_is_the_first_error() {
        let result =
            of(Ended::Puppet { code: 1, output: "Info: a\nError: first\nError: second\nNotice: end\n".into() });
        assert_eq!(result.message.unwrap().as_str(), "Error: first");
    }
}

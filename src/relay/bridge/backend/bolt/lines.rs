//! What Bolt says with `--format json`: a document that is written as it goes, one node a line.
//!
//! ```text
//! { "items": [
//! {"target":"a","action":"command","object":"...","status":"success","value":{"exit_code":0,...}}
//! ,
//! {"target":"b",...}
//! ],
//! "target_count": 2, "elapsed_time": 3 }
//! ```
//!
//! Its own status counts Puppet's code 2, which stands for changes, as a failure; only `value` tells.

use serde::Deserialize;

use crate::relay::api::NodeName;
use crate::relay::bridge::verdict::Ended;

/// What became of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The node.
    pub node: NodeName,
    /// How it ended there.
    pub ended: Ended,
}

/// Reads one line after the other.
#[derive(Debug, Default)]
pub struct Reader {
    /// What comes behind the nodes.
    end: Option<String>,
}

/// No end of a document is longer.
const LONGEST_END: usize = 64 << 10;

#[derive(Deserialize)]
struct Item {
    target: String,
    value: Value,
}

#[derive(Deserialize)]
struct Value {
    exit_code: Option<i32>,
    #[serde(default)]
    stdout: Option<String>,
    #[serde(default)]
    stderr: Option<String>,
    #[serde(default)]
    merged_output: Option<String>,
    #[serde(default, rename = "_error")]
    error: Option<Trouble>,
}

#[derive(Deserialize)]
struct Trouble {
    #[serde(default)]
    issue_code: Option<String>,
    msg: String,
}

impl Reader {
    /// What a line tells of a node; nothing when it tells of none. Lines that are not understood are left out.
    pub fn take(&mut self, line: &str) -> Option<Told> {
        let line = line.trim();
        if let Some(end) = &mut self.end {
            if end.len() + line.len() < LONGEST_END {
                end.push_str(line);
                end.push('\n');
            }
            return None;
        }
        if let Some(rest) = line.strip_prefix("],") {
            self.end = Some(format!("{rest}\n"));
            return None;
        }
        let item: Item = serde_json::from_str(line.trim_matches(',')).ok()?;
        let node = item.target.parse().ok()?;
        Some(Told { node, ended: item.value.ended() })
    }

    /// Why Bolt itself gave up, when it says so.
    pub fn trouble(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct End {
            #[serde(rename = "_error")]
            error: Trouble,
        }
        let end: End = serde_json::from_str(&format!("{{{}", self.end.as_ref()?)).ok()?;
        Some(end.error.msg)
    }
}

impl Value {
    fn ended(self) -> Ended {
        if let Some(code) = self.exit_code {
            let both = || format!("{}\n{}", self.stdout.unwrap_or_default(), self.stderr.unwrap_or_default());
            return Ended::Puppet { code, output: self.merged_output.unwrap_or_else(both) };
        }
        let Some(error) = self.error else { return Ended::Local("Bolt tells neither a code nor an error".into()) };
        // In the words of OpenSSH, which the verdict knows.
        match error.issue_code.as_deref() {
            Some("HOST_KEY_ERROR") => Ended::Transport(format!("Host key verification failed. {}", error.msg)),
            Some("AUTH_ERROR") => Ended::Transport(format!("Permission denied. {}", error.msg)),
            Some("CONNECT_ERROR") => Ended::Transport(error.msg),
            _ => Ended::Local(error.msg),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::relay::api::NodeStatus;
    use crate::relay::bridge::verdict;

    /// As Bolt's own reference of its output has it, with the failures that its source knows.
    const RECORDED: &str = r#"{ "items": [
{"target":"a","action":"command","object":"x","status":"success","value":{"stdout":"ok\n","stderr":"","merged_output":"ok\n","exit_code":0}}
,
{"target":"b","action":"command","object":"x","status":"failure","value":{"stdout":"","stderr":"","merged_output":"","exit_code":2,"_error":{"kind":"puppetlabs.tasks/command-error","issue_code":"COMMAND_ERROR","msg":"The command failed with exit code 2","details":{"exit_code":2}}}}
,
{"target":"c","action":"command","object":"x","status":"failure","value":{"_error":{"kind":"puppetlabs.tasks/connect-error","issue_code":"CONNECT_ERROR","msg":"Failed to connect to c","details":{}}}}
,
{"target":"d","action":"command","object":"x","status":"failure","value":{"_error":{"kind":"puppetlabs.tasks/connect-error","issue_code":"HOST_KEY_ERROR","msg":"Host key verification failed for d","details":{}}}}
,
{"target":"e","action":"command","object":"x","status":"failure","value":{"_error":{"kind":"puppetlabs.tasks/connect-error","issue_code":"AUTH_ERROR","msg":"Authentication failed for user root@e","details":{}}}}
],
"target_count": 5, "elapsed_time": 3 }
"#;

    fn all(text: &str) -> (Vec<Told>, Reader) {
        let mut reader = Reader::default();
        let told = text.lines().filter_map(|line| reader.take(line)).collect();
        (told, reader)
    }

    #[test]
    fn every_node_is_told_of_with_puppets_own_code() {
        let (told, reader) = all(RECORDED);
        let seen: Vec<(String, NodeStatus, String)> = told
            .into_iter()
            .map(|told| verdict::result(told.node, &told.ended))
            .map(|r| (r.certname.to_string(), r.status, r.error.map(|e| e.to_string()).unwrap_or_default()))
            .collect();
        let want = [
            ("a", NodeStatus::Unchanged, ""),
            ("b", NodeStatus::Changed, ""),
            ("c", NodeStatus::Unreachable, "unreachable"),
            ("d", NodeStatus::Failed, "host_key"),
            ("e", NodeStatus::Failed, "auth"),
        ];
        assert_eq!(seen, want.map(|(node, status, error)| (node.to_owned(), status, error.to_owned())));
        assert_eq!(reader.trouble(), None);
    }

    #[test]
    fn bolts_own_failure_is_heard() {
        let text = "{ \"items\": [\n],\n\"_error\": \n{\"kind\":\"bolt/cli-error\",\"msg\":\"no such option\",\"details\":{}}\n}\n";
        let (told, reader) = all(text);
        assert_eq!((told, reader.trouble().as_deref()), (vec![], Some("no such option")));
    }

    proptest! {
        #[test]
        fn garbage_is_no_node(lines in proptest::collection::vec("\\PC{0,40}", 0..8)) {
            let (told, _) = all(&lines.join("\n"));
            prop_assert!(told.is_empty());
        }
    }
}

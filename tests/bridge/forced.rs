//! The one command that the bridge's key is good for on the platform's agents: what the bridge sends gets through, and
//! nothing else does.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use pupperware::images::context;
use pupperware::relay::bridge::backend::ssh::quote;
use pupperware::relay::bridge::job::Job;

const NONCE: &str = "pupperware-0123456789abcdef0123456789abcdef";

/// The script of the agent's image, and a `puppet` that tells its arguments and ends with 6.
struct Node {
    folder: tempfile::TempDir,
    script: PathBuf,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = context::files("agent").unwrap();
        let script = files.into_iter().find(|f| f.path == "pupperware-ssh-run").unwrap().content;
        let puppet = "#!/bin/sh\nprintf 'puppet'; printf ' [%s]' \"$@\"; echo; exit 6\n";
        for (name, text) in [("pupperware-ssh-run", script.as_str()), ("puppet", puppet)] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let script = folder.path().join("pupperware-ssh-run");
        Node { folder, script }
    }

    /// Its exit code and what it said.
    fn gets(&self, sent: &str) -> (Option<i32>, String) {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .arg(Path::new(&self.script))
            .env("PATH", path)
            .env("SSH_ORIGINAL_COMMAND", sent)
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn job(more: &str) -> Job {
    let run = format!(
        r#"{{"id":"8e659097-254a-4b27-bb93-88efea9a9f0e","state":{{"status":"pending"}},"scope":{{"nodes":["a"]}}{more}}}"#
    );
    Job::of(&serde_json::from_str(&run).unwrap())
}

#[test]
fn every_run_that_the_bridge_can_ask_for_gets_through() {
    let node = Node::new();
    for more in [
        "",
        r#","noop":true"#,
        r#","no_noop":true,"environment":"dev_2""#,
        r#","environment":"production","debug":true,"trace":true,"evaltrace":true"#,
    ] {
        let words = job(more).words("puppet");
        let (code, said) = node.gets(&quote::remote(&words, NONCE));
        let (inner, end) = quote::trailer(&said, NONCE).unwrap_or_else(|| panic!("{more}: {said}"));
        assert_eq!((code, inner), (Some(0), 6));
        let wanted: String = words[1..].iter().map(|word| format!(" [{word}]")).collect();
        assert_eq!(said[..end].trim_end(), format!("puppet{wanted}"));
    }
}

#[test]
fn nothing_else_gets_through() {
    let node = Node::new();
    let good = quote::remote(&job("").words("puppet"), NONCE);
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to)
    };
    for sent in [
        String::new(),
        "id".into(),
        "puppet agent --test".into(),
        good.clone() + "; id",
        good.clone() + "\nid",
        format!("id\n{good}"),
        changed("--verbose", "--verbose; id"),
        changed("--verbose", "--verbose $(id)"),
        changed("--verbose", "--config /tmp/x"),
        changed("--verbose", "--server=stranger"),
        changed("--verbose", "--tags x"),
        changed("--verbose", "--verbose --environment ../x"),
        changed("--verbose", "--verbose --environment --server"),
        changed("--verbose", "--verbose --environment"),
        changed("--verbose", "*"),
        changed("puppet agent", "puppet apply"),
        changed("puppet agent", "/tmp/puppet agent"),
        changed("8e659097-254a-4b27-bb93-88efea9a9f0e", "--server"),
        changed(NONCE, "x"),
        "x".repeat(5000),
    ] {
        assert_eq!(node.gets(&sent), (Some(126), String::new()), "{sent}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is put anywhere into a good command: it is refused, or Puppet gets nothing but words that are known.
    #[test]
    fn what_is_put_in_is_refused_or_harmless(at in 0.0..1.0f64, text in "[ -~\n]{1,12}") {
        let node = Node::new();
        let mut sent = quote::remote(&job(r#","environment":"dev""#).words("puppet"), NONCE);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in a short text")]
        sent.insert_str((at * sent.len() as f64) as usize, &text);
        let (code, said) = node.gets(&sent);
        if code != Some(126) {
            let flags = job(r#","environment":"x","noop":true,"debug":true,"trace":true,"evaltrace":true"#).words("puppet");
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            let known = |word: &str| {
                let word = word.trim_end_matches(']');
                flags.iter().any(|flag| flag == word) || !word.starts_with('-') && word.chars().all(plain)
            };
            let line = said.lines().next().unwrap_or_default();
            prop_assert!(line.starts_with("puppet [agent] ["), "{said}");
            prop_assert!(line.split(" [").skip(1).all(known), "{said}");
        }
    }
}

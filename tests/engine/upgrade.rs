//! Upgrades: from the one release line to the other, with everything that the platform has; undone where they fail.

use std::process::Command;

use serde_json::Value;

use crate::platform::{Platform, docker, turn};

/// A node from outside with the agent that the platform had when it came, whose certificate was signed by hand.
struct Node<'p> {
    platform: &'p Platform,
    image: String,
    name: String,
}

impl<'p> Node<'p> {
    fn new(platform: &'p Platform, name: &str) -> Self {
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &platform.container("agent")]);
        Node { platform, image, name: format!("{}-{name}", platform.project) }
    }

    /// One run: true when it applied its catalog.
    fn runs(&self) -> bool {
        let network = format!("{}_front", self.platform.project);
        let mount = format!("{}:/var/lib/puppet", self.name);
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--network", &network, "--volume", &mount, "--hostname", &self.name]);
        command.args(["--entrypoint", "puppet", &self.image, "agent", "--onetime", "--no-daemonize"]);
        command.args(["--server", "puppet", "--certname", &self.name, "--waitforcert", "0", "--detailed-exitcodes"]);
        matches!(command.output().unwrap().status.code(), Some(0 | 2))
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["volume", "rm", "--force", &self.name]).output();
    }
}

/// Rows of the database: nodes, factsets, catalogs, reports.
fn counts(platform: &Platform) -> Vec<u64> {
    let sql = "SELECT (SELECT count(*) FROM certnames), (SELECT count(*) FROM factsets), \
               (SELECT count(*) FROM catalogs), (SELECT count(*) FROM reports)";
    let psql = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", "puppetdb", "-w", "-X", "-A", "-t", "-F", " "];
    let text = platform.inside("postgres", &[&psql[..], &["-c", sql]].concat());
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

/// Every certificate and request, as `ca list` tells it.
fn certificates(platform: &Platform) -> Value {
    let list: Value = serde_json::from_str(&platform.ok(&["ca", "list", "-o", "json"]).stdout).unwrap();
    list["certificates"].clone()
}

fn volumes(platform: &Platform) -> String {
    docker(&["volume", "ls", "--quiet", "--filter", &format!("label=dev.pupperware.project={}", platform.project)])
}

/// Intent: a platform of the one line with reports, a revoked certificate and a pending request goes to the other line.
/// First its new PuppetDB dies: all is undone by itself. Then the program is killed half-way: nothing else touches the
/// platform, and the same command ends it. Nothing is missing, and agents of before go on.
#[test]
#[ignore = "not seen to pass since it or its surroundings changed: `make engine-all` runs it"]
fn a_platform_goes_to_the_next_line_or_stays_as_it_is() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.ok(&["up", "--channel", "lts"]);
    let (old, revoked, pending) =
        (Node::new(&platform, "old"), Node::new(&platform, "revoked"), Node::new(&platform, "pending"));
    for node in [&old, &revoked, &pending] {
        assert!(!node.runs(), "nobody has signed it");
    }
    platform.ok(&["--yes", "ca", "sign", &old.name, &revoked.name]);
    assert!(old.runs() && old.runs());
    platform.ok(&["--yes", "ca", "revoke", &revoked.name]);
    platform.ok(&["agent", "run"]);
    let (ca, server, list) = (platform.ca(), platform.server_certificate(), certificates(&platform));
    let state = |name: &str| list.as_array().unwrap().iter().find(|c| c["certname"] == name).unwrap()["state"].clone();
    assert_eq!((state(&revoked.name), state(&pending.name)), ("revoked".into(), "pending".into()));

    // What is refused, and what would be done.
    platform.ok(&["upgrade"]).says("channel stable is at 8.0.0");
    platform.run(&["upgrade", "--channel", "stable"]).expect(6).says("needs a yes");
    platform.ok(&["upgrade", "--channel", "stable", "--dry-run"]).says("copy database puppetdb");

    // PuppetDB of the new release dies: all is as before, and proved.
    let before = counts(&platform);
    let mut failed = platform.start(&["--yes", "upgrade", "--channel", "stable"]);
    failed.sees("start", &platform.container("puppetdb"));
    docker(&["kill", &platform.container("puppetdb")]);
    failed.end().expect(10).says("everything is as it was before: puppetdb died");
    let status = platform.status();
    assert_eq!((&status["release"], &status["proved"]), (&Value::from("7.0.0"), &Value::Bool(true)), "{status:#}");
    let after = counts(&platform);
    assert_eq!((&after[..3], after[3]), (&before[..3], before[3] + 1), "and the report of the proof");
    assert_eq!((platform.ca(), certificates(&platform)), (ca.clone(), list.clone()));
    assert!(!volumes(&platform).contains("postgres-data-17"));
    assert!(old.runs());
    platform.ok(&["up"]).says("nothing to do");

    // Killed when the new release takes the old one's place.
    let before = counts(&platform);
    let mut killed = platform.start(&["--yes", "upgrade", "--channel", "stable"]);
    killed.sees("start", &platform.container("puppetdb"));
    killed.signal("KILL");
    killed.end();
    platform.run(&["up"]).expect(6).says("between two releases").says("pupperware upgrade --rollback");
    assert_eq!(platform.status()["upgrading_to"], "8.0.0");
    platform.ok(&["--yes", "upgrade"]).says("runs release 8.0.0, upgraded from 7.0.0 and proved");

    let after = counts(&platform);
    assert_eq!((&after[..3], after[3]), (&before[..3], before[3] + 1), "and the report of the proof");
    assert_eq!((platform.ca(), platform.server_certificate(), certificates(&platform)), (ca, server, list));
    assert!(old.runs(), "an agent of the old release, with its certificate");
    assert!(!revoked.runs());
    platform.ok(&["agent", "run"]);
    let version = platform.inside("postgres", &["postgres", "--version"]);
    assert!(version.contains(" 17."), "{version}");
    let status = platform.status();
    assert_eq!((&status["release"], &status["channel"]), (&Value::from("8.0.0"), &Value::from("stable")));
    for volume in ["postgres-data", "postgres-data-17"] {
        assert!(volumes(&platform).lines().any(|v| v == platform.volume(volume)), "{volume} is there");
    }
    platform.ok(&["up"]).says("nothing to do");
    platform.ok(&["upgrade"]).says("nothing to do");
    platform.run(&["upgrade", "--channel", "lts"]).expect(6).says("is behind the 8.0.0 that runs");
    platform.run(&["upgrade", "--rollback"]).expect(6).says("no upgrade is under way");

    let history: Value = serde_json::from_str(&platform.ok(&["history", "-o", "json"]).stdout).unwrap();
    let changes = history["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["command"].as_str().is_some_and(|command| command.starts_with("upgrade")));
    let told: Vec<String> = changes.map(|c| format!("{} {} {}", c["command"], c["to"], c["result"])).collect();
    assert_eq!(
        told,
        [
            r#""upgrade" "8.0.0" "failed""#,
            r#""upgrade --rollback" "7.0.0" "done""#,
            r#""upgrade" "8.0.0" "unfinished""#,
            r#""upgrade" "8.0.0" "done""#
        ]
    );
}

//! Puppet runs on request: asked for on the command line, carried out by the bridge over SSH on the platform's own agents.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::platform::{Platform, Run, docker, eventually, turn};

/// What the servers apply: a file whose content this test changes, and a while in which a run can be caught.
const SITE: &str = "node default {\n  file { '/srv/relay-proof': content => \"CONTENT\\n\" }\n}\n";
const SLEEPS: &str = "cat /proc/*/cmdline | tr '\\0' ' ' | grep -q '[/]bin/sleep 12'";
const SLOW: &str = "node default {\n  exec { '/bin/sleep 12': }\n}\n";

/// Intent: a platform runs Puppet on its agents when somebody asks, and says what really happened
/// there; what it is not to do it refuses with a word; a bridge that is killed half-way neither runs twice nor loses a
/// run; switched off, it goes, the requests stay, and nobody gets into an agent any more.
#[test]
fn a_run_is_asked_for_carried_out_and_told() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("relay: { enabled: true }\n");
    platform.up();
    let agent = format!("{}-agent-1", platform.project);
    platform.ok(&["audit"]).says("clean, nothing was found");

    site(&platform, &SITE.replace("CONTENT", "first"));
    let noop = run(&platform, &["--nodes", &agent, "--noop"], 0);
    assert_eq!(node(&noop)["status"], "would_change", "{noop:#}");
    assert!(!there(&platform), "noop changes nothing");

    let changed = run(&platform, &["--nodes", &agent], 0);
    assert_eq!(node(&changed)["status"], "changed", "{changed:#}");
    assert_eq!(platform.inside("agent", &["cat", "/srv/relay-proof"]).trim(), "first");
    // PuppetDB has that very report, and knows for which run it was made.
    let hash = node(&changed)["report_hash"].as_str().expect("its report is linked").to_owned();
    let query = format!("reports?query=%5B%22%3D%22%2C%22hash%22%2C%22{hash}%22%5D");
    let reports: Value = serde_json::from_str(&platform.ask_puppetdb(&query).expect(0).stdout).unwrap();
    assert_eq!((&reports[0]["job_id"], &reports[0]["certname"]), (&changed["id"], &Value::from(agent.as_str())));
    let unchanged = run(&platform, &["--nodes", &agent], 0);
    assert_eq!(node(&unchanged)["status"], "unchanged", "{unchanged:#}");

    what_is_refused(&platform, &agent);
    nobody_else_gets_in(&platform);
    a_bridge_that_is_killed_goes_on(&platform, &agent);

    platform.ok(&["down"]);
    platform.up();
    let id = changed["id"].as_str().unwrap();
    platform.ok(&["relay", "runs", "show", id, "-o", "json"]).says(&hash);

    platform.configure("", "");
    platform.up();
    platform.run(&["relay", "run", "--nodes", &agent]).expect(2).says("relay.enabled");
    eventually("nobody listens in the agent", || !listens(&platform));
    let left = docker(&["volume", "ls", "-q"]);
    assert!(left.contains(&platform.volume("relay-data")) && !left.contains(&platform.volume("relay-config")));
    assert!(left.contains(&platform.volume("bridge-data")) && !left.contains(&platform.volume("bridge-config")));
    let authority = platform.ok(&["ca", "list", "-o", "json"]).stdout;
    assert!(!authority.contains(&format!("{}-bridge", platform.project)));
    platform.ok(&["audit"]).says("clean, nothing was found");
    assert_eq!(platform.status()["drift"]["state"], "none");
}

/// A node that is not this platform's, and one that cannot be reached.
fn what_is_refused(platform: &Platform, agent: &str) {
    let strange = run(platform, &["--nodes", "web01.example.com"], 6);
    assert_eq!(strange["state"]["outcome"], "error", "{strange:#}");
    assert_eq!(node(&strange)["status"], "skipped", "{strange:#}");
    let gone = format!("{}-agent-7", platform.project);
    let partly = run(platform, &["--nodes", &format!("{gone},{agent}")], 1);
    let status = |name: &str| {
        let nodes = partly["nodes"].as_array().unwrap();
        nodes.iter().find(|n| n["certname"] == name).unwrap()["status"].as_str().unwrap().to_owned()
    };
    assert_eq!((status(&gone).as_str(), status(agent).as_str()), ("unreachable", "unchanged"), "{partly:#}");
}

/// The bridge's key opens nothing but Puppet, and nothing else opens anything.
fn nobody_else_gets_in(platform: &Platform) {
    let agent = format!("{}-agent-1", platform.project);
    let ssh = |key: &str, words: &str| {
        let options = format!(
            "ssh -F none -i {key} -o BatchMode=yes -o UserKnownHostsFile=/etc/pupperware/ssh/known_hosts -p 2222 root@{agent} {words}"
        );
        let bridge = platform.container("bridge");
        let output = Command::new("docker").args(["exec", &bridge, "sh", "-c", &options]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let key = "/etc/pupperware/ssh/id";
    for words in ["id", "'puppet agent --test'", "''", "'exec sh -c \"id\"'"] {
        let (code, said) = ssh(key, words);
        assert_eq!(code, Some(126), "{words}: {said}");
    }
    let (code, said) = ssh("/etc/pupperware/ssl/key.pem", "id");
    assert!(code == Some(255) && said.contains("Permission denied"), "{said}");
}

/// Killed while Puppet runs, the bridge starts again by itself, finds the report, and tells the end. Puppet ran once.
fn a_bridge_that_is_killed_goes_on(platform: &Platform, agent: &str) {
    site(platform, SLOW);
    let before = platform.reports(agent).expect("PuppetDB answers");
    let asked = platform.ok(&["relay", "run", "--nodes", agent, "-o", "json"]);
    let asked: Value = serde_json::from_str(&asked.stdout).unwrap();
    let id = asked["id"].as_str().unwrap();
    eventually("Puppet runs in the agent", || {
        Command::new("docker")
            .args(["exec", &platform.container("agent"), "sh", "-c", SLEEPS])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    platform.inside("bridge", &["sh", "-c", "kill -KILL $(pidof pupperware)"]);
    let shown = || -> Value {
        let shown = platform.ok(&["relay", "runs", "show", id, "-o", "json"]);
        serde_json::from_str(&shown.stdout).unwrap()
    };
    eventually("the run's end is told", || shown()["state"]["status"] == "complete");
    let ended = shown();
    assert_eq!(
        (&ended["state"]["outcome"], &node(&ended)["status"]),
        (&"finished".into(), &"changed".into()),
        "{ended:#}"
    );
    assert_eq!(platform.reports(agent), Some(before + 1), "Puppet ran once");
}

/// `relay run --wait -o json` with this exit code, and what it printed.
fn run(platform: &Platform, more: &[&str], code: i32) -> Value {
    let ran: Run = platform.run(&[&["relay", "run", "--wait", "-o", "json"], more].concat()).expect(code);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.all()))
}

fn node(run: &Value) -> &Value {
    &run["nodes"][0]
}

fn there(platform: &Platform) -> bool {
    let look = ["exec", &platform.container("agent"), "test", "-e", "/srv/relay-proof"];
    Command::new("docker").args(look).status().is_ok_and(|status| status.success())
}

/// Whether SSH listens in the agent: port 2222 is 08AE.
fn listens(platform: &Platform) -> bool {
    platform.inside("agent", &["cat", "/proc/net/tcp", "/proc/net/tcp6"]).contains(":08AE ")
}

fn site(platform: &Platform, text: &str) {
    let place = "cat > /etc/puppet/code/environments/production/manifests/relay.pp";
    let mut child = Command::new("docker")
        .args(["exec", "-i", &platform.container("puppetserver"), "sh", "-c", place])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

//! Puppet runs on request: asked for on the command line, carried out by the bridge over SSH on the platform's own agents.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::platform::{Platform, Run, docker, eventually, turn};

/// What the servers apply: a file whose content this test changes, and a while in which a run can be caught.
const SITE: &str = "node default {\n  file { '/srv/relay-proof': content => \"CONTENT\\n\" }\n}\n";
const SLEEPS: &str = "cat /proc/*/cmdline | tr '\\0' ' ' | grep -q '[/]bin/sleep 12'";
const SLOW: &str = "node default {\n  exec { '/bin/sleep 12': }\n}\n";

/// With rules, and so with reports.
const RULES: &str = "relay: { enabled: true, rules: relay.yaml }\n";

/// Intent: a platform runs Puppet on its agents when somebody asks, and says what really happened
/// there; what changed is told to whom the rules name, also with another token and after a change of the rules; what it
/// is not to do it refuses with a word; a bridge that is killed half-way neither runs twice nor loses a run; switched
/// off, it goes, the requests stay, and nobody gets into an agent any more.
#[test]
fn a_run_is_asked_for_carried_out_and_told() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new(RULES);
    rules(&platform, "File[/srv/other]");
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

    what_changed_is_told_to_others(&platform, &agent);
    tokens_and_decisions(&platform, &agent);
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

/// The rules name a file that no run has changed yet, so nothing was told. With other rules only the Relay server starts
/// again; with other tokens, too; and then a change is told of by a signed webhook.
fn what_changed_is_told_to_others(platform: &Platform, agent: &str) {
    // The report of the run before is an event already.
    eventually("the report is an event", || events(platform).contains("File[/srv/relay-proof]"));
    let others = ["puppetserver", "puppetdb", "bridge", "agent"].map(|service| platform.touched(service));
    let relay = platform.touched("relay");
    rules(platform, "File[/srv/relay-proof]");
    platform.up();
    assert_ne!(platform.touched("relay"), relay, "other rules");
    for token in ["relay-trigger-token", "relay-bridge-token"] {
        let old = platform.inside("relay", &["cat", &format!("/etc/pupperware/secrets/{token}")]);
        platform.ok(&["secrets", "rotate", token]).says("the token is rotated");
        assert_eq!(answer(platform, "/_puppet/runs", old.trim()), "401", "the old {token}");
    }
    assert_eq!(["puppetserver", "puppetdb", "bridge", "agent"].map(|service| platform.touched(service)), others);
    platform.ok(&["up"]).says("nothing to do");

    let hook = Hook::new(platform);
    site(platform, &SITE.replace("CONTENT", "second"));
    let changed = run(platform, &["--nodes", agent], 0);
    assert_eq!(node(&changed)["status"], "changed", "{changed:#}");
    eventually("the webhook is called", || hook.got().contains("File[/srv/relay-proof]"));
    let got = hook.got();
    assert!(got.contains("webhook-signature: v1,") && got.contains("webhook-id: msg_"), "{got}");
    assert!(got.contains(&format!("\"nodes\":[\"{agent}\"]")) && got.contains("\"how\":\"changed\""), "{got}");
    // Nothing of a secret is where it could be seen.
    for service in ["puppetserver", "relay"] {
        let shown = docker(&["inspect", &platform.container(service)]);
        for secret in ["relay-trigger-token", "rules/proof.secret"] {
            let path = format!("/etc/pupperware/secrets/{secret}");
            if service == "relay" || secret == "relay-trigger-token" {
                let value = platform.inside(service, &["cat", &path]);
                assert!(value.trim().len() > 20 && !shown.contains(value.trim()), "{service} shows {secret}");
            }
        }
    }
}

/// Tokens of the user's own are rotated and revoked, and a run is denied, by way of the engine.
fn tokens_and_decisions(platform: &Platform, agent: &str) {
    let first = platform.ok(&["relay", "token", "create", "ci", "--scope", "run"]).stdout;
    let listed = || -> Vec<Value> {
        let list = platform.ok(&["relay", "token", "list", "-o", "json"]).stdout;
        let list: Value = serde_json::from_str(&list).unwrap();
        list["tokens"].as_array().unwrap().iter().filter(|token| token["name"] == "ci").cloned().collect()
    };
    let ids = || listed().iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let old = ids().remove(0);
    let second = platform.ok(&["relay", "token", "rotate", &old]).stdout;
    let opens = |token: &str| answer(platform, "/api/events?after=0", token.trim());
    assert_eq!(
        (opens(&first).as_str(), opens(&second).as_str(), ids().len()),
        ("200", "200", 2),
        "one replaces the other"
    );
    platform.ok(&["relay", "token", "revoke", &old]);
    assert_eq!((opens(&first).as_str(), opens(&second).as_str()), ("401", "200"));
    ids().iter().for_each(|id| drop(platform.ok(&["relay", "token", "revoke", id])));
    assert_eq!(opens(&second), "401");

    let before = platform.reports(agent).expect("PuppetDB answers");
    let asked = platform.ok(&["relay", "run", "--nodes", agent, "--needs-approval", "-o", "json"]).stdout;
    let asked: Value = serde_json::from_str(&asked).unwrap();
    let id = asked["id"].as_str().unwrap();
    platform.ok(&["relay", "deny", id, "--reason", "not today"]);
    let shown: Value = serde_json::from_str(&platform.ok(&["relay", "runs", "show", id, "-o", "json"]).stdout).unwrap();
    assert_eq!(
        (&shown["state"]["status"], &shown["state"]["outcome"]),
        (&"complete".into(), &"denied".into()),
        "{shown:#}"
    );
    assert_eq!(platform.reports(agent), Some(before), "nothing ran");
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

/// Rules about one resource, and what they name, beside the configuration.
fn rules(platform: &Platform, resource: &str) {
    let text = format!(
        "rules:\n- name: proof\n  on: {{resources: ['{resource}'], status: [changed]}}\n  coalesce_seconds: 1\n  \
         send: {{webhook: {{url_file: url, secret_file: secret}}}}\n"
    );
    std::fs::write(platform.folder().join("relay.yaml"), text).unwrap();
    let secrets = [("url", "http://127.0.0.1:9099/hook"), ("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];
    for (name, text) in secrets {
        let path = platform.folder().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Takes webhooks at the Relay server's own loopback address, where clear text is allowed, and prints them.
struct Hook(String);

impl Hook {
    fn new(platform: &Platform) -> Self {
        const TAKES: &str = r#"
            use IO::Socket::INET; $| = 1;
            my $door = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 9099, Listen => 5) or die $!;
            while (my $c = $door->accept) {
                my ($head, $body) = ("", "");
                while (my $line = <$c>) { $head .= $line; last if $line =~ /^\r?$/ }
                read($c, $body, $1) if $head =~ /content-length: (\d+)/i;
                print "$head$body\n";
                print $c "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                close $c;
            }"#;
        let name = format!("{}-hook", platform.project);
        let network = format!("container:{}", platform.container("relay"));
        let image = platform.image("puppetserver");
        docker(&[
            "run",
            "--detach",
            "--name",
            &name,
            "--network",
            &network,
            "--entrypoint",
            "perl",
            &image,
            "-e",
            TAKES,
        ]);
        Hook(name)
    }

    fn got(&self) -> String {
        docker(&["logs", &self.0])
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        docker(&["rm", "--force", &self.0]);
    }
}

/// Reports as the Relay server has them.
fn events(platform: &Platform) -> String {
    let ask = "curl -s --cacert /etc/pupperware/ssl/ca.pem -H \"authorization: Bearer $(cat $PUPPERWARE_RELAY_TOKEN_FILE)\" \
               'https://localhost:8170/api/events?after=0'";
    platform.inside("relay", &["sh", "-c", ask])
}

/// The status that somebody with this token gets.
fn answer(platform: &Platform, path: &str, token: &str) -> String {
    let header = format!("authorization: Bearer {token}");
    let url = format!("https://localhost:8170{path}");
    let ca = "/etc/pupperware/ssl/ca.pem";
    platform
        .inside("relay", &["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", ca, "-H", &header, &url])
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

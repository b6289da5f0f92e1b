//! Upgrades: from the one release line to the other, with everything that the platform has; undone where they fail.

use std::process::Command;

use serde_json::Value;

use crate::packages::fed;
use crate::platform::{Platform, docker, turn};

/// A node from outside with the agent that the platform had when it came, whose certificate was signed by hand.
pub struct Node<'p> {
    platform: &'p Platform,
    image: String,
    /// Its certname.
    pub name: String,
}

impl<'p> Node<'p> {
    /// It has not asked for a certificate yet.
    pub fn new(platform: &'p Platform, name: &str) -> Self {
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &platform.container("agent")]);
        Node { platform, image, name: format!("{}-{name}", platform.project) }
    }

    /// One run: true when it applied its catalog.
    pub fn runs(&self) -> bool {
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
pub fn counts(platform: &Platform) -> Vec<u64> {
    let sql = "SELECT (SELECT count(*) FROM certnames), (SELECT count(*) FROM factsets), \
               (SELECT count(*) FROM catalogs), (SELECT count(*) FROM reports)";
    let psql = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", "puppetdb", "-w", "-X", "-A", "-t", "-F", " "];
    let text = platform.inside("postgres", &[&psql[..], &["-c", sql]].concat());
    text.split_whitespace().map(|n| n.parse().unwrap()).collect()
}

/// Every certificate and request, as `ca list` tells it.
pub fn certificates(platform: &Platform) -> Value {
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
#[ignore = "takes 8 minutes: two upgrades, a return, and a kill"]
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
    platform.run(&["upgrade", "--rollback"]).expect(6).says("needs a yes");

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

/// Serves this as the only manifest.
fn serve(platform: &Platform, manifest: &str) {
    let script = "cd /etc/puppet/code/environments/production; mkdir -p manifests; cat > manifests/site.pp";
    let container = platform.container("puppetserver");
    assert!(fed(&["exec", "--interactive", &container, "sh", "-euc", script], manifest.as_bytes()));
}

/// A hook that writes down what it hears, and ends with this.
fn hook(platform: &Platform, ends: &str) {
    let text = format!(
        "#!/bin/sh\necho \"$PUPPERWARE_HOOK_PHASE $PUPPERWARE_HOOK_FROM $PUPPERWARE_HOOK_TO\" >> heard\n{ends}\n"
    );
    let path = platform.folder().join("hook");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

/// A window that is closed now and for the next two hours, by the clock of this machine.
fn closed_window() -> &'static str {
    match jiff::Zoned::now().hour() {
        6..18 => "20:00-04:00",
        _ => "08:00-16:00",
    }
}

/// Lists later releases of stream 8 beside the program's own: each with the components whose images are others than those of
/// the release before it.
pub fn list_releases(platform: &Platform, later: &[(&str, &[&str])]) {
    let text = include_str!("../../images/channels.yaml");
    let mut manifest: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let releases = manifest["releases"].as_sequence_mut().unwrap();
    for (version, components) in later {
        let mut release = releases.last().expect("the last one is of stream 8").clone();
        release["version"] = (*version).into();
        for name in *components {
            let component = &mut release["components"][*name];
            if component.get("arguments").is_none() {
                component["arguments"] = serde_yaml::Mapping::new().into();
            }
            component["arguments"]["REVISION"] = (*version).into();
        }
        releases.push(release);
    }
    std::fs::write(platform.folder().join("releases.yaml"), serde_yaml::to_string(&manifest).unwrap()).unwrap();
}

/// Crosses to the next line.
pub const TO_STABLE: [&str; 4] = ["--yes", "upgrade", "--channel", "stable"];

/// Intent: what is tried before an upgrade leaves the platform alone: code that the new release does not compile, a hook
/// that says no, a closed window, a rehearsal. The hooks hear of the upgrade.
#[test]
#[ignore = "takes 5 minutes: a rehearsal on a copy, and an upgrade"]
fn an_upgrade_is_tried_before() {
    let Some(_turn) = turn() else { return };
    let hooks = "upgrade: { before: hook, after: hook }\n";
    let platform = Platform::new(hooks);
    hook(&platform, "exit 1");
    platform.ok(&["up", "--channel", "lts"]);
    let untouched = || (platform.touched("puppetserver"), platform.touched("puppetdb"), counts(&platform));

    // Puppet 7 takes an unknown variable for nothing, Puppet 8 does not.
    serve(&platform, "node default { notify { \"a ${nowhere}\": } }");
    let before = untouched();
    let refused = platform.run(&TO_STABLE).expect(1);
    refused.says("the catalog of 1 node does not compile under the new release").says("Unknown variable: 'nowhere'");
    // The hook is asked next, and says no.
    serve(&platform, "node default { notify { \"by ${serverversion}\": } }");
    platform.run(&TO_STABLE).expect(1).says("Notify[by 7.").says("goes").says("said no");
    hook(&platform, "");
    let port = platform.port;
    let configuration = |upgrade: &str| {
        let text = format!(
            "project: {}\nrelay: {{ enabled: false }}\npuppetserver: {{ publish: \"127.0.0.1:{port}\" }}\n{upgrade}",
            platform.project
        );
        std::fs::write(platform.folder().join("pupperware.yaml"), text).unwrap();
    };
    configuration(&format!("upgrade: {{ window: \"{}\" }}\n", closed_window()));
    platform.run(&TO_STABLE).expect(6).says("the window for upgrades is").says("--outside-window");
    let rehearsed = platform.ok(&["upgrade", "--channel", "stable", "--prepare"]);
    rehearsed.says("the rehearsal went well").says("without an answer to agents");
    assert_eq!(untouched(), before);
    assert_eq!(docker(&["volume", "ls", "--quiet", "--filter", "name=pwrehearse-"]), "");
    platform.ok(&["up"]).says("nothing to do");

    configuration(hooks);
    std::fs::remove_file(platform.folder().join("heard")).unwrap();
    platform.ok(&["upgrade", "--channel", "stable", "--dry-run"]).says("without an answer: about");
    platform.ok(&TO_STABLE).says("way back:");
    let heard = std::fs::read_to_string(platform.folder().join("heard")).unwrap();
    assert_eq!(heard, "before 7.0.0 8.0.0\ndone 7.0.0 8.0.0\n");
}

/// Intent: an upgrade that is over can be left, and what came since is kept aside. Given up, its old data is gone. A release
/// that only another manifest lists is gone to, and the platform knows it from then on.
#[test]
#[ignore = "takes 6 minutes: three upgrades and a return"]
fn an_upgrade_is_left_and_repeated() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.ok(&["up", "--channel", "lts"]);
    let before = counts(&platform);
    platform.ok(&TO_STABLE);
    platform.ok(&["agent", "run"]);
    platform.run(&["upgrade", "--rollback"]).expect(6).says("reports came").says("needs a yes");
    platform.ok(&["--yes", "upgrade", "--rollback"]).says("runs release 7.0.0 again, and is proved");
    let status = platform.status();
    assert_eq!((&status["release"], &status["proved"]), (&Value::from("7.0.0"), &Value::Bool(true)), "{status:#}");
    let after = counts(&platform);
    assert_eq!((&after[..3], after[3]), (&before[..3], before[3] + 1), "what was, and the report of the proof");
    assert!(!volumes(&platform).contains("postgres-data-17"));
    platform.ok(&["up"]).says("nothing to do");
    let aside = std::fs::read_dir(platform.folder().join("backups")).unwrap().count();
    assert_eq!(aside, 2, "that of before, and what came since");

    // There for good.
    platform.ok(&TO_STABLE);
    platform.run(&["upgrade", "--prune"]).expect(6).says("is to be kept until");
    platform.ok(&["--yes", "upgrade", "--prune"]);
    assert!(!volumes(&platform).lines().any(|v| v == platform.volume("postgres-data")));
    platform.run(&["upgrade", "--rollback"]).expect(6).says("none is on record");

    // A release that the program does not know by itself.
    list_releases(&platform, &[("8.0.1", &["provision"])]);
    let listed = ["upgrade", "--manifest", "releases.yaml"];
    platform.run(&[&listed[..], &["--manifest-sha256", &"0".repeat(64)]].concat()).expect(6).says("was expected");
    let counted = counts(&platform);
    platform.ok(&listed).says("runs release 8.0.1");
    assert_eq!(counts(&platform)[..3], counted[..3]);
    platform.ok(&["up"]).says("nothing to do").says("8.0.1");
    platform.ok(&["upgrade"]).says("8.0.1");
    platform.ok(&["releases", "list"]).says("8.0.1");
}

//! A platform's ordinary life: it comes up proved, stays as it is, keeps its data, shows no secrets.

use std::process::Command;

use crate::platform::{Platform, docker, turn};

const SERVICES: [&str; 4] = ["postgres", "puppetdb", "puppetserver", "agent"];

/// Intent: one command brings up a proved platform, the second finds nothing to do, and what is there is as the
/// security model says.
#[test]
fn up_proves_the_platform_and_again_does_nothing() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    let first = platform.up();
    assert_eq!(first["channel"], "stable");

    let before = SERVICES.map(|s| platform.touched(s));
    platform.ok(&["up"]).says("nothing to do");
    assert_eq!(platform.status()["drift"]["state"], "none");
    assert_eq!(SERVICES.map(|s| platform.touched(s)), before, "no container was touched");
    let plan = platform.ok(&["up", "--dry-run", "--exit-code", "-o", "json"]).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["steps"].as_array().map(Vec::len), Some(0), "{plan:#}");

    no_secret_shows(&platform);
    let published = docker(&["ps", "--format", "{{.Ports}}", "--filter", &label(&platform)]);
    let published: Vec<&str> = published.lines().filter(|line| line.contains("->")).collect();
    assert_eq!(published.len(), 1, "{published:?}");
    assert!(published[0].contains("->8140/tcp"), "{published:?}");

    compose_knows_it(&platform);

    // Puppet's own tool works on the CA that we made.
    let list = platform.inside("puppetserver", &["puppetserver", "ca", "list", "--all"]);
    for name in ["puppet ", "puppetdb ", "postgres "] {
        assert!(list.contains(name), "{list}");
    }
    platform.ok(&["smoke", "-o", "junit"]).says("failures=\"0\"");
    platform.ok(&["agent", "run", "--noop"]);
    platform.ok(&["status", "--check"]);
    platform.ok(&["doctor"]).says("puppetserver runs from its class-data archive").says("puppetdb runs from its class");
}

/// Intent: containers and networks may go; the CA, certificates, nodes and reports stay.
#[test]
fn down_and_up_keep_everything() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    let (ca, certificate, report) = (platform.ca(), platform.server_certificate(), platform.report_time());

    platform.ok(&["down"]);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &label(&platform)]), "");
    platform.run(&["status", "--check"]).expect(3);
    let again = platform.ok(&["up"]);
    assert!(!again.stderr.contains("credentials: issued"), "no certificate was needed: {}", again.all());

    assert_eq!(platform.ca(), ca);
    assert_eq!(platform.server_certificate(), certificate);
    assert!(platform.report_time() > report, "the report's time moved forward");
}

/// Intent: two projects on one engine, one of each release line, do not touch each other.
#[test]
#[ignore = "not seen to pass since it or its surroundings changed: `make engine-all` runs it"]
fn two_platforms_live_side_by_side() {
    let Some(_turn) = turn() else { return };
    let (one, two) = (Platform::new(""), Platform::new("channel: lts\n"));
    one.up();
    let before = SERVICES.map(|s| one.touched(s));
    assert_eq!(two.up()["channel"], "lts");
    two.ok(&["up"]).says("nothing to do");
    two.ok(&["smoke"]);
    for platform in [&one, &two] {
        no_session_ticket_is_sent(platform);
    }
    assert_ne!(one.ca(), two.ca());
    two.ok(&["--yes", "down", "--destroy-data", "ALL"]);
    assert_eq!(SERVICES.map(|s| one.touched(s)), before);
    one.ok(&["up"]).says("nothing to do");
}

fn label(platform: &Platform) -> String {
    format!("label=dev.pupperware.project={}", platform.project)
}

/// Compose accepts the stack as a file, and groups what runs under the project's name.
fn compose_knows_it(platform: &Platform) {
    let stack = platform.ok(&["config", "show", "--format", "compose"]).stdout;
    std::fs::write(platform.folder().join("stack.yaml"), stack).unwrap();
    let compose = |arguments: &[&str]| {
        let mut command = Command::new("docker-compose");
        command.current_dir(platform.folder()).args(["--file", "stack.yaml", "--project-name", &platform.project]);
        let output = command.args(arguments).output().expect("docker-compose is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    compose(&["config", "--quiet"]);
    let grouped = compose(&["ps", "--quiet"]);
    for service in SERVICES {
        let id = docker(&["inspect", "--format", "{{.Id}}", &platform.container(service)]);
        assert!(grouped.contains(&id), "{service} is not among {grouped}");
    }
}

/// A TLS 1.3 session ticket is what makes agents stall for 30 s when they enrol (docs/concepts/enrolment-stall.md), so
/// the server must send none. Both lines, because each brings another JVM.
fn no_session_ticket_is_sent(platform: &Platform) {
    let ask = "sleep 2 | openssl s_client -connect puppet:8140 -tls1_3 -msg 2>&1";
    let said = platform.inside("agent", &["sh", "-c", ask]);
    assert!(said.contains("TLSv1.3, Cipher is"), "{said}");
    assert!(said.contains("<<< TLS 1.3, Handshake") && !said.contains("NewSessionTicket"), "{said}");
}

/// The database password is the one secret that services share; keys are PEM.
fn no_secret_shows(platform: &Platform) {
    let password = platform.inside("puppetdb", &["cat", "/etc/pupperware/secrets/puppetdb-password"]);
    let password = password.trim();
    assert!(password.len() >= 32, "a real password");
    for service in SERVICES {
        let container = platform.container(service);
        for shown in [docker(&["inspect", &container]), docker(&["logs", &container])] {
            assert!(!shown.contains(password) && !shown.contains("PRIVATE KEY"), "{service} shows a secret");
        }
    }
}

//! The database password is rotated: at once, or after a kill; with PuppetDB's restart and no other.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::platform::{Platform, docker, turn};

/// Intent: after a rotation the old password is refused, all go on with the new one, and only PuppetDB was restarted; a
/// rotation that was killed anywhere is finished by `up` or by the next one.
#[test]
fn a_rotated_password_is_the_only_one() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    let first = password(&platform, "puppetdb");
    assert!(logs_in(&platform, &first));
    let secret = listed(&platform);
    assert_eq!((&secret["rotated"], &secret["rotating"]), (&Value::Bool(false), &Value::Bool(false)));
    assert_eq!(secret["copies"].as_array().unwrap().len(), 2);
    assert!(secret["made_at"].is_string() && secret["copies"][1]["delivered_at"].is_string(), "{secret:#}");

    let others = ["postgres", "puppetserver", "agent"].map(|s| platform.touched(s));
    platform.ok(&["secrets", "rotate"]).says("puppetdb-password is rotated");
    let second = password(&platform, "puppetdb");
    assert_ne!(first, second);
    assert_eq!(password(&platform, "postgres"), second);
    assert!(logs_in(&platform, &second) && !logs_in(&platform, &first));
    assert_eq!(["postgres", "puppetserver", "agent"].map(|s| platform.touched(s)), others);
    platform.ok(&["up"]).says("nothing to do");
    let after = listed(&platform);
    assert_eq!((&after["rotated"], &after["rotating"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_ne!(after["made_at"], secret["made_at"]);

    // Both copies are new, and PostgreSQL's role is not.
    killed_after(&platform, "renew_secret");
    assert_eq!(listed(&platform)["rotating"], true);
    platform.run(&["up", "--dry-run", "--exit-code"]).expect(3);
    platform.up();
    let third = finished(&platform, &second);

    // The role is new, and PuppetDB knows the old one.
    killed_after(&platform, "set_password");
    platform.ok(&["secrets", "rotate"]);
    let fourth = finished(&platform, &third);

    for service in ["postgres", "puppetdb", "puppetserver", "agent"] {
        let container = platform.container(service);
        let shown = docker(&["inspect", &container]) + &all_logs(&container);
        for password in [&first, &second, &third, &fourth] {
            assert!(!shown.contains(password.as_str()), "{service} shows a password");
        }
    }
}

/// Whoever comes after a kill leaves the platform as a whole rotation does. The password that is valid now.
fn finished(platform: &Platform, before: &str) -> String {
    let now = password(platform, "puppetdb");
    assert_ne!(now, before);
    assert_eq!(password(platform, "postgres"), now);
    assert!(logs_in(platform, &now) && !logs_in(platform, before));
    assert_eq!(listed(platform)["rotating"], false);
    let report = platform.report_time();
    platform.ok(&["agent", "run"]);
    // Stored by PuppetDB as soon as it gets to it.
    let stored = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        platform.report_time() > report
    });
    assert!(stored, "the report was stored");
    platform.ok(&["up"]).says("nothing to do");
    now
}

fn password(platform: &Platform, service: &str) -> String {
    platform.inside(service, &["cat", "/etc/pupperware/secrets/puppetdb-password"]).trim().to_owned()
}

/// Whether PostgreSQL lets PuppetDB's user in with this password, as it comes: over TLS.
fn logs_in(platform: &Platform, password: &str) -> bool {
    let target =
        "host=localhost user=puppetdb dbname=puppetdb sslmode=verify-full sslrootcert=/etc/pupperware/ssl/ca.pem";
    let mut command = Command::new("docker");
    command.args(["exec", "--env", &format!("PGPASSWORD={password}"), &platform.container("postgres")]);
    let output = command.args(["psql", target, "-w", "-X", "-c", "SELECT 1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || said.contains("password authentication failed"), "{said}");
    output.status.success()
}

/// The database password, as `secrets list` tells of it.
fn listed(platform: &Platform) -> Value {
    let text = platform.ok(&["secrets", "list", "-o", "json"]).stdout;
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["secrets"][0]["name"], "puppetdb-password");
    list["secrets"][0].clone()
}

fn all_logs(container: &str) -> String {
    let output = Command::new("docker").args(["logs", container]).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Starts a rotation, and kills it when a step of this kind has ended.
fn killed_after(platform: &Platform, kind: &str) {
    let mut command = platform.command(&["--progress", "json", "secrets", "rotate"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut wanted, mut killed) = (Value::Null, false);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap_or_default();
        if event["event"] == "step_started" && event["kind"] == kind {
            wanted = event["id"].clone();
        }
        if event["event"] == "step_finished" && event["id"] == wanted {
            child.kill().unwrap();
            killed = true;
            break;
        }
    }
    child.wait().unwrap();
    assert!(killed, "no {kind} in a rotation");
}

//! Reports on their way to the platform's Relay server, the rules by which it tells others of them, and its tokens.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use insta::assert_snapshot;
use pupperware::desired::Desired;
use pupperware::plan::{Action, reconcile, rotate};

use crate::engine::Engine;
use crate::world::{failure, platform, platform_in, running, text, up};

const WITH: &str = "relay: {}";
const REPORTS: &str = "relay: { reports: true }";
const RULES: &str = "relay: { rules: relay.yaml }";

fn content<'d>(desired: &'d Desired, volume: &str, path: &str) -> &'d str {
    let file = desired.files[volume].iter().find(|f| f.path == path);
    &file.unwrap_or_else(|| panic!("no {path} in {volume}")).content
}

/// A folder with rules, and the address that they name.
fn folder(url: &str, resource: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    change(folder.path(), url, resource);
    folder
}

fn change(folder: &Path, url: &str, resource: &str) {
    let rules =
        format!("rules:\n- name: motd\n  on: {{resources: ['{resource}']}}\n  send: {{slack: {{url_file: url}}}}\n");
    std::fs::write(folder.join("relay.yaml"), rules).unwrap();
    std::fs::write(folder.join("url"), url).unwrap();
    std::fs::set_permissions(folder.join("url"), std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn without_them_the_servers_know_nothing_of_the_relay() {
    for yaml in ["", WITH, "relay: { reports: false }", "relay: { enabled: false, reports: true }"] {
        let desired = platform(yaml);
        assert!(content(&desired, "puppetserver-config", "puppet.conf").contains("\nreports = puppetdb\n"), "{yaml}");
        assert!(!desired.files["puppetserver-config"].iter().any(|f| f.path.contains("relay")), "{yaml}");
        assert!(!desired.credentials.request(&[]).contains("trigger"), "{yaml}");
    }
    let arguments = platform(WITH);
    assert_snapshot!(content(&arguments, "relay-config", "arguments"), @"
    --keep-token=bridge=bridge:/etc/pupperware/secrets/relay-bridge-token
    --keep-token=operator=run,approve:/etc/pupperware/secrets/relay-operator-token
    --drop-token=puppetserver
    ");
}

#[test]
fn with_them_every_server_has_the_processor_and_a_token_in_a_file() {
    let desired = platform("relay: { reports: true }\ncompilers: { replicas: 1 }");
    for volume in ["puppetserver-config", "compiler-1-config"] {
        assert!(content(&desired, volume, "puppet.conf").contains("\nreports = puppetdb,relay\n"));
        let jruby = content(&desired, volume, "conf.d/puppetserver.conf");
        assert!(
            jruby.contains("ruby-load-path: [/usr/lib/puppetserver/ruby/vendor_ruby, /etc/pupperware/ruby]"),
            "{jruby}"
        );
        let files = &desired.files[volume];
        let processor = files.iter().find(|f| f.path == "ruby/puppet/reports/relay.rb").unwrap();
        assert_eq!((processor.owner, processor.mode), ((0, 920), 0o640), "the server runs it, and cannot change it");
        assert!(processor.content.contains("register_report(:relay)"));
        insta::allow_duplicates! {
            assert_snapshot!(content(&desired, volume, "relay.yaml"), @"
            # Written by pupperware; changes are overwritten.
            url: https://relay:8170
            token_file: /etc/pupperware/secrets/relay-trigger-token
            ca_file: /var/lib/puppet/ssl/certs/ca.pem
            ");
        }
    }
    let request = desired.credentials.request(&[]);
    let ours: Vec<&str> = request.lines().filter(|line| line.contains("trigger")).collect();
    assert_snapshot!(ours.join("\n"), @"
    secret relay-trigger-token 24
    copysecret relay-trigger-token relay-config secrets/relay-trigger-token 925
    copysecret relay-trigger-token puppetserver-config secrets/relay-trigger-token 920
    ");
    assert_snapshot!(content(&desired, "relay-config", "arguments"), @"
    --keep-token=bridge=bridge:/etc/pupperware/secrets/relay-bridge-token
    --keep-token=operator=run,approve:/etc/pupperware/secrets/relay-operator-token
    --keep-token=puppetserver=trigger:/etc/pupperware/secrets/relay-trigger-token
    ");
    // No container has it in its environment or arguments.
    assert!(
        !serde_json::to_string(&desired.replicas.iter().map(|r| &r.spec).collect::<Vec<_>>())
            .unwrap()
            .contains("trigger")
    );
}

#[test]
fn switched_on_and_off_where_a_platform_runs() {
    let (_, mut engine) = running(WITH);
    let on = platform(REPORTS);
    assert_snapshot!(up(&on, &engine), @"
     0  stop container demo-puppetserver-1  (its configuration changed)
     1  remove container demo-puppetserver-1  (its configuration changed)  after 0
     2  stop container demo-relay-1  (its configuration changed)
     3  remove container demo-relay-1  (its configuration changed)  after 2
     4  remember credentials  (the old names hold no longer)
     5  issue credentials  (certificate names or secrets changed)  after 1,3,4
     6  write configuration into volume puppetserver-config  (its configuration changed)  after 1
     7  create container demo-puppetserver-1  (its configuration changed)  after 1,5,6
     8  start container demo-puppetserver-1  (it is new)  after 7
     9  wait for container demo-puppetserver-1  (it starts)  after 8
    10  write configuration into volume relay-config  (its configuration changed)  after 3
    11  create container demo-relay-1  (its configuration changed)  after 3,5,10
    12  start container demo-relay-1  (it is new)  after 11
    13  wait for container demo-relay-1  (it starts)  after 12
    14  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 5,9,13
    15  give the revocation list to container demo-puppetdb-1  (what was issued anew is revoked there)  after 5,9,13
    16  give the revocation list to container demo-bridge-1  (what was issued anew is revoked there)  after 5,9,13
    17  remember credentials  (so that it is issued once)  after 4,5,14,15,16
    18  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,3,4,9,13,14,15,16,17
    19  remember record  (so that it is proved once)  after 17,18
    ");
    engine.up(&on);
    engine.check(&on);
    assert_eq!(up(&on, &engine), "nothing to do\n");
    let off = platform(WITH);
    engine.up(&off);
    engine.check(&off);
    assert_eq!(up(&off, &engine), "nothing to do\n");
}

#[test]
fn a_compiler_gets_its_copy_before_it_starts() {
    let yaml = "relay: { reports: true }\ncompilers: { replicas: 2 }";
    let (desired, mut engine) = running(yaml);
    engine.check(&desired);
    let more = platform("relay: { reports: true }\ncompilers: { replicas: 3 }");
    let plan = engine.up(&more);
    engine.check(&more);
    let request = plan.steps.iter().find_map(|step| match &step.action {
        Action::EnrolCompilers { request, .. } => Some(request.as_str()),
        _ => None,
    });
    assert_snapshot!(request.unwrap(), @"
    eyaml compiler-3-config 920
    copysecret relay-trigger-token compiler-3-config secrets/relay-trigger-token 920
    ");
}

#[test]
fn rules_come_with_reports_and_their_change_restarts_the_relay_alone() {
    let folder = folder("https://hooks.example.com/s3cret", "File[/etc/motd]");
    let desired = platform_in(Some(folder.path()), RULES);
    assert!(content(&desired, "puppetserver-config", "puppet.conf").contains("reports = puppetdb,relay"));
    let mut engine = Engine::with_images(&desired);
    let plan = engine.up(&desired);
    engine.check(&desired);
    let said = serde_json::to_string(&plan.steps.iter().map(|s| &s.action).collect::<Vec<_>>()).unwrap();
    assert!(!said.contains("s3cret"), "what is secret is read when it is delivered");
    assert!(said.contains("secrets/rules/motd.url"));

    change(folder.path(), "https://hooks.example.com/s3cret", "File[/etc/issue]");
    let other = platform_in(Some(folder.path()), RULES);
    assert_snapshot!(up(&other, &engine), @"
    0  stop container demo-relay-1  (its configuration changed)
    1  remove container demo-relay-1  (its configuration changed)  after 0
    2  write configuration into volume relay-config  (its configuration changed)  after 1
    3  create container demo-relay-1  (its configuration changed)  after 1,2
    4  start container demo-relay-1  (it is new)  after 3
    5  wait for container demo-relay-1  (it starts)  after 4
    6  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,5
    7  remember record  (so that it is proved once)  after 6
    ");
    engine.up(&other);
    // Another address in the same file.
    change(folder.path(), "https://hooks.example.com/another", "File[/etc/issue]");
    let third = platform_in(Some(folder.path()), RULES);
    assert!(up(&third, &engine).contains("write configuration into volume relay-config  (its configuration changed)"));
    engine.up(&third);
    engine.check(&third);
    assert_eq!(up(&third, &engine), "nothing to do\n");
}

#[test]
fn a_token_is_rotated_with_a_restart_of_the_relay_alone() {
    for secret in ["relay-bridge-token", "relay-operator-token", "relay-trigger-token"] {
        let (desired, mut engine) = running("relay: { reports: true }\ncompilers: { replicas: 1 }");
        let before = engine.secret("relay", secret);
        let plan = rotate(&desired, &engine.observed, secret).unwrap();
        let shown = text(&desired, &plan).replace(secret, "TOKEN");
        insta::allow_duplicates! {
            assert_snapshot!(shown, @"
            0  remember rotation of TOKEN  (so that it is finished whatever happens)
            1  renew secret TOKEN  (it is being rotated)  after 0
            2  stop container demo-relay-1  (it knows the old token)  after 1
            3  start container demo-relay-1  (it was stopped for its token)  after 2
            4  wait for container demo-relay-1  (it starts)  after 3
            5  remember rotation of TOKEN  (all have the new one)  after 0,1,4
            6  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,4,5
            7  remember record  (so that it is proved once)  after 5,6
            ");
        }
        engine.carry_out(&plan);
        assert_ne!(engine.secret("relay", secret), before);
        engine.check(&desired);
        assert_eq!(up(&desired, &engine), "nothing to do\n");
    }
}

/// Whatever of it was done: `up` makes the same of it as the rotation would have.
#[test]
fn a_rotation_of_a_token_that_was_killed_anywhere_is_finished() {
    let (desired, before) = running(REPORTS);
    let steps = rotate(&desired, &before.observed, "relay-trigger-token").unwrap().steps;
    for done in 1..steps.len() {
        for half in [false, true] {
            let mut engine = before.clone();
            engine.lock();
            steps[..done].iter().for_each(|step| engine.apply(&step.action));
            if half {
                engine.apply_half(&steps[done].action);
            }
            engine.up(&desired);
            engine.check(&desired);
            assert_eq!(up(&desired, &engine), "nothing to do\n", "after {done} steps");
        }
    }
}

#[test]
fn only_what_there_is_can_be_rotated() {
    let (desired, engine) = running(WITH);
    assert_snapshot!(failure(&rotate(&desired, &engine.observed, "relay-trigger-token").unwrap_err()), @r#"
    exit 2: there is no secret "relay-trigger-token" that can be rotated
    hint: there are puppetdb-password, relay-bridge-token, relay-operator-token, eyaml and tokens
    "#);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
}

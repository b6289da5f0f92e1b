//! Puppet runs on request: the Relay server and the bridge, on a new platform, added to one that runs, and taken away.

use insta::assert_snapshot;
use pupperware::engine::spec::MountSource;
use pupperware::plan::backup::Order;
use pupperware::plan::{Action, Restoration, backup, reconcile, restore, rotate};

use crate::engine::Engine;
use crate::world::{platform, running, text, up};

const WITH: &str = "relay: {}";

#[test]
fn both_are_there_unless_they_are_switched_off() {
    let services = |yaml: &str| {
        let desired = platform(yaml);
        let ours = |service: &String| ["relay", "bridge"].contains(&service.as_str());
        desired.replicas.iter().map(|r| r.service.clone()).filter(ours).collect::<Vec<_>>()
    };
    assert_eq!(services("relay: {}"), ["relay", "bridge"]);
    assert_eq!(services("relay: { enabled: false }\nwith: [relay]"), ["relay", "bridge"], "asked for all the same");
    assert_eq!(services("relay: { enabled: false }"), Vec::<String>::new());
}

#[test]
fn nothing_of_it_is_there_when_it_is_switched_off() {
    let desired = platform("relay: { enabled: false, publish: 9000 }");
    assert!(!desired.networks.contains_key("relay"));
    assert!(!desired.volumes.keys().any(|key| key.contains("relay") || key.contains("bridge")));
    assert!(!desired.replicas.iter().any(|r| ["relay", "bridge"].contains(&r.service.as_str())));
    let request = desired.credentials.request(&[]);
    assert!(!request.contains("relay") && !request.contains("ssh "), "{request}");
    let plan = up(&desired, &Engine::empty(&desired));
    assert!(!plan.contains("relay") && !plan.contains("bridge"), "its image is not built either: {plan}");
}

#[test]
fn a_new_platform_has_both_beside_the_rest() {
    let desired = platform(WITH);
    let mut engine = Engine::with_images(&desired);
    let plan = up(&desired, &engine);
    let ours = |line: &&str| ["relay", "bridge", "issue"].iter().any(|word| line.contains(word));
    let lines: Vec<&str> = plan.lines().filter(ours).collect();
    assert_snapshot!(lines.join("\n"), @"
     3  create network demo_relay  (no such network)
     6  create volume bridge-config  (no such volume)  after 4
     7  create volume bridge-data  (no such volume)  after 4
    16  create volume relay-config  (no such volume)  after 4
    17  create volume relay-data  (no such volume)  after 4
    19  issue credentials  (a new platform)  after 4,5,6,7,8,9,10,11,12,13,14,15,16,17,18
    20  remember credentials  (so that it is issued once)  after 19
    33  write configuration into volume relay-config  (for its first start)  after 16
    34  create container demo-relay-1  (no container)  after 0,3,16,17,33
    35  start container demo-relay-1  (it is new)  after 34
    36  wait for container demo-relay-1  (it starts)  after 19,35
    37  write configuration into volume bridge-config  (for its first start)  after 6
    38  create container demo-bridge-1  (no container)  after 0,2,6,7,37
    39  start container demo-bridge-1  (it is new)  after 38
    40  wait for container demo-bridge-1  (it starts)  after 19,39
    ");
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// PuppetDB learns whom else to answer, the agents whom to let in; nothing else is touched.
#[test]
fn added_to_a_platform_that_runs() {
    let (_, mut engine) = running("");
    let desired = platform(WITH);
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-puppetdb-1  (its configuration changed)
     1  remove container demo-puppetdb-1  (its configuration changed)  after 0
     2  create network demo_relay  (no such network)  after 1
     3  create volume bridge-config  (no such volume)
     4  create volume bridge-data  (no such volume)
     5  create volume relay-config  (no such volume)
     6  create volume relay-data  (no such volume)
     7  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     8  issue credentials  (volume bridge-config is missing)  after 1,3,4,5,6,7
     9  write configuration into volume puppetdb-config  (its configuration changed)  after 1
    10  create container demo-puppetdb-1  (its configuration changed)  after 1,8,9
    11  start container demo-puppetdb-1  (it is new)  after 10
    12  wait for container demo-puppetdb-1  (it starts)  after 11
    13  start container demo-puppetserver-1  (it was stopped for its CA)  after 8
    14  wait for container demo-puppetserver-1  (it starts)  after 13
    15  write configuration into volume relay-config  (for its first start)  after 5
    16  create container demo-relay-1  (no container)  after 2,5,6,8,15
    17  start container demo-relay-1  (it is new)  after 16
    18  wait for container demo-relay-1  (it starts)  after 17
    19  write configuration into volume bridge-config  (for its first start)  after 3
    20  create container demo-bridge-1  (no container)  after 3,4,8,19
    21  start container demo-bridge-1  (it is new)  after 20
    22  wait for container demo-bridge-1  (it starts)  after 21
    23  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 8,12,14,18,22
    24  remember credentials  (so that it is issued once)  after 8,23
    25  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,12,14,18,22,23,24
    26  remember record  (so that it is proved once)  after 24,25
    ");
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn taken_away_it_leaves_what_was_asked_for_and_nothing_else() {
    let (_, mut engine) = running(WITH);
    let desired = platform("");
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-bridge-1  (not part of the platform any more)
     1  remove container demo-bridge-1  (not part of the platform any more)  after 0
     2  stop container demo-relay-1  (not part of the platform any more)
     3  remove container demo-relay-1  (not part of the platform any more)  after 2
     4  stop container demo-puppetdb-1  (its configuration changed)
     5  remove container demo-puppetdb-1  (its configuration changed)  after 4
     6  write configuration into volume puppetdb-config  (its configuration changed)  after 5
     7  create container demo-puppetdb-1  (its configuration changed)  after 5,6
     8  start container demo-puppetdb-1  (it is new)  after 7
     9  wait for container demo-puppetdb-1  (it starts)  after 8
    10  forget credentials of demo-relay  (relay is not part of the platform any more)  after 9
    11  revoke certificate demo-relay  (relay is not part of the platform any more)  after 10
    12  give the revocation list to container demo-postgres-1  (relay is not part of the platform any more)  after 11
    13  give the revocation list to container demo-puppetdb-1  (relay is not part of the platform any more)  after 11
    14  give the revocation list to container demo-puppetserver-1  (relay is not part of the platform any more)  after 11
    15  remove certificate demo-relay  (relay is not part of the platform any more)  after 12,13,14
    16  remove volume relay-config  (relay is not part of the platform any more)  after 1,3,5,15
    17  forget credentials of demo-bridge  (bridge is not part of the platform any more)  after 9,10,12,13,14
    18  revoke certificate demo-bridge  (bridge is not part of the platform any more)  after 17
    19  give the revocation list to container demo-postgres-1  (bridge is not part of the platform any more)  after 18
    20  give the revocation list to container demo-puppetdb-1  (bridge is not part of the platform any more)  after 18
    21  give the revocation list to container demo-puppetserver-1  (bridge is not part of the platform any more)  after 18
    22  remove certificate demo-bridge  (bridge is not part of the platform any more)  after 12,13,14,19,20,21
    23  close SSH to agents  (bridge is not part of the platform any more)  after 22
    24  remove volume bridge-config  (bridge is not part of the platform any more)  after 1,3,5,22,23
    25  remove network demo_relay  (not part of the platform any more)  after 1,3,5,9,12,13,14,16,19,20,21,24
    26  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,3,5,9,12,13,14,16,19,20,21,24,25
    27  remember record  (so that it is proved once)  after 17,26
    ");
    let plan = engine.up(&desired);
    assert!(plan.steps.iter().all(|s| !s.action.data_loss()));
    engine.check(&desired);
    let left: Vec<&String> =
        engine.observed.volumes.keys().filter(|v| v.contains("relay") || v.contains("bridge")).collect();
    assert_eq!(
        left,
        ["demo_bridge-data", "demo_relay-data"],
        "requests, and what was done, are nobody's to throw away"
    );
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// Whatever of it was done: the removal is taken up, and who wants it back gets in again.
#[test]
fn a_removal_that_was_killed_anywhere_is_no_trap() {
    let (with, before) = running(WITH);
    let without = platform("");
    let steps = reconcile(&without, &before.observed).unwrap().steps;
    for done in 0..steps.len() {
        let mut engine = before.clone();
        engine.lock();
        for step in &steps[..done] {
            engine.apply(&step.action);
        }
        let mut back = engine.clone();
        for (desired, engine) in [(&without, &mut engine), (&with, &mut back)] {
            engine.up(desired);
            engine.check(desired);
            assert_eq!(up(desired, engine), "nothing to do\n", "after {done} steps");
        }
    }
}

/// One agent more is let in and known without anything of the platform being stopped.
#[test]
fn one_agent_more_needs_no_other_bridge() {
    let (_, mut engine) = running(WITH);
    let desired = platform("relay: {}\nagents: { replicas: 2 }");
    let plan = engine.up(&desired);
    engine.check(&desired);
    assert!(!plan.steps.iter().any(|s| matches!(s.action, Action::StopContainer { .. })));
}

/// A bridge without its keys, or an agent without them: both are made again.
#[test]
fn lost_keys_are_made_again() {
    for lost in ["bridge-config", "agent-1", "relay-config"] {
        let (desired, mut engine) = running(WITH);
        engine.lose_volume(lost);
        engine.up(&desired);
        engine.check(&desired);
    }
}

#[test]
fn both_are_confined_and_reached_from_nowhere_unless_that_is_wanted() {
    let desired = platform(WITH);
    for (service, networks, volumes) in [
        ("relay", &["demo_back", "demo_relay"][..], ["demo_relay-config", "demo_relay-data"]),
        ("bridge", &["demo_back", "demo_front"], ["demo_bridge-config", "demo_bridge-data"]),
    ] {
        let spec = &desired.replicas.iter().find(|r| r.service == service).unwrap().spec;
        assert_eq!(spec.ports, []);
        assert_eq!((spec.user.as_deref(), spec.read_only), (Some("925:925"), true));
        assert_eq!((spec.cap_drop.join(","), spec.cap_add.len()), ("ALL".to_owned(), 0));
        let on: Vec<&str> = spec.networks.iter().map(|n| n.network.as_str()).collect();
        assert_eq!(on, networks);
        let mounts: Vec<&MountSource> = spec.mounts.iter().map(|m| &m.source).collect();
        assert_eq!(mounts, volumes.map(|name| MountSource::Volume(name.into())).iter().collect::<Vec<_>>());
    }
    let open = platform("relay: { publish: 9000 }");
    let ports = &open.replicas.iter().find(|r| r.service == "relay").unwrap().spec.ports;
    assert_eq!((ports.len(), ports[0].address.to_string().as_str(), ports[0].port), (1, "127.0.0.1", 9000));
}

#[test]
fn the_bridge_runs_on_the_platforms_own_agents_and_asks_its_own_puppetdb() {
    let desired = platform("with: [puppetboard]\nrelay: {}");
    let files = &desired.files["bridge-config"];
    let settings = &files.iter().find(|f| f.path == "bridge.yaml").unwrap().content;
    assert_snapshot!(settings, @"
    # Written by pupperware; changes are overwritten.
    relay:
      url: https://relay:8170
      token_file: /etc/pupperware/secrets/relay-bridge-token
      ca_file: /etc/pupperware/ssl/ca.pem
    state_dir: /var/lib/bridge
    backend: platform
    ssh:
      user: root
      port: 2222
      key_file: /etc/pupperware/ssh/id
      known_hosts_file: /etc/pupperware/ssh/known_hosts
    puppetdb:
      url: https://puppetdb:8081
      ca_file: /etc/pupperware/ssl/ca.pem
      cert_file: /etc/pupperware/ssl/cert.pem
      key_file: /etc/pupperware/ssl/key.pem
      report_url: 'http://localhost:8088/report/{certname}/{hash}'
    allow:
      nodes: ['demo-agent-*']
    ");
    let known = desired.files["puppetdb-config"].iter().find(|f| f.path == "certificate-allowlist").unwrap();
    assert_eq!(known.content, "puppet\npuppetdb\ndemo-puppetboard\ndemo-bridge\n");
}

#[test]
fn a_backup_has_the_requests_and_not_the_keys() {
    let (desired, engine) = running(WITH);
    let plan =
        backup(&desired, &engine.observed, &Order { file: "demo.pupperware".into(), ..Order::default() }).unwrap();
    let Action::WriteBackup { source } = &plan.steps[0].action else { panic!("another step") };
    let ours: Vec<&String> = source.volumes.iter().filter(|v| v.contains("relay") || v.contains("bridge")).collect();
    assert_eq!(ours, ["bridge-data", "relay-data"]);
    let what = Restoration {
        file: "demo.pupperware".into(),
        identity: None,
        configuration: None,
        volumes: source.volumes.clone(),
        database: true,
        only: vec![],
        safety: None,
    };
    // Over what is there, and where nothing is.
    for mut engine in [engine, Engine::with_images(&desired)] {
        engine.lock();
        engine.carry_out(&restore(&desired, &engine.observed, &what).unwrap());
        engine.check(&desired);
        assert_eq!(up(&desired, &engine), "nothing to do\n");
    }
    // Where it is switched off, the requests are kept all the same.
    let (without, _) = running("");
    let mut engine = Engine::with_images(&without);
    engine.lock();
    engine.carry_out(&restore(&without, &engine.observed, &what).unwrap());
    assert!(engine.observed.volumes.contains_key("demo_relay-data"));
    assert_eq!(up(&without, &engine), "nothing to do\n");
}

#[test]
fn a_rotation_of_the_databases_password_leaves_it_alone() {
    let (desired, engine) = running(WITH);
    let plan = text(&desired, &rotate(&desired, &engine.observed, "puppetdb-password").unwrap());
    assert!(!plan.contains("relay") && !plan.contains("bridge"), "{plan}");
}

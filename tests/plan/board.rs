//! Puppetboard: asked for, added to a platform that runs, and taken away again.

use insta::assert_snapshot;
use pupperware::engine::spec::MountSource;
use pupperware::plan::backup::Order;
use pupperware::plan::{Action, Restoration, backup, reconcile, restore, rotate};

use crate::engine::Engine;
use crate::world::{failure, platform, running, text, up};

const WITH: &str = "with: [puppetboard]";

#[test]
fn nothing_of_it_is_there_unless_it_is_asked_for() {
    let desired = platform("puppetboard: { publish: 9000 }");
    assert!(!desired.networks.contains_key("board") && !desired.volumes.contains_key("puppetboard-config"));
    assert!(desired.replicas.iter().all(|r| r.service != "puppetboard"));
    assert!(desired.credentials.certificate("demo-puppetboard").is_none());
    assert!(!allowlist(&desired).contains("puppetboard"));
    let engine = Engine::empty(&desired);
    assert!(!up(&desired, &engine).contains("board"), "its image is not built either");
}

#[test]
fn a_new_platform_has_it_beside_the_rest() {
    let desired = platform(WITH);
    let mut engine = Engine::with_images(&desired);
    let plan = up(&desired, &engine);
    let lines: Vec<&str> = plan.lines().filter(|l| l.contains("board") || l.contains("issue")).collect();
    assert_snapshot!(lines.join("\n"), @"
     1  create network demo_board  (no such network)
     9  create volume puppetboard-config  (no such volume)  after 4
    16  issue credentials  (a new platform)  after 4,5,6,7,8,9,10,11,12,13,14,15
    17  remember credentials  (so that it is issued once)  after 16
    30  write configuration into volume puppetboard-config  (for its first start)  after 9
    31  create container demo-puppetboard-1  (no container)  after 0,1,9,30
    32  start container demo-puppetboard-1  (it is new)  after 31
    33  wait for container demo-puppetboard-1  (it starts)  after 16,32
    ");
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn its_image_stands_on_base_alone() {
    let desired = platform(WITH);
    let plan = up(&desired, &Engine::empty(&desired));
    let line = plan.lines().find(|l| l.contains("build image pupperware/puppetboard")).unwrap();
    assert_snapshot!(line.trim(), @"7  build image pupperware/puppetboard:8-KEY  (not on this engine)  after 1");
}

/// PuppetDB learns whom else to answer; the CA issues one certificate more, of a name of its own.
#[test]
fn added_to_a_platform_that_runs() {
    let (_, mut engine) = running("");
    let desired = platform(WITH);
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-puppetdb-1  (its configuration changed)
     1  remove container demo-puppetdb-1  (its configuration changed)  after 0
     2  create network demo_board  (no such network)  after 1
     3  create volume puppetboard-config  (no such volume)
     4  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     5  issue credentials  (volume puppetboard-config is missing)  after 1,3,4
     6  write configuration into volume puppetdb-config  (its configuration changed)  after 1
     7  create container demo-puppetdb-1  (its configuration changed)  after 1,5,6
     8  start container demo-puppetdb-1  (it is new)  after 7
     9  wait for container demo-puppetdb-1  (it starts)  after 8
    10  start container demo-puppetserver-1  (it was stopped for its CA)  after 5
    11  wait for container demo-puppetserver-1  (it starts)  after 10
    12  write configuration into volume puppetboard-config  (for its first start)  after 3
    13  create container demo-puppetboard-1  (no container)  after 2,3,5,12
    14  start container demo-puppetboard-1  (it is new)  after 13
    15  wait for container demo-puppetboard-1  (it starts)  after 14
    16  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 5,9,11,15
    17  remember credentials  (so that it is issued once)  after 5,16
    18  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,9,11,15,16,17
    19  remember record  (so that it is proved once)  after 17,18
    ");
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn taken_away_it_leaves_nothing() {
    let (_, mut engine) = running(WITH);
    let desired = platform("");
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-puppetboard-1  (not part of the platform any more)
     1  remove container demo-puppetboard-1  (not part of the platform any more)  after 0
     2  stop container demo-puppetdb-1  (its configuration changed)
     3  remove container demo-puppetdb-1  (its configuration changed)  after 2
     4  write configuration into volume puppetdb-config  (its configuration changed)  after 3
     5  create container demo-puppetdb-1  (its configuration changed)  after 3,4
     6  start container demo-puppetdb-1  (it is new)  after 5
     7  wait for container demo-puppetdb-1  (it starts)  after 6
     8  forget credentials of demo-puppetboard  (puppetboard is not part of the platform any more)  after 7
     9  revoke certificate demo-puppetboard  (puppetboard is not part of the platform any more)  after 8
    10  give the revocation list to container demo-postgres-1  (puppetboard is not part of the platform any more)  after 9
    11  give the revocation list to container demo-puppetdb-1  (puppetboard is not part of the platform any more)  after 9
    12  give the revocation list to container demo-puppetserver-1  (puppetboard is not part of the platform any more)  after 9
    13  remove certificate demo-puppetboard  (puppetboard is not part of the platform any more)  after 10,11,12
    14  remove volume puppetboard-config  (puppetboard is not part of the platform any more)  after 1,3,13
    15  remove network demo_board  (not part of the platform any more)  after 1,3,7,10,11,12,14
    16  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,3,7,10,11,12,14,15
    17  remember record  (so that it is proved once)  after 8,16
    ");
    let plan = engine.up(&desired);
    assert!(plan.steps.iter().all(|s| !s.action.data_loss()));
    engine.check(&desired);
    assert!(
        !engine.observed.record.as_ref().unwrap().issued.as_ref().unwrap().volumes.contains_key("puppetboard-config")
    );
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// Whatever of it was done: the removal is taken up, and who wants it back gets a certificate that holds.
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

/// A stranger's container on the network keeps it from going. Everything else is done by then, and `up` can be repeated.
#[test]
fn the_network_goes_when_nothing_can_be_lost_by_it() {
    let (_, engine) = running(WITH);
    let steps = reconcile(&platform(""), &engine.observed).unwrap().steps;
    let at = steps.iter().position(|s| s.action.kind() == "remove_network").unwrap();
    let proof = steps.iter().position(|s| s.action.kind() == "prove").unwrap();
    assert_eq!(at + 1, proof);
    let mut before: Vec<usize> = steps[at].needs.clone();
    while let Some(more) = before.iter().flat_map(|n| steps[*n].needs.clone()).find(|n| !before.contains(n)) {
        before.push(more);
    }
    assert_eq!(before.len(), at, "it waits for every other step");
}

/// A machine of the user's may be called so, and its certificate is none of ours to revoke.
#[test]
fn its_name_is_not_that_of_an_agent() {
    let desired = platform(WITH);
    let request = desired.credentials.request(&[]);
    assert!(request.contains("\ncert demo-puppetboard ") && !request.contains("\ncert puppetboard "), "{request}");
}

#[test]
fn another_port_touches_nothing_else() {
    let (_, engine) = running(WITH);
    let desired = platform("with: [puppetboard]\npuppetboard: { publish: 9000 }");
    let plan = reconcile(&desired, &engine.observed).unwrap();
    let touched = |a: &Action| matches!(a, Action::StopContainer { .. } | Action::IssueCredentials { .. });
    let touched: Vec<String> = plan.steps.iter().filter(|s| touched(&s.action)).map(|s| s.action.resource()).collect();
    assert_eq!(touched, ["container demo-puppetboard-1"]);
}

#[test]
fn it_is_confined_and_reached_from_this_machine_only() {
    let desired = platform(WITH);
    let spec = &desired.replicas.iter().find(|r| r.service == "puppetboard").unwrap().spec;
    let port = &spec.ports[0];
    assert_eq!((port.address.to_string().as_str(), port.port, port.target), ("127.0.0.1", 8088, 8088));
    assert_eq!((spec.user.as_deref(), spec.read_only, spec.cap_drop.join(",")), (Some("923:923"), true, "ALL".into()));
    assert_eq!((spec.memory_bytes, spec.cap_add.len(), spec.ports.len()), (Some(256 << 20), 0, 1));
    let mounts: Vec<&MountSource> = spec.mounts.iter().map(|m| &m.source).collect();
    assert_eq!(mounts, [&MountSource::Volume("demo_puppetboard-config".into())]);
    assert!(allowlist(&desired).ends_with("\ndemo-puppetboard\n"));
    let settings = &desired.files["puppetboard-config"].iter().find(|f| f.path == "settings.py").unwrap().content;
    assert!(settings.contains("TRUSTED_HOSTS") && settings.contains("OFFLINE_MODE = True"));

    // On another address, whoever published it there knows by which names it is reached.
    let open = platform("with: [puppetboard]\npuppetboard: { publish: \"0.0.0.0:8088\" }");
    assert!(!open.files["puppetboard-config"].iter().any(|f| f.content.contains("TRUSTED_HOSTS")));
}

#[test]
fn two_services_cannot_have_one_port() {
    let mut desired = platform(WITH);
    let board = desired.replicas.iter_mut().find(|r| r.service == "puppetboard").unwrap();
    board.spec.ports[0].port = 8140;
    let refused = reconcile(&desired, &Engine::with_images(&desired).observed).unwrap_err();
    assert_snapshot!(failure(&refused), @"
    exit 2: puppetserver and puppetboard would both be published on port 8140
    hint: choose another with `puppetboard.publish` in pupperware.yaml
    ");
}

#[test]
fn a_backup_leaves_it_out_and_a_restore_has_it_again() {
    let (desired, engine) = running(WITH);
    let plan =
        backup(&desired, &engine.observed, &Order { file: "demo.pupperware".into(), ..Order::default() }).unwrap();
    let Action::WriteBackup { source } = &plan.steps[0].action else { panic!("another step") };
    assert!(!source.volumes.iter().any(|key| key.contains("board")), "{:?}", source.volumes);
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
}

#[test]
fn a_rotation_of_the_password_leaves_it_alone() {
    let (desired, engine) = running(WITH);
    let plan = text(&desired, &rotate(&desired, &engine.observed, "puppetdb-password").unwrap());
    assert!(!plan.contains("board"), "{plan}");
}

fn allowlist(desired: &pupperware::desired::Desired) -> &str {
    &desired.files["puppetdb-config"].iter().find(|f| f.path == "certificate-allowlist").unwrap().content
}

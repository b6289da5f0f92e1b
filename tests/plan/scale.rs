//! `scale`, and what compilers mean for the plans of other commands.

use insta::assert_snapshot;
use pupperware::desired::Desired;
use pupperware::engine::found::ContainerState;
use pupperware::plan::backup::Order;
use pupperware::plan::{Action, Plan, Restoration, Scale, backup, reconcile, reissue, restart, restore, scale};

use crate::engine::Engine;
use crate::properties::carry_out_watched;
use crate::world::{platform, running, text, up};

/// A platform that has a balancer anyway, with so many compilers.
fn with(compilers: u32) -> Desired {
    platform(&format!("compilers: {{ replicas: {compilers}, balancer: always }}"))
}

fn scaled(engine: &Engine, desired: &Desired, compilers: u32) -> Plan {
    let to = Scale { compilers: Some(compilers), agents: None };
    scale(desired, &engine.observed, to).expect("nothing is refused")
}

/// Lines of a plan that begin with one of these words.
fn only(plan: &str, words: &[&str]) -> String {
    let wanted = |line: &&str| {
        let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        words.iter().any(|w| line.starts_with(w))
    };
    plan.lines().filter(wanted).collect::<Vec<_>>().join("\n")
}

/// Nobody stops for a compiler that comes: they start side by side, and take requests when they serve.
#[test]
fn compilers_come_without_a_stop() {
    let (_, mut engine) = running("compilers: { balancer: always }");
    let desired = with(2);
    let plan = scaled(&engine, &desired, 2);
    assert_snapshot!(text(&desired, &plan), @"
     0  remember scale compilers=2  (whoever goes on after this has to know)
     1  create volume compiler-1-config  (no such volume)  after 0
     2  create volume compiler-1-ssl  (no such volume)  after 0
     3  create volume compiler-2-config  (no such volume)  after 0
     4  create volume compiler-2-ssl  (no such volume)  after 0
     5  write configuration into volume compiler-1-config  (no container)  after 1
     6  write configuration into volume compiler-2-config  (no container)  after 3
     7  give keys and certificates to compilers demo-compiler-1, demo-compiler-2  (no container)  after 1,2,3,4,5,6
     8  create container demo-compiler-1  (no container)  after 1,2,7
     9  start container demo-compiler-1  (no container)  after 8
    10  wait for container demo-compiler-1  (it starts)  after 9
    11  create container demo-compiler-2  (no container)  after 3,4,7
    12  start container demo-compiler-2  (no container)  after 11
    13  wait for container demo-compiler-2  (it starts)  after 12
    14  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (these serve)  after 10,13
    15  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 10,13,14
    16  remember record  (so that it is proved once)  after 0,15
    ");
    engine.carry_out(&plan);
    engine.check(&desired);
    assert!(scaled(&engine, &desired, 2).is_empty());
}

/// Each leaves the balancer before it stops, and nothing is left of it.
#[test]
fn compilers_that_go_finish_first() {
    let (_, mut engine) = running("compilers: { replicas: 3, balancer: always }");
    let desired = with(1);
    let plan = scaled(&engine, &desired, 1);
    assert_snapshot!(text(&desired, &plan), @"
     0  remember scale compilers=1  (whoever goes on after this has to know)
     1  let finish compiler demo-compiler-2  (not part of the platform any more)  after 0
     2  stop container demo-compiler-2  (not part of the platform any more)  after 1
     3  remove container demo-compiler-2  (not part of the platform any more)  after 2
     4  let finish compiler demo-compiler-3  (not part of the platform any more)  after 1
     5  stop container demo-compiler-3  (not part of the platform any more)  after 4
     6  remove container demo-compiler-3  (not part of the platform any more)  after 5
     7  forget credentials of demo-compiler-2  (compiler 2 is not part of the platform any more)  after 0,3
     8  revoke certificate demo-compiler-2  (compiler 2 is not part of the platform any more)  after 7
     9  give the revocation list to container demo-postgres-1  (compiler 2 is not part of the platform any more)  after 8
    10  give the revocation list to container demo-puppetdb-1  (compiler 2 is not part of the platform any more)  after 8
    11  give the revocation list to container demo-puppetserver-1  (compiler 2 is not part of the platform any more)  after 8
    12  give the revocation list to container demo-balancer-1  (compiler 2 is not part of the platform any more)  after 8
    13  give the revocation list to container demo-compiler-1  (compiler 2 is not part of the platform any more)  after 8
    14  remove certificate demo-compiler-2  (compiler 2 is not part of the platform any more)  after 9,10,11,12,13
    15  deactivate node demo-compiler-2  (compiler 2 is not part of the platform any more)  after 7
    16  remove volume compiler-2-config  (compiler 2 is not part of the platform any more)  after 3,6,14,15
    17  remove volume compiler-2-ssl  (compiler 2 is not part of the platform any more)  after 3,6,14,15,16
    18  forget credentials of demo-compiler-3  (compiler 3 is not part of the platform any more)  after 6,7,9,10,11,12,13
    19  revoke certificate demo-compiler-3  (compiler 3 is not part of the platform any more)  after 18
    20  give the revocation list to container demo-postgres-1  (compiler 3 is not part of the platform any more)  after 19
    21  give the revocation list to container demo-puppetdb-1  (compiler 3 is not part of the platform any more)  after 19
    22  give the revocation list to container demo-puppetserver-1  (compiler 3 is not part of the platform any more)  after 19
    23  give the revocation list to container demo-balancer-1  (compiler 3 is not part of the platform any more)  after 19
    24  give the revocation list to container demo-compiler-1  (compiler 3 is not part of the platform any more)  after 19
    25  remove certificate demo-compiler-3  (compiler 3 is not part of the platform any more)  after 9,10,11,12,13,20,21,22,23,24
    26  deactivate node demo-compiler-3  (compiler 3 is not part of the platform any more)  after 18
    27  remove volume compiler-3-config  (compiler 3 is not part of the platform any more)  after 3,6,25,26
    28  remove volume compiler-3-ssl  (compiler 3 is not part of the platform any more)  after 3,6,25,26,27
    29  send requests through container demo-balancer-1: demo-compiler-1  (these serve)  after 1,4
    30  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 3,6,9,10,11,12,13,15,16,17,20,21,22,23,24,26,27,28,29
    31  remember record  (so that it is proved once)  after 18,30
    ");
    engine.carry_out(&plan);
    engine.check(&desired);
    assert!(scaled(&engine, &desired, 1).is_empty());
}

/// The first one brings the balancer, to which the published port goes.
#[test]
fn the_first_compiler_brings_the_balancer() {
    let (_, mut engine) = running("");
    let desired = platform("compilers: { replicas: 1 }");
    let plan = scaled(&engine, &desired, 1);
    let plan_text = text(&desired, &plan);
    assert_snapshot!(only(&plan_text, &["stop", "start", "issue", "give keys", "send"]), @"
     1  stop container demo-puppetdb-1  (its configuration changed)  after 0
     3  stop container demo-puppetserver-1  (its configuration changed)  after 0
     8  issue credentials  (volume balancer-config is missing)  after 2,4,5,6,7
    11  start container demo-puppetdb-1  (it is new)  after 10
    15  start container demo-puppetserver-1  (it is new)  after 14
    19  start container demo-balancer-1  (it is new)  after 18
    22  give keys and certificates to compilers demo-compiler-1  (no container)  after 6,7,8,16,21
    24  start container demo-compiler-1  (no container)  after 23
    28  send requests through container demo-balancer-1: demo-compiler-1  (these serve)  after 20,25
    ");
    engine.carry_out(&plan);
    engine.check(&desired);
    let alone = platform("");
    engine.carry_out(&scaled(&engine, &alone, 0));
    engine.check(&alone);
    assert!(scaled(&engine, &alone, 0).is_empty());
}

/// What was asked for is remembered before anything else, so that whoever comes after a kill goes on with it.
#[test]
fn the_number_is_remembered_first() {
    let (_, engine) = running("compilers: { balancer: always }");
    let plan = scaled(&engine, &with(1), 1);
    assert_eq!(plan.steps[0].action.kind(), "record_scale");
    assert!(plan.steps[1..].iter().all(|s| !s.needs.is_empty()));
}

/// Compilers restart one after the other, each drained; the others serve.
#[test]
fn a_restart_rolls() {
    let (desired, engine) = running("compilers: { replicas: 2 }");
    let service = "compiler".parse().unwrap();
    assert_snapshot!(text(&desired, &restart(&engine.observed, &[service]).unwrap()), @"
    0  let finish compiler demo-compiler-1  (asked to restart)
    1  stop container demo-compiler-1  (asked to restart)  after 0
    2  start container demo-compiler-1  (asked to restart)  after 1
    3  wait for container demo-compiler-1  (it starts)  after 2
    4  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (it serves again)  after 3
    5  let finish compiler demo-compiler-2  (asked to restart)  after 0,4
    6  stop container demo-compiler-2  (asked to restart)  after 5
    7  start container demo-compiler-2  (asked to restart)  after 6
    8  wait for container demo-compiler-2  (it starts)  after 7
    9  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (it serves again)  after 8
    ");
}

/// Another configuration comes to them in the same way.
#[test]
fn a_change_rolls() {
    let (_, mut engine) = running("compilers: { replicas: 2 }");
    let desired = platform("compilers: { replicas: 2, heap: 1g }");
    let plan = up(&desired, &engine);
    assert_snapshot!(only(&plan, &["let finish", "stop", "wait for", "send"]), @"
     0  let finish compiler demo-compiler-1  (its configuration changed)
     1  stop container demo-compiler-1  (its configuration changed)  after 0
     7  wait for container demo-compiler-1  (it starts)  after 6
     8  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (those that serve stand in)  after 7
     9  let finish compiler demo-compiler-2  (its configuration changed)  after 0,8
    10  stop container demo-compiler-2  (its configuration changed)  after 9
    16  wait for container demo-compiler-2  (it starts)  after 15
    17  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (these serve)  after 0,7,8,9,16
    ");
    engine.up(&desired);
    engine.check(&desired);
}

/// So they do where what is around them changes, too: the balancer first, PuppetDB while requests wait, and the primary.
#[test]
fn a_change_of_everything_rolls() {
    let (_, mut engine) = running("compilers: { replicas: 2 }");
    let yaml = "compilers: { replicas: 2, jruby_instances: 2 }\npuppetserver: { heap: 1g }\npuppetdb: { memory: 2g }";
    let desired = platform(yaml);
    let plan = reconcile(&desired, &engine.observed).unwrap();
    assert_snapshot!(only(&text(&desired, &plan), &["let", "stop", "wait for", "send"]), @"
     0  stop container demo-balancer-1  (its configuration changed)
     5  wait for container demo-balancer-1  (it starts)  after 4
     6  let requests wait at container demo-balancer-1  (nothing is compiled without PuppetDB)  after 5
     7  stop container demo-postgres-1  (its configuration changed)  after 6
    12  wait for container demo-postgres-1  (it starts)  after 11
    13  stop container demo-puppetdb-1  (its configuration changed)  after 6
    18  wait for container demo-puppetdb-1  (it starts)  after 17
    19  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (PuppetDB answers again)  after 6,12,18
    20  stop container demo-puppetserver-1  (its configuration changed)  after 5,19
    25  wait for container demo-puppetserver-1  (it starts)  after 24
    26  let finish compiler demo-compiler-1  (its configuration changed)  after 5,19,25
    27  stop container demo-compiler-1  (its configuration changed)  after 26
    33  wait for container demo-compiler-1  (it starts)  after 32
    34  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (those that serve stand in)  after 5,19,25,33
    35  let finish compiler demo-compiler-2  (its configuration changed)  after 5,19,25,26,34
    36  stop container demo-compiler-2  (its configuration changed)  after 35
    42  wait for container demo-compiler-2  (it starts)  after 41
    43  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (these serve)  after 5,19,26,33,34,35,42
    ");
    carry_out_watched(&mut engine, &plan, 1, (plan.steps.len(), false), |engine| {
        let why = engine.turns_away();
        assert!(why.as_deref().is_none_or(|why| why == "there is no balancer"), "{why:?}");
    });
    engine.check(&desired);
}

/// Where the balancer gets other names, and so another certificate, all compilers have to learn it at once.
#[test]
fn other_names_of_the_balancer_come_to_its_compilers() {
    let (_, mut engine) = running("compilers: { replicas: 2 }");
    let desired = platform("compilers: { replicas: 2 }\npuppetserver: { dns_alt_names: [puppet.example.com] }");
    let plan = up(&desired, &engine);
    assert!(plan.contains("give keys and certificates to compilers demo-compiler-1, demo-compiler-2"), "{plan}");
    assert!(!plan.contains("let finish"), "they do not know the new balancer: {plan}");
    engine.up(&desired);
    engine.check(&desired);
}

/// One that was killed comes back by itself; one that is paused is restarted, without waiting for what it has.
#[test]
fn one_that_is_frozen_is_restarted() {
    let (desired, mut engine) = running("compilers: { replicas: 2 }");
    engine.set("demo-compiler-2", ContainerState::Paused, "paused");
    assert_snapshot!(only(&up(&desired, &engine), &["let finish", "stop", "start", "send"]), @"
    0  let finish compiler demo-compiler-2  (it is paused)
    1  stop container demo-compiler-2  (it is paused)  after 0
    3  start container demo-compiler-2  (it is paused)  after 2
    5  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (these serve)  after 0,4
    ");
    engine.up(&desired);
    engine.check(&desired);
}

/// Compilers trust one certificate, so they learn the next one with it.
#[test]
fn a_new_certificate_of_the_balancer_comes_to_its_compilers() {
    let (desired, mut engine) = running("compilers: { replicas: 2 }");
    let plan = reissue(&desired, &engine.observed, &["demo-balancer".to_owned()]).unwrap();
    engine.carry_out(&plan);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// The key of a compiler is data: the CA in the archive signs no other of that name.
#[test]
fn a_backup_has_their_keys_and_a_restore_uses_them() {
    let (desired, engine) = running("compilers: { replicas: 1 }");
    let order = Order { file: "/srv/demo.pupperware".into(), ..Order::default() };
    let plan = backup(&desired, &engine.observed, &order).unwrap();
    let Action::WriteBackup { source } = &plan.steps[0].action else { panic!("another step") };
    let theirs: Vec<&str> = source.volumes.iter().filter(|v| v.contains("er-")).map(String::as_str).collect();
    assert_eq!(theirs, ["compiler-1-ssl", "puppetserver-data", "puppetserver-ssl"]);
    let what = Restoration {
        file: order.file,
        identity: None,
        configuration: None,
        volumes: source.volumes.clone(),
        database: true,
        only: vec![],
        safety: None,
    };
    for wanted in [desired.clone(), platform("")] {
        let mut elsewhere = Engine::with_images(&wanted);
        elsewhere.lock();
        let plan = restore(&wanted, &elsewhere.observed, &what).unwrap();
        elsewhere.carry_out(&plan);
        elsewhere.check(&wanted);
    }
}

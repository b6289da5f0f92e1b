//! `scale`, and what compilers mean for the plans of other commands.

use insta::assert_snapshot;
use pupperware::desired::Desired;
use pupperware::engine::found::ContainerState;
use pupperware::plan::backup::Order;
use pupperware::plan::{Action, Plan, Restoration, Scale, backup, restart, restore, scale};

use crate::engine::Engine;
use crate::world::{failure, platform, running, text, up};

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
    assert_snapshot!(text(&desired, &plan), @"");
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
    assert_snapshot!(text(&desired, &plan), @"");
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
    assert_snapshot!(only(&plan_text, &["stop", "start", "issue", "give keys", "send"]), @"");
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
    assert_snapshot!(text(&desired, &restart(&engine.observed, &[service]).unwrap()), @"");
}

/// Another configuration comes to them in the same way.
#[test]
fn a_change_rolls() {
    let (_, mut engine) = running("compilers: { replicas: 2 }");
    let desired = platform("compilers: { replicas: 2, heap: 1g }");
    let plan = up(&desired, &engine);
    assert_snapshot!(only(&plan, &["let finish", "stop", "wait for", "send"]), @"");
    engine.up(&desired);
    engine.check(&desired);
}

/// One that was killed comes back by itself; one that is paused is restarted, without waiting for what it has.
#[test]
fn one_that_is_frozen_is_restarted() {
    let (desired, mut engine) = running("compilers: { replicas: 2 }");
    engine.set("demo-compiler-2", ContainerState::Paused, "paused");
    assert_snapshot!(only(&up(&desired, &engine), &["let finish", "stop", "start", "send"]), @"");
    engine.up(&desired);
    engine.check(&desired);
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

//! `up` when containers are not as they were: gone, stopped, frozen, unwell.

use insta::assert_snapshot;
use pupperware::engine::found::ContainerState;

use crate::world::{platform, running, up};

#[test]
fn a_missing_one_is_made_again() {
    let (desired, mut engine) = running("");
    engine.remove_container("demo-puppetdb-1");
    assert_snapshot!(up(&desired, &engine), @"
    0  write configuration into volume puppetdb-config  (for its first start)
    1  create container demo-puppetdb-1  (no container)  after 0
    2  start container demo-puppetdb-1  (it is new)  after 1
    3  wait for container demo-puppetdb-1  (it starts)  after 2
    4  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 3
    5  remember record  (so that it is proved once)  after 4
    ");
}

#[test]
fn one_that_ended_is_started() {
    let (desired, mut engine) = running("");
    engine.set("demo-postgres-1", ContainerState::Exited, "Exited (137) 3 minutes ago");
    assert_snapshot!(up(&desired, &engine), @"
    0  start container demo-postgres-1  (not running: exited (137) 3 minutes ago)
    1  wait for container demo-postgres-1  (it starts)  after 0
    2  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1
    3  remember record  (so that it is proved once)  after 2
    ");
}

#[test]
fn one_that_was_never_started_is_started() {
    let (desired, mut engine) = running("");
    engine.set("demo-puppetserver-1", ContainerState::Created, "Created");
    assert_snapshot!(up(&desired, &engine), @"
    0  start container demo-puppetserver-1  (created, not started)
    1  wait for container demo-puppetserver-1  (it starts)  after 0
    2  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1
    3  remember record  (so that it is proved once)  after 2
    ");
}

#[test]
fn a_paused_one_is_stopped_and_started() {
    let (desired, mut engine) = running("");
    engine.set("demo-puppetserver-1", ContainerState::Paused, "Up 3 minutes (Paused)");
    assert_snapshot!(up(&desired, &engine), @"
    0  stop container demo-puppetserver-1  (it is paused)
    1  start container demo-puppetserver-1  (it is paused)  after 0
    2  wait for container demo-puppetserver-1  (it starts)  after 1
    3  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 2
    4  remember record  (so that it is proved once)  after 3
    ");
}

#[test]
fn an_unhealthy_one_is_stopped_and_started() {
    let (desired, mut engine) = running("");
    engine.container("demo-puppetdb-1").health = "unhealthy".into();
    assert_snapshot!(up(&desired, &engine), @"
    0  stop container demo-puppetdb-1  (it is unhealthy)
    1  start container demo-puppetdb-1  (it is unhealthy)  after 0
    2  wait for container demo-puppetdb-1  (it starts)  after 1
    3  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 2
    4  remember record  (so that it is proved once)  after 3
    ");
}

#[test]
fn a_dead_one_is_made_anew() {
    let (desired, mut engine) = running("");
    engine.set("demo-postgres-1", ContainerState::Dead, "Dead");
    assert_snapshot!(up(&desired, &engine), @"
    0  remove container demo-postgres-1  (the container is dead)
    1  write configuration into volume postgres-config  (the container is dead)  after 0
    2  create container demo-postgres-1  (the container is dead)  after 0,1
    3  start container demo-postgres-1  (it is new)  after 2
    4  wait for container demo-postgres-1  (it starts)  after 3
    5  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,4
    6  remember record  (so that it is proved once)  after 5
    ");
}

#[test]
fn one_that_ends_again_and_again_is_stopped_and_started() {
    let (desired, mut engine) = running("");
    engine.set("demo-puppetdb-1", ContainerState::Restarting, "Restarting (1) 2 seconds ago");
    assert_snapshot!(up(&desired, &engine), @"
    0  stop container demo-puppetdb-1  (it keeps ending: restarting (1) 2 seconds ago)
    1  start container demo-puppetdb-1  (it keeps ending: restarting (1) 2 seconds ago)  after 0
    2  wait for container demo-puppetdb-1  (it starts)  after 1
    3  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 2
    4  remember record  (so that it is proved once)  after 3
    ");
    engine.up(&desired);
    engine.check(&desired);
}

#[test]
fn after_a_restart_of_the_engine_it_is_only_proved_again() {
    let (desired, mut engine) = running("");
    let names: Vec<String> = engine.observed.containers.keys().cloned().collect();
    for name in &names {
        engine.starts_again(name);
    }
    assert_snapshot!(up(&desired, &engine), @"
    0  wait for container demo-postgres-1  (not seen ready since it started)
    1  wait for container demo-puppetdb-1  (not seen ready since it started)
    2  wait for container demo-puppetserver-1  (not seen ready since it started)
    3  wait for container demo-agent-1  (not seen ready since it started)
    4  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,1,2,3
    5  remember record  (so that it is proved once)  after 4
    ");
}

#[test]
fn one_that_was_detached_from_a_network_is_made_anew() {
    let (desired, mut engine) = running("");
    engine.container("demo-puppetdb-1").found.networks.retain(|n| n != "demo_data");
    assert_snapshot!(up(&desired, &engine), @"
    0  stop container demo-puppetdb-1  (not attached to network demo_data)
    1  remove container demo-puppetdb-1  (not attached to network demo_data)  after 0
    2  write configuration into volume puppetdb-config  (not attached to network demo_data)  after 1
    3  create container demo-puppetdb-1  (not attached to network demo_data)  after 1,2
    4  start container demo-puppetdb-1  (it is new)  after 3
    5  wait for container demo-puppetdb-1  (it starts)  after 4
    6  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,5
    7  remember record  (so that it is proved once)  after 6
    ");
}

/// The certificate authority's files are not touched by two at once: whatever state the primary is in, it stops first.
#[test]
fn a_primary_that_may_come_back_is_stopped_before_its_ca_issues() {
    for (state, status) in [(ContainerState::Restarting, "Restarting"), (ContainerState::Paused, "Paused")] {
        let (_, mut engine) = running("");
        engine.set("demo-puppetserver-1", state, status);
        engine.lose_volume("puppetdb-data");
        let desired = platform("");
        let plan = engine.up(&desired);
        let find = |kind: &str, what: &str| {
            plan.steps.iter().find(|s| s.action.kind() == kind && s.action.resource() == what).unwrap()
        };
        let stop = find("stop_container", "container demo-puppetserver-1").id;
        assert!(find("issue_credentials", "credentials").needs.contains(&stop), "{status}");
        assert_eq!(up(&desired, &engine), "nothing to do\n");
    }
}

//! `stop`, `start`, `restart` and `down`.

use insta::assert_snapshot;
use pupperware::cli::service::ServiceRef;
use pupperware::desired::Desired;
use pupperware::engine::found::ContainerState;
use pupperware::plan::{Action, down, reconcile, restart, start, stop};

use crate::engine::Engine;
use crate::world::{failure, platform, running, text, up};

fn services(names: &[&str]) -> Vec<ServiceRef> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn all_stop_in_order() {
    let (desired, mut engine) = running("agents: { replicas: 2 }");
    let plan = stop(&engine.observed, &[]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  stop container demo-agent-1  (asked to stop)
    1  stop container demo-agent-2  (asked to stop)
    2  stop container demo-puppetserver-1  (asked to stop)  after 0,1
    3  stop container demo-puppetdb-1  (asked to stop)  after 2
    4  stop container demo-postgres-1  (asked to stop)  after 3
    ");
    engine.carry_out(&plan);
    assert!(stop(&engine.observed, &[]).unwrap().is_empty());
}

#[test]
fn one_service_or_one_replica_stops_alone() {
    let (desired, engine) = running("agents: { replicas: 2 }");
    assert_snapshot!(text(&desired, &stop(&engine.observed, &services(&["puppetdb", "agent.2"])).unwrap()), @"
    0  stop container demo-agent-2  (asked to stop)
    1  stop container demo-puppetdb-1  (asked to stop)  after 0
    ");
}

#[test]
fn what_is_stopped_starts_side_by_side() {
    let (desired, mut engine) = running("");
    let stopped = stop(&engine.observed, &[]).unwrap();
    engine.carry_out(&stopped);
    let plan = start(&engine.observed, &[]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  start container demo-agent-1  (asked to start)
    1  wait for container demo-agent-1  (it starts)  after 0
    2  start container demo-postgres-1  (asked to start)
    3  wait for container demo-postgres-1  (it starts)  after 2
    4  start container demo-puppetdb-1  (asked to start)
    5  wait for container demo-puppetdb-1  (it starts)  after 4
    6  start container demo-puppetserver-1  (asked to start)
    7  wait for container demo-puppetserver-1  (it starts)  after 6
    ");
    engine.carry_out(&plan);
    assert!(start(&engine.observed, &[]).unwrap().is_empty());
    assert_snapshot!(up(&desired, &engine), @"
    0  wait for container demo-postgres-1  (not seen ready since it started)
    1  wait for container demo-puppetdb-1  (not seen ready since it started)
    2  wait for container demo-puppetserver-1  (not seen ready since it started)
    3  wait for container demo-agent-1  (not seen ready since it started)
    4  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,1,2,3
    5  remember record  (so that it is proved once)  after 4
    ");
}

/// Started by hand a moment ago: `start` promises that all are ready when it ends.
#[test]
fn one_that_is_not_ready_yet_is_waited_for() {
    let (desired, mut engine) = running("");
    engine.container("demo-puppetdb-1").health = "starting".into();
    assert_snapshot!(text(&desired, &start(&engine.observed, &[]).unwrap()), @"
    0  wait for container demo-puppetdb-1  (it runs and is not ready)
    ");
}

#[test]
fn a_service_has_its_container_s_name_too() {
    let (desired, engine) = running("");
    assert_snapshot!(text(&desired, &stop(&engine.observed, &services(&["demo-puppetdb-1"])).unwrap()), @"
    0  stop container demo-puppetdb-1  (asked to stop)
    ");
}

#[test]
fn a_paused_one_stops_before_it_starts() {
    let (desired, mut engine) = running("");
    engine.set("demo-puppetdb-1", ContainerState::Paused, "Up 3 minutes (Paused)");
    let plan = start(&engine.observed, &[]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  stop container demo-puppetdb-1  (it is paused)
    1  start container demo-puppetdb-1  (asked to start)  after 0
    2  wait for container demo-puppetdb-1  (it starts)  after 1
    ");
    engine.carry_out(&plan);
}

#[test]
fn one_that_ends_again_and_again_stops_before_it_starts() {
    let (desired, mut engine) = running("");
    engine.set("demo-puppetdb-1", ContainerState::Restarting, "Restarting (1) 2 seconds ago");
    let plan = start(&engine.observed, &[]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  stop container demo-puppetdb-1  (it keeps ending)
    1  start container demo-puppetdb-1  (asked to start)  after 0
    2  wait for container demo-puppetdb-1  (it starts)  after 1
    ");
    engine.carry_out(&plan);
}

#[test]
fn one_service_restarts_alone() {
    let (desired, mut engine) = running("");
    let plan = restart(&engine.observed, &services(&["postgres"])).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  stop container demo-postgres-1  (asked to restart)
    1  start container demo-postgres-1  (asked to restart)  after 0
    2  wait for container demo-postgres-1  (it starts)  after 1
    ");
    engine.carry_out(&plan);
}

#[test]
fn all_restart_after_all_have_stopped() {
    let (desired, engine) = running("");
    assert_snapshot!(text(&desired, &restart(&engine.observed, &[]).unwrap()), @"
     0  stop container demo-agent-1  (asked to restart)
     1  stop container demo-puppetserver-1  (asked to restart)  after 0
     2  stop container demo-puppetdb-1  (asked to restart)  after 1
     3  stop container demo-postgres-1  (asked to restart)  after 2
     4  start container demo-agent-1  (asked to restart)  after 0,1,2,3
     5  wait for container demo-agent-1  (it starts)  after 4
     6  start container demo-postgres-1  (asked to restart)  after 0,1,2,3
     7  wait for container demo-postgres-1  (it starts)  after 6
     8  start container demo-puppetdb-1  (asked to restart)  after 0,1,2,3
     9  wait for container demo-puppetdb-1  (it starts)  after 8
    10  start container demo-puppetserver-1  (asked to restart)  after 0,1,2,3
    11  wait for container demo-puppetserver-1  (it starts)  after 10
    ");
}

/// A platform that lost its record, and whose `up` was killed while certificates were issued: that still goes on.
fn killed_while_issuing() -> (Desired, Engine) {
    let (desired, mut engine) = running("");
    engine.lose_record();
    for step in reconcile(&desired, &engine.observed).unwrap().steps {
        if matches!(step.action, Action::IssueCredentials { .. }) {
            engine.apply_half(&step.action);
            break;
        }
        engine.apply(&step.action);
    }
    (desired, engine)
}

#[test]
fn nothing_starts_beside_the_helper_of_a_killed_run() {
    let (desired, mut engine) = killed_while_issuing();
    let plan = start(&engine.observed, &[]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  remove container demo-provision  (left over from an interrupted run)
    1  start container demo-postgres-1  (asked to start)  after 0
    2  wait for container demo-postgres-1  (it starts)  after 1
    3  start container demo-puppetdb-1  (asked to start)  after 0
    4  wait for container demo-puppetdb-1  (it starts)  after 3
    5  start container demo-puppetserver-1  (asked to start)  after 0
    6  wait for container demo-puppetserver-1  (it starts)  after 5
    ");
    engine.carry_out(&plan);
    let (desired, mut engine) = killed_while_issuing();
    let plan = restart(&engine.observed, &services(&["puppetserver"])).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  remove container demo-provision  (left over from an interrupted run)
    1  start container demo-puppetserver-1  (asked to restart)  after 0
    2  wait for container demo-puppetserver-1  (it starts)  after 1
    ");
    engine.carry_out(&plan);
}

#[test]
fn an_unknown_service_is_a_mistake() {
    let (_, engine) = running("");
    assert_snapshot!(failure(&stop(&engine.observed, &services(&["puppetsever"])).unwrap_err()), @r#"
    exit 2: there is no "puppetsever" in this platform
    hint: it has agent, postgres, puppetdb, puppetserver
    "#);
    assert_snapshot!(failure(&restart(&engine.observed, &services(&["agent.2"])).unwrap_err()), @r#"
    exit 2: there is no "agent.2" in this platform
    hint: it has agent, postgres, puppetdb, puppetserver
    "#);
}

#[test]
fn with_nothing_there_only_stop_has_nothing_to_say() {
    let engine = Engine::empty(&platform(""));
    assert!(stop(&engine.observed, &[]).unwrap().is_empty());
    assert!(down(&engine.observed, &[]).unwrap().is_empty());
    assert_snapshot!(failure(&start(&engine.observed, &[]).unwrap_err()), @"
    exit 1: there are no containers to start
    hint: create the platform with `pupperware up`
    ");
    assert_snapshot!(failure(&restart(&engine.observed, &[]).unwrap_err()), @"
    exit 1: there are no containers to restart
    hint: create the platform with `pupperware up`
    ");
    assert_snapshot!(failure(&stop(&engine.observed, &services(&["agent"])).unwrap_err()), @r#"
    exit 2: there is no "agent" in this platform
    hint: nothing runs here yet; start with `pupperware up`
    "#);
}

#[test]
fn down_takes_containers_and_networks() {
    let (desired, mut engine) = running("");
    let plan = down(&engine.observed, &[]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
     0  stop container demo-agent-1  (asked to take the platform down)
     1  stop container demo-puppetserver-1  (asked to take the platform down)  after 0
     2  stop container demo-puppetdb-1  (asked to take the platform down)  after 1
     3  stop container demo-postgres-1  (asked to take the platform down)  after 2
     4  remove container demo-agent-1  (asked to take the platform down)  after 0
     5  remove container demo-postgres-1  (asked to take the platform down)  after 3
     6  remove container demo-puppetdb-1  (asked to take the platform down)  after 2
     7  remove container demo-puppetserver-1  (asked to take the platform down)  after 1
     8  remove network demo_back  (asked to take the platform down)  after 4,5,6,7
     9  remove network demo_data  (asked to take the platform down)  after 4,5,6,7
    10  remove network demo_front  (asked to take the platform down)  after 4,5,6,7
    ");
    engine.carry_out(&plan);
    assert!(down(&engine.observed, &[]).unwrap().is_empty());
    assert_snapshot!(up(&desired, &engine), @"
     0  create network demo_back  (no such network)
     1  create network demo_data  (no such network)
     2  create network demo_front  (no such network)
     3  write configuration into volume postgres-config  (for its first start)
     4  create container demo-postgres-1  (no container)  after 1,3
     5  start container demo-postgres-1  (it is new)  after 4
     6  wait for container demo-postgres-1  (it starts)  after 5
     7  write configuration into volume puppetdb-config  (for its first start)
     8  create container demo-puppetdb-1  (no container)  after 0,1,7
     9  start container demo-puppetdb-1  (it is new)  after 8
    10  wait for container demo-puppetdb-1  (it starts)  after 9
    11  write configuration into volume puppetserver-config  (for its first start)
    12  create container demo-puppetserver-1  (no container)  after 0,2,11
    13  start container demo-puppetserver-1  (it is new)  after 12
    14  wait for container demo-puppetserver-1  (it starts)  after 13
    15  create container demo-agent-1  (no container)  after 2
    16  start container demo-agent-1  (it is new)  after 15
    17  wait for container demo-agent-1  (it starts)  after 16
    18  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 6,10,14,17
    19  remember record  (so that it is proved once)  after 18
    ");
    engine.up(&desired);
    engine.check(&desired);
}

#[test]
fn down_destroys_the_volume_that_is_named() {
    let (desired, mut engine) = running("");
    let before = engine.observed.volumes.len();
    let plan = down(&engine.observed, &["postgres-data".into()]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
     0  stop container demo-agent-1  (asked to take the platform down)
     1  stop container demo-puppetserver-1  (asked to take the platform down)  after 0
     2  stop container demo-puppetdb-1  (asked to take the platform down)  after 1
     3  stop container demo-postgres-1  (asked to take the platform down)  after 2
     4  remove container demo-agent-1  (asked to take the platform down)  after 0
     5  remove container demo-postgres-1  (asked to take the platform down)  after 3
     6  remove container demo-puppetdb-1  (asked to take the platform down)  after 2
     7  remove container demo-puppetserver-1  (asked to take the platform down)  after 1
     8  remove network demo_back  (asked to take the platform down)  after 4,5,6,7
     9  remove network demo_data  (asked to take the platform down)  after 4,5,6,7
    10  remove network demo_front  (asked to take the platform down)  after 4,5,6,7
    11  remove volume postgres-data  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    ");
    engine.carry_out(&plan);
    assert_eq!(engine.observed.volumes.len(), before - 1);
}

#[test]
fn down_all_leaves_nothing() {
    let (desired, mut engine) = running("");
    let plan = down(&engine.observed, &["ALL".into()]).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
     0  stop container demo-agent-1  (asked to take the platform down)
     1  stop container demo-puppetserver-1  (asked to take the platform down)  after 0
     2  stop container demo-puppetdb-1  (asked to take the platform down)  after 1
     3  stop container demo-postgres-1  (asked to take the platform down)  after 2
     4  remove container demo-agent-1  (asked to take the platform down)  after 0
     5  remove container demo-postgres-1  (asked to take the platform down)  after 3
     6  remove container demo-puppetdb-1  (asked to take the platform down)  after 2
     7  remove container demo-puppetserver-1  (asked to take the platform down)  after 1
     8  remove network demo_back  (asked to take the platform down)  after 4,5,6,7
     9  remove network demo_data  (asked to take the platform down)  after 4,5,6,7
    10  remove network demo_front  (asked to take the platform down)  after 4,5,6,7
    11  remove volume agent-1  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    12  remove volume ca  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    13  remove volume code  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    14  remove volume postgres-config  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    15  remove volume postgres-data  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    16  remove volume puppetdb-config  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    17  remove volume puppetdb-data  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    18  remove volume puppetserver-config  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    19  remove volume puppetserver-data  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    20  remove volume puppetserver-ssl  (named with --destroy-data)  after 4,5,6,7  DATA LOSS
    21  remove record  (nothing is left of the platform)  after 4,5,6,7,11,12,13,14,15,16,17,18,19,20
    22  remove volume state  (named with --destroy-data)  after 4,5,6,7,11,12,13,14,15,16,17,18,19,20,21  DATA LOSS
    ");
    engine.carry_out(&plan);
    assert!(engine.observed.is_absent() && engine.observed.record_volumes.is_empty());
}

#[test]
fn down_with_an_unknown_volume_removes_nothing() {
    let (_, engine) = running("");
    assert_snapshot!(failure(&down(&engine.observed, &["postgres".into()]).unwrap_err()), @r#"
    exit 2: there is no volume "postgres" in this platform
    hint: it has agent-1, ca, code, postgres-config, postgres-data, puppetdb-config, puppetdb-data, puppetserver-config, puppetserver-data, puppetserver-ssl, state
    "#);
}

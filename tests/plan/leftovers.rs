//! `up` after a run that was killed.

use insta::assert_snapshot;
use pupperware::desired::labels;
use pupperware::engine::found::ContainerState;
use pupperware::plan::{Action, reconcile};

use crate::engine::Engine;
use crate::world::{platform, running, text, up};

/// The platform, and its engine after the steps of the first run up to the first one that `ends` accepts, which is
/// left half done.
fn killed_at(ends: impl Fn(&Action) -> bool) -> (pupperware::desired::Desired, Engine) {
    let desired = platform("");
    let mut engine = Engine::with_images(&desired);
    engine.lock();
    let plan = reconcile(&desired, &engine.observed).unwrap();
    for step in &plan.steps {
        if ends(&step.action) {
            engine.apply_half(&step.action);
            break;
        }
        engine.apply(&step.action);
    }
    (desired, engine)
}

/// Runs on from there, and checks that it ends well.
fn goes_on((desired, mut engine): (pupperware::desired::Desired, Engine)) -> String {
    let plan = text(&desired, &engine.up(&desired));
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
    plan
}

#[test]
fn half_of_the_volumes() {
    let killed = killed_at(|a| matches!(a, Action::CreateVolume { key, .. } if key == "postgres-data"));
    assert_snapshot!(goes_on(killed), @"
     0  create volume postgres-data  (no such volume)
     1  create volume puppetdb-config  (no such volume)
     2  create volume puppetdb-data  (no such volume)
     3  create volume puppetserver-config  (no such volume)
     4  create volume puppetserver-data  (no such volume)
     5  create volume puppetserver-ssl  (no such volume)
     6  issue credentials  (no record of what was issued)  after 0,1,2,3,4,5
     7  write configuration into volume postgres-config  (for its first start)
     8  create container demo-postgres-1  (no container)  after 0,6,7
     9  start container demo-postgres-1  (it is new)  after 8
    10  wait for container demo-postgres-1  (it starts)  after 9
    11  write configuration into volume puppetdb-config  (for its first start)  after 1
    12  create container demo-puppetdb-1  (no container)  after 1,2,6,11
    13  start container demo-puppetdb-1  (it is new)  after 12
    14  wait for container demo-puppetdb-1  (it starts)  after 13
    15  write configuration into volume puppetserver-config  (for its first start)  after 3
    16  create container demo-puppetserver-1  (no container)  after 3,4,5,6,15
    17  start container demo-puppetserver-1  (it is new)  after 16
    18  wait for container demo-puppetserver-1  (it starts)  after 17
    19  create container demo-agent-1  (no container)  after 6
    20  start container demo-agent-1  (it is new)  after 19
    21  wait for container demo-agent-1  (it starts)  after 20
    22  remember credentials  (so that it is issued once)  after 6
    23  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 10,14,18,21,22
    24  remember record  (so that it is proved once)  after 22,23
    ");
}

#[test]
fn certificates_half_issued() {
    let killed = killed_at(|a| matches!(a, Action::IssueCredentials { .. }));
    assert_snapshot!(goes_on(killed), @"
     0  remove container demo-provision  (left over from an interrupted run)
     1  issue credentials  (no record of what was issued)  after 0
     2  write configuration into volume postgres-config  (for its first start)  after 0
     3  create container demo-postgres-1  (no container)  after 1,2
     4  start container demo-postgres-1  (it is new)  after 3
     5  wait for container demo-postgres-1  (it starts)  after 4
     6  write configuration into volume puppetdb-config  (for its first start)  after 0
     7  create container demo-puppetdb-1  (no container)  after 1,6
     8  start container demo-puppetdb-1  (it is new)  after 7
     9  wait for container demo-puppetdb-1  (it starts)  after 8
    10  write configuration into volume puppetserver-config  (for its first start)  after 0
    11  create container demo-puppetserver-1  (no container)  after 1,10
    12  start container demo-puppetserver-1  (it is new)  after 0,11
    13  wait for container demo-puppetserver-1  (it starts)  after 12
    14  create container demo-agent-1  (no container)  after 1
    15  start container demo-agent-1  (it is new)  after 14
    16  wait for container demo-agent-1  (it starts)  after 15
    17  remember credentials  (so that it is issued once)  after 1
    18  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,5,9,13,16,17
    19  remember record  (so that it is proved once)  after 17,18
    ");
}

#[test]
fn configuration_half_written() {
    let (desired, engine) = killed_at(|a| matches!(a, Action::PlaceFiles { key, .. } if key == "puppetdb-config"));
    let plan = reconcile(&desired, &engine.observed).unwrap();
    let find = |kind: &str, what: &str| {
        plan.steps.iter().find(|s| s.action.kind() == kind && s.action.resource().ends_with(what)).unwrap()
    };
    let cleared = find("remove_container", "demo-place-puppetdb-config").id;
    assert!(find("place_files", "volume puppetdb-config").needs.contains(&cleared));
    assert_snapshot!(goes_on((desired, engine)), @"
     0  remove container demo-place-puppetdb-config  (left over from an interrupted run)
     1  wait for container demo-postgres-1  (not seen ready since it started)
     2  write configuration into volume puppetdb-config  (for its first start)  after 0
     3  create container demo-puppetdb-1  (no container)  after 2
     4  start container demo-puppetdb-1  (it is new)  after 3
     5  wait for container demo-puppetdb-1  (it starts)  after 4
     6  write configuration into volume puppetserver-config  (for its first start)  after 0
     7  create container demo-puppetserver-1  (no container)  after 6
     8  start container demo-puppetserver-1  (it is new)  after 0,7
     9  wait for container demo-puppetserver-1  (it starts)  after 8
    10  create container demo-agent-1  (no container)
    11  start container demo-agent-1  (it is new)  after 10
    12  wait for container demo-agent-1  (it starts)  after 11
    13  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,1,5,9,12
    14  remember record  (so that it is proved once)  after 13
    ");
}

#[test]
fn containers_made_and_not_started() {
    let killed = killed_at(|a| matches!(a, Action::StartContainer { name, .. } if name == "demo-puppetserver-1"));
    assert_snapshot!(goes_on(killed), @"
    0  wait for container demo-postgres-1  (not seen ready since it started)
    1  wait for container demo-puppetdb-1  (not seen ready since it started)
    2  start container demo-puppetserver-1  (created, not started)
    3  wait for container demo-puppetserver-1  (it starts)  after 2
    4  create container demo-agent-1  (no container)
    5  start container demo-agent-1  (it is new)  after 4
    6  wait for container demo-agent-1  (it starts)  after 5
    7  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,1,3,6
    8  remember record  (so that it is proved once)  after 7
    ");
}

#[test]
fn everything_but_the_proof() {
    let killed = killed_at(|a| matches!(a, Action::Prove { .. }));
    assert_snapshot!(goes_on(killed), @"
    0  wait for container demo-postgres-1  (not seen ready since it started)
    1  wait for container demo-puppetdb-1  (not seen ready since it started)
    2  wait for container demo-puppetserver-1  (not seen ready since it started)
    3  wait for container demo-agent-1  (not seen ready since it started)
    4  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,1,2,3
    5  remember record  (so that it is proved once)  after 4
    ");
}

#[test]
fn no_network() {
    let killed = killed_at(|a| matches!(a, Action::CreateNetwork { .. }));
    assert!(killed.1.observed.networks.is_empty());
    goes_on(killed);
}

#[test]
fn an_agent_of_smoke() {
    let (desired, mut engine) = running("");
    let plan = pupperware::plan::smoke(&desired, &engine.observed, "demo-smoke-1").unwrap();
    engine.carry_out(&plan);
    assert_snapshot!(up(&desired, &engine), @"
    0  remove container demo-smoke-1  (left over from an interrupted smoke)
    1  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0
    2  remember record  (so that it is proved once)  after 1
    ");
}

#[test]
fn a_helper_that_looks_is_left_alone_until_it_has_ended() {
    let (desired, mut engine) = running("");
    let mut helper = engine.container("demo-agent-1").clone();
    helper.found.name = "demo-audit".into();
    helper.found.labels = labels::common("demo", "look");
    engine.observed.containers.insert("demo-audit".into(), helper);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
    engine.set("demo-audit", ContainerState::Exited, "Exited (137) 2 minutes ago");
    assert_snapshot!(up(&desired, &engine), @"
    0  remove container demo-audit  (left over from an interrupted run)
    1  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0
    2  remember record  (so that it is proved once)  after 1
    ");
}

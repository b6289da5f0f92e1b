//! `smoke`, and its clean-up.

use insta::assert_snapshot;
use pupperware::engine::found::ContainerState;
use pupperware::plan::{smoke, smoke_cleanup};

use crate::world::{failure, running, text, up};

#[test]
fn a_stranger_goes_the_whole_way_and_is_forgotten() {
    let (desired, mut engine) = running("");
    let plan = smoke(&desired, &engine.observed, "demo-smoke-1").unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  create volume demo-smoke-1  (the agent's own)
    1  issue credentials  (a one-time token that lets its request be signed)  after 0
    2  create container demo-smoke-1  (a new agent that nobody knows)  after 1
    3  start container demo-smoke-1  (it is new)  after 2
    4  apply a catalog with agent demo-smoke-1  (key, request, signature, catalog, report)  after 3
    5  run agent demo-smoke-1  (a second run has nothing to change)  after 4
    ");
    engine.carry_out(&plan);

    let plan = smoke_cleanup(&desired, &engine.observed).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  remove container demo-smoke-1  (thrown away)
    1  revoke certificate demo-smoke-1  (thrown away)  after 0
    2  give the revocation list to container demo-postgres-1  (thrown away)  after 1
    3  give the revocation list to container demo-puppetdb-1  (thrown away)  after 1
    4  give the revocation list to container demo-puppetserver-1  (thrown away)  after 1
    5  remove certificate demo-smoke-1  (thrown away)  after 2,3,4
    6  deactivate node demo-smoke-1  (thrown away)  after 0
    7  remove volume demo-smoke-1  (thrown away)  after 5,6
    ");
    assert!(!plan.steps.iter().any(|s| s.action.data_loss()));
    engine.carry_out(&plan);
    assert!(smoke_cleanup(&desired, &engine.observed).unwrap().is_empty());
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn there_is_nothing_to_prove_while_a_service_is_down() {
    let (desired, mut engine) = running("");
    engine.set("demo-puppetdb-1", ContainerState::Exited, "Exited (1) 1 minute ago");
    assert_snapshot!(failure(&smoke(&desired, &engine.observed, "demo-smoke-1").unwrap_err()), @"
    exit 1: puppetdb does not run, so there is nothing to prove
    hint: start the platform with `pupperware up`
    ");
}

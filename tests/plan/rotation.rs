//! `secrets rotate`, and what `up` makes of one that did not get to its end.

use insta::assert_snapshot;
use pupperware::desired::credentials::EYAML;
use pupperware::engine::found::ContainerState;
use pupperware::plan::{TOKENS, rotate};

use crate::world::{failure, running, text, up};

const SECRET: &str = "puppetdb-password";

#[test]
fn a_rotation_restarts_puppetdb_and_nothing_else() {
    let (desired, mut engine) = running("");
    let old = engine.password("postgres");
    let plan = rotate(&desired, &engine.observed, SECRET).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  remember rotation of puppetdb-password  (so that it is finished whatever happens)
    1  renew secret puppetdb-password  (it is being rotated)  after 0
    2  set the database password in container demo-postgres-1  (it goes on running)  after 1
    3  stop container demo-puppetdb-1  (it knows the old password)  after 2
    4  start container demo-puppetdb-1  (it was stopped for its password)  after 3
    5  wait for container demo-puppetdb-1  (it starts)  after 4
    6  remember rotation of puppetdb-password  (all have the new one)  after 0,1,5
    7  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,5,6
    8  remember record  (so that it is proved once)  after 6,7
    ");
    engine.carry_out(&plan);
    assert_ne!(engine.password("postgres"), old);
    engine.check(&desired);
    assert!(engine.observed.record.as_ref().unwrap().rotated.contains_key(SECRET));
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn up_finishes_a_rotation_that_was_killed() {
    let (desired, mut engine) = running("");
    let plan = rotate(&desired, &engine.observed, SECRET).unwrap();
    // The mark, then half of the new password's way.
    engine.apply(&plan.steps[0].action);
    engine.apply_half(&plan.steps[1].action);
    assert_snapshot!(up(&desired, &engine), @"
    0  remove container demo-provision  (left over from an interrupted run)
    1  renew secret puppetdb-password  (it is being rotated)  after 0
    2  set the database password in container demo-postgres-1  (it goes on running)  after 1
    3  stop container demo-puppetdb-1  (the rotation of its password was interrupted)
    4  start container demo-puppetdb-1  (the rotation of its password was interrupted)  after 2,3
    5  wait for container demo-puppetdb-1  (it starts)  after 4
    6  remember rotation of puppetdb-password  (all have the new one)  after 1,5
    7  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,5,6
    8  remember record  (so that it is proved once)  after 6,7
    ");
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// The servers start with what is in their copies, so nobody has to be told.
#[test]
fn up_finishes_it_also_when_nothing_is_there_any_more() {
    let (desired, mut engine) = running("");
    let plan = rotate(&desired, &engine.observed, SECRET).unwrap();
    engine.apply(&plan.steps[0].action);
    engine.apply_half(&plan.steps[1].action);
    let down = pupperware::plan::down(&engine.observed, &[]).unwrap();
    engine.carry_out(&down);
    assert!(!up(&desired, &engine).contains("set the database password"));
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn a_rotation_needs_services_that_run_and_a_secret_that_there_is() {
    let (desired, mut engine) = running("");
    assert_snapshot!(failure(&rotate(&desired, &engine.observed, "pasword").unwrap_err()), @r#"
    exit 2: there is no secret "pasword" that can be rotated
    hint: there are puppetdb-password, eyaml and tokens
    "#);
    let mut unknown = engine.clone();
    unknown.lose_record();
    assert_snapshot!(failure(&rotate(&desired, &unknown.observed, SECRET).unwrap_err()), @"
    exit 1: it is not on record what was issued, so nothing is rotated
    hint: bring the platform up with `pupperware up`
    ");
    engine.set("demo-puppetdb-1", ContainerState::Exited, "Exited (1) 1 minute ago");
    assert_snapshot!(failure(&rotate(&desired, &engine.observed, SECRET).unwrap_err()), @"
    exit 1: puppetdb is not as it should be, so nothing is rotated: not running: exited (1) 1 minute ago
    hint: mend the platform with `pupperware up`
    ");
}

#[test]
fn another_key_pair_comes_beside_the_old_ones_and_nothing_restarts() {
    let (desired, mut engine) = running("");
    let first = engine.pairs().to_vec();
    assert_eq!(first.len(), 1);
    let plan = rotate(&desired, &engine.observed, EYAML).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  make key pair of eyaml  (asked to rotate; the old ones stay, to read with)
    1  remember rotation of eyaml  (so that its age is known)  after 0
    ");
    engine.carry_out(&plan);
    assert_eq!((engine.pairs().len(), engine.pairs()[0]), (2, first[0]));
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// The volume that Puppet Server reads them from, or the one where their originals are.
#[test]
fn key_pairs_survive_the_loss_of_a_volume() {
    for key in ["puppetserver-config", "state"] {
        let (desired, mut engine) = running("");
        let rotation = rotate(&desired, &engine.observed, EYAML).unwrap();
        engine.carry_out(&rotation);
        let pairs = engine.pairs().to_vec();
        engine.lose_volume(key);
        engine.up(&desired);
        engine.check(&desired);
        assert_eq!(engine.pairs(), pairs, "{key}");
    }
}

/// Only the rotation itself can say that it is over.
#[test]
fn a_rotation_of_the_password_that_was_interrupted_stays_on_record() {
    let (desired, mut engine) = running("");
    let password = rotate(&desired, &engine.observed, SECRET).unwrap();
    engine.apply(&password.steps[0].action);
    let pair = rotate(&desired, &engine.observed, EYAML).unwrap();
    engine.carry_out(&pair);
    assert_eq!(engine.observed.record.as_ref().unwrap().rotating.as_deref(), Some(SECRET));
    assert!(up(&desired, &engine).contains("set the database password"));
}

#[test]
fn tokens_are_void_once_the_platforms_own_agents_have_used_theirs() {
    let (desired, mut engine) = running("");
    let plan = rotate(&desired, &engine.observed, TOKENS).unwrap();
    assert_snapshot!(text(&desired, &plan), @"  0  withdraw one-time tokens  (asked to rotate)");
    engine.carry_out(&plan);
    engine.set("demo-agent-1", ContainerState::Exited, "Exited (1) 1 minute ago");
    assert_snapshot!(failure(&rotate(&desired, &engine.observed, TOKENS).unwrap_err()), @"
    exit 1: agent is not as it should be, so nothing is rotated: not running: exited (1) 1 minute ago
    hint: mend the platform with `pupperware up`
    ");
}

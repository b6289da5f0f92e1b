//! `backup create` and `backup restore`.

use insta::assert_snapshot;
use pupperware::backup::Part;
use pupperware::desired::Desired;
use pupperware::desired::credentials::DATABASE_PASSWORD;
use pupperware::engine::found::ContainerState;
use pupperware::observed::Observed;
use pupperware::plan::backup::Order;
use pupperware::plan::{Action, Plan, Restoration, backup, losses, reconcile, restore, start};

use crate::engine::Engine;
use crate::world::{failure, platform, running, text};

const FILE: &str = "/srv/demo.pupperware";

fn everything() -> Restoration {
    let volumes = [
        "agent-1",
        "ca",
        "code",
        "postgres-config",
        "puppetdb-config",
        "puppetserver-data",
        "puppetserver-ssl",
        "state",
    ];
    Restoration {
        file: FILE.into(),
        identity: None,
        configuration: None,
        volumes: volumes.map(String::from).to_vec(),
        database: true,
        only: vec![],
        safety: Some(Order { file: "/srv/safety.pupperware".into(), ..Order::default() }),
    }
}

fn only(part: Part, volumes: &[&str]) -> Restoration {
    let volumes = volumes.iter().map(ToString::to_string).collect();
    Restoration { volumes, database: part == Part::Database, only: vec![part], ..everything() }
}

fn planned(desired: &Desired, observed: &Observed, what: &Restoration) -> Plan {
    restore(desired, observed, what).expect("nothing is refused")
}

/// Position of the first step of a kind whose resource ends like this.
fn at(plan: &Plan, kind: &str, resource: &str) -> usize {
    let found = plan.steps.iter().position(|s| s.action.kind() == kind && s.action.resource().ends_with(resource));
    found.unwrap_or_else(|| panic!("no {kind} of {resource}"))
}

/// True when the later step cannot begin before the earlier one is done.
fn after(plan: &Plan, later: usize, earlier: usize) -> bool {
    plan.steps[later].needs.iter().any(|n| *n == earlier || after(plan, *n, earlier))
}

#[test]
fn a_backup_is_one_step_while_everything_serves() {
    let (desired, engine) = running("");
    let order = Order { file: FILE.into(), ..Order::default() };
    let plan = backup(&desired, &engine.observed, &order).unwrap();
    assert_snapshot!(text(&desired, &plan), @r#"
      0  write file /srv/demo.pupperware  (asked for)
      1  remember backup  (so that its age is known)  after 0
    "#);
    let Action::WriteBackup { source } = &plan.steps[0].action else { panic!("another step") };
    assert_eq!(
        source.volumes,
        [
            "agent-1",
            "ca",
            "code",
            "postgres-config",
            "puppetdb-config",
            "puppetserver-data",
            "puppetserver-ssl",
            "state"
        ]
    );
    assert!(source.task.mounts.iter().all(|m| m.read_only), "a backup changes nothing");
    let left: Vec<&str> = source.left_out.iter().map(|l| l.what.as_str()).collect();
    assert_eq!(left, ["puppetdb-data", "puppetserver-config"]);
}

#[test]
fn what_stays_outside_is_named() {
    let (desired, engine) = running("");
    let beside = vec![("puppetserver.autosign_policy".to_owned(), "./policy".to_owned())];
    let order = Order { file: FILE.into(), code_dir: Some("/srv/code".into()), beside, ..Order::default() };
    let plan = backup(&desired, &engine.observed, &order).unwrap();
    let Action::WriteBackup { source } = &plan.steps[0].action else { panic!("another step") };
    let left: Vec<String> = source.left_out.iter().map(|l| format!("{}: {}", l.what, l.why)).collect();
    assert_eq!(
        left[2..],
        [
            "code: code.dir is a directory of the host: /srv/code",
            "puppetserver.autosign_policy: a file of the host: ./policy"
        ]
    );
}

#[test]
fn the_last_backup_is_on_record_and_outlives_down() {
    let (desired, mut engine) = running("");
    let order = Order { file: FILE.into(), ..Order::default() };
    engine.carry_out(&backup(&desired, &engine.observed, &order).unwrap());
    let last = |engine: &Engine| engine.observed.record.clone().unwrap().backup.expect("it is on record");
    let finished_at = last(&engine).finished_at;
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty(), "nothing of the platform changed");
    engine.carry_out(&pupperware::plan::down(&engine.observed.clone(), &[]).unwrap());
    engine.up(&desired);
    assert_eq!(last(&engine).finished_at, finished_at);

    assert!(backup::verified(&engine.observed, "2026-01-01T00:00:00Z").is_empty(), "another one was verified");
    let plan = backup::verified(&engine.observed, &finished_at);
    assert_snapshot!(text(&desired, &plan), @r#"
      0  remember backup  (it was restored elsewhere, and proved)
    "#);
    engine.carry_out(&plan);
    assert!(last(&engine).verified_at.is_some());
    engine.carry_out(&backup(&desired, &engine.observed, &order).unwrap());
    assert_eq!(last(&engine).verified_at, None, "a new one was not verified yet");
}

#[test]
fn there_is_no_backup_of_nothing_or_without_a_database() {
    let desired = platform("");
    let order = Order::default();
    let mut engine = Engine::with_images(&desired);
    assert_snapshot!(failure(&backup(&desired, &engine.observed, &order).unwrap_err()), @r#"
    exit 1: there is no platform demo to back up
    hint: create it with `pupperware up`
    "#);
    engine.up(&desired);
    engine.set("demo-postgres-1", ContainerState::Exited, "Exited (1) 1 minute ago");
    assert_snapshot!(failure(&backup(&desired, &engine.observed, &order).unwrap_err()), @r#"
    exit 1: postgres does not run, so its database cannot be dumped
    hint: start the platform with `pupperware --project demo up`
    "#);
}

/// An empty engine: everything comes from the archive before anything of it is used.
#[test]
fn a_disaster_is_undone() {
    let desired = platform("");
    let mut engine = Engine::with_images(&desired);
    engine.lock();
    let plan = planned(&desired, &engine.observed, &everything());
    assert_snapshot!(text(&desired, &plan), @"
     0  mark as half-restored in record  (until all data is back, nothing else may start it)
     1  create volume agent-1  (for what is in the archive)  after 0
     2  put back volume agent-1  (from the archive)  after 1
     3  create volume ca  (for what is in the archive)  after 0
     4  put back volume ca  (from the archive)  after 3
     5  settle certificate authority  (it may have signed since the archive was made)  after 4
     6  create volume code  (for what is in the archive)  after 0
     7  put back volume code  (from the archive)  after 6
     8  create volume postgres-config  (for what is in the archive)  after 0
     9  put back volume postgres-config  (from the archive)  after 8
    10  create volume puppetdb-config  (for what is in the archive)  after 0
    11  put back volume puppetdb-config  (from the archive)  after 10
    12  create volume puppetserver-data  (for what is in the archive)  after 0
    13  put back volume puppetserver-data  (from the archive)  after 12
    14  create volume puppetserver-ssl  (for what is in the archive)  after 0
    15  put back volume puppetserver-ssl  (from the archive)  after 14
    16  put back volume state  (from the archive)  after 0
    17  create network demo_back  (no such network)  after 0
    18  create network demo_data  (no such network)  after 0
    19  create network demo_front  (no such network)  after 0
    20  create volume postgres-data  (no such volume)  after 0
    21  create volume puppetdb-data  (no such volume)  after 0
    22  create volume puppetserver-config  (no such volume)  after 0
    23  issue credentials  (no record of what was issued)  after 0,2,4,5,7,9,11,13,15,16,20,21,22
    24  write configuration into volume postgres-config  (for its first start)  after 0,9
    25  create container demo-postgres-1  (no container)  after 0,18,20,23,24
    26  start container demo-postgres-1  (it is new)  after 0,25
    27  wait for container demo-postgres-1  (it starts)  after 0,26
    28  write configuration into volume puppetdb-config  (for its first start)  after 0,11
    29  create container demo-puppetdb-1  (no container)  after 0,17,18,21,23,28
    30  put back database puppetdb  (from the archive)  after 27
    31  start container demo-puppetdb-1  (it is new)  after 0,29,30
    32  wait for container demo-puppetdb-1  (it starts)  after 0,31
    33  write configuration into volume puppetserver-config  (for its first start)  after 0,22
    34  create container demo-puppetserver-1  (no container)  after 0,17,19,22,23,33
    35  start container demo-puppetserver-1  (it is new)  after 0,30,34
    36  wait for container demo-puppetserver-1  (it starts)  after 0,35
    37  create container demo-agent-1  (no container)  after 0,19,23
    38  start container demo-agent-1  (it is new)  after 0,37
    39  wait for container demo-agent-1  (it starts)  after 0,38
    40  remember credentials  (so that it is issued once)  after 0,23
    41  remove the mark in record  (all data is back)  after 2,4,5,7,9,11,13,15,16,30,40
    42  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,27,32,36,39,40,41
    43  remember record  (so that it is proved once)  after 0,40,41,42
    ");
    assert!(losses(&plan).is_empty(), "there is nothing to lose");
    let issue = at(&plan, "issue_credentials", "credentials");
    for key in ["ca", "code", "state", "puppetserver-ssl"] {
        assert!(
            after(&plan, issue, at(&plan, "restore_volume", key)),
            "{key} is there when certificates are looked at"
        );
    }
    assert!(after(&plan, issue, at(&plan, "settle_ca", "authority")), "no serial number is used twice");
    let database = at(&plan, "restore_database", "puppetdb");
    assert!(after(&plan, database, at(&plan, "wait_ready", "demo-postgres-1")));
    assert!(after(&plan, at(&plan, "start_container", "demo-puppetdb-1"), database));
    assert!(after(&plan, at(&plan, "prove", "demo-agent-1"), at(&plan, "finish_restore", "record")));
    engine.carry_out(&plan);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty(), "and nothing is left to do");
}

#[test]
fn what_is_there_is_saved_before_anything_of_it_goes() {
    let (desired, mut engine) = running("");
    let plan = planned(&desired, &engine.observed, &everything());
    let (saved, marked) = (at(&plan, "write_backup", "safety.pupperware"), at(&plan, "mark_restore", "record"));
    assert!(after(&plan, marked, saved));
    for step in
        plan.steps.iter().filter(|s| s.action.kind().starts_with("remove_") || s.action.kind() == "stop_container")
    {
        assert!(after(&plan, step.id, marked), "{:?} waits for the mark", step.action);
    }
    let mut lost = losses(&plan);
    lost.sort();
    assert_eq!(
        lost,
        [
            "agent-1",
            "ca",
            "code",
            "postgres-config",
            "postgres-data",
            "puppetdb-config",
            "puppetserver-data",
            "puppetserver-ssl"
        ]
    );
    engine.carry_out(&plan);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
}

#[test]
fn a_part_touches_no_other_data() {
    let (desired, mut engine) = running("");
    let plan = planned(&desired, &engine.observed, &only(Part::Database, &[]));
    assert_eq!(losses(&plan), ["postgres-data"]);
    engine.carry_out(&plan);
    let plan = planned(&desired, &engine.observed, &only(Part::Code, &["code"]));
    assert_eq!(losses(&plan), ["code"]);
    let plan = planned(&desired, &engine.observed, &only(Part::Ca, &["ca"]));
    assert_eq!(losses(&plan), ["ca"]);
    engine.carry_out(&plan);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
}

/// Killed after every single step: nothing but the same restore goes on, and it ends where it should.
#[test]
fn an_interrupted_restore_is_finished_by_itself_only() {
    let (desired, engine) = running("");
    let whole = planned(&desired, &engine.observed, &everything());
    let (marked, finished) = (at(&whole, "mark_restore", "record"), at(&whole, "finish_restore", "record"));
    for killed_after in 0..whole.steps.len() {
        let mut engine = engine.clone();
        whole.steps[..=killed_after].iter().for_each(|step| engine.apply(&step.action));
        if killed_after >= marked && killed_after < finished {
            let refused = reconcile(&desired, &engine.observed).unwrap_err();
            assert_eq!(refused.kind.exit_code(), 6);
            let hint = refused.hint.unwrap();
            assert!(hint.contains(&format!("pupperware backup restore {FILE} --as demo")), "{hint}");
            assert!(start(&engine.observed, &[]).is_err());
            let part = only(Part::Code, &["code"]);
            assert!(restore(&desired, &engine.observed, &part).is_err(), "a part is not the rest");
            let again = planned(&desired, &engine.observed, &everything());
            assert!(!again.steps.iter().any(|s| s.action.kind() == "write_backup"), "half of it is no backup");
            engine.carry_out(&again);
        } else {
            engine.up(&desired);
        }
        assert!(reconcile(&desired, &engine.observed).unwrap().is_empty(), "after step {killed_after}");
    }
}

#[test]
fn refusals_name_the_next_command() {
    let (desired, mut engine) = running("");
    let mut strange = everything();
    strange.volumes.push("etc".into());
    assert_snapshot!(failure(&restore(&desired, &engine.observed, &strange).unwrap_err()), @r#"
    exit 6: /srv/demo.pupperware holds a volume "etc", which no platform of this release has
    "#);
    engine.set("demo-postgres-1", ContainerState::Exited, "Exited (1) 1 minute ago");
    assert_snapshot!(failure(&restore(&desired, &engine.observed, &everything()).unwrap_err()), @r#"
    exit 6: no safety backup can be made of what is there now
    hint: start the platform, or give up what is there now with `--no-safety-backup`
    "#);
    let empty = Engine::with_images(&desired);
    let part = only(Part::Database, &[]);
    assert_snapshot!(failure(&restore(&desired, &empty.observed, &part).unwrap_err()), @r#"
    exit 6: there is no platform demo to put a part of /srv/demo.pupperware into
    hint: leave out `--only` to put everything back
    "#);
}

/// Nothing is written before the user said yes, and the mark stays until it is.
#[test]
fn the_configuration_comes_back_with_the_rest() {
    let desired = platform("");
    let mut engine = Engine::with_images(&desired);
    engine.lock();
    let configuration = Some(("/srv/pupperware.yaml".into(), "project: demo\n".into()));
    let plan = planned(&desired, &engine.observed, &Restoration { configuration, ..everything() });
    let placed = at(&plan, "place_configuration", "/srv/pupperware.yaml");
    assert!(after(&plan, placed, at(&plan, "mark_restore", "record")));
    assert!(after(&plan, at(&plan, "finish_restore", "record"), placed));
    engine.carry_out(&plan);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
}

/// The hint is the whole command: without the key it would only be refused again.
#[test]
fn an_interrupted_restore_names_its_key() {
    let desired = platform("");
    let mut engine = Engine::with_images(&desired);
    engine.lock();
    let what = Restoration { identity: Some("/root/key.txt".into()), ..everything() };
    let plan = planned(&desired, &engine.observed, &what);
    engine.apply(&plan.steps[at(&plan, "mark_restore", "record")].action);
    let refused = reconcile(&desired, &engine.observed).unwrap_err();
    assert_eq!(
        refused.hint.as_deref(),
        Some("finish it with `pupperware backup restore /srv/demo.pupperware --identity /root/key.txt --as demo`")
    );
}

/// It is served as it was: its repository may be gone, and today's branches are not what was backed up.
#[test]
fn restored_code_is_not_deployed_over() {
    let desired = platform("code: { control_repo: { url: \"https://git.example.com/control.git\" } }");
    let mut engine = Engine::with_images(&desired);
    engine.lock();
    let plan = planned(&desired, &engine.observed, &everything());
    assert!(!plan.steps.iter().any(|s| s.action.kind() == "stage_code"), "{}", text(&desired, &plan));
    engine.carry_out(&plan);
    assert!(reconcile(&desired, &engine.observed).unwrap().is_empty());
}

#[test]
fn an_interrupted_rotation_waits_for_what_is_put_back() {
    let (desired, mut engine) = running("");
    engine.observed.record.as_mut().unwrap().rotating = Some(DATABASE_PASSWORD.into());
    let plan = planned(&desired, &engine.observed, &everything());
    let renewed = at(&plan, "renew_secret", DATABASE_PASSWORD);
    for volume in ["state", "puppetdb-config", "postgres-config"] {
        assert!(after(&plan, renewed, at(&plan, "restore_volume", volume)), "{}", text(&desired, &plan));
    }
}

/// There is nothing to back up from, and the database that lives is newer than the archive's.
#[test]
fn a_lost_ca_does_not_cost_the_rest_without_a_word() {
    let (desired, mut engine) = running("");
    engine.carry_out(&pupperware::plan::down(&engine.observed.clone(), &[]).unwrap());
    engine.remove_volume("demo_ca");
    assert_snapshot!(failure(&restore(&desired, &engine.observed, &everything()).unwrap_err()), @"
    exit 6: no safety backup can be made of what is there now: its CA is missing
    hint: give up what is there now with `--no-safety-backup`
    ");
    let what = Restoration { safety: None, ..everything() };
    assert!(restore(&desired, &engine.observed, &what).is_ok());
}

//! `code`: deployments before the server's first start, and into a platform that runs.

use insta::assert_snapshot;
use pupperware::engine::found::ContainerState;
use pupperware::plan::{Action, code};

use crate::engine::Engine;
use crate::world::{failure, platform, running, text, up};

const REPO: &str = "code: { control_repo: { url: \"https://git.example.com/control.git\" } }\n";

/// The lines of a plan that are about code, and who needs them.
fn about_code(plan: &str) -> String {
    let code = ["code", "container demo-puppetserver-1", "catalog", "record"];
    plan.lines().filter(|line| code.iter().any(|word| line.contains(word))).collect::<Vec<_>>().join("\n")
}

#[test]
fn code_is_there_before_the_server_starts_for_the_first_time() {
    let desired = platform(REPO);
    let mut engine = Engine::with_images(&desired);
    assert_snapshot!(about_code(&up(&desired, &engine)), @"
     5  create volume code  (no such volume)  after 3
    16  fetch and check code  (nothing was deployed yet)  after 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14
    17  serve code  (what was staged is well)  after 16
    27  create container demo-puppetserver-1  (no container)  after 0,2,3,5,10,11,12,26
    28  start container demo-puppetserver-1  (it is new)  after 17,27
    29  wait for container demo-puppetserver-1  (it starts)  after 14,28
    33  remember record  (so that `up` does not deploy again)  after 15,17
    34  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 15,21,25,29,32,33
    35  remember record  (so that it is proved once)  after 33,34
    ");
    engine.up(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn the_old_server_goes_only_after_the_new_code_has_come() {
    let (_, engine) = running("");
    assert_snapshot!(about_code(&up(&platform(REPO), &engine)), @"
     0  fetch and check code  (nothing was deployed yet)
     1  serve code  (what was staged is well)  after 0
     2  stop container demo-puppetserver-1  (its configuration changed)  after 1
     3  remove container demo-puppetserver-1  (its configuration changed)  after 2
     5  create container demo-puppetserver-1  (its configuration changed)  after 3,4
     6  start container demo-puppetserver-1  (it is new)  after 1,5
     7  wait for container demo-puppetserver-1  (it starts)  after 6
     8  remember record  (so that `up` does not deploy again)  after 1
     9  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 3,7,8
    10  remember record  (so that it is proved once)  after 8,9
    ");
}

#[test]
fn a_lost_volume_and_another_repository_are_deployed_again() {
    let (desired, mut engine) = running(REPO);
    let other = platform(&REPO.replace("/control", "/other"));
    assert_snapshot!(about_code(&up(&other, &engine)), @"
    0  fetch and check code  (the control repository is another one)
    1  serve code  (what was staged is well)  after 0
    2  flush the environments of container demo-puppetserver-1  (it may keep what was served before)  after 1
    3  remember record  (so that `up` does not deploy again)  after 1,2
    4  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 2,3
    5  remember record  (so that it is proved once)  after 3,4
    ");
    engine.remove_container("demo-puppetserver-1");
    engine.remove_volume("demo_code");
    assert!(up(&desired, &engine).contains("the volume code is another one"));
}

#[test]
fn a_deployment_is_staged_then_served_then_told_to_the_servers() {
    let (desired, mut engine) = running(REPO);
    let plan = code::deploy(&desired, &engine.observed, &["dev".into()], None).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  fetch and check code  (asked to deploy)
    1  serve code  (what was staged is well)  after 0
    2  flush the environments of container demo-puppetserver-1  (it may keep what was served before)  after 1
    3  remember record  (so that `up` does not deploy again)  after 1,2
    ");
    engine.carry_out(&plan);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
    engine.set("demo-puppetserver-1", ContainerState::Exited, "Exited (0) 1 minute ago");
    assert!(!text(&desired, &code::undo(&desired, &engine.observed).unwrap()).contains("flush"));
}

#[test]
fn a_check_with_a_node_compiles_in_every_environment_named() {
    let (desired, engine) = running("");
    let plan = code::check(&desired, &engine.observed, &["dev".into(), "production".into()], Some("web01")).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  check code  (asked to check)
    1  compile catalog web01 in dev  (asked for with a node)  after 0
    2  compile catalog web01 in production  (asked for with a node)  after 0,1
    ");
}

#[test]
fn a_deployment_with_a_node_is_tried_before_it_counts_and_undone_once() {
    let (desired, engine) = running(REPO);
    let names = ["dev".into(), "production".into()];
    let plan = code::deploy(&desired, &engine.observed, &names, Some("web01")).unwrap();
    assert_snapshot!(text(&desired, &plan), @"
    0  fetch and check code  (asked to deploy)
    1  serve code  (what was staged is well)  after 0
    2  flush the environments of container demo-puppetserver-1  (it may keep what was served before)  after 1
    3  compile catalog web01 in dev  (asked for with a node)  after 1,2
    4  compile catalog web01 in production  (asked for with a node)  after 1,2,3
    5  remember record  (so that `up` does not deploy again)  after 1,2,4
    ");
    // Interrupted, it waits for the end of what it may have to undo.
    assert!(plan.steps.iter().all(|step| !step.action.only_waits()));
    let Some(Action::CompileCatalog { undo: Some(undo), .. }) = plan.steps.get(3).map(|step| &step.action) else {
        panic!("{plan:#?}");
    };
    assert_eq!(undo.task.command, Some(vec!["undo".to_owned()]));
    assert_eq!(undo.servers, [("demo-puppetserver-1".to_owned(), None)]);
}

#[test]
fn nothing_is_deployed_without_a_repository_or_a_platform() {
    let (desired, engine) = running("");
    assert_snapshot!(failure(&code::deploy(&desired, &engine.observed, &[], None).unwrap_err()), @"
    exit 2: no control repository is configured
    hint: name one in pupperware.yaml: `code: { control_repo: { url: URL } }`
    ");
    let desired = platform(REPO);
    let engine = Engine::with_images(&desired);
    assert_snapshot!(failure(&code::deploy(&desired, &engine.observed, &[], None).unwrap_err()), @"
    exit 1: the platform is not up, so there is nothing to deploy to
    hint: `pupperware up` brings it up, and deploys what was never deployed
    ");
}

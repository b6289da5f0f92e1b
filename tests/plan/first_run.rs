//! The first `up` on an engine, the second one, and the plan's document.

use insta::assert_snapshot;
use pupperware::plan::{images, reconcile, render};

use crate::engine::Engine;
use crate::world::{platform, running, text, up, without_keys};

#[test]
fn with_images_everything_is_made_from_the_ground_up() {
    let desired = platform("");
    let engine = Engine::with_images(&desired);
    assert_snapshot!(up(&desired, &engine), @"
     0  create network demo_back  (no such network)
     1  create network demo_data  (no such network)
     2  create network demo_front  (no such network)
     3  create volume ca  (no such volume)
     4  create volume agent-1  (no such volume)  after 3
     5  create volume code  (no such volume)  after 3
     6  create volume postgres-config  (no such volume)  after 3
     7  create volume postgres-data  (no such volume)  after 3
     8  create volume puppetdb-config  (no such volume)  after 3
     9  create volume puppetdb-data  (no such volume)  after 3
    10  create volume puppetserver-config  (no such volume)  after 3
    11  create volume puppetserver-data  (no such volume)  after 3
    12  create volume puppetserver-ssl  (no such volume)  after 3
    13  create volume state  (no such volume)  after 3
    14  issue credentials  (a new platform)  after 3,4,5,6,7,8,9,10,11,12,13
    15  remember credentials  (so that it is issued once)  after 14
    16  write configuration into volume postgres-config  (for its first start)  after 6
    17  create container demo-postgres-1  (no container)  after 1,6,7,16
    18  start container demo-postgres-1  (it is new)  after 17
    19  wait for container demo-postgres-1  (it starts)  after 14,18
    20  write configuration into volume puppetdb-config  (for its first start)  after 8
    21  create container demo-puppetdb-1  (no container)  after 0,1,8,9,20
    22  start container demo-puppetdb-1  (it is new)  after 21
    23  wait for container demo-puppetdb-1  (it starts)  after 14,22
    24  write configuration into volume puppetserver-config  (for its first start)  after 10
    25  create container demo-puppetserver-1  (no container)  after 0,2,3,5,10,11,12,24
    26  start container demo-puppetserver-1  (it is new)  after 25
    27  wait for container demo-puppetserver-1  (it starts)  after 14,26
    28  create container demo-agent-1  (no container)  after 2,4
    29  start container demo-agent-1  (it is new)  after 28
    30  wait for container demo-agent-1  (it starts)  after 14,29
    31  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 15,19,23,27,30
    32  remember record  (so that it is proved once)  after 15,31
    ");
}

#[test]
fn without_images_they_are_built_before_anything_else() {
    let desired = platform("");
    let engine = Engine::empty(&desired);
    let plan = up(&desired, &engine);
    let lines: Vec<&str> = plan.lines().take(10).collect();
    assert_snapshot!(lines.join("\n"), @"
    0  make image pupperware/debian:trixie  (the base image stands on it)
    1  build image pupperware/base:8-KEY  (not on this engine)  after 0
    2  build image pupperware/provision:8-KEY  (not on this engine)  after 1
    3  build image pupperware/postgres:8-KEY  (not on this engine)  after 1
    4  build image pupperware/jre:8-KEY  (not on this engine)  after 1
    5  build image pupperware/puppetdb:8-KEY  (not on this engine)  after 4
    6  build image pupperware/puppetserver:8-KEY  (not on this engine)  after 4
    7  build image pupperware/agent:8-KEY  (not on this engine)  after 1
    8  create network demo_back  (no such network)  after 1,2,3,4,5,6,7
    9  create network demo_data  (no such network)  after 1,2,3,4,5,6,7
    ");
}

#[test]
fn images_can_be_built_alone() {
    let desired = platform("");
    let engine = Engine::empty(&desired);
    assert_snapshot!(text(&desired, &images(&desired.images, &desired.debian, &engine.observed, &["agent".into()])), @"
    0  make image pupperware/debian:trixie  (the base image stands on it)
    1  build image pupperware/base:8-KEY  (not on this engine)  after 0
    2  build image pupperware/agent:8-KEY  (not on this engine)  after 1
    ");
}

#[test]
fn the_second_run_changes_nothing() {
    for yaml in ["", "agents: { replicas: 3 }", "puppetserver: { dns_alt_names: [ca.example.com] }"] {
        let (desired, engine) = running(yaml);
        assert_eq!(up(&desired, &engine), "nothing to do\n");
        engine.check(&desired);
    }
}

#[test]
fn the_document_of_a_plan() {
    let (desired, mut engine) = running("");
    engine.set("demo-agent-1", pupperware::engine::found::ContainerState::Dead, "Dead");
    let plan = reconcile(&desired, &engine.observed).unwrap();
    let document = serde_json::to_string_pretty(&render::document("demo", &plan)).unwrap();
    assert_snapshot!(without_keys(&desired, document), @r#"
    {
      "schema_version": 1,
      "project": "demo",
      "steps": [
        {
          "id": 0,
          "kind": "remove_container",
          "resource": "container demo-agent-1",
          "cause": "the container is dead",
          "needs": [],
          "data_loss": false
        },
        {
          "id": 1,
          "kind": "create_container",
          "resource": "container demo-agent-1",
          "cause": "the container is dead",
          "needs": [
            0
          ],
          "data_loss": false
        },
        {
          "id": 2,
          "kind": "start_container",
          "resource": "container demo-agent-1",
          "cause": "it is new",
          "needs": [
            1
          ],
          "data_loss": false
        },
        {
          "id": 3,
          "kind": "wait_ready",
          "resource": "container demo-agent-1",
          "cause": "it starts",
          "needs": [
            2
          ],
          "data_loss": false
        },
        {
          "id": 4,
          "kind": "prove",
          "resource": "agent demo-agent-1",
          "cause": "release 8.0.0 is not proved as it runs now",
          "needs": [
            0,
            3
          ],
          "data_loss": false
        },
        {
          "id": 5,
          "kind": "record_proof",
          "resource": "record",
          "cause": "so that it is proved once",
          "needs": [
            4
          ],
          "data_loss": false
        }
      ]
    }
    "#);
}

#[test]
fn the_document_marks_data_that_is_lost() {
    let (_, engine) = running("");
    let plan = pupperware::plan::down(&engine.observed, &["puppetdb-data".into()]).unwrap();
    let losses: Vec<_> = render::document("demo", &plan).steps.into_iter().filter(|s| s.data_loss).collect();
    assert_snapshot!(serde_json::to_string_pretty(&losses).unwrap(), @r#"
    [
      {
        "id": 11,
        "kind": "remove_volume",
        "resource": "volume puppetdb-data",
        "cause": "named with --destroy-data",
        "needs": [
          4,
          5,
          6,
          7
        ],
        "data_loss": true
      }
    ]
    "#);
}

#[test]
fn an_own_image_is_pulled_before_its_container_is_made_anew() {
    let (_, engine) = running("");
    let desired = platform("images: { puppetdb: registry.example.com/puppetdb:8 }");
    let before = platform("");
    assert_snapshot!(without_keys(&before, up(&desired, &engine)), @"
    0  stop container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to registry.example.com/puppetdb:8)
    1  remove container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to registry.example.com/puppetdb:8)  after 0
    2  pull image registry.example.com/puppetdb:8  (not on this engine)
    3  write configuration into volume puppetdb-config  (image changes from pupperware/puppetdb:8-KEY to registry.example.com/puppetdb:8)  after 1
    4  create container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to registry.example.com/puppetdb:8)  after 1,2,3
    5  start container demo-puppetdb-1  (it is new)  after 4
    6  wait for container demo-puppetdb-1  (it starts)  after 5
    7  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,6
    8  remember record  (so that it is proved once)  after 7
    ");
}

/// However it is spelt: an engine lists digests apart from tags, and leaves out the registry and the tag that go without
/// saying.
#[test]
fn an_own_image_that_is_here_is_not_pulled() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    for (named, listed) in [
        (format!("registry.example.com/puppetdb@{digest}"), format!("registry.example.com/puppetdb@{digest}")),
        (format!("registry.example.com/puppetdb:8@{digest}"), format!("registry.example.com/puppetdb@{digest}")),
        ("docker.io/team/puppetdb".into(), "team/puppetdb:latest".into()),
    ] {
        let (_, mut engine) = running("");
        let desired = platform(&format!("images: {{ puppetdb: \"{named}\" }}"));
        assert!(up(&desired, &engine).contains(&format!("pull image {named}")), "{named}");
        engine.observed.images.insert(listed);
        assert!(!up(&desired, &engine).contains("pull image"), "{named}");
    }
}

//! `up` after volumes, networks or the record were lost, together with the containers that had them.

use insta::assert_snapshot;
use pupperware::desired::labels;
use pupperware::plan::{down, reconcile};
use pupperware::release::{Lineage, Manifest, choose};

use crate::engine::Engine;
use crate::world::{failure, running, up};

#[test]
fn the_certificate_and_password_of_puppetdb() {
    let (desired, mut engine) = running("");
    engine.lose_volume("puppetdb-config");
    assert_snapshot!(up(&desired, &engine), @"
     0  create volume puppetdb-config  (no such volume)
     1  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     2  issue credentials  (volume puppetdb-config is missing)  after 0,1
     3  write configuration into volume puppetdb-config  (for its first start)  after 0
     4  create container demo-puppetdb-1  (no container)  after 0,2,3
     5  start container demo-puppetdb-1  (it is new)  after 4
     6  wait for container demo-puppetdb-1  (it starts)  after 5
     7  start container demo-puppetserver-1  (it was stopped for its CA)  after 2
     8  wait for container demo-puppetserver-1  (it starts)  after 7
     9  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 2,6,8
    10  remember credentials  (so that it is issued once)  after 2,9
    11  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 6,8,9,10
    12  remember record  (so that it is proved once)  after 10,11
    ");
    engine.up(&desired);
    engine.check(&desired);
}

#[test]
fn the_queue_of_puppetdb() {
    let (desired, mut engine) = running("");
    engine.lose_volume("puppetdb-data");
    assert_snapshot!(up(&desired, &engine), @"
     0  create volume puppetdb-data  (no such volume)
     1  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     2  issue credentials  (volume puppetdb-data is missing)  after 0,1
     3  write configuration into volume puppetdb-config  (for its first start)
     4  create container demo-puppetdb-1  (no container)  after 0,2,3
     5  start container demo-puppetdb-1  (it is new)  after 4
     6  wait for container demo-puppetdb-1  (it starts)  after 5
     7  start container demo-puppetserver-1  (it was stopped for its CA)  after 2
     8  wait for container demo-puppetserver-1  (it starts)  after 7
     9  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 2,6,8
    10  remember credentials  (so that it is issued once)  after 2,9
    11  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 6,8,9,10
    12  remember record  (so that it is proved once)  after 10,11
    ");
}

#[test]
fn the_certificate_and_password_of_postgres() {
    let (desired, mut engine) = running("");
    engine.lose_volume("postgres-config");
    assert_snapshot!(up(&desired, &engine), @"
     0  create volume postgres-config  (no such volume)
     1  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     2  issue credentials  (volume postgres-config is missing)  after 0,1
     3  write configuration into volume postgres-config  (for its first start)  after 0
     4  create container demo-postgres-1  (no container)  after 0,2,3
     5  start container demo-postgres-1  (it is new)  after 4
     6  wait for container demo-postgres-1  (it starts)  after 5
     7  start container demo-puppetserver-1  (it was stopped for its CA)  after 2
     8  wait for container demo-puppetserver-1  (it starts)  after 7
     9  give the revocation list to container demo-puppetdb-1  (what was issued anew is revoked there)  after 2,6,8
    10  remember credentials  (so that it is issued once)  after 2,9
    11  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 6,8,9,10
    12  remember record  (so that it is proved once)  after 10,11
    ");
    engine.up(&desired);
    engine.check(&desired);
}

/// Its old certificate stands at the CA, which turns down another request of that name: no token helps.
#[test]
fn an_agents_certificate() {
    let (desired, mut engine) = running("");
    engine.lose_volume("agent-1");
    assert_snapshot!(up(&desired, &engine), @"
     0  create volume agent-1  (no such volume)
     1  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     2  issue credentials  (volume agent-1 is missing)  after 0,1
     3  start container demo-puppetserver-1  (it was stopped for its CA)  after 2
     4  wait for container demo-puppetserver-1  (it starts)  after 3
     5  create container demo-agent-1  (no container)  after 0,2
     6  start container demo-agent-1  (it is new)  after 5
     7  wait for container demo-agent-1  (it starts)  after 6
     8  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 2,4,7
     9  give the revocation list to container demo-puppetdb-1  (what was issued anew is revoked there)  after 2,4,7
    10  remember credentials  (so that it is issued once)  after 2,8,9
    11  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 4,7,8,9,10
    12  remember record  (so that it is proved once)  after 10,11
    ");
    engine.up(&desired);
    engine.check(&desired);
}

/// The password is in it, and nothing that runs has it mounted: pruning unused volumes takes it from a running platform.
#[test]
fn the_secrets_while_everything_runs() {
    let (desired, mut engine) = running("");
    engine.lose_volume("state");
    assert_snapshot!(up(&desired, &engine), @"
     0  create volume state  (no such volume)
     1  stop container demo-postgres-1  (its password may be made anew)
     2  stop container demo-puppetdb-1  (its password may be made anew)
     3  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     4  issue credentials  (volume state is missing)  after 0,1,2,3
     5  start container demo-postgres-1  (it was stopped for its password)  after 4
     6  wait for container demo-postgres-1  (it starts)  after 5
     7  start container demo-puppetdb-1  (it was stopped for its password)  after 4
     8  wait for container demo-puppetdb-1  (it starts)  after 7
     9  start container demo-puppetserver-1  (it was stopped for its CA)  after 4
    10  wait for container demo-puppetserver-1  (it starts)  after 9
    11  remember credentials  (so that it is issued once)  after 4
    12  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 6,8,10,11
    13  remember record  (so that it is proved once)  after 11,12
    ");
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn the_record() {
    let (desired, mut engine) = running("");
    engine.lose_record();
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-postgres-1  (its password may be made anew)
     1  stop container demo-puppetdb-1  (its password may be made anew)
     2  stop container demo-puppetserver-1  (its CA issues certificates while it is down)
     3  issue credentials  (no record of what was issued)  after 0,1,2
     4  start container demo-postgres-1  (it was stopped for its password)  after 3
     5  wait for container demo-postgres-1  (it starts)  after 4
     6  start container demo-puppetdb-1  (it was stopped for its password)  after 3
     7  wait for container demo-puppetdb-1  (it starts)  after 6
     8  start container demo-puppetserver-1  (it was stopped for its CA)  after 3
     9  wait for container demo-puppetserver-1  (it starts)  after 8
    10  wait for container demo-agent-1  (not seen ready since it started)  after 3
    11  remember credentials  (so that it is issued once)  after 3
    12  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 5,7,9,10,11
    13  remember record  (so that it is proved once)  after 11,12
    ");
}

/// Without it the release is told by the containers, and without them by the volumes; nothing moves to another stream.
#[test]
fn the_record_of_a_platform_that_is_not_on_the_default_stream() {
    let manifest = Manifest::embedded().unwrap();
    let (desired, mut engine) = running("channel: lts");
    let chosen = |engine: &Engine, channel| choose(&manifest, channel, None, &engine.observed.lineage()).cloned();
    engine.lose_record();
    assert_eq!(engine.observed.lineage(), Lineage::Release(desired.release.parse().unwrap()));
    assert_eq!(chosen(&engine, None).unwrap().version.to_string(), desired.release);

    let down = down(&engine.observed, &[]).unwrap();
    engine.carry_out(&down);
    assert_eq!(engine.observed.lineage(), Lineage::Stream(7));
    assert_eq!(chosen(&engine, None).unwrap().version.to_string(), desired.release);
    assert_snapshot!(failure(&chosen(&engine, Some("stable")).unwrap_err()), @"
    exit 6: the platform runs stream 7, and 8.0.0 is another stream
    hint: `pupperware upgrade` goes to a later stream; leave out the channel to stay on stream 7, or start a second platform with `--project NAME`
    ");

    for volume in engine.observed.volumes.values_mut() {
        volume.labels.remove(labels::STREAM);
    }
    assert_snapshot!(failure(&chosen(&engine, None).unwrap_err()), @"
    exit 2: the platform's volumes hold data, and nothing tells which release made it
    hint: its record and its containers are gone; name the channel that it ran (`lts`, `stable`) with `--channel`, or with `channel` in pupperware.yaml
    ");
    assert_eq!(chosen(&engine, Some("lts")).unwrap().version.to_string(), desired.release);

    engine.observed.volumes.retain(|name, _| name == "demo_state");
    assert_eq!(engine.observed.lineage(), Lineage::New);
}

#[test]
fn the_secrets_and_the_record() {
    let (desired, mut engine) = running("");
    engine.lose_volume("state");
    engine.lose_record();
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn the_ca_alone_is_never_replaced() {
    let (desired, mut engine) = running("");
    engine.lose_volume("ca");
    assert_snapshot!(failure(&reconcile(&desired, &engine.observed).unwrap_err()), @"
    exit 6: the CA volume demo_ca is missing, and certificates that it signed still exist
      certificates are in: puppetserver-ssl, puppetdb-config, postgres-config, agent-1
      a new CA would be trusted by no existing agent, so none is made silently
    hint: restore the volume demo_ca; or give up the old certificates and start with a new CA: `pupperware --project demo down --destroy-data puppetserver-ssl --destroy-data puppetdb-config --destroy-data postgres-config --destroy-data agent-1`
    ");
}

#[test]
fn the_ca_with_every_certificate_is_a_new_beginning() {
    let (desired, mut engine) = running("");
    for key in ["ca", "puppetserver-ssl", "puppetdb-config", "postgres-config", "agent-1"] {
        engine.lose_volume(key);
    }
    assert_snapshot!(up(&desired, &engine), @"
     0  create volume ca  (no such volume)
     1  create volume agent-1  (no such volume)  after 0
     2  create volume postgres-config  (no such volume)  after 0
     3  create volume puppetdb-config  (no such volume)  after 0
     4  create volume puppetserver-ssl  (no such volume)  after 0
     5  issue credentials  (volume ca is missing)  after 0,1,2,3,4
     6  remember credentials  (so that it is issued once)  after 5
     7  write configuration into volume postgres-config  (for its first start)  after 2
     8  create container demo-postgres-1  (no container)  after 2,7
     9  start container demo-postgres-1  (it is new)  after 8
    10  wait for container demo-postgres-1  (it starts)  after 5,9
    11  write configuration into volume puppetdb-config  (for its first start)  after 3
    12  create container demo-puppetdb-1  (no container)  after 3,11
    13  start container demo-puppetdb-1  (it is new)  after 12
    14  wait for container demo-puppetdb-1  (it starts)  after 5,13
    15  write configuration into volume puppetserver-config  (for its first start)
    16  create container demo-puppetserver-1  (no container)  after 0,4,15
    17  start container demo-puppetserver-1  (it is new)  after 16
    18  wait for container demo-puppetserver-1  (it starts)  after 5,17
    19  create container demo-agent-1  (no container)  after 1
    20  start container demo-agent-1  (it is new)  after 19
    21  wait for container demo-agent-1  (it starts)  after 5,20
    22  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 6,10,14,18,21
    23  remember record  (so that it is proved once)  after 6,22
    ");
    engine.up(&desired);
    engine.check(&desired);
}

#[test]
fn a_network_under_running_containers() {
    let (desired, mut engine) = running("");
    engine.lose_network("demo_data");
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-postgres-1  (network demo_data is missing)
     1  remove container demo-postgres-1  (network demo_data is missing)  after 0
     2  stop container demo-puppetdb-1  (network demo_data is missing)
     3  remove container demo-puppetdb-1  (network demo_data is missing)  after 2
     4  create network demo_data  (no such network)  after 1,3
     5  write configuration into volume postgres-config  (network demo_data is missing)  after 1
     6  create container demo-postgres-1  (network demo_data is missing)  after 1,4,5
     7  start container demo-postgres-1  (it is new)  after 6
     8  wait for container demo-postgres-1  (it starts)  after 7
     9  write configuration into volume puppetdb-config  (network demo_data is missing)  after 3
    10  create container demo-puppetdb-1  (network demo_data is missing)  after 3,4,9
    11  start container demo-puppetdb-1  (it is new)  after 10
    12  wait for container demo-puppetdb-1  (it starts)  after 11
    13  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,3,8,12
    14  remember record  (so that it is proved once)  after 13
    ");
}

/// A stopped container remembers a network by id, so one of the same name is not the one that it can start with.
#[test]
fn a_network_under_stopped_containers() {
    let (desired, mut engine) = running("");
    let names: Vec<String> = engine.observed.containers.keys().cloned().collect();
    for name in &names {
        engine.set(name, pupperware::engine::found::ContainerState::Exited, "Exited (0) 2 hours ago");
    }
    engine.lose_network("demo_back");
    assert_snapshot!(up(&desired, &engine), @"
     0  remove container demo-puppetdb-1  (network demo_back is missing)
     1  remove container demo-puppetserver-1  (network demo_back is missing)
     2  create network demo_back  (no such network)  after 0,1
     3  start container demo-postgres-1  (not running: exited (0) 2 hours ago)
     4  wait for container demo-postgres-1  (it starts)  after 3
     5  write configuration into volume puppetdb-config  (network demo_back is missing)  after 0
     6  create container demo-puppetdb-1  (network demo_back is missing)  after 0,2,5
     7  start container demo-puppetdb-1  (it is new)  after 6
     8  wait for container demo-puppetdb-1  (it starts)  after 7
     9  write configuration into volume puppetserver-config  (network demo_back is missing)  after 1
    10  create container demo-puppetserver-1  (network demo_back is missing)  after 1,2,9
    11  start container demo-puppetserver-1  (it is new)  after 10
    12  wait for container demo-puppetserver-1  (it starts)  after 11
    13  start container demo-agent-1  (not running: exited (0) 2 hours ago)
    14  wait for container demo-agent-1  (it starts)  after 13
    15  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 0,1,4,8,12,14
    16  remember record  (so that it is proved once)  after 15
    ");
    engine.up(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

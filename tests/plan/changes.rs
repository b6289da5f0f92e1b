//! `up` after the configuration changed: only what is touched by the change is touched.

use insta::assert_snapshot;
use pupperware::config::sizing::Machine;
use pupperware::engine::spec::MountSource;

use crate::engine::{Engine, outdated};
use crate::world::{platform, platform_in, running, up};

#[test]
fn another_heap_touches_only_its_service() {
    let (_, engine) = running("");
    let desired = platform("puppetserver: { heap: 1g }");
    assert_snapshot!(up(&desired, &engine), @"
    0  stop container demo-puppetserver-1  (its configuration changed)
    1  remove container demo-puppetserver-1  (its configuration changed)  after 0
    2  write configuration into volume puppetserver-config  (its configuration changed)  after 1
    3  create container demo-puppetserver-1  (its configuration changed)  after 1,2
    4  start container demo-puppetserver-1  (it is new)  after 3
    5  wait for container demo-puppetserver-1  (it starts)  after 4
    6  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,5
    7  remember record  (so that it is proved once)  after 6
    ");
}

#[test]
fn another_port_touches_only_the_server() {
    let (_, engine) = running("");
    let desired = platform("puppetserver: { publish: 8141 }");
    assert_snapshot!(up(&desired, &engine), @"
    0  stop container demo-puppetserver-1  (its configuration changed)
    1  remove container demo-puppetserver-1  (its configuration changed)  after 0
    2  write configuration into volume puppetserver-config  (its configuration changed)  after 1
    3  create container demo-puppetserver-1  (its configuration changed)  after 1,2
    4  start container demo-puppetserver-1  (it is new)  after 3
    5  wait for container demo-puppetserver-1  (it starts)  after 4
    6  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,5
    7  remember record  (so that it is proved once)  after 6
    ");
}

#[test]
fn another_name_of_the_server_is_issued_by_the_same_ca() {
    let (_, mut engine) = running("");
    let desired = platform("puppetserver: { dns_alt_names: [puppet.example.com] }");
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-puppetserver-1  (its configuration changed)
     1  remove container demo-puppetserver-1  (its configuration changed)  after 0
     2  remember credentials  (the old names hold no longer)
     3  issue credentials  (certificate names or secrets changed)  after 1,2
     4  write configuration into volume puppetserver-config  (its configuration changed)  after 1
     5  create container demo-puppetserver-1  (its configuration changed)  after 1,3,4
     6  start container demo-puppetserver-1  (it is new)  after 5
     7  wait for container demo-puppetserver-1  (it starts)  after 6
     8  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 3,7
     9  give the revocation list to container demo-puppetdb-1  (what was issued anew is revoked there)  after 3,7
    10  remember credentials  (so that it is issued once)  after 2,3,8,9
    11  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,2,7,8,9,10
    12  remember record  (so that it is proved once)  after 10,11
    ");
    engine.up(&desired);
    engine.check(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn one_more_agent_enrols_while_the_primary_runs() {
    let (_, mut engine) = running("");
    let desired = platform("agents: { replicas: 2 }");
    assert_snapshot!(up(&desired, &engine), @"
    0  create volume agent-2  (no such volume)
    1  issue credentials  (volume agent-2 is missing)  after 0
    2  remember credentials  (so that it is issued once)  after 1
    3  create container demo-agent-2  (no container)  after 0,1
    4  start container demo-agent-2  (it is new)  after 3
    5  wait for container demo-agent-2  (it starts)  after 4
    6  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 2,5
    7  remember record  (so that it is proved once)  after 2,6
    ");
    engine.up(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

#[test]
fn one_agent_less_goes_and_its_volume_stays() {
    let (_, mut engine) = running("agents: { replicas: 2 }");
    let desired = platform("");
    assert_snapshot!(up(&desired, &engine), @"
    0  stop container demo-agent-2  (not part of the platform any more)
    1  remove container demo-agent-2  (not part of the platform any more)  after 0
    2  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1
    3  remember record  (so that it is proved once)  after 2
    ");
    engine.up(&desired);
    assert!(engine.observed.volumes.contains_key("demo_agent-2"));

    let again = platform("agents: { replicas: 2 }");
    assert_snapshot!(up(&again, &engine), @"
    0  create container demo-agent-2  (no container)
    1  start container demo-agent-2  (it is new)  after 0
    2  wait for container demo-agent-2  (it starts)  after 1
    3  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 2
    4  remember record  (so that it is proved once)  after 3
    ");
}

#[test]
fn another_definition_of_a_network_takes_its_members_with_it() {
    let (desired, mut engine) = running("");
    outdated(&mut engine.observed.networks.get_mut("demo_data").unwrap().labels);
    for name in ["demo-postgres-1", "demo-puppetdb-1"] {
        outdated(&mut engine.container(name).found.labels);
    }
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-postgres-1  (its configuration changed)
     1  remove container demo-postgres-1  (its configuration changed)  after 0
     2  stop container demo-puppetdb-1  (its configuration changed)
     3  remove container demo-puppetdb-1  (its configuration changed)  after 2
     4  remove network demo_data  (its definition changed)  after 1,3
     5  create network demo_data  (no such network)  after 1,3,4
     6  write configuration into volume postgres-config  (its configuration changed)  after 1
     7  create container demo-postgres-1  (its configuration changed)  after 1,5,6
     8  start container demo-postgres-1  (it is new)  after 7
     9  wait for container demo-postgres-1  (it starts)  after 8
    10  write configuration into volume puppetdb-config  (its configuration changed)  after 3
    11  create container demo-puppetdb-1  (its configuration changed)  after 3,5,10
    12  start container demo-puppetdb-1  (it is new)  after 11
    13  wait for container demo-puppetdb-1  (it starts)  after 12
    14  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,3,4,9,13
    15  remember record  (so that it is proved once)  after 14
    ");
}

#[test]
fn the_users_code_is_mounted_from_the_host_and_only_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("code/environments/production")).unwrap();
    let desired = platform_in(Some(folder.path()), "code: { dir: code }");
    let mounts = &desired.primary().unwrap().spec.mounts;
    let code = mounts.iter().find(|m| m.target == "/etc/puppet/code").unwrap();
    let MountSource::Directory(source) = &code.source else { panic!("not a directory of the host: {code:?}") };
    assert_eq!(source, folder.path().join("code").to_str().unwrap());
    assert!(code.read_only);
    assert!(!desired.volumes.contains_key("code"));
    assert!(mounts.iter().all(|m| m.target == code.target || matches!(m.source, MountSource::Volume(_))));

    let mut engine = Engine::with_images(&desired);
    assert!(!up(&desired, &engine).contains("volume code"));
    engine.up(&desired);
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// The request to issue is another one, because the `code` volume's directories are in it no more.
#[test]
fn a_change_to_the_users_code_makes_the_server_anew_and_keeps_the_old_volume() {
    let (_, engine) = running("");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("code/environments/production")).unwrap();
    let desired = platform_in(Some(folder.path()), "code: { dir: code }");
    assert_snapshot!(up(&desired, &engine), @"
     0  stop container demo-puppetserver-1  (its configuration changed)
     1  remove container demo-puppetserver-1  (its configuration changed)  after 0
     2  remember credentials  (the old names hold no longer)
     3  issue credentials  (certificate names or secrets changed)  after 1,2
     4  write configuration into volume puppetserver-config  (its configuration changed)  after 1
     5  create container demo-puppetserver-1  (its configuration changed)  after 1,3,4
     6  start container demo-puppetserver-1  (it is new)  after 5
     7  wait for container demo-puppetserver-1  (it starts)  after 6
     8  give the revocation list to container demo-postgres-1  (what was issued anew is revoked there)  after 3,7
     9  give the revocation list to container demo-puppetdb-1  (what was issued anew is revoked there)  after 3,7
    10  remember credentials  (so that it is issued once)  after 2,3,8,9
    11  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 1,2,7,8,9,10
    12  remember record  (so that it is proved once)  after 10,11
    ");
}

/// `status` tells drift without asking the engine for its machine.
#[test]
fn containers_say_which_machine_they_were_sized_for() {
    let (_, engine) = running("");
    assert_eq!(engine.observed.machine(), Some(Machine { cpus: 4, memory_bytes: 16 << 30 }));
}

//! What `up` refuses before anything is changed.

use insta::assert_snapshot;
use pupperware::engine::found::FoundPort;
use pupperware::plan::reconcile;

use crate::engine::Engine;
use crate::world::{failure, platform, running, up};

fn held(address: &str, port: u16) -> FoundPort {
    FoundPort { address: address.parse().unwrap(), port, tcp: true }
}

#[test]
fn a_port_that_another_container_holds() {
    let desired = platform("");
    let mut engine = Engine::with_images(&desired);
    engine.observed.ports.push((held("0.0.0.0", 8140), "other-puppet-1".into()));
    assert_snapshot!(failure(&reconcile(&desired, &engine.observed).unwrap_err()), @"
    exit 1: port 8140 is already taken by the container other-puppet-1
    hint: choose another with `puppetserver.publish` in pupperware.yaml, or `docker stop other-puppet-1`
    ");
}

/// Whoever is on that network could reach the database.
#[test]
fn a_network_that_somebody_else_made() {
    let desired = platform("");
    let mut engine = Engine::with_images(&desired);
    engine.observed.other_networks.insert("demo_data".into());
    assert_snapshot!(failure(&reconcile(&desired, &engine.observed).unwrap_err()), @"
    exit 6: there is a network demo_data already, and it is not of this platform
    hint: if nobody needs it, remove it with `docker network rm demo_data`; or choose another `--project`
    ");
}

/// The balancer has the server's port, and the setting of that.
#[test]
fn a_port_that_the_balancer_does_not_get_is_the_servers() {
    let desired = platform("compilers: { balancer: always }");
    let mut engine = Engine::with_images(&desired);
    engine.observed.ports.push((held("0.0.0.0", 8140), "somebody".into()));
    let refused = reconcile(&desired, &engine.observed).unwrap_err();
    assert!(refused.hint.as_ref().is_some_and(|hint| hint.contains("`puppetserver.publish`")), "{refused:?}");
}

#[test]
fn a_port_of_ours_is_not_refused() {
    let (desired, mut engine) = running("");
    engine.observed.ports.push((held("0.0.0.0", 9999), "other-puppet-1".into()));
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

/// Two platforms on two addresses of one machine: neither is in the other's way.
#[test]
fn the_same_port_at_another_address_is_not_refused() {
    let desired = platform("puppetserver: { publish: \"10.0.0.1:8140\" }");
    let mut engine = Engine::with_images(&desired);
    engine.observed.ports.push((held("10.0.0.2", 8140), "other-puppet-1".into()));
    engine.observed.ports.push((FoundPort { tcp: false, ..held("10.0.0.1", 8140) }, "other-puppet-1".into()));
    assert!(reconcile(&desired, &engine.observed).is_ok());
    for address in ["10.0.0.1", "0.0.0.0"] {
        let mut engine = engine.clone();
        engine.observed.ports.push((held(address, 8140), "other-puppet-1".into()));
        let refused = reconcile(&desired, &engine.observed).unwrap_err();
        assert_eq!(refused.what, "port 8140 is already taken by the container other-puppet-1");
    }
}

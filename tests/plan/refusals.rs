//! What `up` refuses before anything is changed.

use insta::assert_snapshot;
use pupperware::plan::reconcile;

use crate::engine::Engine;
use crate::world::{failure, platform, running, up};

#[test]
fn a_port_that_another_container_holds() {
    let desired = platform("");
    let mut engine = Engine::with_images(&desired);
    engine.observed.ports.insert(8140, "other-puppet-1".into());
    assert_snapshot!(failure(&reconcile(&desired, &engine.observed).unwrap_err()), @"
    exit 1: port 8140 is already taken by the container other-puppet-1
    hint: choose another with `puppetserver.publish` in pupperware.yaml, or `docker stop other-puppet-1`
    ");
}

#[test]
fn a_port_of_ours_is_not_refused() {
    let (desired, mut engine) = running("");
    engine.observed.ports.insert(9999, "other-puppet-1".into());
    assert_eq!(up(&desired, &engine), "nothing to do\n");
}

//! `doctor` where other commands stop: no engine, an old one, a small machine. And images there.

use insta::assert_snapshot;
use serde_json::Value;

use crate::engine::{Fake, in_folder};
use crate::transcript;

/// Severities by id, in order.
fn checks(engine: &str) -> (i32, bool, Vec<(String, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let output = in_folder(&folder, engine).args(["doctor", "-o", "json"]).output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = document["checks"].as_array().unwrap();
    let checks = checks.iter().map(|c| (text(&c["id"]), text(&c["severity"]))).collect();
    (output.status.code().unwrap(), document["ok"].as_bool().unwrap(), checks)
}

#[test]
fn no_engine_is_a_failed_check() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = in_folder(&folder, "unix:///nowhere/docker.sock");
    assert_snapshot!(transcript(command.arg("doctor")), @"
    exit code: 3
    --- stdout
    CHECK                       RESULT  FOUND
    engine-reachable            error   no Docker Engine answers at unix:///nowhere/docker.sock (from --host)
    engine-api                  -       skipped: no engine
    engine-linux                -       skipped: no engine
    disk-space                  -       skipped: no engine
    memory                      -       skipped: no engine
    clock                       -       skipped: no engine
    port-published              -       skipped: no engine
    port-puppetboard            -       skipped: no engine
    port-relay                  -       skipped: no engine
    images-present              -       skipped: no engine
    certificate-ca              -       skipped: no engine
    certificate-puppetserver    -       skipped: no engine
    certificate-puppetdb        -       skipped: no engine
    certificate-postgres        -       skipped: no engine
    certificate-puppetboard     -       skipped: no engine
    certificate-relay           -       skipped: no engine
    certificate-bridge          -       skipped: no engine
    certificate-balancer        -       skipped: no engine
    certificate-compilers       -       skipped: no engine
    class-archive-puppetserver  -       skipped: no engine
    class-archive-puppetdb      -       skipped: no engine
    platform-proved             -       skipped: no engine
    backup-age                  -       skipped: no engine

    what to do:
      engine-reachable: start it (`sudo systemctl start docker`), install it (`sudo apt-get install docker.io`), or name another with `--host` or `--context`
    --- stderr
    ");
    // What could not be looked at is not well, also when only that was asked for.
    let mut command = in_folder(&folder, "unix:///nowhere/docker.sock");
    command.args(["doctor", "--check", "disk-space"]).assert().code(3);
    let mut command = in_folder(&folder, "ftp://nowhere");
    command.arg("doctor").assert().code(3);
}

#[test]
fn an_old_engine_is_a_failed_check() {
    let (code, ok, checks) = checks(&Fake { api: "1.30", ..Fake::empty() }.serve());
    assert_eq!((code, ok), (3, false));
    let expected = [("engine-reachable", "ok"), ("engine-api", "error"), ("engine-linux", "skipped")];
    assert_eq!(checks[..3], expected.map(|(id, severity)| (id.to_owned(), severity.to_owned())));
}

#[test]
fn a_small_machine_is_a_failed_check_and_no_other() {
    let (code, ok, checks) = checks(&Fake { memory: 1 << 30, ..Fake::empty() }.serve());
    assert_eq!((code, ok), (3, false));
    let failed: Vec<&str> = checks.iter().filter(|(_, s)| s == "error").map(|(id, _)| id.as_str()).collect();
    assert_eq!(failed, ["memory"]);
    let ids: Vec<&str> = checks.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, pupperware::checks::ALL.map(|(_, id)| id), "every check is made, in the documented order");
}

#[test]
fn a_small_machine_can_have_images() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Fake { memory: 1 << 30, ..Fake::empty() }.serve();
    in_folder(&folder, &engine).args(["images", "list"]).assert().success();
}

#[test]
fn an_unknown_check_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = in_folder(&folder, "unix:///nowhere/docker.sock");
    assert_snapshot!(transcript(command.args(["doctor", "--check", "disk"])), @r#"
    exit code: 2
    --- stdout
    --- stderr
    error: there is no check "disk"

    hint: there are engine-reachable, engine-api, engine-linux, disk-space, memory, clock, port-published, port-puppetboard, port-relay, images-present, certificate-ca, certificate-puppetserver, certificate-puppetdb, certificate-postgres, certificate-puppetboard, certificate-relay, certificate-bridge, certificate-balancer, certificate-compilers, class-archive-puppetserver, class-archive-puppetdb, platform-proved, backup-age
    "#);
}

//! `metrics`, `support-bundle` and `secrets` where there is no platform, no engine, or wrong input.

use insta::assert_snapshot;
use serde_json::Value;

use crate::engine::{Fake, in_folder};
use crate::transcript;

/// Where nothing answers.
const NOBODY: &str = "unix:///nowhere/docker.sock";

#[test]
fn a_platform_that_is_not_there_has_metrics_too() {
    let folder = tempfile::tempdir().unwrap();
    let output = in_folder(&folder, &Fake::empty().serve()).arg("metrics").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.ends_with("\npupperware_proved 0\n"), "{text}");
}

#[test]
fn metrics_need_an_engine_and_an_address_that_is_one() {
    let folder = tempfile::tempdir().unwrap();
    in_folder(&folder, NOBODY).arg("metrics").assert().code(4);
    assert_snapshot!(transcript(in_folder(&folder, NOBODY).args(["metrics", "--listen", "metrics"])), @r"
    exit code: 2
    --- stdout
    --- stderr
    error: invalid value 'metrics' for '--listen <[ADDR:]PORT>': write it like 9140 or 127.0.0.1:9140

    For more information, try '--help'.
    ");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let engine = Fake::empty().serve();
    let mut command = in_folder(&folder, &engine);
    let output = command.args(["metrics", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("cannot listen at {address}")));
}

/// A bundle is made where something is wrong; but not without an engine, which nearly all of it comes from.
#[test]
fn a_bundle_is_made_with_a_wrong_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pupperware.yaml"), "project: demo\nagents: { replicas: many }\n").unwrap();
    let engine = Fake::empty().serve();
    let bundle = |engine: &str, to: &str| in_folder(&folder, engine).args(["support-bundle", "--to", to]).assert();
    bundle(NOBODY, "bundle.tar").code(4);
    bundle(&engine, "bundle.tar").success().stdout("bundle.tar\n");
    let files = pupperware::engine::unpack(&std::fs::read(folder.path().join("bundle.tar")).unwrap()).unwrap();
    let (name, manifest) = &files[0];
    assert_eq!(name, "pupperware-support-demo/manifest.json");
    let manifest: Value = serde_json::from_slice(manifest).unwrap();
    let parts = manifest["parts"].as_array().unwrap();
    let error = |file: &str| parts.iter().find(|p| p["file"] == file).unwrap()["error"].clone();
    assert!(error("config.json").as_str().unwrap().contains("pupperware.yaml has 1 error"), "{manifest:#}");
    assert_eq!((error("status.json"), &manifest["secrets_known"]), (Value::Null, &Value::Bool(false)));
    bundle(&engine, "bundle.tar").code(6);
    bundle(&engine, "no/such/folder.tar").code(1);
}

#[test]
fn secrets_of_a_platform_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Fake::empty().serve();
    let output = in_folder(&folder, &engine).args(["secrets", "list", "-o", "json"]).output().unwrap();
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list["secrets"][0]["name"], "puppetdb-password");
    assert_eq!(list["secrets"][0]["made_at"], Value::Null);
    assert_eq!(list["secrets"][0]["copies"][0]["delivered_at"], Value::Null);
    in_folder(&folder, &engine).args(["secrets", "rotate", "pasword"]).assert().code(2);
    assert_snapshot!(transcript(in_folder(&folder, &engine).args(["secrets", "rotate"])), @r"
    exit code: 1
    --- stdout
    --- stderr
    error: postgres is not as it should be, so nothing is rotated: no container

    hint: mend the platform with `pupperware up`
    ");
}

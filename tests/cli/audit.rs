//! `audit` where there is nothing to look at: never clean, in every format.

use insta::assert_snapshot;
use serde_json::Value;

use crate::engine::{Fake, in_folder};
use crate::transcript;

#[test]
fn a_platform_that_is_not_there_is_not_clean() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Fake::empty().serve();
    let audit = |arguments: &[&str]| transcript(in_folder(&folder, &engine).arg("audit").args(arguments));
    assert_snapshot!(audit(&[]), @"
    exit code: 3
    --- stdout
    could not be looked at:
      the platform: nothing of it exists; start it with `pupperware up`

    pupperware: nothing was found in what could be looked at
    --- stderr
    ");
    assert_snapshot!(audit(&["-o", "json"]), @r#"
    exit code: 3
    --- stdout
    {
      "schema_version": 1,
      "project": "pupperware",
      "clean": false,
      "findings": [],
      "unseen": [
        {
          "what": "the platform",
          "why": "nothing of it exists; start it with `pupperware up`"
        }
      ]
    }
    --- stderr
    "#);
    let output = in_folder(&folder, &engine).args(["audit", "-o", "sarif"]).output().unwrap();
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sarif["runs"][0]["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn without_an_engine_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    in_folder(&folder, "unix:///nowhere/docker.sock").args(["audit", "-o", "json"]).assert().code(4).stdout("");
}

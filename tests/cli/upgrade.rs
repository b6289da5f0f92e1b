//! `upgrade`, `releases` and `history`: what they say without a platform to change.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::engine::{Fake, in_folder};
use crate::{pupperware, transcript};

/// An engine with the record of a platform `demo`, and nothing else of it.
fn engine(record: &Value) -> String {
    let labels = json!({
        "dev.pupperware.project": "demo",
        "dev.pupperware.role": "record",
        "dev.pupperware.record": record.to_string(),
    });
    let volume = json!({
        "Name": "demo_record-1", "Labels": labels, "Driver": "local", "Mountpoint": "/", "Scope": "local", "Options": {},
    });
    Fake { volumes: vec![volume], ..Fake::empty() }.serve()
}

fn record(release: &str) -> Value {
    json!({ "schema_version": 1, "sequence": 1, "release": release, "channel": null, "issued": null, "proof": null })
}

fn said(engine: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    transcript(in_folder(&folder, engine).args(["--project", "demo"]).args(arguments))
}

/// Nobody answers there.
fn offline(arguments: &[&str]) -> String {
    transcript(pupperware().args(["--host", "tcp://127.0.0.1:1"]).args(arguments))
}

#[test]
fn releases_are_told_without_an_engine() {
    assert_snapshot!(offline(&["releases", "list"]), @"
    exit code: 0
    --- stdout
    RELEASE  DATE        CHANNELS  END OF LIFE  UPGRADE FROM
    7.0.0    2026-11-21  lts       2028-06-30   -
    8.0.0    2026-11-21  stable    2030-06-30   7.0.0
    --- stderr
    ");
    assert_snapshot!(offline(&["releases", "diff", "7.0.0", "8.0.0"]), @"
    exit code: 0
    --- stdout
    COMPONENT     7.0.0  8.0.0
    agent         7.23   8.10
    base          12     13
    code          3.15   5.0
    jre           17     21
    postgres      15     17
    provision     12     13
    puppetboard   7.0.4  7.0.4
    puppetdb      7.12   8.4
    puppetserver  7.9    8.7

    to know before an upgrade:
      the database is copied into a new volume for PostgreSQL 17; the one of PostgreSQL 15 is kept
      Puppet 8 refuses what Puppet 7 only warned of, such as undefined variables (strict mode); check your code
      legacy facts such as $osfamily are not sent by agents of Puppet 8 any more
    --- stderr
    ");
    let shown = offline(&["releases", "show", "8.0.0", "-o", "json"]);
    for text in ["exit code: 0", "\"schema_version\": 1", "\"upgrade_from\": \"7.0.0\"", "\"name\": \"postgres\""] {
        assert!(shown.contains(text), "no {text} in {shown}");
    }
    assert_snapshot!(offline(&["releases", "show", "1.2.3"]), @"
    exit code: 2
    --- stdout
    --- stderr
    error: there is no release 1.2.3

    hint: this program knows 7.0.0, 8.0.0
    ");
}

#[test]
fn the_platforms_own_release_is_marked() {
    let listed = said(&engine(&record("7.0.0")), &["releases", "list", "-o", "json"]);
    let list: Value =
        serde_json::from_str(listed.split_once("--- stdout").unwrap().1.split_once("--- stderr").unwrap().0).unwrap();
    let current: Vec<&Value> = list["releases"].as_array().unwrap().iter().filter(|r| r["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["release"], "7.0.0");
}

#[test]
fn there_is_nothing_to_do_where_the_newest_runs() {
    let engine = engine(&record("8.0.0"));
    assert_snapshot!(said(&engine, &["upgrade"]), @"
    exit code: 0
    --- stdout
    nothing to do: demo runs release 8.0.0
    --- stderr
    ");
    let plan = said(&engine, &["upgrade", "--dry-run", "-o", "json"]);
    assert!(plan.contains("exit code: 0") && plan.contains("\"steps\": []"), "{plan}");
}

#[test]
fn what_is_no_way_forward_is_refused() {
    let none = Fake::empty().serve();
    assert_snapshot!(said(&none, &["upgrade"]), @"
    exit code: 6
    --- stdout
    --- stderr
    error: nothing tells which release demo runs, so it is not upgraded

    hint: create it, or let it be found again, with `pupperware --project demo up`
    ");
    let engine = engine(&record("8.0.0"));
    assert_snapshot!(said(&engine, &["upgrade", "--channel", "lts"]), @r#"
    exit code: 6
    --- stdout
    --- stderr
    error: channel "lts" is at release 7.0.0, which is behind the 8.0.0 that runs

    hint: there is no upgrade backwards, because a newer PuppetDB changes the database for good; the way back is the backup of before the upgrade: `pupperware backup list`, then `pupperware backup restore FILE --as NAME`
    "#);
    assert_snapshot!(said(&engine, &["upgrade", "--to", "7.0.0"]), @"
    exit code: 6
    --- stdout
    --- stderr
    error: release 7.0.0 is older than the 8.0.0 that runs

    hint: there is no upgrade backwards, because a newer PuppetDB changes the database for good; the way back is the backup of before the upgrade: `pupperware backup list`, then `pupperware backup restore FILE --as NAME`
    ");
    assert_snapshot!(said(&engine, &["upgrade", "--channel", "edge"]), @r#"
    exit code: 2
    --- stdout
    --- stderr
    error: there is no channel "edge"

    hint: choose one of lts, next, stable; `pupperware channels` describes them
    "#);
    assert_snapshot!(said(&engine, &["upgrade", "--rollback"]), @"
    exit code: 6
    --- stdout
    --- stderr
    error: no upgrade is under way, and none is on record, so there is none to undo

    hint: a backup of before can be put back under another name: `pupperware backup restore FILE --as NAME`
    ");
}

#[test]
fn an_interrupted_upgrade_is_told() {
    let mut record = record("7.0.0");
    record["upgrading"] = json!({ "to": "8.0.0", "phase": "switching", "backup": "/srv/before.pupperware" });
    let engine = engine(&record);
    assert_snapshot!(said(&engine, &["up"]), @"
    exit code: 6
    --- stdout
    --- stderr
    error: the platform is between two releases: its upgrade from 7.0.0 to 8.0.0 was interrupted

    hint: finish it with `pupperware upgrade`, or go back with `pupperware upgrade --rollback`
    ");
    assert_snapshot!(said(&engine, &["status"]), @"
    exit code: 0
    --- stdout
    demo: not up; start it with `pupperware up`
    the upgrade to 8.0.0 is not over: `pupperware upgrade` goes on, `pupperware upgrade --rollback` goes back
    --- stderr
    ");
    assert_snapshot!(said(&engine, &["upgrade", "--rollback"]), @"
    exit code: 6
    --- stdout
    --- stderr
    error: the volume demo_postgres-data, with the database of before, is missing

        the backup of before the upgrade is /srv/before.pupperware

    hint: give up what is left and put the backup back: `pupperware --yes down --destroy-data ALL`, then `pupperware backup restore /srv/before.pupperware`
    ");
}

#[test]
fn a_platform_without_a_journal_has_no_history() {
    assert_snapshot!(said(&engine(&record("8.0.0")), &["history"]), @"
    exit code: 0
    --- stdout
    nothing was ever changed in demo
    --- stderr
    ");
}

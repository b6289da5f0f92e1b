//! `backup` without an engine: what is read from files alone, and what is refused before an engine is asked.

use std::io::Write;
use std::path::Path;

use insta::assert_snapshot;
use pupperware::backup::{Manifest, Writer};

use crate::{pupperware, transcript};

/// An archive of this release with a database and nothing else.
fn archive(folder: &Path, name: &str, release: &str, finished_at: &str) {
    let manifest = Manifest {
        schema_version: 1,
        project: "demo".into(),
        release: release.parse().unwrap(),
        channel: None,
        program: "0.1.0".into(),
        started_at: "2026-11-21T00:00:00Z".into(),
        finished_at: finished_at.into(),
        packages: std::collections::BTreeMap::new(),
        members: vec![],
        left_out: vec![],
    };
    let mut writer = Writer::create(&folder.join(name)).unwrap();
    let mut member = writer.member("database/puppetdb.dump.zst").unwrap();
    member.write_all(b"PGDMP and so on").unwrap();
    member.done().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(writer.finish(manifest, async |_| Ok(()))).unwrap();
}

/// What the program says in a folder.
fn said(folder: &Path, arguments: &[&str]) -> String {
    transcript(pupperware().current_dir(folder).args(arguments)).replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn a_file_is_judged_without_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), "good.pupperware", "8.0.0", "2026-11-21T00:00:01Z");
    std::fs::write(folder.path().join("text.pupperware"), "x".repeat(2000)).unwrap();
    let verify = |file| said(folder.path(), &["backup", "verify", "--checksums-only", "-o", "json", file]);
    assert_snapshot!(verify("good.pupperware"));
    assert_snapshot!(verify("text.pupperware"));
    assert_snapshot!(verify("none.pupperware"));
}

#[test]
fn what_no_platform_can_come_from_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), "newer.pupperware", "99.0.0", "2026-11-21T00:00:01Z");
    assert_snapshot!(said(folder.path(), &["backup", "restore", "newer.pupperware"]));
    std::fs::write(folder.path().join("pupperware.yaml"), "project: other\n").unwrap();
    assert_snapshot!(said(folder.path(), &["backup", "restore", "newer.pupperware"]));
}

#[test]
fn only_whole_backups_are_counted_and_the_oldest_go() {
    let folder = tempfile::tempdir().unwrap();
    for (name, day) in [("demo-1.pupperware", "01"), ("demo-2.pupperware", "02"), ("demo-3.pupperware", "03")] {
        archive(folder.path(), name, "8.0.0", &format!("2026-11-{day}T00:00:00Z"));
    }
    let newest = folder.path().join("demo-3.pupperware");
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() - 1]).unwrap();
    let prune = |more: &[&str]| {
        said(folder.path(), &[&["--project", "demo", "backup", "prune", "--keep", "1", "."], more].concat())
    };
    assert_snapshot!(prune(&["--dry-run"]));
    assert_snapshot!(prune(&[]));
    assert_snapshot!(prune(&["--yes"]));
    assert!(!folder.path().join("demo-1.pupperware").exists() && folder.path().join("demo-2.pupperware").exists());
    assert!(newest.exists(), "somebody should look at it");
    assert_snapshot!(said(folder.path(), &["backup", "list", "."]));
}

//! `backup` without an engine: what is read from files alone, and what is refused before an engine is asked.

use std::io::Write;
use std::path::Path;

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

#[track_caller]
fn says(transcript: &str, texts: &[&str]) {
    for text in texts {
        assert!(transcript.contains(text), "no {text:?} in\n{transcript}");
    }
}

#[test]
fn a_file_is_judged_without_an_engine() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), "good.pupperware", "8.0.0", "2026-11-21T00:00:01Z");
    std::fs::write(folder.path().join("text.pupperware"), "x".repeat(2000)).unwrap();
    let verify = |file| said(folder.path(), &["backup", "verify", "--checksums-only", "-o", "json", file]);
    says(&verify("good.pupperware"), &["exit code: 0", "\"schema_version\": 1", "\"whole\": true", "\"proved\": null"]);
    says(
        &verify("text.pupperware"),
        &["exit code: 1", "is not a whole backup: it is no archive", "pupperware backup list"],
    );
    says(&verify("none.pupperware"), &["exit code: 1", "cannot read none.pupperware"]);
}

#[test]
fn what_no_platform_can_come_from_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), "newer.pupperware", "99.0.0", "2026-11-21T00:00:01Z");
    let restore = || said(folder.path(), &["backup", "restore", "--dry-run", "newer.pupperware"]);
    says(
        &restore(),
        &["exit code: 6", "is of release 99.0.0, which this program does not know", "hint: use the pupperware"],
    );
    std::fs::write(folder.path().join("pupperware.yaml"), "project: other\n").unwrap();
    says(&restore(), &["exit code: 6", "is a backup of demo, and this is other", "`--as other`"]);
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
    says(
        &prune(&["--dry-run"]),
        &["exit code: 0", "would remove ./demo-1.pupperware", "kept and not counted: ./demo-3"],
    );
    says(&prune(&[]), &["exit code: 6", "removing ./demo-1.pupperware needs a yes"]);
    says(&prune(&["--yes"]), &["exit code: 0", "\nremoved ./demo-1.pupperware\n"]);
    assert!(!folder.path().join("demo-1.pupperware").exists() && folder.path().join("demo-2.pupperware").exists());
    assert!(newest.exists(), "somebody should look at it");
    says(
        &said(folder.path(), &["backup", "list", "."]),
        &["./demo-2.pupperware  complete", "./demo-3.pupperware  BROKEN"],
    );
}

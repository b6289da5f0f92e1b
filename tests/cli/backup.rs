//! `backup` without an engine: what is read from files alone, and what is refused before an engine is asked.

use std::io::Write;
use std::path::Path;

use insta::assert_snapshot;
use pupperware::backup::{Content, Manifest, Writer};
use pupperware::config::types::{AgeRecipient, Setting};
use pupperware::release::{Manifest as Releases, Release};

use crate::engine::Fake;
use crate::{pupperware, transcript};

/// A pair of keys that guards nothing.
const PRIVATE: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// An archive of this release with a database and nothing else.
fn archive(folder: &Path, name: &str, release: &str, finished_at: &str) {
    archive_of(folder, name, release, finished_at, 1, &[]);
}

/// The same, of another format, or encrypted.
fn archive_of(folder: &Path, name: &str, release: &str, finished_at: &str, format: u32, recipients: &[&str]) {
    let manifest = Manifest {
        schema_version: format,
        project: "demo".into(),
        release: release.parse().unwrap(),
        definition: None,
        channel: None,
        program: "0.1.0".into(),
        started_at: "2026-11-21T00:00:00Z".into(),
        finished_at: finished_at.into(),
        encrypted_for: vec![],
        packages: std::collections::BTreeMap::new(),
        members: vec![],
        left_out: vec![],
    };
    let recipients: Vec<AgeRecipient> = recipients.iter().map(|r| AgeRecipient::parse(r).unwrap()).collect();
    let mut writer = Writer::create(&folder.join(name), &recipients).unwrap();
    let mut member = writer.member(&Content::Database).unwrap();
    member.write_all(b"PGDMP and so on").unwrap();
    member.done().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(writer.finish(manifest, async |_, _| Ok(()))).unwrap();
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
fn a_newer_format_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    archive_of(folder.path(), "newer.pupperware", "8.0.0", "2026-11-21T00:00:01Z", 2, &[]);
    for command in [&["verify", "--checksums-only"][..], &["restore"]] {
        let said = said(folder.path(), &[&["backup"], command, &["newer.pupperware"]].concat());
        says(
            &said,
            &["exit code: 6", "newer.pupperware cannot be used: it was made by a newer pupperware", "hint: use"],
        );
    }
    assert!(!folder.path().join("pupperware.yaml").exists());
}

#[test]
fn an_encrypted_one_is_listed_without_its_key_and_opened_with_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    archive_of(folder.path(), "secret.pupperware", "8.0.0", "2026-11-21T00:00:01Z", 1, &[PUBLIC]);
    archive(folder.path(), "open.pupperware", "8.0.0", "2026-11-20T00:00:01Z");
    let key = folder.path().join("key.txt");
    std::fs::write(&key, format!("# public key: {PUBLIC}\n{PRIVATE}\n")).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let torn = folder.path().join("torn.txt");
    std::fs::write(&torn, &PRIVATE[..PRIVATE.len() - 1]).unwrap();
    std::fs::set_permissions(&torn, std::fs::Permissions::from_mode(0o600)).unwrap();
    let said = |arguments: &[&str]| {
        let said = said(folder.path(), &[&["backup"], arguments].concat());
        assert!(!said.contains("AGE-SECRET-KEY-1GQ"), "{said}");
        said
    };
    let row = |json: &str, at: usize| {
        let json = json.split_once("--- stdout\n").unwrap().1.split_once("--- stderr").unwrap().0;
        serde_json::from_str::<serde_json::Value>(json).unwrap()["backups"][at].clone()
    };
    let listed = said(&["list", ".", "-o", "json"]);
    assert_eq!(row(&listed, 1)["encrypted_for"], serde_json::json!([PUBLIC]));
    assert_eq!((&row(&listed, 1)["complete"], &row(&listed, 1)["opens"]), (&true.into(), &serde_json::Value::Null));
    let opened = said(&["list", ".", "--identity", "key.txt", "-o", "json"]);
    assert_eq!((&row(&opened, 1)["opens"], &row(&opened, 0)["opens"]), (&true.into(), &serde_json::Value::Null));
    says(&said(&["list", ".", "--identity", "key.txt"]), &["ENCRYPTED", "yes, opened"]);

    says(&said(&["verify", "--checksums-only", "secret.pupperware"]), &["exit code: 0", "is encrypted: without"]);
    says(&said(&["verify", "--checksums-only", "--identity", "key.txt", "secret.pupperware"]), &["exit code: 0"]);
    let missing =
        &["exit code: 2", "secret.pupperware is encrypted for age1t7", "hint: give the file", "--identity FILE"];
    says(&said(&["restore", "secret.pupperware"]), missing);
    says(&said(&["verify", "secret.pupperware"]), missing);
    says(
        &said(&["restore", "--identity", "torn.txt", "secret.pupperware"]),
        &["exit code: 2", "torn.txt:1 is no private key of age"],
    );
}

#[test]
fn a_private_key_is_no_recipient_and_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let create = said(folder.path(), &["backup", "create", "--recipient", PUBLIC, "--recipient", PRIVATE]);
    says(&create, &["exit code: 2", "--recipient, number 2: this is a private key", "age-keygen -y"]);
    let text = format!("backup:\n  recipients: [{PRIVATE}]\n");
    std::fs::write(folder.path().join("pupperware.yaml"), text).unwrap();
    let validate = said(folder.path(), &["config", "validate"]);
    says(&validate, &["exit code: 2", "line 2: this is a private key"]);
    assert!(![create, validate].concat().contains("1GQ9778"));
}

#[test]
fn how_many_stay_is_said_by_someone() {
    let folder = tempfile::tempdir().unwrap();
    for day in ["01", "02", "03"] {
        archive(folder.path(), &format!("demo-{day}.pupperware"), "8.0.0", &format!("2026-11-{day}T00:00:00Z"));
    }
    let prune = || said(folder.path(), &["--project", "demo", "backup", "prune", "--dry-run", "."]);
    says(&prune(), &["exit code: 2", "nothing says how many backups to keep", "backup: { keep: 14 }"]);
    says(&said(folder.path(), &["backup", "create", "--prune"]), &["exit code: 2", "nothing says how many"]);
    std::fs::write(folder.path().join("pupperware.yaml"), "project: demo\nbackup: { keep: 2 }\n").unwrap();
    let pruned = prune();
    says(&pruned, &["exit code: 0", "would remove ./demo-01.pupperware"]);
    assert!(!pruned.contains("demo-02"), "{pruned}");
}

#[test]
fn a_schedule_is_printed_for_the_machine_s_own_scheduler() {
    let folder = tempfile::tempdir().unwrap();
    let text = "project: demo\nbackup: { keep: 14, max_age: 26h }\n";
    std::fs::write(folder.path().join("pupperware.yaml"), text).unwrap();
    let schedule = |what: &str, more: &[&str]| {
        let arguments = [&["--host", "unix:///run/other.sock", "backup", "schedule", "--print", what], more].concat();
        let program = assert_cmd::cargo::cargo_bin("pupperware").display().to_string();
        said(folder.path(), &arguments).replace(&program, "PROGRAM")
    };
    assert_snapshot!(schedule("systemd-service", &[]), @"
    exit code: 0
    --- stdout
    [Unit]
    Description=Backup of the Puppet platform demo
    After=docker.service

    [Service]
    Type=oneshot
    ExecStart=PROGRAM --project demo --config FOLDER/pupperware.yaml --host unix:///run/other.sock --quiet backup create --to FOLDER/backups/ --wait-lock 30m --prune
    UMask=0077
    --- stderr
    put it into /etc/systemd/system/pupperware-backup-demo.service
    ");
    assert_snapshot!(schedule("systemd-timer", &["--at", "4:30"]), @"
    exit code: 0
    --- stdout
    [Unit]
    Description=Daily backup of the Puppet platform demo

    [Timer]
    OnCalendar=*-*-* 04:30:00
    RandomizedDelaySec=10m
    Persistent=true

    [Install]
    WantedBy=timers.target
    --- stderr
    put it into /etc/systemd/system/pupperware-backup-demo.timer; then `systemctl enable --now pupperware-backup-demo.timer`
    ");
    assert_snapshot!(schedule("cron", &["--to", "/mnt/back ups"]), @"
    exit code: 0
    --- stdout
    17 3 * * * PROGRAM --project demo --config FOLDER/pupperware.yaml --host unix:///run/other.sock --quiet backup create --to '/mnt/back ups/' --wait-lock 30m --prune >/dev/null
    --- stderr
    put it into `crontab -e`, of a user who may use Docker
    ");
    std::fs::write(folder.path().join("pupperware.yaml"), "project: demo\n").unwrap();
    let bare = schedule("cron", &[]);
    says(&bare, &["old backups are not removed", "nobody is told when backups cease"]);
    assert!(!bare.contains("--prune"), "{bare}");
    says(&schedule("cron", &["--at", "25:00"]), &["exit code: 2", "write a time of day like 03:17"]);
}

/// An archive that can be restored: a CA, a database, and the configuration of two agents.
fn whole(path: &Path, release: &str, definition: Option<Release>) {
    let manifest = Manifest {
        schema_version: 1,
        project: "demo".into(),
        release: release.parse().unwrap(),
        definition,
        channel: None,
        program: "0.1.0".into(),
        started_at: "2026-11-21T00:00:00Z".into(),
        finished_at: "2026-11-21T00:00:01Z".into(),
        encrypted_for: vec![],
        packages: std::collections::BTreeMap::new(),
        members: vec![],
        left_out: vec![],
    };
    let mut ca = tar::Builder::new(vec![]);
    for (name, content) in [("ca_crt.pem", "x"), ("ca_key.pem", "x"), ("serial", "000A")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        ca.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let members = [
        (Content::Volume("ca".into()), ca.into_inner().unwrap()),
        (Content::Database, b"PGDMP and so on".to_vec()),
        (Content::Configuration, b"project: demo\nagents: { replicas: 2 }\n".to_vec()),
    ];
    let mut writer = Writer::create(path, &[]).unwrap();
    for (content, bytes) in members {
        let mut member = writer.member(&content).unwrap();
        member.write_all(&bytes).unwrap();
        member.done().unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(writer.finish(manifest, async |_, _| Ok(()))).unwrap();
}

/// What ran may be listed nowhere: the archive tells what it was made of.
#[test]
fn a_release_that_only_the_backup_knows_is_restored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("demo.pupperware");
    let engine = Fake::empty().serve();
    let restore = || said(folder.path(), &["--host", &engine, "backup", "restore", "--dry-run", "demo.pupperware"]);
    whole(&path, "8.0.7", None);
    says(&restore(), &["exit code: 6", "the backup is of release 8.0.7, which this program does not know"]);

    let mut release = Releases::embedded().unwrap().in_channel("stable").unwrap().clone();
    release.version = "8.0.7".parse().unwrap();
    release.components.get_mut("agent").unwrap().image =
        Some(format!("registry.example.com/agent@sha256:{}", "a".repeat(64)));
    std::fs::remove_file(&path).unwrap();
    whole(&path, "8.0.7", Some(release));
    says(&restore(), &["exit code: 0", "pull image registry.example.com/agent@sha256:aaaa"]);
}

/// Where there is no configuration, the archive's counts, and is not written before the user has said yes.
#[test]
fn a_restore_that_is_only_shown_or_refused_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    whole(&folder.path().join("demo.pupperware"), "8.0.0", None);

    let engine = Fake::empty().serve();
    let restore = |more: &[&str]| {
        let arguments = [&["--host", &engine, "backup", "restore", "--dry-run", "demo.pupperware"], more].concat();
        said(folder.path(), &arguments)
    };
    for (more, project) in [(&[][..], "demo"), (&["--as", "two"][..], "two")] {
        let shown = restore(more);
        says(&shown, &["exit code: 0", "write file FOLDER/pupperware.yaml  (from the archive; there is none here)"]);
        says(&shown, &[&format!("create container {project}-agent-2")]);
    }
    assert!(!folder.path().join("pupperware.yaml").exists(), "it was only shown");
    std::fs::write(folder.path().join("pupperware.yaml"), "project: demo\n").unwrap();
    let shown = restore(&[]);
    assert!(!shown.contains("agent-2") && !shown.contains("write file"), "the one that is here counts: {shown}");
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

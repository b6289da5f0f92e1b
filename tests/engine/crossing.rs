//! What `upgrade` is for: a platform that has lived, with agents, modules, an encrypted value and thousands of reports, goes
//! to the next line. Before that it is made to fail in each of its phases.

use std::process::Command;

use serde_json::Value;

use crate::history::{History, Length};
use crate::platform::{Platform, Run, docker, turn};
use crate::upgrade::{Node, TO_STABLE, certificates, counts};

/// The upgrade where only so many blocks of 512 bytes can be written: a disk that is too full for the backup.
fn with_little_room(platform: &Platform) -> Run {
    let program = env!("CARGO_BIN_EXE_pupperware");
    let limited = format!("trap '' XFSZ; ulimit -f 8; exec '{program}' {}", TO_STABLE.join(" "));
    let mut command = Command::new("sh");
    command.current_dir(platform.folder()).args(["-c", &limited]).env("PUPPERWARE_PROGRESS", "plain");
    Run::of(command.output().unwrap(), &["upgrade, without room"])
}

/// Intent: wherever it fails, an upgrade leaves the old release serving, with every report and certificate of before. When
/// nothing is in its way it ends well: agents go on with their certificates, and nothing is missing.
#[test]
#[ignore = "takes 16 minutes: three returns and an upgrade, with 10,000 reports"]
fn a_platform_with_a_history_crosses_to_the_next_line() {
    let Some(_turn) = turn() else { return };
    let length = Length { agents: 5, reports: 10_000 };
    let platform = Platform::new(&length.configuration());
    platform.ok(&["up", "--channel", "lts"]);
    let (revoked, pending) = (Node::new(&platform, "revoked"), Node::new(&platform, "pending"));
    for node in [&revoked, &pending] {
        assert!(!node.runs(), "nobody has signed it");
    }
    platform.ok(&["--yes", "ca", "sign", &revoked.name]);
    assert!(revoked.runs());
    platform.ok(&["--yes", "ca", "revoke", &revoked.name]);
    let history = History::make(&platform, length);
    let (ca, list) = (platform.ca(), certificates(&platform));

    // No room for the backup: nothing is touched.
    let (touched, before) = (platform.touched("puppetserver"), counts(&platform));
    with_little_room(&platform).expect(1).says("free some space there");
    assert_eq!((platform.touched("puppetserver"), counts(&platform)), (touched, before));

    // The database's copy, the new server, and the proof: each time what was runs again, and is proved.
    let (copier, server, agent) = (
        format!("{}-postgres-next", platform.project),
        platform.container("puppetserver"),
        platform.container("agent"),
    );
    for dies in [&copier, &server, &agent] {
        let before = counts(&platform);
        let mut failed = platform.start(&TO_STABLE);
        failed.sees("start", dies);
        docker(&["kill", dies]);
        failed.end().expect(10).says("everything is as it was before");
        let status = platform.status();
        assert_eq!((&status["release"], &status["proved"]), (&Value::from("7.0.0"), &Value::Bool(true)), "{status:#}");
        let after = counts(&platform);
        assert_eq!((&after[..3], after[3]), (&before[..3], before[3] + 1), "and the report of the proof; {dies}");
        assert_eq!((platform.ca(), certificates(&platform)), (ca.clone(), list.clone()));
    }

    let before = counts(&platform);
    let done = platform.ok(&TO_STABLE);
    done.says("runs release 8.0.0, upgraded from 7.0.0 and proved").says("without an answer");
    let after = counts(&platform);
    assert_eq!((&after[..3], after[3]), (&before[..3], before[3] + 1), "and the report of the proof");
    assert_eq!((platform.ca(), certificates(&platform)), (ca, list));
    assert!(!revoked.runs() && !pending.runs());
    history.is_there(&platform);
    platform.ok(&["upgrade"]).says("nothing to do");
    platform.ok(&["up"]).says("nothing to do");
}

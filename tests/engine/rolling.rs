//! Upgrades of a platform with compilers, under load: what agents notice.

use serde_json::{Value, json};

use crate::load::{Load, SIGNED, serve_site};
use crate::platform::{Platform, Run, eventually, tell, turn};
use crate::upgrade::{TO_STABLE, counts, list_releases};

/// How many agents loop.
const AGENTS: u32 = 4;
/// What changes with a release that leaves the balancer as it is.
const BEHIND: [&str; 4] = ["postgres", "puppetdb", "puppetserver", "agent"];

/// Runs the program while agents loop; what it said, and what they counted.
fn under_load(platform: &Platform, arguments: &[&str]) -> (Run, Value) {
    let load = Load::start(platform, AGENTS);
    let run = platform.ok(arguments);
    let figures = load.end();
    tell(&format!("`{}`:\n{}\n{figures:#}", arguments.join(" "), run.stdout));
    (run, figures)
}

fn release(platform: &Platform) -> Value {
    let status = platform.status();
    assert_eq!(status["proved"], true, "{status:#}");
    status["release"].clone()
}

/// A platform with two compilers on release 8.0.0. There is a later one in which everything behind the balancer is another,
/// and one after that in which the balancer is.
fn platform() -> Platform {
    let platform = Platform::new("");
    platform.configure(SIGNED, "compilers: { replicas: 2 }\nreleases: { manifest: releases.yaml }\n");
    list_releases(&platform, &[("8.0.1", &BEHIND), ("8.0.2", &["balancer"])]);
    platform.ok(&["up", "--release", "8.0.0"]);
    serve_site(&platform);
    platform
}

/// Intent: while agents loop, everything behind the balancer is replaced by a later release, and by the old one again. No
/// request fails, and no report is taken and forgotten.
#[test]
#[ignore = "takes 8 minutes: an upgrade and a return under load"]
fn a_minor_upgrade_fails_no_request() {
    let Some(_turn) = turn() else { return };
    let platform = platform();
    platform.ok(&["upgrade", "--to", "8.0.1", "--dry-run"]).says("let requests wait at container");

    let before = counts(&platform);
    let (run, figures) = under_load(&platform, &["upgrade", "--to", "8.0.1"]);
    run.says("compilers served while").says("requests waited for").says("the certificate authority gave no answer");
    assert_eq!(figures["failed"], json!({}), "{figures:#}");
    assert_eq!(release(&platform), "8.0.1");
    // One more is that of the proof.
    let reports = figures["requests"]["report"].as_u64().unwrap();
    eventually("every report is stored", || counts(&platform)[3] == before[3] + reports + 1);
    platform.ok(&["up"]).says("nothing to do");

    let (run, figures) = under_load(&platform, &["--yes", "upgrade", "--rollback"]);
    run.says("compilers served while");
    assert_eq!(figures["failed"], json!({}), "{figures:#}");
    assert_eq!(release(&platform), "8.0.0");
    platform.ok(&["up"]).says("nothing to do");
}

/// Intent: the program is killed while a compiler is replaced, and the same command ends it: still no request fails. Where the
/// balancer itself is replaced, connections are refused meanwhile, and it is told for how long.
#[test]
#[ignore = "takes 8 minutes: two upgrades under load"]
fn a_killed_minor_upgrade_fails_no_request_either() {
    let Some(_turn) = turn() else { return };
    let platform = platform();
    let load = Load::start(&platform, AGENTS);
    let mut killed = platform.start(&["upgrade", "--to", "8.0.1"]);
    killed.sees("stop", &platform.container("compiler"));
    killed.signal("KILL");
    killed.end();
    platform.run(&["up"]).expect(6).says("between two releases");
    platform.ok(&["upgrade"]).says("runs release 8.0.1");
    let figures = load.end();
    tell(&format!("killed and ended: {figures:#}"));
    assert_eq!(figures["failed"], json!({}), "{figures:#}");

    let (run, figures) = under_load(&platform, &["upgrade", "--to", "8.0.2"]);
    run.says("connections were refused for");
    tell(&format!("longest time without a good answer: {} ms", figures["longest_gap_ms"]));
    assert_eq!(release(&platform), "8.0.2");
    platform.run(&["audit"]).expect(0);
}

/// Intent: between lines no compiler can go on. They stop with the primary, all of them come back, and the time in which
/// agents got no answer is told. So it is on the way back.
#[test]
#[ignore = "takes 6 minutes: to the next line and back"]
fn a_major_upgrade_tells_its_gap() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("compilers: { replicas: 1 }\n");
    platform.ok(&["up", "--channel", "lts"]);
    let before = counts(&platform);
    let run = platform.ok(&TO_STABLE);
    tell(&run.stdout);
    run.says("agents got no answer for");
    assert_eq!(release(&platform), "8.0.0");
    let after = counts(&platform);
    assert_eq!((&after[..3], after[3]), (&before[..3], before[3] + 1), "and the report of the proof");
    platform.ok(&["agent", "run"]);
    platform.ok(&["up"]).says("nothing to do");
    let run = platform.ok(&["--yes", "upgrade", "--rollback"]);
    tell(&run.stdout);
    run.says("agents got no answer for");
    assert_eq!(release(&platform), "7.0.0");
    platform.ok(&["agent", "run"]);
    platform.ok(&["up"]).says("nothing to do");
}

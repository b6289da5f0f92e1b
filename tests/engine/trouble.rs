//! Bad input and bad days: a clear error, the documented exit code, nothing changed.

use std::net::TcpListener;

use crate::platform::{Platform, docker, turn};

fn untouched(platform: &Platform) {
    let filter = format!("label=dev.pupperware.project={}", platform.project);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &filter]), "");
    assert_eq!(docker(&["volume", "ls", "--quiet", "--filter", &filter]), "");
}

/// Intent: what cannot work is said before anything is made.
#[test]
fn what_cannot_work_is_refused_before_anything_is_made() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");

    let held = TcpListener::bind(("127.0.0.1", platform.port)).unwrap();
    platform.run(&["up"]).expect(1).says(&format!("port {} is already taken", platform.port));
    untouched(&platform);
    drop(held);

    platform.run(&["up", "--channel", "edge"]).expect(2).says("choose one of lts, next, stable");
    platform.run(&["--host", "unix:///nowhere/docker.sock", "up"]).expect(4).says("no Docker Engine answers");
    let empty = platform.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    platform.run(&["up", "--code", empty.to_str().unwrap()]).expect(2).says("environments");
    platform.configure("heap: lots\nautosgn: true", "");
    platform.run(&["up"]).expect(2).says("pupperware.yaml:4").says("pupperware.yaml:5");
    untouched(&platform);
}

/// Intent: the lock lives with the engine: a second change is refused while one is under way, with its holder named.
#[test]
fn two_changes_at_once_are_kept_apart() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    let mut first = platform.command(&["up"]).spawn().unwrap();
    let lock = format!("{}-lock", platform.project);
    while docker(&["ps", "--all", "--quiet", "--filter", &format!("name={lock}")]).is_empty() {
        assert!(first.try_wait().unwrap().is_none(), "the first run ended before it took the lock");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    platform.run(&["up"]).expect(6).says("another change of").says("`up` by process");
    assert!(first.wait().unwrap().success());
    platform.ok(&["up"]).says("nothing to do");
}

/// Intent: a build that fails shows the step and its last lines, and no service is made.
#[test]
fn a_failing_image_build_shows_why() {
    let Some(_turn) = turn() else { return };
    // An image without a shell: the first command of every Dockerfile fails on it.
    let platform = Platform::new("images: { base: \"pupperware/anchor:1\" }\n");
    let run = platform.run(&["up"]).expect(1).says("image failed: ").says("/bin/sh");
    assert!(run.stderr.contains("hint: "), "{}", run.all());
    let filter = format!("label=dev.pupperware.project={}", platform.project);
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", &filter]), "");
}

/// Intent: when a service dies, `up` stops at once and tells which, its last words, and what to type; a run that is
/// interrupted, once or twice, tells how to go on; and the next `up` mends either.
#[test]
fn a_start_that_is_cut_short_says_so_and_is_mended() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();

    let mut restart = platform.start(&["restart"]);
    restart.sees("start", &platform.container("puppetdb"));
    docker(&["kill", &platform.container("puppetdb")]);
    let died = restart.end().expect(1);
    died.says(&platform.container("puppetdb")).says("puppetdb").says("hint: ").says("logs puppetdb");

    for signals in [1, 2] {
        let mut restart = platform.start(&["restart"]);
        restart.sees("start", &platform.container("puppetserver"));
        for _ in 0..signals {
            restart.signal("INT");
        }
        restart.end().expect(130).says("run the same command again");
        platform.run(&["status", "--check"]).expect(3);
    }
    let mut restart = platform.start(&["restart"]);
    restart.sees("start", &platform.container("puppetserver"));
    restart.signal("TERM");
    restart.end().expect(143);
    platform.up();
}

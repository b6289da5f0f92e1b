//! Engines that will not do. A fake one stands in, for faults that a real one cannot be brought to show.

use insta::assert_snapshot;

use crate::engine::{Fake, in_folder};
use crate::transcript;

/// An `up` against the engine, in an empty folder. It answers no call that would change it.
fn up(fake: Fake) -> String {
    let folder = tempfile::tempdir().unwrap();
    let host = fake.serve_at(&folder.path().join("docker.sock"));
    transcript(in_folder(&folder, &host).arg("up"))
}

#[test]
fn an_engine_that_is_too_old_is_named() {
    assert_snapshot!(up(Fake { api: "1.40", ..Fake::empty() }), @"
    exit code: 4
    --- stdout
    --- stderr
    error: the engine is too old: version 1.2.3 offers API 1.40, and 1.41 (Docker 20.10) is needed

    hint: upgrade Docker Engine on that machine, or name another with `--host`
    ");
}

#[test]
fn a_machine_with_too_little_memory_is_refused() {
    assert_snapshot!(up(Fake { memory: 1 << 30, ..Fake::empty() }), @"
    exit code: 2
    --- stdout
    --- stderr
    error: the machine is too small: the platform needs 1878m of memory, there is 1g

    hint: give the engine more memory (4g is comfortable)
    ");
}

/// `/proc` is a file system that never has room.
#[test]
fn a_full_disk_is_refused() {
    assert_snapshot!(up(Fake { root_dir: "/proc", ..Fake::empty() }), @"
    exit code: 1
    --- stdout
    --- stderr
    error: 0m are free in /proc, and this needs 13g

        (check disk-space; nothing was changed)

    hint: free some space; `docker system df` shows what uses it
    ");
}

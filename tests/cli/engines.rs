//! Engines that will not do. The engine here is a fake, for faults that a real one cannot be brought to show.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use insta::assert_snapshot;
use serde_json::json;

use crate::{pupperware, transcript};

/// What the fake engine says of itself.
#[derive(Clone)]
struct Fake {
    api: &'static str,
    memory_bytes: u64,
    root_dir: &'static str,
}

/// Large, new, with room on its disk.
const GOOD: Fake = Fake { api: "1.41", memory_bytes: 8 << 30, root_dir: "/" };

/// An `up` against the fake engine, in an empty folder.
fn up(fake: Fake) -> String {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("docker.sock");
    serve(&socket, fake);
    let host = format!("unix://{}", socket.display());
    let shown = transcript(pupperware().current_dir(&folder).args(["--host", &host, "--project", "demo", "up"]));
    shown.replace(&folder.path().display().to_string(), "FOLDER")
}

/// Answers in the background until the test's process ends.
fn serve(socket: &PathBuf, fake: Fake) {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let fake = fake.clone();
            std::thread::spawn(move || answer(stream, &fake));
        }
    });
}

/// The requests of one connection. An engine without anything on it; whatever would change it is a test's failure.
fn answer(stream: UnixStream, fake: &Fake) {
    let mut writer = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(request) = lines.next() {
        while lines.next().is_some_and(|header| !header.is_empty()) {}
        let (method, path) = request.split_once(' ').unwrap_or_default();
        let body = match path {
            _ if method != "GET" => json!({ "message": format!("the fake engine was to be left alone: {request}") }),
            p if p.contains("/version") => json!({ "ApiVersion": fake.api, "Version": "0.fake" }),
            p if p.contains("/info") => json!({
                "NCPU": 2, "MemTotal": fake.memory_bytes, "DockerRootDir": fake.root_dir, "OSType": "linux",
            }),
            p if p.contains("/volumes") => json!({ "Volumes": [] }),
            _ => json!([]),
        }
        .to_string();
        let status = if method == "GET" { "200 OK" } else { "500 Internal Server Error" };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        if writer.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn an_engine_that_is_too_old_is_named() {
    assert_snapshot!(up(Fake { api: "1.40", ..GOOD }), @"
    exit code: 4
    --- stdout
    --- stderr
    error: the engine is too old: version 0.fake offers API 1.40, and 1.41 (Docker 20.10) is needed

    hint: upgrade Docker Engine on that machine, or name another with `--host`
    ");
}

#[test]
fn a_machine_with_too_little_memory_is_refused() {
    assert_snapshot!(up(Fake { memory_bytes: 1 << 30, ..GOOD }), @"
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
    assert_snapshot!(up(Fake { root_dir: "/proc", ..GOOD }), @"
    exit code: 1
    --- stdout
    --- stderr
    error: 0m are free in /proc, and this needs 8g

        (check disk-space; nothing was changed)

    hint: free some space; `docker system df` shows what uses it
    ");
}

//! Files of Debian's packages, fetched and unpacked in a container that is gone afterwards, and put where they are wanted.

use std::io::Write;
use std::process::{Command, Stdio};

/// Where packages can be had.
const DEBIAN: &str = "pupperware/debian:trixie";

/// Unpacks packages into `/files`, lets a script pick from there into `/picked`, and returns that as an archive.
pub fn picked(packages: &[&str], script: &str) -> Vec<u8> {
    let script = format!(
        "set -e; mkdir /packages /files /picked; cd /packages; {{ apt-get update -q; \
         apt-get download -q {}; }} >&2; for p in *.deb; do dpkg -x $p /files; done\n{script}\ntar -C /picked -c .",
        packages.join(" ")
    );
    let output = Command::new("docker").args(["run", "--rm", DEBIAN, "sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Unpacks an archive into a directory of a container.
pub fn put(archive: &[u8], container: &str, directory: &str) {
    assert!(fed(&["cp", "-", &format!("{container}:{directory}")], archive), "{container} takes no files");
}

/// Runs docker with this on its standard input; whether it succeeded.
pub fn fed(arguments: &[&str], input: &[u8]) -> bool {
    let mut command = Command::new("docker");
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    // Whoever ends early tells why, and how it ended is asked below.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait().unwrap().success()
}

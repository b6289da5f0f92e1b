//! How volumes are packed and unpacked: the `tar` commands that run in a container with the volume at `/volumes/KEY`.

/// What packs a volume to standard output.
pub fn pack(key: &str) -> Vec<String> {
    let folder = format!("/volumes/{key}");
    let mut command = words(&["tar", "--format=gnu", "--numeric-owner", "--anchored", "-C", &folder]);
    command.extend(match key {
        // Beside the secrets there is only the journal, which tells of this engine.
        "state" => words(&["-cf", "-", "secrets"]),
        // The server may sign meanwhile: with the serial number read last, it is above all certificates that were read.
        "ca" => words(&["--exclude=./serial", "-cf", "-", ".", "serial"]),
        // One-time tokens are for agents that come soon.
        "puppetserver-data" => words(&["--exclude=./autosign-tokens/*", "-cf", "-", "."]),
        _ => words(&["-cf", "-", "."]),
    });
    command
}

/// True when packing went well: 1 tells of files that changed or went away meanwhile, as those of a live server do.
pub fn packed(code: i64) -> bool {
    matches!(code, 0 | 1)
}

/// What unpacks standard input, with owners and modes.
pub fn unpack(key: &str) -> Vec<String> {
    let folder = format!("/volumes/{key}");
    words(&["tar", "--numeric-owner", "--same-owner", "--delay-directory-restore", "-xpf", "-", "-C", &folder])
}

/// What takes away the one-time tokens that an archive may hold; nothing for volumes that have none.
pub fn void_tokens(key: &str) -> Option<Vec<String>> {
    let script = "[ ! -d \"$1\" ] || find \"$1\" -mindepth 1 -delete";
    let folder = "/volumes/puppetserver-data/autosign-tokens";
    (key == "puppetserver-data").then(|| words(&["sh", "-c", script, "sh", folder]))
}

/// What dumps PuppetDB's database to standard output: a snapshot, while it is used. We compress it ourselves.
pub fn dump() -> Vec<String> {
    words(&["pg_dump", "-U", "postgres", "--no-password", "--format=custom", "--compress=0", "puppetdb"])
}

/// What reads such a dump from standard input, into an empty database; the first error ends it.
pub fn load() -> Vec<String> {
    words(&["pg_restore", "-U", "postgres", "--no-password", "--exit-on-error", "--dbname=puppetdb"])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

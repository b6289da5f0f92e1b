//! English for step kinds (`wait_ready`: "waiting", then "ready") and for times.
//!
//! Only the verb, the kind's first word, is looked at, so a new kind of step reads well without a change here.

use std::time::Duration;

/// How a verb reads.
struct Verb {
    name: &'static str,
    doing: &'static str,
    done: &'static str,
    /// It usually takes long enough that its start is news, too.
    slow: bool,
}

const fn quick(name: &'static str, doing: &'static str, done: &'static str) -> Verb {
    Verb { name, doing, done, slow: false }
}

const fn slow(name: &'static str, doing: &'static str, done: &'static str) -> Verb {
    Verb { name, doing, done, slow: true }
}

const VERBS: &[Verb] = &[
    slow("build", "building", "built"),
    quick("commit", "committing", "committed"),
    slow("compare", "comparing", "the same"),
    quick("connect", "connecting", "connected"),
    slow("copy", "copying", "copied"),
    quick("create", "creating", "created"),
    slow("drain", "draining", "drained"),
    quick("finish", "finishing", "finished"),
    quick("import", "importing", "imported"),
    quick("load", "loading", "loaded"),
    quick("make", "making", "made"),
    quick("mark", "marking", "marked"),
    quick("place", "placing", "placed"),
    slow("prove", "proving", "proved"),
    slow("pull", "pulling", "pulled"),
    quick("push", "taking the revocation list", "has the revocation list"),
    quick("record", "recording", "recorded"),
    quick("remove", "removing", "removed"),
    quick("rename", "renaming", "renamed"),
    slow("restore", "putting back", "put back"),
    quick("revoke", "revoking", "revoked"),
    slow("run", "running", "ran"),
    quick("seed", "filling", "filled"),
    quick("settle", "settling", "settled"),
    quick("sign", "signing", "signed"),
    slow("snapshot", "saving", "saved"),
    quick("start", "starting", "started"),
    quick("stop", "stopping", "stopped"),
    quick("tag", "tagging", "tagged"),
    quick("take", "counting", "counted"),
    slow("verify", "trying a revoked certificate", "refuses a revoked certificate"),
    slow("wait", "waiting", "ready"),
    quick("withdraw", "withdrawing", "withdrawn"),
    slow("write", "writing", "written"),
];

fn verb(kind: &str) -> Option<&'static Verb> {
    let first = kind.split('_').next()?;
    VERBS.iter().find(|verb| verb.name == first)
}

/// What a step of this kind does now: "waiting".
pub(super) fn doing(kind: &str) -> String {
    verb(kind).map_or_else(|| kind.replace('_', " "), |verb| verb.doing.to_owned())
}

/// What a step of this kind has done: "ready".
pub(super) fn done(kind: &str) -> String {
    verb(kind).map_or_else(|| format!("{} done", kind.replace('_', " ")), |verb| verb.done.to_owned())
}

/// Whether such a step is usually waited for.
pub(super) fn is_slow(kind: &str) -> bool {
    verb(kind).is_some_and(|verb| verb.slow)
}

/// `3.2s`, `1m 05s`, `2h 03m`.
pub(super) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", time.as_millis() as f64 / 1000.0),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// How old something is, in one unit: `40s`, `5m`, `27h`, `3d`.
pub fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_as_english() {
        assert_eq!(doing("wait_ready"), "waiting");
        assert_eq!(done("create_container"), "created");
        assert_eq!(done("polish_brass"), "polish brass done");
        assert!(VERBS.is_sorted_by_key(|verb| verb.name));
    }

    #[test]
    fn times_stay_short() {
        let text = |ms| elapsed(Duration::from_millis(ms));
        assert_eq!([text(40), text(3_240), text(65_000), text(7_380_000)], ["0.0s", "3.2s", "1m 05s", "2h 03m"]);
        let old = |seconds| age(Duration::from_secs(seconds));
        assert_eq!([old(0), old(119), old(120), old(7199), old(7200)], ["0s", "119s", "2m", "119m", "2h"]);
        assert_eq!([old(27 * 3600), old(172_800)], ["27h", "2d"]);
    }
}

//! The journal told as a history: one row for each plan that was carried out.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use semver::Version;
use serde::Serialize;

use super::Entry;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every step succeeded.
    Done,
    /// A step failed.
    Failed,
    /// The user ended it.
    Interrupted,
    /// Nothing tells of its end: it is under way, or its process was killed.
    Unfinished,
}

impl Ending {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Failed => "failed",
            Ending::Interrupted => "interrupted",
            Ending::Unfinished => "unfinished",
        }
    }
}

/// One plan that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// When it began, RFC 3339.
    pub at: String,
    /// The command.
    pub command: String,
    /// Who, as far as it was told.
    pub user: Option<String>,
    /// By which process, on which host.
    pub by: String,
    /// Version of the program.
    pub program: String,
    /// The release of before; nothing for a new platform, and where it was not told.
    pub from: Option<Version>,
    /// The release of afterwards; where it did not succeed, the one that was meant.
    pub to: Option<Version>,
    /// How it ended.
    pub result: Ending,
    /// How many steps were planned.
    pub steps: usize,
    /// How many of them succeeded.
    pub succeeded: usize,
    /// How long it took, in milliseconds; nothing when its end is not known.
    pub elapsed_ms: Option<u64>,
    /// Why it failed: the first step's error.
    pub error: Option<String>,
}

/// The runs of a journal, in its order. Lines that nobody can read are left out.
pub fn runs(journal: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for entry in journal.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
        match (entry, runs.last_mut()) {
            (Entry::Planned { at, command, program, by, user, from, to, steps, .. }, _) => runs.push(Run {
                at,
                command,
                user,
                by,
                program,
                from,
                to,
                result: Ending::Unfinished,
                steps: steps.len(),
                succeeded: 0,
                elapsed_ms: None,
                error: None,
            }),
            (Entry::Done { .. }, Some(run)) => run.succeeded += 1,
            (Entry::Failed { error, .. }, Some(run)) => {
                run.error.get_or_insert(error);
            }
            (Entry::Ended { at, ok, error }, Some(run)) => {
                run.error = run.error.take().or(error);
                run.elapsed_ms = elapsed(&run.at, &at);
                run.result = match (ok, &run.error) {
                    (true, _) => Ending::Done,
                    (false, Some(_)) => Ending::Failed,
                    (false, None) => Ending::Interrupted,
                };
            }
            (Entry::Started { .. }, _) | (_, None) => {}
        }
    }
    runs
}

/// How long the last step of this kind took that succeeded, on something of this name; milliseconds.
pub fn last_took(journal: &str, kind: &str, resource: &str) -> Option<u64> {
    let (mut wanted, mut began, mut took) = (BTreeSet::new(), BTreeMap::new(), None);
    for entry in journal.lines().filter_map(|line| serde_json::from_str::<Entry>(line).ok()) {
        match entry {
            Entry::Planned { steps, .. } => {
                let fit = steps.iter().filter(|s| s.kind == kind && s.resource.contains(resource));
                (wanted, began) = (fit.map(|s| s.id).collect(), BTreeMap::new());
            }
            Entry::Started { id, at } if wanted.contains(&id) => {
                began.insert(id, at);
            }
            Entry::Done { id, at } => took = began.get(&id).and_then(|from| elapsed(from, &at)).or(took),
            _ => {}
        }
    }
    took
}

fn elapsed(from: &str, to: &str) -> Option<u64> {
    let (from, to): (Timestamp, Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    u64::try_from(to.duration_since(from).as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = r#"{"entry":"planned","schema_version":1,"at":"2026-11-21T10:00:00Z","command":"up","program":"0.1.0","by":"process 1 on a","steps":[]}
{"entry":"ended","at":"2026-11-21T10:00:02.5Z","ok":true}
{"entry":"planned","schema_version":1,"at":"2026-11-21T11:00:00Z","command":"upgrade","program":"0.1.0","by":"process 2 on a","user":"root","from":"7.0.0","to":"8.0.0","steps":[{"id":0,"kind":"prove","resource":"agent a","cause":"c"}]}
{"entry":"started","id":0,"at":"2026-11-21T11:00:00Z"}
{"entry":"failed","id":0,"at":"2026-11-21T11:00:01Z","error":"puppetdb died"}
nonsense
{"entry":"ended","at":"2026-11-21T11:00:01Z","ok":false}
{"entry":"planned","schema_version":1,"at":"2026-11-21T12:00:00Z","command":"down","program":"0.1.0","by":"process 3 on a","steps":[]}
{"entry":"ended","at":"2026-11-21T12:00:01Z","ok":false}
{"entry":"planned","schema_version":1,"at":"2026-11-21T12:30:00Z","command":"up","program":"0.1.0","by":"process 5 on a","steps":[]}
{"entry":"ended","at":"2026-11-21T12:30:01Z","ok":false,"error":"puppetdb died"}
{"entry":"planned","schema_version":1,"at":"2026-11-21T13:00:00Z","command":"up","program":"0.1.0","by":"process 4 on a","steps":[]}
"#;

    #[test]
    fn the_last_good_step_tells_how_long_its_kind_takes() {
        let run = |seconds: u32, end: &str| {
            format!(
                r#"{{"entry":"planned","schema_version":1,"at":"2026-11-21T10:00:00Z","command":"up","program":"0.1.0","by":"a","steps":[{{"id":0,"kind":"prove","resource":"agent a","cause":"c"}},{{"id":1,"kind":"wait_ready","resource":"container a-b-1","cause":"c"}}]}}
{{"entry":"started","id":0,"at":"2026-11-21T10:00:00Z"}}
{{"entry":"started","id":1,"at":"2026-11-21T10:00:10Z"}}
{{"entry":"{end}","id":1,"at":"2026-11-21T10:00:{seconds}Z","error":"x"}}
"#
            )
        };
        let journal = run(15, "done") + &run(17, "done") + &run(19, "failed");
        assert_eq!(last_took(&journal, "wait_ready", "-b-"), Some(7000));
        assert_eq!(last_took(&journal, "wait_ready", "-c-"), None);
        assert_eq!(last_took(&journal, "prove", ""), None, "it never ended");
    }

    #[test]
    fn each_plan_is_one_run() {
        let runs = runs(JOURNAL);
        let told: Vec<(&str, Ending, Option<u64>)> =
            runs.iter().map(|r| (r.command.as_str(), r.result, r.elapsed_ms)).collect();
        assert_eq!(
            told,
            [
                ("up", Ending::Done, Some(2500)),
                ("upgrade", Ending::Failed, Some(1000)),
                ("down", Ending::Interrupted, Some(1000)),
                ("up", Ending::Failed, Some(1000)),
                ("up", Ending::Unfinished, None)
            ]
        );
        assert_eq!(runs[0].user, None);
        assert_eq!(runs[1].error.as_deref(), Some("puppetdb died"));
        assert_eq!((&runs[1].from, &runs[1].to), (&Some(Version::new(7, 0, 0)), &Some(Version::new(8, 0, 0))));
        assert_eq!((runs[1].steps, runs[1].succeeded), (1, 0));
    }
}

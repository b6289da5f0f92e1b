//! What the user of `upgrade` reads.

use semver::Version;

use crate::backup::show_bytes;
use crate::checks::Outlook;
use crate::commands::context::Context;
use crate::config::types::Ttl;
use crate::desired::{Desired, labels};
use crate::plan::timeline::Timeline;
use crate::release::{Manifest, Release};

/// What somebody wants to know before saying yes.
pub(super) fn prepare_the_user(context: &Context, now: &Version, to: &Release, outlook: &Outlook) {
    let report = &context.report;
    let Some(bytes) = outlook.database_bytes else { return };
    report.note(format!(
        "{now} to {}: agents get no answer while the data moves and the services start; the database has {}",
        to.version,
        show_bytes(bytes)
    ));
    for line in forecast(outlook) {
        report.note(line);
    }
    for note in &to.notes {
        report.note(note.clone());
    }
    if !outlook.too_old.is_empty() {
        let list: Vec<String> =
            outlook.too_old.iter().map(|v| format!("{} with Puppet {}", v.count, v.version)).collect();
        report.warn_with_hint(
            format!("release {} does not serve agents that are so old: {}", to.version, list.join(", ")),
            "upgrade Puppet on them first".to_owned(),
        );
    }
}

/// How long it may take and what it needs, with where each figure is from.
fn forecast(outlook: &Outlook) -> Vec<String> {
    let mut lines = vec![match outlook.backup_seconds {
        Some(seconds) => format!("the backup: about {seconds} s, as long as the last one took"),
        None => "the backup: nothing tells how long it takes, because none is in the journal".to_owned(),
    }];
    let bytes = outlook.database_bytes.unwrap_or_default();
    let moved = if outlook.copies { bytes.div_ceil(COPIED_PER_SECOND) } else { 0 };
    match outlook.start_seconds {
        Some(start) => lines.push(format!(
            "without an answer: about {} s, guessed: {start} s as the slowest service took to start last, {moved} s for the data{}",
            start + moved,
            if outlook.copies { " at 5 MB/s; a new PuppetDB changes its tables on top of that" } else { "" }
        )),
        None => lines.push("without an answer: nothing in the journal tells how long the services take to start".into()),
    }
    lines.push(format!(
        "disk: {} needed{}; measure it all on a copy: `pupperware upgrade --prepare`",
        show_bytes(outlook.needed_bytes),
        outlook.free_bytes.map(|free| format!(", {} free", show_bytes(free))).unwrap_or_default()
    ));
    lines
}

/// Bytes of a database that one second may move, dumped and read at once: a careful guess for a small machine.
const COPIED_PER_SECOND: u64 = 5_000_000;

pub(super) fn nothing_to_do(project: &str, manifest: &Manifest, now: &Version) -> String {
    let later = manifest.channels.iter().find(|(_, c)| c.stream == Some(now.major + 1));
    let more = match later.and_then(|(name, _)| Some((name, manifest.in_channel(name).ok()?))) {
        Some((name, release)) => {
            format!("; channel {name} is at {}: `pupperware upgrade --channel {name}`", release.version)
        }
        None => String::new(),
    };
    format!("nothing to do: {project} runs release {now}{more}\n")
}

/// Seconds in which the server gave no answer: from its stop until its successor was ready. Nothing when it did not stop,
/// as where an interrupted upgrade goes on.
pub(super) fn gap(times: &Timeline, server: &str) -> Option<u64> {
    let resource = format!("container {server}");
    let of = |kind| times.steps.iter().filter(move |s| s.kind == kind);
    let stopped = of("stop_container").filter(|s| s.resource == resource).map(|s| s.began_ms).min()?;
    let ready = of("wait_ready").filter(|s| s.resource == resource).map(|s| s.began_ms + s.took_ms).max()?;
    Some(ready.checked_sub(stopped)?.div_ceil(1000))
}

/// What is there now, and what is kept of before.
pub(super) fn summary(before: &Desired, after: &Desired, backup: &str, gap: Option<u64>, keep: Ttl) -> String {
    let mut text = format!(
        "{} runs release {}, upgraded from {} and proved; everything that was counted is there\n",
        after.project, after.release, before.release
    );
    if let Some(seconds) = gap {
        text += &format!("agents got no answer for {seconds} s\n");
    }
    if before.database != after.database {
        let volume = labels::scoped(&before.project, &before.database);
        text += &format!("the database of before is kept in the volume {volume}\n");
    }
    let kept = if keep.seconds() == 0 { String::new() } else { format!(" (from {keep} on)") };
    text + &format!(
        "the backup of before is {backup}\n\
         way back:      pupperware upgrade --rollback\n\
         no way back:   pupperware upgrade --prune{kept}\n"
    )
}

/// A file that names another line would have the next `up` refused.
pub(super) fn warn_of_the_file(context: &Context, to: &Release, manifest: &Manifest) {
    let Ok(settings) = context.without_flags() else { return };
    let channels = manifest.channels_of(to);
    for (key, value, fits) in [
        (
            "channel",
            settings.config.channel().map(ToString::to_string),
            settings.config.channel().is_none_or(|c| channels.contains(&c.to_string().as_str())),
        ),
        (
            "release",
            settings.config.release().map(ToString::to_string),
            settings.config.release().is_none_or(|r| *r == to.version),
        ),
    ] {
        if let (Some(value), false) = (value, fits) {
            let place = settings.origins.of(key).to_string();
            context.report.warn_with_hint(
                format!("{place} still says `{key}: {value}`"),
                format!("change it to what runs now, or `up` is refused: {}", to.version),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::timeline::TimedStep;

    #[test]
    fn the_time_without_service_is_told() {
        let step = |kind, resource: &str, began_ms, took_ms| TimedStep {
            id: 0,
            kind,
            resource: resource.into(),
            began_ms,
            took_ms,
            waited_for: None,
            critical: true,
        };
        let steps = vec![
            step("stop_container", "container demo-puppetserver-1", 1000, 500),
            step("wait_ready", "container demo-postgres-1", 9000, 90_000),
            step("wait_ready", "container demo-puppetserver-1", 30_000, 11_100),
        ];
        let mut times = Timeline { schema_version: 1, project: "demo".into(), before_ms: 0, steps_ms: 99_000, steps };
        assert_eq!(gap(&times, "demo-puppetserver-1"), Some(41));
        times.steps.remove(0);
        assert_eq!(gap(&times, "demo-puppetserver-1"), None);
    }

    #[test]
    fn who_has_the_newest_hears_of_the_next_channel() {
        let manifest = Manifest::embedded().unwrap();
        assert_eq!(
            nothing_to_do("demo", &manifest, &Version::new(7, 0, 0)),
            "nothing to do: demo runs release 7.0.0; channel stable is at 8.0.0: `pupperware upgrade --channel stable`\n"
        );
        assert_eq!(
            nothing_to_do("demo", &manifest, &Version::new(8, 0, 0)),
            "nothing to do: demo runs release 8.0.0\n"
        );
    }
}

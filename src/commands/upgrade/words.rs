//! What the user of `upgrade` reads.

use semver::Version;

use crate::backup::show_bytes;
use crate::checks::Outlook;
use crate::commands::context::Context;
use crate::config::types::Ttl;
use crate::desired::{Desired, Replica, labels};
use crate::plan::timeline::{TimedStep, Timeline};
use crate::release::{Manifest, Release};

/// What somebody wants to know before saying yes.
pub(super) fn prepare_the_user(context: &Context, now: &Version, to: &Release, outlook: &Outlook) {
    let report = &context.report;
    let Some(bytes) = outlook.database_bytes else { return };
    let notice = match outlook.rolls {
        true => "compilers serve throughout, and requests wait while PuppetDB restarts, if it does",
        false => "agents get no answer while the data moves and the services start",
    };
    report.note(format!("{now} to {}: {notice}; the database has {}", to.version, show_bytes(bytes)));
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
        Some(_) if outlook.rolls => {}
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

/// Seconds in which agents got no answer: from the primary's stop until it, and the balancer before it, were ready again.
/// Nothing when it did not stop, as where an interrupted upgrade goes on.
pub(super) fn gap(times: &Timeline, after: &Desired) -> Option<u64> {
    let servers: Vec<&str> =
        after.primary().into_iter().chain(after.balancer()).map(|r| r.spec.name.as_str()).collect();
    missing(times, servers.first()?, &servers)
}

/// Seconds from the stop of a container until these were ready.
fn missing(times: &Timeline, stops: &str, ready: &[&str]) -> Option<u64> {
    let of = |kind: &'static str, name: &str| {
        let resource = format!("container {name}");
        times.steps.iter().filter(move |s| s.kind == kind && s.resource == resource)
    };
    let stopped = of("stop_container", stops).map(|s| s.began_ms).min()?;
    let ready = ready.iter().flat_map(|name| of("wait_ready", name)).map(|s| s.began_ms + s.took_ms).max()?;
    Some(ready.checked_sub(stopped)?.div_ceil(1000))
}

/// Seconds for which requests waited at the balancer, at most.
fn held(times: &Timeline) -> Option<u64> {
    let hold = times.steps.iter().find(|s| s.kind == "hold_requests")?;
    let later = |s: &&TimedStep| s.kind == "balance" && s.began_ms >= hold.began_ms + hold.took_ms;
    let over = times.steps.iter().filter(later).map(|s| s.began_ms + s.took_ms).min()?;
    Some((over - hold.began_ms).div_ceil(1000))
}

/// What agents noticed of an upgrade, or of the return from one, a line each.
pub(super) fn noticed(times: &Timeline, before: &Desired, after: &Desired) -> String {
    if before.database != after.database || after.compilers().count() == 0 {
        let gap = gap(times, after);
        return gap.map(|seconds| format!("agents got no answer for {seconds} s\n")).unwrap_or_default();
    }
    let mut text = "compilers served while they were replaced one after the other\n".to_owned();
    if let Some(seconds) = held(times) {
        text += &format!("requests waited for {seconds} s at most, while PuppetDB restarted\n");
    }
    let alone = |replica: &Replica| missing(times, &replica.spec.name, &[&replica.spec.name]);
    if let Some(seconds) = after.balancer().and_then(alone) {
        text += &format!("connections were refused for {seconds} s, while the balancer was replaced\n");
    }
    if let Some(seconds) = after.primary().and_then(alone) {
        text += &format!("the certificate authority gave no answer for {seconds} s\n");
    }
    text
}

/// What is there now, and what is kept of before.
pub(super) fn summary(before: &Desired, after: &Desired, backup: &str, times: &Timeline, keep: Ttl) -> String {
    let mut text = format!(
        "{} runs release {}, upgraded from {} and proved; everything that was counted is there\n",
        after.project, after.release, before.release
    );
    text += &noticed(times, before, after);
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
    use crate::config::Config;
    use crate::config::model::Compilers;
    use crate::config::sizing::{Machine, size};
    use crate::desired;

    /// The same platform of the release that a channel is at, with its database in the volume of this key.
    fn platform(channel: &str, database: &str, compilers: u32) -> Desired {
        let mut config = Config::default();
        config.compilers.replicas = Compilers::new(compilers).unwrap();
        let manifest = Manifest::embedded().unwrap();
        let release = manifest.in_channel(channel).unwrap();
        let sizing = size(&config, Machine { cpus: 4, memory_bytes: 16 << 30 }).unwrap();
        desired::build(&config, release, &sizing, &desired::Origin::default(), database).unwrap()
    }

    fn step(kind: &'static str, resource: &str, began_ms: u64, took_ms: u64) -> TimedStep {
        let (id, waited_for, critical) = (0, None, true);
        TimedStep { id, kind, resource: resource.into(), began_ms, took_ms, waited_for, critical }
    }

    fn times(steps: Vec<TimedStep>) -> Timeline {
        Timeline { schema_version: 1, project: "pupperware".into(), before_ms: 0, steps_ms: 99_000, steps }
    }

    #[test]
    fn the_time_without_service_is_told() {
        let (old, new) = (platform("lts", "a", 0), platform("stable", "b", 0));
        let mut times = times(vec![
            step("stop_container", "container pupperware-puppetserver-1", 1000, 500),
            step("wait_ready", "container pupperware-postgres-1", 9000, 90_000),
            step("wait_ready", "container pupperware-puppetserver-1", 30_000, 11_100),
            step("wait_ready", "container pupperware-balancer-1", 30_000, 12_100),
        ]);
        assert_eq!(noticed(&times, &old, &new), "agents got no answer for 41 s\n");
        let (old, new) = (platform("lts", "a", 2), platform("stable", "b", 2));
        assert_eq!(noticed(&times, &old, &new), "agents got no answer for 42 s\n", "they come through the balancer");
        times.steps.remove(0);
        assert_eq!(noticed(&times, &old, &new), "");
    }

    #[test]
    fn what_compilers_spare_agents_is_told() {
        let new = platform("stable", "a", 2);
        let times = times(vec![
            step("balance", "container pupperware-balancer-1: all", 0, 100),
            step("hold_requests", "container pupperware-balancer-1", 1000, 2000),
            step("stop_container", "container pupperware-puppetdb-1", 3000, 1000),
            step("balance", "container pupperware-balancer-1: all", 16_000, 500),
            step("stop_container", "container pupperware-puppetserver-1", 17_000, 1000),
            step("wait_ready", "container pupperware-puppetserver-1", 20_000, 9000),
            step("balance", "container pupperware-balancer-1: all", 40_000, 500),
        ]);
        assert_eq!(
            noticed(&times, &new, &new),
            "compilers served while they were replaced one after the other\n\
             requests waited for 16 s at most, while PuppetDB restarted\n\
             the certificate authority gave no answer for 12 s\n"
        );
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

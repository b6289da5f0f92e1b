//! `pupperware status`: what runs, whether it is well, and whether it is proved.

use std::fmt::Display;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde::Serialize;

use super::context::{Context, Extra, without_settings};
use crate::cli::global::GlobalArgs;
use crate::cli::inspect::StatusArgs;
use crate::cli::release::ReleaseArgs;
use crate::desired::labels;
use crate::error::{Kind, Result};
use crate::execute::cancel::Cancel;
use crate::observed::{self, Container, Observed};
use crate::plan;
use crate::release::Manifest;
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::words::age;
use crate::report::{Report, terminal};

/// A certificate that ends within this time is told.
const EXPIRING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A release that ends within so many days is told.
const ENDING: i32 = 183;

/// The answer. Its JSON shape is relied upon: fields may be added, none is renamed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Status {
    project: String,
    pub(super) release: Option<String>,
    pub(super) channel: Option<String>,
    pub(super) proved: bool,
    /// When the last proof was made, RFC 3339; it may be of an earlier start.
    pub(super) proved_at: Option<String>,
    /// True when every container runs and none is unwell.
    healthy: bool,
    /// Whether `up` would change something now.
    drift: Drift,
    pub(super) services: Vec<Service>,
    /// The CA's certificate and those of services, as far as their ends are on record.
    certificates: Vec<CertificateEnd>,
    /// Until when its release gets security updates.
    end_of_life: Option<EndOfLife>,
    /// The release that an upgrade leads to which is under way, or was interrupted.
    upgrading_to: Option<String>,
    /// The last good backup, if one is on record.
    pub(super) backup: Option<LastBackup>,
}

/// When a release's stream ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct EndOfLife {
    /// `YYYY-MM-DD`.
    date: String,
    /// True when that is over.
    ended: bool,
    /// True when it ends within half a year, or has ended.
    ending: bool,
}

impl EndOfLife {
    fn of(release: &semver::Version, today: Date) -> Option<Self> {
        let date = Manifest::embedded().ok()?.end_of_life(release)?.to_owned();
        let day: Date = date.parse().ok()?;
        let warned = day.checked_sub(Span::new().days(ENDING)).ok()?;
        Some(EndOfLife { date, ended: day < today, ending: warned <= today })
    }
}

/// A backup that was written, and read back.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LastBackup {
    /// Where it was written.
    file: String,
    /// RFC 3339.
    pub(super) finished_at: String,
    /// In whole hours.
    age_hours: u64,
    /// When it was restored elsewhere and proved, RFC 3339; nothing when it was not.
    pub(super) verified_at: Option<String>,
}

impl LastBackup {
    fn of(observed: &Observed, now: Timestamp) -> Option<Self> {
        let last = observed.record.as_ref()?.backup.as_ref()?;
        Some(LastBackup {
            file: last.file.clone(),
            finished_at: last.finished_at.clone(),
            age_hours: since(&last.finished_at, now).as_secs() / 3600,
            verified_at: last.verified_at.clone(),
        })
    }

    /// For people.
    fn text(&self, now: Timestamp) -> String {
        let verified = match &self.verified_at {
            Some(at) => format!("verified {}", at.split('.').next().unwrap_or(at)),
            None => "not verified".into(),
        };
        let finished = self.finished_at.split('.').next().unwrap_or(&self.finished_at);
        format!("{finished}, {} ago, {verified}", age(since(&self.finished_at, now)))
    }
}

/// The time since then; nothing when a clock was set back.
fn since(at: &str, now: Timestamp) -> Duration {
    at.parse().ok().and_then(|at: Timestamp| now.duration_since(at).try_into().ok()).unwrap_or_default()
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct CertificateEnd {
    subject: String,
    /// RFC 3339.
    not_after: String,
    /// True when it ends within 30 days, or has ended.
    expiring: bool,
}

/// What is on record, the first to end first. No call to the engine: the record comes with every snapshot.
fn ends(observed: &Observed, now: Timestamp) -> Vec<CertificateEnd> {
    let issued = observed.record.as_ref().and_then(|r| r.issued.as_ref());
    let mut ends: Vec<CertificateEnd> = issued
        .into_iter()
        .flat_map(|i| &i.ends)
        .map(|(subject, at)| CertificateEnd {
            subject: subject.clone(),
            not_after: at.clone(),
            expiring: at.parse().is_ok_and(|end: Timestamp| end.duration_since(now) < EXPIRING),
        })
        .collect();
    ends.sort_by(|a, b| (&a.not_after, &a.subject).cmp(&(&b.not_after, &b.subject)));
    ends
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) replicas: Vec<Replica>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Replica {
    pub(super) name: String,
    certname: String,
    pub(super) state: String,
    pub(super) ready: bool,
    /// When it last started, RFC 3339; nothing when it does not run.
    pub(super) since: Option<String>,
    image: String,
    ports: Vec<String>,
}

/// Whether the platform is as the settings want it, on the machine that it was last sized for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Drift {
    state: DriftState,
    /// How many steps `up` would take, when that is known.
    steps: Option<usize>,
    /// Why it is not known.
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DriftState {
    None,
    Differs,
    Unknown,
}

impl Drift {
    /// Nobody looked.
    pub(super) fn unknown() -> Self {
        Drift { state: DriftState::Unknown, steps: None, reason: None }
    }

    /// From the plan of `up`; pure, so that it costs no call to the engine.
    pub(super) fn of<E: Display>(context: Result<&Context, &E>, observed: &Observed) -> Self {
        if observed.services().next().is_none() {
            return Drift { state: DriftState::Differs, steps: None, reason: None };
        }
        match steps(context, observed) {
            Ok(0) => Drift { state: DriftState::None, steps: Some(0), reason: None },
            Ok(steps) => Drift { state: DriftState::Differs, steps: Some(steps), reason: None },
            Err(reason) => Drift { state: DriftState::Unknown, steps: None, reason: Some(reason) },
        }
    }

    /// For people.
    fn text(&self) -> String {
        match (self.state, self.steps, &self.reason) {
            (DriftState::None, ..) => "none".into(),
            (DriftState::Differs, Some(1), _) => "1 step, see `pupperware up --dry-run`".into(),
            (DriftState::Differs, Some(steps), _) => format!("{steps} steps, see `pupperware up --dry-run`"),
            (DriftState::Differs, None, _) => "see `pupperware up --dry-run`".into(),
            (DriftState::Unknown, _, reason) => format!("unknown: {}", reason.as_deref().unwrap_or("no reason")),
        }
    }
}

/// How many steps `up` would take, or why that cannot be told.
fn steps<E: Display>(context: Result<&Context, &E>, observed: &Observed) -> Result<usize, String> {
    let context = context.map_err(|error| format!("{error}, see `pupperware config validate`"))?;
    let machine = observed.machine().ok_or("no label says which machine the platform was sized for")?;
    let plan = || -> Result<usize> {
        let (_, desired) = context.desired(&context.release(&observed.lineage(), observed)?, machine, observed)?;
        Ok(plan::reconcile(&desired, observed)?.steps.len())
    };
    plan().map_err(|error| error.to_string())
}

impl Status {
    pub(super) fn of(project: &str, observed: &Observed, drift: Drift) -> Self {
        let record = observed.record.as_ref();
        let mut services: Vec<Service> = Vec::new();
        for (name, container) in observed.services() {
            let service = container.label(labels::SERVICE);
            let replica = Replica::of(name, container, observed);
            match services.iter_mut().find(|s| s.name == service) {
                Some(found) => found.replicas.push(replica),
                None => services.push(Service { name: service.to_owned(), replicas: vec![replica] }),
            }
        }
        Status {
            project: project.to_owned(),
            release: record.map(|r| r.release.to_string()),
            channel: record.and_then(|r| r.channel.clone().or_else(|| only_channel(&r.release))),
            proved: observed.proved(),
            proved_at: record.and_then(|r| r.proof.as_ref()).map(|p| p.at.clone()),
            drift,
            healthy: !services.is_empty() && services.iter().flat_map(|s| &s.replicas).all(|r| r.ready),
            services,
            certificates: ends(observed, Timestamp::now()),
            end_of_life: record
                .and_then(|r| EndOfLife::of(&r.release, Timestamp::now().to_zoned(TimeZone::UTC).date())),
            upgrading_to: record.and_then(|r| r.upgrading.as_ref()).map(|u| u.to.to_string()),
            backup: LastBackup::of(observed, Timestamp::now()),
        }
    }

    /// For people: what should be done about the release.
    fn of_release(&self) -> String {
        let mut lines = String::new();
        if let Some(to) = &self.upgrading_to {
            lines += &format!(
                "the upgrade to {to} is not over: `pupperware upgrade` goes on, `pupperware upgrade --rollback` goes back\n"
            );
        }
        if let (Some(EndOfLife { date, ended, ending: true }), Some(release)) = (&self.end_of_life, &self.release) {
            let word = if *ended { "has had no security updates since" } else { "gets security updates only until" };
            lines += &format!("release {release} {word} {date}: see `pupperware channels` and `pupperware upgrade`\n");
        }
        lines
    }

    /// For people: a line for each certificate that is about to end.
    fn expiring(&self) -> String {
        let lines = self.certificates.iter().filter(|c| c.expiring).map(|c| {
            let day = c.not_after.split('T').next().unwrap_or(&c.not_after);
            let replicas = || self.services.iter().flat_map(|s| s.replicas.iter().map(move |r| (&s.name, r)));
            match replicas().find(|(_, r)| r.certname == c.subject) {
                Some((service, _)) => {
                    format!("certificate of {service} ends on {day}: renew it with `pupperware ca reissue {service}`\n")
                }
                None => format!("certificate of {} ends on {day}\n", c.subject),
            }
        });
        lines.collect()
    }
}

/// The channel of a release's stream, when nobody named one.
fn only_channel(release: &semver::Version) -> Option<String> {
    let manifest = Manifest::embedded().ok()?;
    let release = manifest.exactly(release).ok()?;
    manifest.channels_of(release).first().map(ToString::to_string)
}

impl Replica {
    fn of(name: &str, container: &Container, observed: &Observed) -> Self {
        let proof = observed.record.as_ref().and_then(|r| r.proof.as_ref());
        // The proof saw it ready since its last start; the engine's own check has the word until then and after.
        let seen = proof.and_then(|p| p.started.get(name)).is_some_and(|at| Some(at) == container.started_at.as_ref());
        let ready = container.running() && (container.health == "healthy" || (seen && container.health != "unhealthy"));
        let state = match (container.running(), container.health.as_str()) {
            (true, "unhealthy") => "unhealthy",
            (true, _) if ready => "ready",
            (true, _) => "starting",
            (false, _) => container.found.state.name(),
        };
        Replica {
            name: name.to_owned(),
            certname: container.label(labels::CERTNAME).to_owned(),
            state: state.to_owned(),
            ready,
            since: container.started_at.clone(),
            image: container.found.image.clone(),
            ports: container.found.ports.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Tabular for Status {
    fn table(&self) -> Table {
        let mut table = Table::new(["SERVICE", "STATE", "SINCE", "PORTS", "IMAGE"]);
        for replica in self.services.iter().flat_map(|s| &s.replicas) {
            let tone = if replica.ready { Tone::Good } else { Tone::Bad };
            let since = replica.since.as_deref().map_or("-", |s| s.split('.').next().unwrap_or(s));
            table.row([
                replica.name.as_str().into(),
                Cell::toned(&replica.state, tone),
                since.into(),
                if replica.ports.is_empty() { "-".into() } else { replica.ports.join(" ").into() },
                replica.image.as_str().into(),
            ]);
        }
        table
    }
}

/// Shows the status once, or at every change.
pub(super) async fn run(global: &GlobalArgs, args: &StatusArgs, report: &Report) -> Result<u8> {
    let release =
        ReleaseArgs { channel: args.channel.clone(), release: args.release.clone(), ..ReleaseArgs::default() };
    let extra = Extra { release: Some(&release), with: &args.with, code: args.code.as_deref(), ..Extra::default() };
    let context = Context::new(global, &extra, report);
    // What runs can also be told while the configuration is wrong.
    let (project, engine) = match &context {
        Ok(context) => (context.project().to_owned(), context.engine()?),
        Err(_) => match without_settings(global)? {
            Some(found) => found,
            None => return Err(context.err().expect("it is one")),
        },
    };
    let mut shown: Option<Status> = None;
    let cancel = args.watch.then(Cancel::listen);
    loop {
        let references = context.as_ref().map_or_else(|_| Ok(vec![]), Context::references)?;
        let observed = observed::snapshot(&engine, &project, &references).await?;
        let status = Status::of(&project, &observed, Drift::of(context.as_ref(), &observed));
        if shown.as_ref() != Some(&status) {
            print(args.output, &status)?;
        }
        let Some(cancel) = &cancel else {
            return Ok(if args.check && !(status.healthy && status.proved) { Kind::Differs.exit_code() } else { 0 });
        };
        shown = Some(status);
        tokio::select! {
            () = cancel.requested() => return Ok(0),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

fn print(output: Output, status: &Status) -> Result<()> {
    if output != Output::Table {
        return print_data(output, &Document::new(status.clone()));
    }
    if status.services.is_empty() {
        let of_release = status.of_release();
        return terminal::out(&format!("{}: not up; start it with `pupperware up`\n{of_release}", status.project));
    }
    let release = status.release.as_deref().unwrap_or("unknown");
    let channel = status.channel.as_deref().map(|c| format!(" ({c})")).unwrap_or_default();
    let proved = match (&status.proved_at, status.proved) {
        (Some(at), true) => format!("proved {}", at.split('.').next().unwrap_or(at)),
        (Some(_), false) => "NOT proved since its last start".into(),
        (None, _) => "NOT proved yet".into(),
    };
    terminal::out(&format!("{}: release {release}{channel}, {proved}\n\n", status.project))?;
    print_data(output, status)?;
    let backup = status.backup.as_ref().map_or("none on record".into(), |b| b.text(Timestamp::now()));
    terminal::out(&format!(
        "\n{}{}backup: {backup}\ndrift: {}\n",
        status.of_release(),
        status.expiring(),
        status.drift.text()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Record;
    use crate::observed::record::{BackedUp, Issued};

    fn status() -> Status {
        let ends = [
            ("puppetdb", "2026-12-01T00:00:00Z"),
            ("Puppet CA: demo", "2026-12-22T00:00:00Z"),
            ("puppet", "2026-11-20T00:00:00Z"),
        ];
        let ends = ends.map(|(subject, at)| (subject.to_owned(), at.to_owned())).into();
        let mut record = Record::next(None, semver::Version::new(8, 0, 0), None);
        record.issued = Some(Issued { request: String::new(), volumes: [].into(), ends });
        let observed = Observed { record: Some(record), ..Observed::default() };
        let drift = Drift { state: DriftState::None, steps: Some(0), reason: None };
        let mut status = Status::of("demo", &observed, drift);
        status.certificates = super::ends(&observed, "2026-11-21T00:00:00Z".parse().unwrap());
        status.services = [("puppetdb", "puppetdb"), ("puppetserver", "puppet")].map(service).into();
        status
    }

    fn service((name, certname): (&str, &str)) -> Service {
        let (name, certname) = (name.to_owned(), certname.to_owned());
        let (state, image) = (String::from("ready"), String::new());
        let replica =
            Replica { name: name.clone(), certname, state, ready: true, since: None, image, ports: Vec::new() };
        Service { name, replicas: vec![replica] }
    }

    #[test]
    fn what_is_about_to_end_is_told_with_the_way_to_renew_it() {
        let status = status();
        let expiring: Vec<(&str, bool)> =
            status.certificates.iter().map(|c| (c.subject.as_str(), c.expiring)).collect();
        assert_eq!(expiring, [("puppet", true), ("puppetdb", true), ("Puppet CA: demo", false)]);
        assert_eq!(
            status.expiring(),
            "certificate of puppetserver ends on 2026-11-20: renew it with `pupperware ca reissue puppetserver`\n\
             certificate of puppetdb ends on 2026-12-01: renew it with `pupperware ca reissue puppetdb`\n"
        );
    }

    #[test]
    fn a_release_that_ends_is_told() {
        let of = |today: &str| EndOfLife::of(&semver::Version::new(7, 0, 0), today.parse().unwrap()).unwrap();
        let end = of("2026-11-21");
        assert_eq!((end.date.as_str(), end.ended, end.ending), ("2028-06-30", false, false));
        assert_eq!((of("2028-01-15").ended, of("2028-01-15").ending), (false, true));
        assert_eq!((of("2028-06-30").ended, of("2028-07-01").ended), (false, true));
        let mut status = status();
        assert_eq!(status.of_release(), "");
        (status.end_of_life, status.upgrading_to) = (Some(of("2028-07-01")), Some("9.0.0".into()));
        assert_eq!(
            status.of_release(),
            "the upgrade to 9.0.0 is not over: `pupperware upgrade` goes on, `pupperware upgrade --rollback` goes back\n\
             release 8.0.0 has had no security updates since 2028-06-30: see `pupperware channels` and `pupperware upgrade`\n"
        );
    }

    #[test]
    fn the_last_backup_has_an_age() {
        let mut record = Record::next(None, semver::Version::new(8, 0, 0), None);
        let (file, finished_at) = ("/srv/demo.pupperware".to_owned(), "2026-11-20T09:30:00.123Z".to_owned());
        record.backup = Some(BackedUp { file, finished_at, verified_at: None });
        let mut observed = Observed { record: Some(record), ..Observed::default() };
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let last = LastBackup::of(&observed, now).unwrap();
        assert_eq!((last.age_hours, last.text(now).as_str()), (26, "2026-11-20T09:30:00, 26h ago, not verified"));
        let verified = Some("2026-11-20T10:00:00.5Z".to_owned());
        observed.record.as_mut().unwrap().backup.as_mut().unwrap().verified_at = verified;
        let text = LastBackup::of(&observed, now).unwrap().text(now);
        assert_eq!(text, "2026-11-20T09:30:00, 26h ago, verified 2026-11-20T10:00:00");
        assert_eq!(LastBackup::of(&Observed::default(), now), None);
    }

    #[test]
    fn nothing_is_said_of_what_has_years() {
        let mut status = status();
        status.certificates.retain(|c| !c.expiring);
        assert_eq!(status.expiring(), "");
    }
}

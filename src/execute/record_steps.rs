//! Steps that write the platform's record: what was issued, rotations, backups, and the proof.

use std::collections::BTreeMap;
use std::path::Path;

use super::Context;
use crate::backup::{Archive, Part};
use crate::desired::labels;
use crate::engine::EngineError;
use crate::error::Result;
use crate::journal;
use crate::observed::record::{
    BackedUp, Deployed, Issued, Lock, LockedImage, Phase, Proof, Record, Restoring, Scaled, Upgraded, Upgrading,
};
use crate::observed::{self, Observed};
use crate::plan::Running;
use crate::puppet::inventory::Inventory;
use crate::puppet::serial;
use crate::release::Release;

/// Remembers what was issued into which volumes.
pub(super) async fn issued(context: &Context, request: &str, volumes: &[(String, String)]) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let mut ends = context.ends.lock().expect("not held over a panic").clone();
    if ends.is_empty() {
        // Only tokens were made, or nothing yet: what is known still holds.
        ends = record.issued.take().map(|i| i.ends).unwrap_or_default();
    }
    record.issued = Some(Issued { request: request.to_owned(), volumes: made(&observed, volumes), ends });
    replace(context, &observed, &record).await
}

/// Forgets what was issued to a service that is gone.
pub(super) async fn retired(context: &Context, certname: &str, volume: &str) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    if let Some(issued) = &mut record.issued {
        issued.volumes.remove(volume);
        issued.ends.remove(certname);
    }
    replace(context, &observed, &record).await
}

/// Remembers from where code was deployed, and into which volume.
pub(super) async fn deployed(context: &Context, url: &str, volume: &str) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let made = observed.volumes.get(volume).and_then(|v| labels::made(&v.labels)).unwrap_or_default();
    record.code = Some(Deployed { url: url.to_owned(), volume: made.to_owned() });
    replace(context, &observed, &record).await
}

/// Remembers how many of what was asked for; what was not named stays.
pub(super) async fn scaled(context: &Context, compilers: Option<u32>, agents: Option<u32>) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = unchanged(context, &observed);
    let known = record.scale;
    record.scale = Scaled { compilers: compilers.or(known.compilers), agents: agents.or(known.agents) };
    replace(context, &observed, &record).await
}

/// Remembers the proof, with the start times of the containers that it is of.
pub(super) async fn proved(context: &Context, certname: &str, running: &Running) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    record.proof = Some(proof(context, &observed, certname));
    record.lock = Some(lock(context, running).await?);
    replace(context, &observed, &record).await
}

/// Remembers that a secret is being rotated; or that this is over, and when. Another one's mark stays.
pub(super) async fn rotation(context: &Context, secret: &str, under_way: bool) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    if under_way {
        record.rotating = Some(secret.to_owned());
    } else {
        record.rotating.take_if(|other| *other == secret);
        record.rotated.insert(secret.to_owned(), journal::now());
    }
    replace(context, &observed, &record).await
}

/// Remembers the backup that was just written.
pub(super) async fn backed_up(context: &Context, file: &str) -> Result<()> {
    let finished_at = Archive::open(Path::new(file))?.manifest.finished_at;
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = unchanged(context, &observed);
    record.backup = Some(BackedUp { file: file.to_owned(), finished_at, verified_at: None });
    replace(context, &observed, &record).await
}

/// Remembers that the backup that was finished then is good for a platform. Another one may have come meanwhile.
pub(super) async fn verified(context: &Context, finished_at: &str) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = unchanged(context, &observed);
    match record.backup.as_mut().filter(|b| b.finished_at == finished_at) {
        Some(backup) => backup.verified_at = Some(journal::now()),
        None => return Ok(()),
    }
    replace(context, &observed, &record).await
}

/// Remembers that data is being put back. A serial number that an interrupted restore knew of is kept when it is higher:
/// that restore may have removed its CA.
pub(super) async fn restoring(
    context: &Context,
    file: &str,
    identity: Option<&Path>,
    only: &[Part],
    serial: Option<u128>,
) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let known = record.restoring.and_then(|r| serial::parse(&r.serial?));
    record.restoring = Some(Restoring {
        file: file.into(),
        identity: identity.map(|path| path.display().to_string()),
        only: only.to_vec(),
        serial: known.max(serial).map(serial::text),
    });
    replace(context, &observed, &record).await
}

/// The serial number above which a CA that is put back goes on.
pub(super) async fn serial_before(context: &Context) -> Result<Option<u128>> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    Ok(observed.record.and_then(|r| serial::parse(&r.restoring?.serial?)))
}

/// Remembers that all data is back.
pub(super) async fn restored(context: &Context) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    if record.restoring.take().is_some_and(|r| r.only.is_empty()) {
        // The archive's secrets are in use again.
        record.rotated.clear();
    }
    replace(context, &observed, &record).await
}

/// Remembers that an upgrade is under way, and how far it is.
pub(super) async fn upgrading(
    context: &Context,
    to: &Release,
    phase: Phase,
    backup: Option<&str>,
    left: bool,
) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let before = record.upgrading.take();
    let over = record.upgraded.clone().filter(|_| left);
    record.upgrading = Some(Upgrading {
        to: to.version.clone(),
        definition: Some(to.clone()),
        phase,
        backup: backup.map(ToOwned::to_owned).or(before.as_ref().map(|b| b.backup.clone())).unwrap_or_default(),
        inventory: before.and_then(|b| b.inventory).or(over.and_then(|u| u.inventory)),
        left,
    });
    replace(context, &observed, &record).await
}

/// Remembers what the platform held before it was upgraded.
pub(super) async fn counted(context: &Context, inventory: Inventory) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    if let Some(upgrading) = &mut record.upgrading {
        upgrading.inventory = Some(inventory);
    }
    replace(context, &observed, &record).await
}

/// What the platform held before it was upgraded.
pub(super) async fn inventory_before(context: &Context) -> Result<Option<Inventory>> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    Ok(observed.record.and_then(|r| r.upgrading?.inventory))
}

/// Remembers the release that it was upgraded to, in one piece with what covers and proves it.
pub(super) async fn upgraded(
    context: &Context,
    running: &Running,
    (before, database): (&Release, &str),
    channel: Option<&str>,
    certname: &str,
    (request, volumes): (&str, &[(String, String)]),
) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let release = &running.release.version;
    let crossed = record.release.major != release.major;
    // A channel of the stream that was left says nothing of this one.
    record.channel = channel.map(ToOwned::to_owned).or(record.channel.filter(|_| !crossed));
    record.release = release.clone();
    let over = record.upgrading.take();
    record.upgraded = Some(Upgraded {
        from: before.clone(),
        at: journal::now(),
        backup: over.as_ref().map(|u| u.backup.clone()).unwrap_or_default(),
        database: database.to_owned(),
        inventory: over.and_then(|u| u.inventory),
    });
    record.lock = Some(lock(context, running).await?);
    let ends = record.issued.take().map(|i| i.ends).unwrap_or_default();
    record.issued = Some(Issued { request: request.to_owned(), volumes: made(&observed, volumes), ends });
    record.proof = Some(proof(context, &observed, certname));
    replace(context, &observed, &record).await
}

/// Forgets an upgrade that was undone, and remembers the proof of what is there again.
pub(super) async fn rolled_back(
    context: &Context,
    running: &Running,
    certname: &str,
    (request, volumes): (&str, &[(String, String)]),
) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    if record.upgrading.take().is_some_and(|u| u.left) {
        // The channel may be of the stream that was left, and this way back is gone.
        let crossed = record.lock.as_ref().is_some_and(|l| l.release.version.major != running.release.version.major);
        record.upgraded = None;
        record.channel = record.channel.filter(|_| !crossed);
    }
    let ends = record.issued.take().map(|i| i.ends).unwrap_or_default();
    record.issued = Some(Issued { request: request.to_owned(), volumes: made(&observed, volumes), ends });
    record.proof = Some(proof(context, &observed, certname));
    record.lock = Some(lock(context, running).await?);
    replace(context, &observed, &record).await
}

/// Forgets the last upgrade.
pub(super) async fn forgotten(context: &Context) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = unchanged(context, &observed);
    record.upgraded = None;
    replace(context, &observed, &record).await
}

/// What exactly runs: the release, and the content of each image that is there.
async fn lock(context: &Context, running: &Running) -> Result<Lock> {
    let found = futures_util::future::try_join_all(running.images.iter().map(|(component, reference)| async move {
        let found = context.engine.find_image(reference).await?;
        Ok::<_, EngineError>(found.map(|f| (component.clone(), LockedImage { reference: reference.clone(), id: f.id })))
    }));
    Ok(Lock { release: running.release.clone(), images: found.await?.into_iter().flatten().collect() })
}

/// The proof that was made just now, of all that runs.
fn proof(context: &Context, observed: &Observed, certname: &str) -> Proof {
    let report = context.proof.lock().expect("not held over a panic").clone().unwrap_or_default();
    Proof { at: journal::now(), certname: certname.to_owned(), report, started: observed.start_times() }
}

/// When volumes were made, by their keys; those without a time are left out.
fn made(observed: &Observed, volumes: &[(String, String)]) -> BTreeMap<String, String> {
    let made = |name: &String| labels::made(&observed.volumes.get(name)?.labels).map(ToOwned::to_owned);
    volumes.iter().filter_map(|(key, name)| Some((key.clone(), made(name)?))).collect()
}

fn next(context: &Context, observed: &Observed) -> Record {
    Record::next(observed.record.as_ref(), context.release.clone(), context.channel.clone())
}

/// The record that follows after a step that changes nothing of what runs: the release is the one that runs, whatever the
/// configuration says by now.
fn unchanged(context: &Context, observed: &Observed) -> Record {
    let mut record = next(context, observed);
    if let Some(previous) = &observed.record {
        record.release = previous.release.clone();
    }
    record
}

/// The new one is made before the old ones go: there is always one.
async fn replace(context: &Context, observed: &Observed, record: &Record) -> Result<()> {
    context.engine.create_volume(&record.volume(&context.project)).await?;
    for old in &observed.record_volumes {
        context.engine.remove_volume(old).await?;
    }
    Ok(())
}

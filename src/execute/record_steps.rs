//! Steps that write the platform's record: what was issued, rotations, and the proof.

use std::collections::BTreeMap;

use super::Context;
use crate::backup::Part;
use crate::desired::labels;
use crate::error::Result;
use crate::journal;
use crate::observed::record::{Deployed, Issued, Proof, Record, Restoring};
use crate::observed::{self, Observed};
use crate::puppet::serial;

/// Remembers what was issued into which volumes.
pub(super) async fn issued(context: &Context, request: &str, volumes: &[(String, String)]) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let made: BTreeMap<String, String> = volumes
        .iter()
        .filter_map(|(key, name)| Some((key.clone(), labels::made(&observed.volumes.get(name)?.labels)?.to_owned())))
        .collect();
    let mut ends = context.ends.lock().expect("not held over a panic").clone();
    if ends.is_empty() {
        // Only tokens were made, or nothing yet: what is known still holds.
        ends = record.issued.take().map(|i| i.ends).unwrap_or_default();
    }
    record.issued = Some(Issued { request: request.to_owned(), volumes: made, ends });
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

/// Remembers the proof, with the start times of the containers that it is of.
pub(super) async fn proved(context: &Context, certname: &str) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let report = context.proof.lock().expect("not held over a panic").clone().unwrap_or_default();
    record.proof =
        Some(Proof { at: journal::now(), certname: certname.to_owned(), report, started: observed.start_times() });
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

/// Remembers that data is being put back. A serial number that an interrupted restore knew of is kept when it is higher:
/// that restore may have removed its CA.
pub(super) async fn restoring(context: &Context, file: &str, only: &[Part], serial: Option<u128>) -> Result<()> {
    let observed = observed::snapshot(&context.engine, &context.project, &[]).await?;
    let mut record = next(context, &observed);
    let known = record.restoring.and_then(|r| serial::parse(&r.serial?));
    record.restoring =
        Some(Restoring { file: file.into(), only: only.to_vec(), serial: known.max(serial).map(serial::text) });
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

fn next(context: &Context, observed: &Observed) -> Record {
    Record::next(observed.record.as_ref(), context.release.clone(), context.channel.clone())
}

/// The new one is made before the old ones go: there is always one.
async fn replace(context: &Context, observed: &Observed, record: &Record) -> Result<()> {
    context.engine.create_volume(&record.volume(&context.project)).await?;
    for old in &observed.record_volumes {
        context.engine.remove_volume(old).await?;
    }
    Ok(())
}

//! What was begun and interrupted, and must be finished before anything else is done to a platform.

use semver::Version;

use super::restore::refuse_half_restored;
use crate::error::{Error, Result};
use crate::observed::Observed;
use crate::observed::record::{Phase, Upgrading};

/// The refusal to go on with a platform that is half-restored or half-upgraded.
pub(super) fn refuse(observed: &Observed) -> Result<()> {
    refuse_half_restored(observed)?;
    refuse_half_upgraded(observed)
}

/// The refusal to go on with a platform that is half-upgraded.
pub(super) fn refuse_half_upgraded(observed: &Observed) -> Result<()> {
    let record = observed.record.as_ref();
    match record.and_then(|r| Some((&r.release, r.upgrading.as_ref()?))) {
        None => Ok(()),
        Some((from, upgrading)) => Err(half_upgraded(from, upgrading)),
    }
}

/// What a platform is told of that is between two releases.
pub fn half_upgraded(from: &Version, upgrading: &Upgrading) -> Error {
    let to = &upgrading.to;
    let (what, hint) = match upgrading.phase {
        Phase::Undoing => (format!("its return from {to} to {from}"), "finish it with `pupperware upgrade --rollback`"),
        Phase::Preparing | Phase::Switching => (
            format!("its upgrade from {from} to {to}"),
            "finish it with `pupperware upgrade`, or go back with `pupperware upgrade --rollback`",
        ),
    };
    Error::refused(format!("the platform is between two releases: {what} was interrupted")).hint(hint)
}

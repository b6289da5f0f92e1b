//! What a platform remembers of itself: release, what was issued into which volumes, and the last proof.
//!
//! It lives with the engine, as the label of an empty volume: read in the same list call as all volumes, and
//! replaced by making a new volume before the old one is removed, so that it is never half-written.
//! No secrets are in it.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::backup::Part;
use crate::desired::labels;
use crate::engine::found::FoundVolume;
use crate::engine::spec::VolumeSpec;
use crate::error::{Error, Result};
use crate::puppet::inventory::Inventory;
use crate::release::Release;

/// Role label of record volumes.
pub const ROLE: &str = "record";
/// Label with the record as JSON.
const LABEL: &str = "dev.pupperware.record";
/// Format of the record.
const SCHEMA_VERSION: u32 = 1;

/// The record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Format.
    pub schema_version: u32,
    /// Counts up with every record of this platform.
    pub sequence: u64,
    /// Release that the platform runs.
    pub release: Version,
    /// Channel that the user named, if any.
    pub channel: Option<String>,
    /// What was issued.
    pub issued: Option<Issued>,
    /// The last proof.
    pub proof: Option<Proof>,
    /// Where deployed code is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Deployed>,
    /// The secret that is being rotated: until that is over, nobody knows who has which value of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotating: Option<String>,
    /// When secrets were rotated last, RFC 3339, by name; those that never were are as old as the platform.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rotated: BTreeMap<String, String>,
    /// The last good backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<BackedUp>,
    /// Data that is being put back; while it is here, it is not all back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<Restoring>,
    /// How many compilers and agents `scale` was asked for; where it was not, the configuration says.
    #[serde(default, skip_serializing_if = "Scaled::is_unset")]
    pub scale: Scaled,
    /// An upgrade that is under way; until it is over, `release` is the one of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrading: Option<Upgrading>,
    /// What exactly runs. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<Lock>,
    /// The last upgrade, while there is a way back from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgraded: Option<Upgraded>,
}

/// Numbers that `scale` was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scaled {
    /// Compilers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compilers: Option<u32>,
    /// Agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<u32>,
}

impl Scaled {
    fn is_unset(&self) -> bool {
        *self == Scaled::default()
    }
}

/// What every format of the record has.
#[derive(Deserialize)]
struct Format {
    schema_version: u32,
}

/// What exactly a platform runs, as it was proved: what decides about its images, and which these were. Only an upgrade
/// puts another release there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// The release, as its manifest described it.
    pub release: Release,
    /// The images by component.
    pub images: BTreeMap<String, LockedImage>,
}

/// An image that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedImage {
    /// What containers call it.
    pub reference: String,
    /// Its content: the engine's id of it, a SHA-256.
    pub id: String,
}

/// An upgrade that is over, and what the way back needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgraded {
    /// The release of before, as its manifest described it.
    pub from: Release,
    /// When it was over, RFC 3339.
    pub at: String,
    /// The backup of before.
    pub backup: String,
    /// Key of the volume with the database of before.
    pub database: String,
    /// What the platform held then.
    pub inventory: Option<Inventory>,
}

/// Credentials that were issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Hash of the request.
    pub request: String,
    /// Volume key -> the volume's `made` label. A volume with another one, or none, is not the one that was filled.
    pub volumes: BTreeMap<String, String>,
    /// When certificates end: subject -> RFC 3339. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ends: BTreeMap<String, String>,
}

/// Code that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The control repository.
    pub url: String,
    /// The `made` label of the volume that it is in.
    pub volume: String,
}

/// An agent's run that went through the whole platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// When, RFC 3339.
    pub at: String,
    /// Certname of the agent.
    pub certname: String,
    /// Hash of its report in PuppetDB.
    pub report: String,
    /// Container name -> start time, of all service containers then.
    pub started: BTreeMap<String, String>,
}

/// A backup that was written, and read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUp {
    /// Where it was written.
    pub file: String,
    /// When it was finished, RFC 3339, as its manifest says.
    pub finished_at: String,
    /// When a platform came up from it elsewhere, and was proved, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
}

/// A restore that is under way, or was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoring {
    /// The archive.
    pub file: String,
    /// The file with the keys that open it, when it is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Parts, when not everything.
    pub only: Vec<Part>,
    /// The next serial number of the CA that was there before, as in its file.
    pub serial: Option<String>,
}

/// An upgrade that is under way, or was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrading {
    /// The release that it leads to.
    pub to: Version,
    /// The same, as its manifest describes it. Records of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Release>,
    /// How far it is.
    pub phase: Phase,
    /// The backup of before.
    pub backup: String,
    /// What the platform held when nobody wrote any more; nothing before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// It was over and proved once, and is left on demand: what came since is in the backup that this mark names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

/// How far an upgrade is. What may be done with what is there follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing of the old release was replaced. What is new may be half-made.
    Preparing,
    /// The new release has all data, and takes the old one's place.
    Switching,
    /// It is being undone.
    Undoing,
}

impl Record {
    /// The record that follows `previous`.
    pub fn next(previous: Option<&Record>, release: Version, channel: Option<String>) -> Self {
        Record {
            schema_version: SCHEMA_VERSION,
            sequence: previous.map_or(1, |r| r.sequence + 1),
            release,
            channel: channel.or_else(|| previous.and_then(|r| r.channel.clone())),
            issued: previous.and_then(|r| r.issued.clone()),
            proof: previous.and_then(|r| r.proof.clone()),
            code: previous.and_then(|r| r.code.clone()),
            rotating: previous.and_then(|r| r.rotating.clone()),
            rotated: previous.map(|r| r.rotated.clone()).unwrap_or_default(),
            backup: previous.and_then(|r| r.backup.clone()),
            restoring: previous.and_then(|r| r.restoring.clone()),
            scale: previous.map(|r| r.scale).unwrap_or_default(),
            upgrading: previous.and_then(|r| r.upgrading.clone()),
            lock: previous.and_then(|r| r.lock.clone()),
            upgraded: previous.and_then(|r| r.upgraded.clone()),
        }
    }

    /// The empty volume that carries it.
    pub fn volume(&self, project: &str) -> VolumeSpec {
        let mut labels = labels::common(project, ROLE);
        // A record is a handful of names, times and hashes: it always serialises.
        labels.insert(LABEL.into(), serde_json::to_string(self).expect("plain data serialises"));
        VolumeSpec { name: labels::scoped(project, &format!("record-{}", self.sequence)), labels }
    }
}

/// The newest readable record of some record volumes, and all their names, the newest last. Nonsense counts as none.
///
/// # Errors
/// One of a newer format than ours: a program that does not know what is in it would take the platform for another.
pub fn newest(volumes: Vec<FoundVolume>) -> Result<(Option<Record>, Vec<String>)> {
    let mut rows: Vec<(u64, Option<Record>, String)> = vec![];
    for volume in volumes {
        let json = volume.labels.get(LABEL).map_or("", String::as_str);
        if serde_json::from_str(json).is_ok_and(|Format { schema_version }| schema_version > SCHEMA_VERSION) {
            return Err(Error::refused(format!("the record {} was made by a newer pupperware", volume.name))
                .hint("use that program, or a newer one; `pupperware version` tells which this is"));
        }
        let record: Option<Record> = serde_json::from_str(json).ok();
        rows.push((record.as_ref().map_or(0, |r| r.sequence), record, volume.name));
    }
    rows.sort_by_key(|(sequence, ..)| *sequence);
    let names = rows.iter().map(|(_, _, name)| name.clone()).collect();
    Ok((rows.pop().and_then(|(_, record, _)| record), names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(record: &Record) -> FoundVolume {
        let spec = record.volume("demo");
        FoundVolume { name: spec.name, labels: spec.labels }
    }

    #[test]
    fn a_record_comes_back_and_the_newest_wins() {
        let first = Record::next(None, Version::new(8, 0, 0), Some("stable".into()));
        let second = Record::next(Some(&first), Version::new(8, 0, 0), None);
        let (record, names) = newest(vec![found(&second), found(&first)]).unwrap();
        assert_eq!(record, Some(second));
        assert_eq!(names, ["demo_record-1", "demo_record-2"]);
    }

    #[test]
    fn a_rotation_stays_on_record_until_it_is_over() {
        let mut marked = Record::next(None, Version::new(8, 0, 0), None);
        marked.rotating = Some("puppetdb-password".into());
        let (record, _) = newest(vec![found(&Record::next(Some(&marked), Version::new(8, 0, 0), None))]).unwrap();
        assert_eq!(record.unwrap().rotating.as_deref(), Some("puppetdb-password"));
        // A record of before there were rotations.
        let plain = found(&Record::next(None, Version::new(8, 0, 0), None));
        assert!(!plain.labels[LABEL].contains("rotat"));
        assert_eq!(newest(vec![plain]).unwrap().0.unwrap().rotating, None);
    }

    #[test]
    fn an_upgrade_stays_on_record_until_it_is_over() {
        let mut marked = Record::next(None, Version::new(7, 0, 0), None);
        let inventory = None;
        let backup = "/srv/x".into();
        let (to, phase) = (Version::new(8, 0, 0), Phase::Switching);
        marked.upgrading = Some(Upgrading { to, definition: None, phase, backup, inventory, left: false });
        let (record, _) = newest(vec![found(&Record::next(Some(&marked), Version::new(7, 0, 0), None))]).unwrap();
        assert_eq!(record.unwrap().upgrading, marked.upgrading);
    }

    #[test]
    fn the_last_backup_outlives_later_records() {
        let mut record = Record::next(None, Version::new(8, 0, 0), None);
        assert!(!found(&record).labels[LABEL].contains("backup"), "a record of before there were backups");
        let (file, finished_at) = ("/srv/demo.pupperware".to_owned(), "2026-11-21T03:17:00Z".to_owned());
        record.backup = Some(BackedUp { file, finished_at, verified_at: None });
        let (next, _) = newest(vec![found(&Record::next(Some(&record), Version::new(8, 0, 0), None))]).unwrap();
        assert_eq!(next.unwrap().backup, record.backup);
    }

    #[test]
    fn nonsense_counts_as_no_record() {
        let mut broken = found(&Record::next(None, Version::new(8, 0, 0), None));
        broken.labels.insert(LABEL.into(), "{".into());
        assert_eq!(newest(vec![broken]).unwrap(), (None, vec!["demo_record-1".to_owned()]));
    }

    #[test]
    fn a_newer_format_is_refused_whatever_is_in_it() {
        let mut newer = found(&Record::next(None, Version::new(9, 0, 0), None));
        newer.labels.insert(LABEL.into(), r#"{"schema_version":2,"lineage":{"release":"9.0.0"}}"#.into());
        let older = found(&Record::next(None, Version::new(8, 0, 0), None));
        let refused = newest(vec![newer, older]).unwrap_err();
        assert_eq!(refused.to_string(), "the record demo_record-1 was made by a newer pupperware");
        assert_eq!(refused.kind, crate::error::Kind::Refused);
    }
}

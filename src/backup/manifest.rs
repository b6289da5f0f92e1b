//! The manifest of an archive: of which platform it is, and what its members are.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::types::{AgeRecipient, ProjectName, Setting};
use crate::error::{Error, Result};
use crate::release::Release;

/// Format of archives.
pub const SCHEMA_VERSION: u32 = 1;

/// What an archive is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Format.
    pub schema_version: u32,
    /// The platform's name.
    pub project: String,
    /// Release that it ran.
    pub release: Version,
    /// That release, as a platform is made of it: no list has to know it. Nothing in archives of older programs, and where a
    /// newer one has described it in words that this one does not know.
    #[serde(default, deserialize_with = "in_our_words", skip_serializing_if = "Option::is_none")]
    pub definition: Option<Release>,
    /// Channel that its user had named, if any.
    pub channel: Option<String>,
    /// Version of the program that wrote it.
    pub program: String,
    /// When it was begun, RFC 3339.
    pub started_at: String,
    /// When it was finished, RFC 3339.
    pub finished_at: String,
    /// The public keys that its members are encrypted for; none when they are not encrypted.
    #[serde(default)]
    pub encrypted_for: Vec<AgeRecipient>,
    /// Packages by service, `name version`.
    pub packages: BTreeMap<String, Vec<String>>,
    /// The members, in their order.
    pub members: Vec<Member>,
    /// What of the platform is not in it.
    pub left_out: Vec<LeftOut>,
}

fn in_our_words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Release>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// What every format of a manifest has.
#[derive(Deserialize)]
struct Format {
    schema_version: u32,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path in the archive.
    pub path: String,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// Bytes when decrypted and decompressed.
    pub bytes: u64,
    /// Hash of the stored bytes, in hex.
    pub sha256: String,
}

/// Something of the platform that is not in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// How paths of encrypted members end.
pub(super) const SEALED: &str = ".age";

/// What a member holds; told by its path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Content {
    /// A volume, by its key.
    Volume(String),
    /// PuppetDB's database.
    Database,
    /// The user's `pupperware.yaml`.
    Configuration,
}

impl Content {
    /// The path of a member that holds it and is not encrypted.
    pub fn path(&self) -> String {
        match self {
            Content::Volume(key) => format!("volumes/{key}.tar.zst"),
            Content::Database => "database/puppetdb.dump.zst".into(),
            Content::Configuration => "config/pupperware.yaml.zst".into(),
        }
    }

    /// What a path says, of encrypted members too; nothing for paths that no archive of ours has.
    pub fn of(path: &str) -> Option<Self> {
        let path = path.strip_suffix(SEALED).unwrap_or(path);
        let known = [Content::Database, Content::Configuration].into_iter().find(|c| c.path() == path);
        known.or_else(|| {
            let key = path.strip_prefix("volumes/")?.strip_suffix(".tar.zst")?;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let sound = key.len() <= 64 && key.starts_with(|c: char| c.is_ascii_lowercase()) && key.chars().all(plain);
            sound.then(|| Content::Volume(key.to_owned()))
        })
    }
}

/// A part of a platform that can be put back alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The certificate authority.
    Ca,
    /// PuppetDB's database.
    Database,
    /// Environments, modules, Hiera data.
    Code,
}

impl Part {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Ca => "ca",
            Part::Database => "database",
            Part::Code => "code",
        }
    }

    /// What it takes from an archive.
    pub fn content(self) -> Content {
        match self {
            Part::Ca => Content::Volume("ca".into()),
            Part::Database => Content::Database,
            Part::Code => Content::Volume("code".into()),
        }
    }
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// It is of a newer format, or makes no sense; the reason alone, for who knows the file's name.
    pub fn read(text: &[u8]) -> Result<Self> {
        if serde_json::from_slice(text).is_ok_and(|Format { schema_version }| schema_version > SCHEMA_VERSION) {
            return Err(Error::refused("it was made by a newer pupperware")
                .hint("use that program, or a newer one; `pupperware version` tells which this is"));
        }
        let manifest: Manifest =
            serde_json::from_slice(text).map_err(|e| Error::failed("its manifest makes no sense").because(e))?;
        if ProjectName::parse(&manifest.project).is_err() {
            return Err(Error::failed("its manifest names no project"));
        }
        Ok(manifest)
    }

    /// The member that holds this.
    pub fn member(&self, content: &Content) -> Option<&Member> {
        self.members.iter().find(|m| Content::of(&m.path).as_ref() == Some(content))
    }

    /// True when its members are encrypted.
    pub fn encrypted(&self) -> bool {
        !self.encrypted_for.is_empty()
    }

    /// Keys of the volumes in it.
    pub fn volumes(&self) -> impl Iterator<Item = String> {
        self.members.iter().filter_map(|m| match Content::of(&m.path) {
            Some(Content::Volume(key)) => Some(key),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_hold_something() {
        for content in [Content::Volume("agent-1".into()), Content::Database, Content::Configuration] {
            assert_eq!(Content::of(&content.path()), Some(content.clone()));
            assert_eq!(Content::of(&(content.path() + SEALED)), Some(content));
        }
        for path in [
            "x.age",
            ".age",
            "volumes/../ca.tar.zst",
            "/volumes/ca.tar.zst",
            "volumes/.tar.zst",
            "volumes/Ca.tar.zst",
            "x",
            "",
        ] {
            assert_eq!(Content::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_whatever_is_in_it() {
        let refused = Manifest::read(br#"{"schema_version":2,"of":"something"}"#).unwrap_err();
        assert_eq!(refused.kind, crate::error::Kind::Refused);
        assert_eq!(Manifest::read(b"{}").unwrap_err().kind, crate::error::Kind::Failed);
    }

    #[test]
    fn a_release_in_words_of_a_newer_program_is_none() {
        let manifest = |definition: &str| {
            let text = format!(
                r#"{{"schema_version":1,"project":"demo","release":"8.0.7","definition":{definition},"channel":null,
                "program":"0.1.0","started_at":"","finished_at":"","packages":{{}},"members":[],"left_out":[]}}"#
            );
            Manifest::read(text.as_bytes()).unwrap().definition
        };
        let known = manifest(r#"{"version":"8.0.7","date":"2026-11-27","components":{}}"#);
        assert_eq!(known.unwrap().version, Version::new(8, 0, 7));
        assert_eq!(manifest(r#"{"version":"8.0.7","date":"2026-11-27","components":{},"moon":1}"#), None);
    }
}

//! Releases, streams and channels: what the manifest `images/channels.yaml` says there is, and which one applies.
//!
//! How an image of a release is obtained is in `images`; moving from one release to another is not here.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The channel of a new platform when nobody names one.
pub const DEFAULT_CHANNEL: &str = "stable";

/// The release manifest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this file.
    pub schema_version: u32,
    /// Channels by name.
    pub channels: BTreeMap<String, Channel>,
    /// Streams by major version.
    pub streams: BTreeMap<u64, Stream>,
    /// Releases, in any order.
    pub releases: Vec<Release>,
}

/// A moving name for a stream's newest release.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Major version of the stream that it points at.
    pub stream: u64,
    /// For people.
    pub about: String,
}

/// The releases that share a major version.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// Debian release that it is built from.
    pub suite: String,
    /// Day after which there are no more security updates, `YYYY-MM-DD`.
    pub end_of_life: String,
    /// For people.
    pub about: String,
}

/// One tested set of component images.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version; the major is the stream.
    pub version: Version,
    /// Day it was made, `YYYY-MM-DD`.
    pub date: String,
    /// Components by name.
    pub components: BTreeMap<String, ReleaseComponent>,
}

/// A component of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseComponent {
    /// Version of the software, as far as the release fixes it (`7.9`, `15`).
    pub version: String,
    /// Build arguments of its Dockerfile.
    #[serde(default)]
    pub arguments: BTreeMap<String, String>,
    /// Where a ready image can be pulled, pinned by digest; absent while none is published.
    pub image: Option<String>,
}

impl Manifest {
    /// The manifest built into this program.
    ///
    /// # Errors
    /// Only when it is broken, which a test rules out.
    pub fn embedded() -> Result<Self> {
        let text = include_str!("../../images/channels.yaml");
        let manifest: Manifest = serde_yaml::from_str(text)
            .map_err(|e| Error::failed("the built-in images/channels.yaml is broken").because(e))?;
        Ok(manifest)
    }

    /// A stream's newest release.
    pub fn newest(&self, stream: u64) -> Option<&Release> {
        self.releases.iter().filter(|r| r.version.major == stream).max_by(|a, b| a.version.cmp(&b.version))
    }

    /// The release that a channel names now.
    ///
    /// # Errors
    /// No such channel; the message lists those that exist.
    pub fn in_channel(&self, channel: &str) -> Result<&Release> {
        let names: Vec<&str> = self.channels.keys().map(String::as_str).collect();
        let entry = self.channels.get(channel).ok_or_else(|| {
            Error::usage(format!("there is no channel \"{channel}\""))
                .hint(format!("choose one of {}; `pupperware channels` describes them", names.join(", ")))
        })?;
        self.newest(entry.stream).ok_or_else(|| {
            Error::failed(format!("channel \"{channel}\" names stream {}, which has no release", entry.stream))
        })
    }

    /// A release by its version.
    ///
    /// # Errors
    /// No such release; the message lists those that exist.
    pub fn exactly(&self, version: &Version) -> Result<&Release> {
        self.releases.iter().find(|r| r.version == *version).ok_or_else(|| {
            let known: Vec<String> = self.releases.iter().map(|r| r.version.to_string()).collect();
            Error::usage(format!("there is no release {version}"))
                .hint(format!("this program knows {}", known.join(", ")))
        })
    }

    /// Channels that point at this release's stream.
    pub fn channels_of(&self, release: &Release) -> Vec<&str> {
        self.channels.iter().filter(|(_, c)| c.stream == release.version.major).map(|(n, _)| n.as_str()).collect()
    }
}

/// Which release a command should work with: what was asked for, or what the platform runs, or the default.
///
/// `recorded` is the release that the platform's record names, if there is a platform.
///
/// # Errors
/// An unknown channel or release, or a request that would move an existing platform to another stream.
pub fn choose<'m>(
    manifest: &'m Manifest,
    channel: Option<&str>,
    release: Option<&Version>,
    recorded: Option<&Version>,
) -> Result<&'m Release> {
    let asked = match (release, channel) {
        (Some(version), _) => Some(manifest.exactly(version)?),
        (None, Some(channel)) => Some(manifest.in_channel(channel)?),
        (None, None) => None,
    };
    match (asked, recorded) {
        (Some(asked), Some(recorded)) if asked.version.major != recorded.major => Err(Error::refused(format!(
            "the platform runs release {recorded}, and {} is another stream",
            asked.version
        ))
        .hint(format!(
            "`up` never changes streams, because that migrates the database; leave out the channel to stay on {recorded}, or start a second platform with `--project NAME`"
        ))),
        (Some(asked), _) => Ok(asked),
        (None, Some(recorded)) => manifest.exactly(recorded),
        (None, None) => manifest.in_channel(DEFAULT_CHANNEL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_manifest_is_whole() {
        let manifest = Manifest::embedded().unwrap();
        for name in manifest.channels.keys() {
            let release = manifest.in_channel(name).unwrap();
            assert!(manifest.streams.contains_key(&release.version.major));
            for component in ["base", "postgres", "puppetdb", "puppetserver", "agent"] {
                assert!(release.components.contains_key(component), "{} lacks {component}", release.version);
            }
        }
        for release in &manifest.releases {
            for component in release.components.values() {
                assert!(
                    component.image.as_deref().is_none_or(|i| i.contains("@sha256:")),
                    "pull references are pinned"
                );
            }
        }
    }

    #[test]
    fn an_existing_platform_stays_where_it_is() {
        let manifest = Manifest::embedded().unwrap();
        let lts = manifest.in_channel("lts").unwrap();
        assert_eq!(choose(&manifest, None, None, Some(&lts.version)).unwrap().version, lts.version);
        let refused = choose(&manifest, Some("stable"), None, Some(&lts.version)).unwrap_err();
        assert_eq!(refused.kind, crate::error::Kind::Refused);
    }

    #[test]
    fn an_unknown_channel_lists_the_known_ones() {
        let error = choose(&Manifest::embedded().unwrap(), Some("edge"), None, None).unwrap_err();
        assert!(error.hint.unwrap().contains("lts, stable"));
    }
}

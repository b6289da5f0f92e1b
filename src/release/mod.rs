//! Releases, streams and channels: what the manifest `images/channels.yaml` says there is, and which one applies.
//!
//! How an image of a release is obtained is in `images`; which release a platform may be upgraded to is in `path`.

pub mod path;

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
    /// The oldest release that can be upgraded to this one; any, where nothing is said.
    pub upgrade_from: Option<Version>,
    /// The oldest Puppet of agents that its server serves.
    pub agents: Option<Version>,
    /// For those who upgrade to it.
    #[serde(default)]
    pub notes: Vec<String>,
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

    /// Day after which a release's stream gets no more security updates, `YYYY-MM-DD`.
    pub fn end_of_life(&self, version: &Version) -> Option<&str> {
        self.streams.get(&version.major).map(|s| s.end_of_life.as_str())
    }

    /// Channels that point at this release's stream.
    pub fn channels_of(&self, release: &Release) -> Vec<&str> {
        self.channels.iter().filter(|(_, c)| c.stream == release.version.major).map(|(n, _)| n.as_str()).collect()
    }
}

/// What a platform tells of the release that its data belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lineage {
    /// There is no data yet.
    New,
    /// This release ran last.
    Release(Version),
    /// A release of this stream ran.
    Stream(u64),
    /// There is data, and nothing tells what made it.
    Unknown,
}

impl Lineage {
    /// The stream, where it is known.
    pub fn stream(&self) -> Option<u64> {
        match self {
            Lineage::Release(version) => Some(version.major),
            Lineage::Stream(stream) => Some(*stream),
            Lineage::New | Lineage::Unknown => None,
        }
    }
}

/// Which release a command should work with: what was asked for, or what the platform runs, or the default.
///
/// # Errors
/// An unknown channel or release, a request that would move an existing platform to another stream, or no request where
/// nothing tells the stream.
pub fn choose<'m>(
    manifest: &'m Manifest,
    channel: Option<&str>,
    release: Option<&Version>,
    lineage: &Lineage,
) -> Result<&'m Release> {
    let asked = match (release, channel) {
        (Some(version), _) => Some(manifest.exactly(version)?),
        (None, Some(channel)) => Some(manifest.in_channel(channel)?),
        (None, None) => None,
    };
    if let Some(asked) = asked {
        return match lineage {
            _ if lineage.stream().is_some_and(|stream| stream != asked.version.major) => {
                Err(another_stream(lineage, &asked.version))
            }
            // A channel's newest release may have moved on; only `upgrade` follows it.
            Lineage::Release(version) if release.is_none() => manifest.exactly(version),
            Lineage::Release(version) if *version != asked.version => Err(another_release(version, &asked.version)),
            _ => Ok(asked),
        };
    }
    match lineage {
        Lineage::New => manifest.in_channel(DEFAULT_CHANNEL),
        Lineage::Release(version) => manifest.exactly(version),
        Lineage::Stream(stream) => manifest.newest(*stream).ok_or_else(|| {
            Error::usage(format!("there is no release of stream {stream}, which the platform's volumes are of"))
                .hint("use the pupperware that made the platform, or a newer one")
        }),
        Lineage::Unknown => {
            let names: Vec<String> = manifest.channels.keys().map(|name| format!("`{name}`")).collect();
            Err(Error::usage("the platform's volumes hold data, and nothing tells which release made it").hint(format!(
                "its record and its containers are gone; name the channel that it ran ({}) with `--channel`, or with `channel` in pupperware.yaml",
                names.join(", ")
            )))
        }
    }
}

fn another_stream(lineage: &Lineage, asked: &Version) -> Error {
    let now = match lineage {
        Lineage::Release(version) => format!("release {version}"),
        _ => format!("stream {}", lineage.stream().unwrap_or_default()),
    };
    Error::refused(format!("the platform runs {now}, and {asked} is another stream")).hint(format!(
        "`pupperware upgrade` goes to a later stream; leave out the channel to stay on {now}, or start a second platform with `--project NAME`"
    ))
}

fn another_release(now: &Version, asked: &Version) -> Error {
    Error::refused(format!("the platform runs release {now}, not {asked}")).hint(format!(
        "`pupperware upgrade --to {asked}` goes to a later release; leave out the release to stay on {now}"
    ))
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
            for component in crate::images::COMPONENTS {
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
        for lineage in [Lineage::Release(lts.version.clone()), Lineage::Stream(lts.version.major)] {
            for channel in [None, Some("lts")] {
                assert_eq!(choose(&manifest, channel, None, &lineage).unwrap().version, lts.version);
            }
            let refused = choose(&manifest, Some("stable"), None, &lineage).unwrap_err();
            assert_eq!(refused.kind, crate::error::Kind::Refused);
        }
    }

    #[test]
    fn only_an_upgrade_follows_a_channel() {
        let mut manifest = Manifest::embedded().unwrap();
        let now = manifest.in_channel("stable").unwrap().clone();
        let mut later = now.clone();
        later.version.minor += 1;
        manifest.releases.push(later.clone());
        assert_eq!(manifest.in_channel("stable").unwrap().version, later.version);
        let lineage = Lineage::Release(now.version.clone());
        for channel in [None, Some("stable")] {
            assert_eq!(choose(&manifest, channel, None, &lineage).unwrap().version, now.version);
        }
        assert_eq!(choose(&manifest, None, Some(&now.version), &lineage).unwrap().version, now.version);
        let refused = choose(&manifest, None, Some(&later.version), &lineage).unwrap_err();
        assert!(refused.hint.unwrap().starts_with("`pupperware upgrade --to 8.1.0`"));
        // Nothing runs yet, or nothing tells which release of the line.
        for lineage in [Lineage::New, Lineage::Stream(8)] {
            assert_eq!(choose(&manifest, Some("stable"), None, &lineage).unwrap().version, later.version);
        }
    }

    #[test]
    fn data_of_an_unknown_stream_goes_to_none_by_itself() {
        let manifest = Manifest::embedded().unwrap();
        let refused = choose(&manifest, None, None, &Lineage::Unknown).unwrap_err();
        assert_eq!(refused.kind, crate::error::Kind::Usage);
        assert!(refused.hint.unwrap().contains("`lts`, `stable`"));
        assert_eq!(choose(&manifest, Some("lts"), None, &Lineage::Unknown).unwrap().version.major, 7);
        assert_eq!(choose(&manifest, None, None, &Lineage::New).unwrap().version.major, 8);
    }

    #[test]
    fn an_unknown_channel_lists_the_known_ones() {
        let error = choose(&Manifest::embedded().unwrap(), Some("edge"), None, &Lineage::New).unwrap_err();
        assert!(error.hint.unwrap().contains("lts, stable"));
    }
}

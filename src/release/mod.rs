//! Releases, streams and channels: what the manifest `images/channels.yaml` says there is, and which one applies.
//!
//! How an image of a release is obtained is in `images`; which release a platform may be upgraded to is in `path`.

pub mod path;
pub mod schema;
pub mod source;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The channel of a new platform when nobody names one.
pub const DEFAULT_CHANNEL: &str = "stable";

/// Format of the manifest.
const SCHEMA_VERSION: u32 = 1;

/// The release manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of this file.
    pub schema_version: u32,
    /// The last day on which it is good; always, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
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
    /// Major version of the stream that it points at; none while there is none for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<u64>,
    /// Why it points at nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Its version; the major is the stream.
    pub version: Version,
    /// Day it was made, `YYYY-MM-DD`.
    pub date: String,
    /// The oldest release that can be upgraded to this one; any, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade_from: Option<Version>,
    /// The oldest Puppet of agents that its server serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Version>,
    /// For those who upgrade to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, String>,
    /// Where a ready image can be pulled, pinned by digest; absent while none is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Manifest {
    /// The manifest built into this program.
    ///
    /// # Errors
    /// Only when it is broken, which a test rules out.
    pub fn embedded() -> Result<Self> {
        Manifest::parse(include_str!("../../images/channels.yaml"))
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// It is of a newer format, is no manifest, or says something that cannot be.
    pub fn parse(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Format {
            schema_version: u32,
        }
        let format: Result<Format, _> = serde_yaml::from_str(text);
        if format.is_ok_and(|f| f.schema_version > SCHEMA_VERSION) {
            return Err(Error::refused("this release manifest is of a newer pupperware")
                .hint("use that program, or a newer one; `pupperware version` tells which this is"));
        }
        let manifest: Manifest =
            serde_yaml::from_str(text).map_err(|e| Error::failed("this is no release manifest").because(e))?;
        match manifest.wrong() {
            Some(wrong) => Err(Error::failed("this release manifest contradicts itself").details([wrong])),
            None => Ok(manifest),
        }
    }

    /// As it would be written.
    ///
    /// # Errors
    /// None that is known: all of it can be.
    pub fn text(&self) -> Result<String> {
        serde_yaml::to_string(self).map_err(|e| Error::failed("the release manifest cannot be written").because(e))
    }

    /// What cannot be, in a line; nothing when all is well.
    fn wrong(&self) -> Option<String> {
        let mut seen = BTreeSet::new();
        for release in &self.releases {
            let version = &release.version;
            if !seen.insert(version) {
                return Some(format!("release {version} is listed twice"));
            }
            if !self.streams.contains_key(&version.major) {
                return Some(format!("release {version} is of a stream that is not listed"));
            }
            for component in crate::images::COMPONENTS {
                if !release.components.contains_key(component) {
                    return Some(format!("release {version} lacks the component {component}"));
                }
            }
            for (name, component) in &release.components {
                if component.image.as_deref().is_some_and(|image| !image.contains("@sha256:")) {
                    return Some(format!("the image of {name} in release {version} is not pinned by its digest"));
                }
            }
        }
        for (name, channel) in &self.channels {
            match channel.stream {
                Some(stream) if self.newest(stream).is_none() => {
                    return Some(format!("channel {name} points at stream {stream}, which has no release"));
                }
                None if channel.unavailable.is_none() => {
                    return Some(format!("channel {name} points at nothing, and does not say why"));
                }
                _ => {}
            }
        }
        None
    }

    /// The same with what a platform runs, which counts more than what is listed under that version by now. Components
    /// that it does not know came with a later program, and are taken from the list.
    pub fn with(mut self, running: &Release) -> Self {
        let mut release = running.clone();
        if let Some(at) = self.releases.iter().position(|r| r.version == release.version) {
            let listed = self.releases.swap_remove(at);
            for (name, component) in listed.components {
                release.components.entry(name).or_insert(component);
            }
        }
        self.releases.push(release);
        self
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
        entry.stream.and_then(|stream| self.newest(stream)).ok_or_else(|| {
            Error::refused(format!("channel \"{channel}\" has no release"))
                .details(entry.unavailable.clone())
                .hint("`pupperware channels` shows what the others are at")
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
        self.channels.iter().filter(|(_, c)| c.stream == Some(release.version.major)).map(|(n, _)| n.as_str()).collect()
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
            let fit = manifest.channels.iter().filter(|(_, channel)| channel.stream.is_some());
            let names: Vec<String> = fit.map(|(name, _)| format!("`{name}`")).collect();
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
        for (name, channel) in &manifest.channels {
            assert_eq!(manifest.in_channel(name).is_ok(), channel.stream.is_some(), "{name}");
        }
    }

    #[test]
    fn a_manifest_that_contradicts_itself_is_refused() {
        let text = include_str!("../../images/channels.yaml");
        let refused = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            Manifest::parse(&text.replacen(from, to, 1)).unwrap_err().details.join(" ")
        };
        assert_eq!(refused("stream: 7", "stream: 6"), "channel lts points at stream 6, which has no release");
        assert_eq!(refused("version: 8.0.0", "version: 7.0.0"), "release 7.0.0 is listed twice");
        assert_eq!(refused("      agent:", "      agents:"), "release 7.0.0 lacks the component agent");
        assert_eq!(
            refused("provision: { version: \"12\" }", "provision: { version: \"12\", image: a/b:1 }"),
            "the image of provision in release 7.0.0 is not pinned by its digest"
        );
    }

    #[test]
    fn what_runs_counts_more_than_what_is_listed() {
        let manifest = Manifest::embedded().unwrap();
        let mut running = manifest.in_channel("stable").unwrap().clone();
        running.components.get_mut("agent").unwrap().version = "8.9".into();
        let whole = running.clone();
        running.components.remove("code");
        let merged = manifest.clone().with(&running);
        assert_eq!(merged.exactly(&running.version).unwrap(), &whole);
        assert_eq!(merged.releases.len(), manifest.releases.len());
        running.version = Version::new(8, 7, 0);
        assert_eq!(manifest.clone().with(&running).releases.len(), manifest.releases.len() + 1);
        // Written and read, it says the same.
        let later = manifest.clone().with(&Release { version: running.version, ..whole });
        let again = Manifest::parse(&later.text().unwrap()).unwrap();
        assert_eq!(again.releases, later.releases);
        let newest = again.in_channel("stable").unwrap();
        assert_eq!((&newest.version, again.channels_of(newest)), (&Version::new(8, 7, 0), vec!["stable"]));
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
        assert!(refused.hint.unwrap().contains("`lts`, `stable`"), "and none that has no release");
        assert_eq!(choose(&manifest, Some("lts"), None, &Lineage::Unknown).unwrap().version.major, 7);
        assert_eq!(choose(&manifest, None, None, &Lineage::New).unwrap().version.major, 8);
    }

    #[test]
    fn an_unknown_channel_lists_the_known_ones() {
        let error = choose(&Manifest::embedded().unwrap(), Some("edge"), None, &Lineage::New).unwrap_err();
        assert!(error.hint.unwrap().contains("lts, next, stable"));
        let next = choose(&Manifest::embedded().unwrap(), Some("next"), None, &Lineage::New).unwrap_err();
        assert_eq!(next.kind, crate::error::Kind::Refused);
        assert!(next.details[0].contains("puppetserver"));
    }
}

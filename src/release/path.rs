//! Which release a platform may be upgraded to: the newest of its stream by itself, the next stream when that is asked for,
//! never an older one.

use semver::Version;

use super::{Manifest, Release};
use crate::error::{Error, Result};

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask<'a> {
    /// Nothing: the newest release of the stream that runs.
    Newest,
    /// What this channel points at.
    Channel(&'a str),
    /// This release.
    Release(&'a Version),
}

/// Where an upgrade leads; nothing when the platform is there already.
///
/// # Errors
/// An unknown channel or release, one that is behind the platform, more than one major at once, or a release that wants
/// another one first.
pub fn target<'m>(manifest: &'m Manifest, now: &Version, ask: Ask<'_>) -> Result<Option<&'m Release>> {
    let release = match ask {
        Ask::Newest => match manifest.newest(now.major) {
            Some(newest) => newest,
            None => return Err(unknown(now)),
        },
        Ask::Channel(name) => manifest.in_channel(name)?,
        Ask::Release(version) => manifest.exactly(version)?,
    };
    let version = &release.version;
    if version == now {
        return Ok(None);
    }
    // A program that is older than the platform knows no newer release; that is nothing to go back for.
    if version < now && (ask == Ask::Newest || matches!(ask, Ask::Channel(_)) && version.major == now.major) {
        return Err(unknown(now));
    }
    if version < now {
        return Err(behind(now, version, ask));
    }
    if version.major > now.major + 1 {
        return Err(too_far(manifest, now, version));
    }
    match &release.upgrade_from {
        Some(oldest) if now < oldest => Err(too_old(manifest, now, version, oldest)),
        _ => Ok(Some(release)),
    }
}

/// True when going there changes the major version, which takes a yes.
pub fn crosses(now: &Version, to: &Version) -> bool {
    now.major != to.major
}

fn unknown(now: &Version) -> Error {
    Error::refused(format!("the platform runs release {now}, and this program knows none that is as new"))
        .hint("use the pupperware that made it, or a newer one; `pupperware version` tells which this is")
}

fn behind(now: &Version, asked: &Version, ask: Ask<'_>) -> Error {
    let what = match ask {
        Ask::Channel(name) => format!("channel \"{name}\" is at release {asked}, which is behind the {now} that runs"),
        _ => format!("release {asked} is older than the {now} that runs"),
    };
    Error::refused(what).hint(
        "there is no upgrade backwards, because a newer PuppetDB changes the database for good; the way back is the backup of before the upgrade: `pupperware backup list`, then `pupperware backup restore FILE --as NAME`",
    )
}

fn too_far(manifest: &Manifest, now: &Version, asked: &Version) -> Error {
    let between = manifest.releases.iter().map(|r| r.version.major).filter(|m| *m > now.major).min();
    let next = between.and_then(|major| manifest.newest(major)).map_or(asked, |r| &r.version);
    Error::refused(format!("from {now} to {asked} is more than one major version at once"))
        .hint(format!("go to the next one first: `pupperware upgrade --to {next}`"))
}

fn too_old(manifest: &Manifest, now: &Version, asked: &Version, oldest: &Version) -> Error {
    let fit = |r: &&Release| r.version.major == now.major && r.version >= *oldest;
    let step = manifest.releases.iter().filter(fit).map(|r| &r.version).max();
    Error::refused(format!("release {asked} can be reached from {oldest} on, and the platform runs {now}")).hint(
        match step {
            Some(step) => format!("go there first: `pupperware upgrade --to {step}`"),
            None => "this program knows no release in between; use a newer one".to_owned(),
        },
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::error::Kind;
    use crate::release::Channel;

    fn release(version: &str, upgrade_from: Option<&str>) -> Release {
        Release {
            version: version.parse().unwrap(),
            date: "2026-11-21".into(),
            upgrade_from: upgrade_from.map(|v| v.parse().unwrap()),
            agents: None,
            notes: vec![],
            components: BTreeMap::new(),
        }
    }

    fn manifest(releases: Vec<Release>) -> Manifest {
        let channel = |stream| Channel { stream: Some(stream), unavailable: None, about: String::new() };
        Manifest {
            schema_version: 1,
            expires: None,
            channels: [("lts", 7), ("stable", 8), ("next", 9)].map(|(n, s)| (n.to_owned(), channel(s))).into(),
            streams: BTreeMap::new(),
            releases,
        }
    }

    fn some() -> Manifest {
        manifest(vec![
            release("7.0.0", None),
            release("7.1.0", None),
            release("8.0.0", Some("7.1.0")),
            release("8.2.0", Some("7.1.0")),
            release("9.0.0", None),
        ])
    }

    fn go(now: &str, ask: Ask<'_>) -> Result<Option<String>> {
        target(&some(), &now.parse().unwrap(), ask).map(|r| r.map(|r| r.version.to_string()))
    }

    #[test]
    fn nothing_asked_stays_in_the_stream() {
        assert_eq!(go("7.0.0", Ask::Newest).unwrap().as_deref(), Some("7.1.0"));
        assert_eq!(go("7.1.0", Ask::Newest).unwrap(), None);
        assert_eq!(go("8.0.0", Ask::Newest).unwrap().as_deref(), Some("8.2.0"));
    }

    #[test]
    fn a_major_is_crossed_when_asked_for_and_one_at_a_time() {
        assert_eq!(go("7.1.0", Ask::Channel("stable")).unwrap().as_deref(), Some("8.2.0"));
        assert_eq!(go("7.1.0", Ask::Release(&Version::new(8, 0, 0))).unwrap().as_deref(), Some("8.0.0"));
        let refused = go("7.1.0", Ask::Channel("next")).unwrap_err();
        assert_eq!(refused.what, "from 7.1.0 to 9.0.0 is more than one major version at once");
        assert_eq!(refused.hint.unwrap(), "go to the next one first: `pupperware upgrade --to 8.2.0`");
    }

    #[test]
    fn nobody_goes_back() {
        let refused = go("8.0.0", Ask::Channel("lts")).unwrap_err();
        assert_eq!(refused.kind, Kind::Refused);
        assert_eq!(refused.what, "channel \"lts\" is at release 7.1.0, which is behind the 8.0.0 that runs");
        assert!(refused.hint.unwrap().contains("backup restore"));
        assert_eq!(
            go("8.2.0", Ask::Release(&Version::new(8, 0, 0))).unwrap_err().what,
            "release 8.0.0 is older than the 8.2.0 that runs"
        );
        // Made by a newer program than this one.
        assert!(go("8.3.0", Ask::Newest).unwrap_err().what.contains("none that is as new"));
        assert!(go("8.3.0", Ask::Channel("stable")).unwrap_err().what.contains("none that is as new"));
    }

    #[test]
    fn a_release_may_want_another_one_first() {
        let refused = go("7.0.0", Ask::Channel("stable")).unwrap_err();
        assert_eq!(refused.what, "release 8.2.0 can be reached from 7.1.0 on, and the platform runs 7.0.0");
        assert_eq!(refused.hint.unwrap(), "go there first: `pupperware upgrade --to 7.1.0`");
    }

    #[test]
    fn releases_of_a_stream_keep_their_database_and_streams_differ() {
        let manifest = Manifest::embedded().unwrap();
        let version = |r: &Release, component: &str| r.components[component].version.clone();
        let same_database =
            |a: &Release, b: &Release| ["postgres", "puppetdb"].iter().all(|c| version(a, c) == version(b, c));
        for a in &manifest.releases {
            for b in manifest.releases.iter().filter(|b| b.version.major == a.version.major) {
                assert!(same_database(a, b), "{} and {}", a.version, b.version);
            }
        }
        // Volumes are named for PostgreSQL's major version, so each stream needs another one.
        for a in &manifest.releases {
            for b in manifest.releases.iter().filter(|b| b.version.major != a.version.major) {
                assert_ne!(version(a, "postgres"), version(b, "postgres"), "{} and {}", a.version, b.version);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_upgrade_never_goes_back_or_too_far(
            versions in prop::collection::btree_set((7_u64..10, 0_u64..3, 0_u64..2), 1..8),
            oldest in prop::collection::vec(prop::option::of((7_u64..10, 0_u64..3)), 8),
            now in any::<prop::sample::Index>(),
            asked in any::<prop::sample::Index>(),
            how in 0..3_usize,
        ) {
            let versions: Vec<Version> = versions.into_iter().map(|(a, b, c)| Version::new(a, b, c)).collect();
            let releases = versions.iter().zip(&oldest).map(|(v, from)| Release {
                version: v.clone(),
                upgrade_from: from.map(|(a, b)| Version::new(a, b, 0)),
                ..release("1.0.0", None)
            });
            let manifest = manifest(releases.collect());
            let (now, wanted) = (now.get(&versions), asked.get(&versions));
            let channel = *asked.get(&["lts", "stable", "next"]);
            let ask = [Ask::Newest, Ask::Channel(channel), Ask::Release(wanted)][how];
            match target(&manifest, now, ask) {
                Ok(Some(to)) => {
                    prop_assert!(to.version > *now && to.version.major <= now.major + 1);
                    prop_assert!(to.upgrade_from.as_ref().is_none_or(|oldest| now >= oldest));
                    let newest = manifest.newest(to.version.major).unwrap();
                    prop_assert!(matches!(ask, Ask::Release(_)) || newest.version == to.version);
                    prop_assert!(ask != Ask::Newest || to.version.major == now.major);
                }
                // There is nothing newer where it was asked for.
                Ok(None) => match ask {
                    Ask::Release(version) => prop_assert_eq!(version, now),
                    _ => prop_assert_eq!(&manifest.newest(now.major).unwrap().version, now),
                },
                // A channel may name a stream that has no release in such a manifest.
                Err(error) => prop_assert!(error.hint.is_some() || error.what.ends_with("has no release"), "{}", error),
            }
        }
    }
}

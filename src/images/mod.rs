//! Component images: their build contexts, content keys and names, and how a base is made without a registry.
//!
//! What is built when is decided by `plan`; the calls themselves are in `engine`.

pub mod base;
pub mod carried;
pub mod context;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::engine::FileEntry;
use crate::error::{Error, Result};
use crate::release::{Release, ReleaseComponent};

/// Label with the component's name; every image of ours has it.
pub const COMPONENT_LABEL: &str = "dev.pupperware.component";
/// Label with the content key.
pub const KEY_LABEL: &str = "dev.pupperware.content-key";
/// Label with the release that it was first built for.
pub const RELEASE_LABEL: &str = "dev.pupperware.release";
/// Label with the real package versions inside (`name=version`, separated by spaces).
pub const PACKAGES_LABEL: &str = "dev.pupperware.packages";
/// Where an image lists its packages, `name<TAB>version` a line.
pub const PACKAGES_FILE: &str = "/usr/share/pupperware/packages";

/// Components in the order in which they are built: each after its [`parent`].
pub const COMPONENTS: [&str; 11] = [
    "base",
    "provision",
    "jre",
    "postgres",
    "puppetdb",
    "puppetserver",
    "agent",
    "code",
    "puppetboard",
    "balancer",
    RELAY,
];

/// The component that has this very program in it.
pub const RELAY: &str = "relay";
/// The same as long as this program is.
const FINGERPRINT: &str = env!("PUPPERWARE_FINGERPRINT");

/// The component that a component's image is built on; none for `base`, which stands on Debian.
pub fn parent(component: &str) -> Option<&'static str> {
    match component {
        "base" => None,
        "puppetdb" | "puppetserver" => Some("jre"),
        "code" => Some("agent"),
        _ => Some("base"),
    }
}

/// An image that a platform needs, and how to get it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredImage {
    /// Component.
    pub component: String,
    /// The reference that containers use.
    pub reference: String,
    /// Where it comes from when it is not on the engine.
    pub source: Source,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A registry: the release's own reference, pinned by digest, or one that the user named.
    Pull,
    /// The component's Dockerfile.
    Build(Build),
}

/// A build of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Build {
    /// Content key.
    pub key: String,
    /// Build arguments; `BASE` among them is the image below.
    pub arguments: BTreeMap<String, String>,
    /// Release, for the label.
    pub release: String,
}

/// The Debian root file system that a release's base component stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debian {
    /// Debian release (`trixie`).
    pub suite: String,
    /// What to pull, when a registry answers.
    pub pull: String,
    /// Name under which it stands on the engine.
    pub reference: String,
}

/// The Debian below a release.
///
/// # Errors
/// A manifest whose base names no suite.
pub fn debian(release: &Release) -> Result<Debian> {
    let suite =
        release.components.get("base").and_then(|c| c.arguments.get("SUITE")).ok_or_else(|| {
            Error::failed(format!("release {} does not say which Debian it stands on", release.version))
        })?;
    Ok(Debian {
        suite: suite.clone(),
        pull: format!("debian:{suite}-slim"),
        reference: format!("pupperware/debian:{suite}"),
    })
}

/// All images of a release, in build order. `overrides` are the user's own references by component.
///
/// # Errors
/// A manifest that lacks a component.
pub fn desired(release: &Release, overrides: &BTreeMap<String, String>) -> Result<Vec<DesiredImage>> {
    let mut images: Vec<DesiredImage> = Vec::new();
    for component in COMPONENTS {
        let entry = release
            .components
            .get(component)
            .ok_or_else(|| Error::failed(format!("release {} lacks the component {component}", release.version)))?;
        let image = match (overrides.get(component), &entry.image) {
            (Some(reference), _) | (None, Some(reference)) => {
                DesiredImage { component: component.into(), reference: reference.clone(), source: Source::Pull }
            }
            (None, None) => {
                let below = parent(component).and_then(|parent| images.iter().find(|i| i.component == parent));
                let below = below.map_or_else(|| debian(release).map(|d| d.reference), |i| Ok(i.reference.clone()))?;
                built(component, entry, release, below)?
            }
        };
        images.push(image);
    }
    Ok(images)
}

fn built(component: &str, entry: &ReleaseComponent, release: &Release, base: String) -> Result<DesiredImage> {
    let mut arguments = entry.arguments.clone();
    arguments.insert("BASE".into(), base);
    if component == RELAY {
        arguments.insert("PROGRAM".into(), FINGERPRINT.into());
    }
    let key = content_key(&context::files(component)?, &arguments);
    Ok(DesiredImage {
        component: component.into(),
        reference: format!("pupperware/{component}:{}-{key}", release.version.major),
        source: Source::Build(Build { key, arguments, release: release.version.to_string() }),
    })
}

/// What an image is made of, as 12 hex digits: every file of its context, and its arguments, the base's name (which
/// carries the base's own key) among them.
fn content_key(files: &[FileEntry], arguments: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(format!("{} {:o} {}\n", file.path, file.mode, file.content.len()));
        hash.update(&file.content);
    }
    for (name, value) in arguments {
        hash.update(format!("{name}={value}\n"));
    }
    hash.finalize().iter().take(6).map(|b| format!("{b:02x}")).collect()
}

/// The text of [`PACKAGES_FILE`] as the label's value.
pub fn packages_label(text: &str) -> String {
    let pairs: Vec<String> = text.lines().filter_map(|l| l.split_once('\t')).map(|(n, v)| format!("{n}={v}")).collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Manifest;

    #[test]
    fn every_release_has_its_own_images_and_keys_follow_the_content() {
        let manifest = Manifest::embedded().unwrap();
        let lts = desired(manifest.in_channel("lts").unwrap(), &BTreeMap::new()).unwrap();
        let stable = desired(manifest.in_channel("stable").unwrap(), &BTreeMap::new()).unwrap();
        assert_eq!(lts.len(), COMPONENTS.len());
        assert!(lts.iter().zip(&stable).all(|(a, b)| a.reference != b.reference));

        let file = |content: &str| {
            vec![FileEntry { path: "Dockerfile".into(), content: content.into(), owner: (0, 0), mode: 0o644 }]
        };
        let none = BTreeMap::new();
        assert_eq!(content_key(&file("a"), &none), content_key(&file("a"), &none));
        assert_ne!(content_key(&file("a"), &none), content_key(&file("b"), &none));
        assert_ne!(
            content_key(&file("a"), &none),
            content_key(&file("a"), &BTreeMap::from([("X".into(), "1".into())]))
        );
    }

    #[test]
    fn an_override_is_used_as_it_is() {
        let manifest = Manifest::embedded().unwrap();
        let overrides = BTreeMap::from([("agent".to_owned(), "registry.example/agent:1".to_owned())]);
        let images = desired(manifest.in_channel("stable").unwrap(), &overrides).unwrap();
        let agent = images.iter().find(|i| i.component == "agent").unwrap();
        assert_eq!(agent.reference, "registry.example/agent:1");
        assert_eq!(agent.source, Source::Pull);
    }

    #[test]
    fn packages_become_one_line() {
        assert_eq!(packages_label("openssl\t3.5.1-1\ncurl\t8.14.1-2\n"), "openssl=3.5.1-1 curl=8.14.1-2");
    }
}

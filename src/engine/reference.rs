//! Names of images, brought into one spelling, so that two that mean the same image are equal.

/// The registry that a name without one means, in all its spellings, with the folder of its official images.
const DEFAULT_REGISTRY: [&str; 2] = ["docker.io/", "index.docker.io/"];
const OFFICIAL: &str = "library/";

/// The spelling that an engine lists: without the default registry, with a digest or else with a tag.
///
/// A tag beside a digest says nothing: the digest decides, and engines list the two apart. A name with neither means
/// the tag `latest`; an engine that is asked to pull the bare name would pull every tag that there is.
pub fn normal(reference: &str) -> String {
    let short = DEFAULT_REGISTRY.iter().find_map(|registry| reference.strip_prefix(registry)).unwrap_or(reference);
    let short = short.strip_prefix(OFFICIAL).filter(|name| !name.contains('/')).unwrap_or(short);
    let (name, digest) = match short.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (short, None),
    };
    // A colon before the last slash is a registry's port.
    let tag = name.rfind(':').filter(|colon| name.rfind('/').is_none_or(|slash| slash < *colon));
    match (digest, tag) {
        (Some(digest), Some(tag)) => format!("{}@{digest}", &name[..tag]),
        (None, None) => format!("{name}:latest"),
        (Some(_), None) | (None, Some(_)) => short.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

    #[test]
    fn the_default_registry_is_left_out() {
        for same in
            ["debian:13", "library/debian:13", "docker.io/library/debian:13", "index.docker.io/library/debian:13"]
        {
            assert_eq!(normal(same), "debian:13", "{same}");
        }
        assert_eq!(normal("docker.io/team/puppetdb:8"), "team/puppetdb:8");
        assert_eq!(normal("ghcr.io/library/debian:13"), "ghcr.io/library/debian:13");
        assert_eq!(normal("library/a/b:1"), "library/a/b:1");
    }

    #[test]
    fn a_bare_name_means_latest() {
        assert_eq!(normal("docker.io/library/debian"), "debian:latest");
        assert_eq!(normal("localhost:5000/puppetdb"), "localhost:5000/puppetdb:latest");
        assert_eq!(normal("localhost:5000/puppetdb:8"), "localhost:5000/puppetdb:8");
    }

    #[test]
    fn a_digest_decides() {
        let pinned = format!("localhost:5000/puppetdb@{DIGEST}");
        assert_eq!(normal(&pinned), pinned);
        assert_eq!(normal(&format!("localhost:5000/puppetdb:8@{DIGEST}")), pinned);
        assert_eq!(normal(&format!("docker.io/library/postgres:17@{DIGEST}")), format!("postgres@{DIGEST}"));
    }

    #[test]
    fn the_normal_spelling_stays() {
        for text in ["debian", "library/x", "docker.io/a/b:c", &format!("r.io:1/a:2@{DIGEST}")] {
            assert_eq!(normal(&normal(text)), normal(text));
        }
    }
}

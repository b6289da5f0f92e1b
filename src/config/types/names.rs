//! Names: project, channel, DNS names and globs, image references.

use std::fmt;

use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

/// Gives a newtype over checked text its accessor and `Display`.
macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// The platform's name on an engine: `[a-z0-9][a-z0-9_-]{0,39}`. Containers, volumes and networks begin with it.
///
/// Names in certificates are made from it, `PROJECT-smoke-xxxxxx` is the longest; X.509 ends them at 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectName(String);
text!(ProjectName);

impl Default for ProjectName {
    fn default() -> Self {
        ProjectName("pupperware".to_owned())
    }
}

impl Setting for ProjectName {
    fn expected() -> String {
        "a name like `pupperware` or `team-a`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        token(text, 40, ", because names in certificates are made from it and end at 64").map(ProjectName)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,39}$" })
    }
}

/// The name of a channel: `[a-z0-9][a-z0-9_-]{0,31}`. Whether there is such a channel is for `release` to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(String);
text!(ChannelName);

impl Setting for ChannelName {
    fn expected() -> String {
        "the name of a channel, such as `lts` or `stable`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        token(text, 32, "").map(ChannelName)
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,31}$" })
    }
}

/// A lower-case token; the suggestion is the nearest text that is one. `why` goes on after the limit.
fn token(text: &str, longest: usize, why: &str) -> Result<String, Refusal> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let refuse = |reason: String| {
        let near: String = text
            .to_lowercase()
            .chars()
            .map(|c| if fits(c) || c == '_' { c } else { '-' })
            .skip_while(|c| !fits(*c))
            .take(longest)
            .collect();
        let near = near.trim_end_matches('-');
        let refusal = Refusal::new(reason);
        if near.is_empty() { refusal } else { refusal.suggest(format!("write `{near}`")) }
    };
    if text.is_empty() {
        return Err(Refusal::new("a name cannot be empty"));
    }
    if text.len() > longest {
        return Err(refuse(format!("a name has at most {longest} characters{why}; this has {}", text.chars().count())));
    }
    if !text.starts_with(fits) {
        return Err(refuse(format!("{} does not start with a lower-case letter or a digit", quote(text))));
    }
    if let Some(bad) = text.chars().find(|c| !fits(*c) && !matches!(c, '_' | '-')) {
        let bad = quote(&bad.to_string());
        return Err(refuse(format!("{bad} is not allowed; a name is made of a-z, 0-9, `_` and `-`")));
    }
    Ok(text.to_owned())
}

/// A fully written, lower-case DNS name without wildcard: at most 253 characters, labels of at most 63.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);
text!(DnsName);

/// One label as a regular expression.
const LABEL: &str = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?";

impl Setting for DnsName {
    fn expected() -> String {
        "a DNS name like puppet.example.com".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        for prefix in ["DNS:", "dns:"] {
            if let Some(name) = text.strip_prefix(prefix) {
                return Err(
                    Refusal::new(format!("write the name without `{prefix}`")).suggest(format!("write `{name}`"))
                );
            }
        }
        if text.starts_with('*') {
            return Err(
                Refusal::new("a wildcard is not allowed in a server's certificate").suggest("write each name out")
            );
        }
        if text.parse::<std::net::IpAddr>().is_ok() || text.starts_with("IP:") {
            return Err(Refusal::new(format!("{} is an address, not a DNS name", quote(text)))
                .suggest("give the server a name; agents verify names only"));
        }
        dns(text).map(DnsName)
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": 253, "pattern": format!("^{LABEL}(\\.{LABEL})*$") })
    }
}

fn dns(text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err(Refusal::new("a DNS name cannot be empty"));
    }
    let lower = text.to_ascii_lowercase();
    if lower != text {
        return Err(Refusal::new("certificate names are lower case").suggest(format!("write {}", quote(&lower))));
    }
    if let Some(bare) = text.strip_suffix('.').filter(|t| !t.is_empty()) {
        return Err(Refusal::new("the name ends with a dot").suggest(format!("write {}", quote(bare))));
    }
    if text.len() > 253 {
        return Err(Refusal::new(format!("a DNS name has at most 253 characters, this has {}", text.len())));
    }
    for label in text.split('.') {
        let reason = if label.is_empty() {
            "has an empty part between dots".to_owned()
        } else if label.len() > 63 {
            "has a part of more than 63 characters".to_owned()
        } else if label.starts_with('-') || label.ends_with('-') {
            "has a part that begins or ends with `-`".to_owned()
        } else if let Some(bad) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
            format!("has the character {}", quote(&bad.to_string()))
        } else {
            continue;
        };
        return Err(Refusal::new(format!("{} {reason}", quote(text))));
    }
    Ok(text.to_owned())
}

/// A DNS name, or `*.` and a DNS name: what Puppet's `autosign.conf` takes, without the bare `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AutosignGlob(String);
text!(AutosignGlob);

impl Setting for AutosignGlob {
    fn expected() -> String {
        "a certificate name or a glob like *.example.com".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text == "*" {
            return Err(Refusal::new("`*` signs every request").suggest("write `autosign: true` if that is meant"));
        }
        let bare = text.strip_prefix("*.").unwrap_or(text);
        if bare.contains('*') {
            return Err(
                Refusal::new("`*` can only stand for the first part of a name").suggest("write `*.example.com`")
            );
        }
        dns(bare)?;
        Ok(AutosignGlob(text.to_owned()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "maxLength": 255, "pattern": format!("^(\\*\\.)?{LABEL}(\\.{LABEL})*$") })
    }
}

/// An image reference: `[host[:port]/]name[:tag][@sha256:digest]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageReference(String);
text!(ImageReference);

impl Setting for ImageReference {
    fn expected() -> String {
        "an image like registry.example.com/pupperware/puppetdb:8.1.0".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            let hex = digest.strip_prefix("sha256:").unwrap_or_default();
            if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
                return Err(Refusal::new("the digest is not `sha256:` and 64 lower-case hexadecimal digits"));
            }
        }
        if let Some((scheme, after)) = text.split_once("://") {
            return Err(Refusal::new(format!("an image has no {}", quote(&format!("{scheme}://"))))
                .suggest(format!("write {}", quote(after))));
        }
        let last = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[last..].split_once(':') {
            Some((name, tag)) => (&rest[..last + name.len()], Some(tag)),
            None => (rest, None),
        };
        if let Some(tag) = tag {
            let first = tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
            let others = tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
            if !first || !others || tag.len() > 128 {
                return Err(Refusal::new(format!("the tag {} is not a valid tag", quote(tag)))
                    .suggest("a tag has 1 to 128 of a-z, A-Z, 0-9, `_`, `.` and `-`"));
            }
        }
        repository(name)?;
        Ok(ImageReference(text.to_owned()))
    }

    fn schema() -> Value {
        let part = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*";
        let host = "[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?";
        json!({
            "type": "string",
            "pattern": format!("^({host}/)?{part}(/{part})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?$"),
        })
    }
}

/// Host and path of an image, without tag and digest.
fn repository(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::new("the image has no name"));
    }
    if name.len() > 255 {
        return Err(Refusal::new("the name of an image has at most 255 characters"));
    }
    let path = match name.split_once('/') {
        // The rule of every engine: the first part is a host if it could not be a part of a path.
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            let (host, port) = host.split_once(':').map_or((host, None), |(h, p)| (h, Some(p)));
            if let Some(port) = port
                && !is_port(port)
            {
                return Err(Refusal::new(format!("{} is not a port", quote(port))));
            }
            dns(&host.to_ascii_lowercase())?;
            path
        }
        _ => name,
    };
    for part in path.split('/') {
        if !is_path_part(part) {
            let refusal = Refusal::new(format!("{} is not a valid part of an image's name", quote(part)));
            let lower = part.to_lowercase();
            return Err(if is_path_part(&lower) {
                refusal.suggest(format!("names are lower case: write {}", quote(&lower)))
            } else {
                refusal.suggest("a part is made of a-z and 0-9, joined by `.`, `_`, `__` or `-`")
            });
        }
    }
    Ok(())
}

fn is_port(text: &str) -> bool {
    // `parse` alone would take `+80`.
    text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_path_part(part: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joints = part.split(inner).filter(|joint| !joint.is_empty());
    part.starts_with(inner)
        && part.ends_with(inner)
        && joints.into_iter().all(|j| matches!(j, "." | "_" | "__") || j.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: Setting + fmt::Debug>(text: &str) -> String {
        let refusal = T::parse(text).expect_err(text);
        format!("{} / {}", refusal.reason, refusal.suggestion.unwrap_or_default())
    }

    #[test]
    fn project_names() {
        assert!(ProjectName::parse("team-a_2").is_ok());
        assert!(ProjectName::parse(&"a".repeat(40)).is_ok());
        assert_eq!(
            refused::<ProjectName>(&"a".repeat(41)),
            format!(
                "a name has at most 40 characters, because names in certificates are made from it and end at 64; this has 41 / write `{}`",
                "a".repeat(40)
            )
        );
        assert!(refused::<ChannelName>(&"a".repeat(33)).starts_with("a name has at most 32 characters; this has 33"));
        assert!(refused::<ProjectName>("My Project").ends_with("/ write `my-project`"));
        assert!(refused::<ProjectName>("-x").ends_with("/ write `x`"));
        assert!(ProjectName::parse("").is_err());
        assert!(refused::<ChannelName>("LTS").ends_with("/ write `lts`"));
    }

    #[test]
    fn dns_names() {
        assert!(DnsName::parse("puppet.example.com").is_ok());
        assert!(refused::<DnsName>("*.example.com").starts_with("a wildcard"));
        assert!(refused::<DnsName>("10.0.0.1").contains("is an address"));
        assert!(refused::<DnsName>("::1").contains("is an address"));
        assert!(refused::<DnsName>("DNS:puppet").ends_with("write `puppet`"));
        assert!(refused::<DnsName>("Puppet.Example.com").ends_with("write `puppet.example.com`"));
        for bad in ["", "a..b", "-a", "a_b", "a.", "é.com", &"a".repeat(64)] {
            assert!(DnsName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn globs() {
        assert!(AutosignGlob::parse("*.example.com").is_ok());
        assert!(AutosignGlob::parse("node1.example.com").is_ok());
        assert!(refused::<AutosignGlob>("*").contains("autosign: true"));
        for bad in ["web*.example.com", "*.", "a.*.b", "/regex/"] {
            assert!(AutosignGlob::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn image_references() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for good in [
            "postgres",
            "postgres:17-alpine",
            "library/postgres",
            "localhost/x",
            "localhost:5000/a/b__c:1.0",
            "ghcr.io/org/name-x.y:V1",
            &format!("postgres@{digest}"),
            &format!("r.example.com:443/p/q:1@{digest}"),
        ] {
            assert_eq!(ImageReference::parse(good).map(|i| i.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "",
            ":tag",
            "a:",
            "A/b",
            "a//b",
            "a/",
            "/a",
            "a b",
            "a@sha256:12",
            "a:b:c",
            "r.io:99999/a",
            "r.io:+80/a",
            "a._b",
        ] {
            assert!(ImageReference::parse(bad).is_err(), "{bad}");
        }
        assert!(refused::<ImageReference>("https://ghcr.io/a/b").ends_with("write `ghcr.io/a/b`"));
        assert!(refused::<ImageReference>("org/Name").ends_with("write `name`"));
    }
}

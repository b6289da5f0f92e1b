//! Names and identifiers that come from outside, as types that cannot hold a bad one.
//!
//! A node's name ends in the argument list of `ssh` and `bolt`; so it is far stricter than what Puppet calls valid: it
//! cannot be an option, an address with user or port, a pattern, a file (`@f`), or a path.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not such a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(String);

impl BadName {
    /// With this reason.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        BadName(reason.into())
    }
}

/// A newtype over checked text: `TryFrom`, `FromStr`, serde, `Display`, `as_str`.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                let check: fn(String) -> Result<String, BadName> = $check;
                check(text).map($name)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked!(
    /// A node's certname: `[a-z0-9]([a-z0-9_.-]{0,251}[a-z0-9])?`, folded to lower case, without `..`, and not
    /// `localhost`, which tools take for the machine that they run on.
    NodeName,
    |text| {
        let text = text.to_ascii_lowercase();
        let edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-');
        let bytes = text.as_bytes();
        if bytes.len() > 253 {
            return Err(BadName::new(format!("a node's name has at most 253 characters, this has {}", bytes.len())));
        }
        if !edge(bytes.first()) || !edge(bytes.last()) || !bytes.iter().all(|b| inside(*b)) || text.contains("..") {
            return Err(BadName::new(format!(
                "{} is not a node's name: a-z, 0-9, `.`, `_` and `-`, beginning and ending with a letter or digit",
                shown(&text)
            )));
        }
        if text == "localhost" || text.starts_with("localhost.") {
            return Err(BadName::new("`localhost` is not a node's name; write its certname"));
        }
        Ok(text)
    }
);

checked!(
    /// A Puppet environment: letters, digits and `_`, at most 128.
    Environment,
    |text| {
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if text.is_empty() || text.len() > 128 || !fits {
            return Err(BadName::new(format!(
                "{} is not an environment's name: letters, digits and `_`, at most 128",
                shown(&text)
            )));
        }
        Ok(text)
    }
);

checked!(
    /// A run's identifier: a UUID, in lower case. It is also the `--job-id` of the agents' runs.
    RunId,
    |text| {
        let text = text.to_ascii_lowercase();
        let fits = text.len() == 36
            && text.bytes().enumerate().all(|(at, b)| match at {
                8 | 13 | 18 | 23 => b == b'-',
                _ => b.is_ascii_hexdigit(),
            });
        if fits { Ok(text) } else { Err(BadName::new(format!("{} is not a run's identifier (a UUID)", shown(&text)))) }
    }
);

impl RunId {
    /// The identifier (version 4) that these random bytes make.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        RunId(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
    }
}

checked!(
    /// What a back-end calls the job: the orchestrator's URL or number, or a name. Shown, never interpreted.
    JobId,
    |text| visible(text, 1024, "a job's identifier")
);

checked!(
    /// Made by a bridge before it accepts a run; the same one accepts the same run again.
    AcceptToken,
    |text| visible(text, 128, "an accept token")
);

checked!(
    /// Given by the server to who accepted a run with a token; a state update without it is refused.
    Lease,
    |text| visible(text, 128, "a lease")
);

checked!(
    /// The `Idempotency-Key` of a request for a run.
    IdempotencyKey,
    |text| visible(text, 128, "an idempotency key")
);

checked!(
    /// A connection's name: `[a-z0-9][a-z0-9_-]{0,39}`. Who asks for runs and who executes them share one.
    ConnectionName,
    |text| word(text, "a connection's name")
);

checked!(
    /// What a token is called among those of its connection: `[a-z0-9][a-z0-9_-]{0,39}`.
    TokenName,
    |text| word(text, "a token's name")
);

checked!(
    /// By which a token is spoken of, which is not the token: eight hexadecimal characters.
    TokenId,
    |text| {
        let fits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if fits { Ok(text) } else { Err(BadName::new(format!("{} is not a token's identifier", shown(&text)))) }
    }
);

impl TokenId {
    /// The identifier that these random bytes make.
    pub fn from_random(bytes: [u8; 4]) -> Self {
        TokenId(bytes.iter().map(|b| format!("{b:02x}")).collect())
    }
}

checked!(
    /// The hash that PuppetDB knows a report by: hexadecimal, at most 128 characters.
    ReportHash,
    |text| {
        let fits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.is_empty() || text.len() > 128 || !fits {
            return Err(BadName::new(format!("{} is not a report's hash", shown(&text))));
        }
        Ok(text)
    }
);

/// One line of text for a person, from a program's output: control characters are blanks, and it ends after 500
/// characters. Every text becomes one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Line(String);

impl Line {
    /// The most characters.
    pub const LONGEST: usize = 500;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Line::from(text.as_str())
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        // Control characters first, as the blanks that they become at the ends do not count, either.
        let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Line(plain.trim().chars().take(Self::LONGEST).collect())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A lower-case word for a name.
fn word(text: String, what: &str) -> Result<String, BadName> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let starts = text.bytes().next().is_some_and(fits);
    if starts && text.len() <= 40 && text.bytes().all(|b| fits(b) || matches!(b, b'_' | b'-')) {
        return Ok(text);
    }
    Err(BadName::new(format!(
        "{} is not {what}: a-z, 0-9, `_` and `-`, at most 40, a letter or digit first",
        shown(&text)
    )))
}

/// Visible ASCII without blanks, not longer than that.
fn visible(text: String, longest: usize, what: &str) -> Result<String, BadName> {
    if !text.is_empty() && text.len() <= longest && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(BadName::new(format!("{} is not {what}: visible ASCII, at most {longest} characters", shown(&text))))
    }
}

/// A refused text as a message may show it: escaped, and not all of it.
fn shown(text: &str) -> String {
    let start: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().count() > 60 { format!("`{start}...`") } else { format!("`{start}`") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nodes_that_are_none() {
        for good in ["a", "web01.example.com", "node_1", "a-b.c", "1.2.3.4", "x--y"] {
            assert_eq!(good.parse::<NodeName>().map(|n| n.0).as_deref(), Ok(good));
        }
        assert_eq!("WEB01.Example.Com".parse::<NodeName>().unwrap().as_str(), "web01.example.com");
        for bad in [
            "",
            "-oProxyCommand=x",
            "a-",
            ".a",
            "a.",
            "a..b",
            "user@host",
            "a:22",
            "ssh://a",
            "@file",
            "-",
            "a*",
            "a b",
            "a\n",
            "a\0",
            "a/b",
            "a%h",
            "é",
            "localhost",
            "LOCALHOST",
            "localhost.localdomain",
            "a,b",
            "[a]",
            "{a}",
        ] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(253).parse::<NodeName>().is_ok());
        assert!("a".repeat(254).parse::<NodeName>().is_err());
    }

    #[test]
    fn environments_that_are_none() {
        for good in ["production", "Dev_2", "_"] {
            assert!(good.parse::<Environment>().is_ok(), "{good}");
        }
        for bad in ["", "a-b", "a\n", "a b", "../x", "$(x)", &"a".repeat(129)] {
            assert!(bad.parse::<Environment>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_run_id_is_a_uuid() {
        let id = RunId::from_random([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.as_str().to_uppercase().parse(), Ok(id));
        for bad in
            ["", "../../../etc/passwd", "8e659097-254a-4b27-bb93-88efea9a9f0", "8e659097x254a-4b27-bb93-88efea9a9f0e"]
        {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(Line::from(" a\n\u{1b}[31mb\0 ").as_str(), "a  [31mb");
        assert_eq!(Line::from("x".repeat(9_999)).as_str().len(), Line::LONGEST);
    }

    proptest! {
        /// Whatever is taken is safe as an argument, as a file's name, and in a shell's word.
        #[test]
        fn no_accepted_name_can_inject(text in "\\PC{0,12}|[a-z@%:/=.*-]{0,12}|-o[A-Za-z]{1,9}=.{0,5}") {
            if let Ok(name) = text.parse::<NodeName>() {
                let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
                prop_assert!(!name.as_str().starts_with(['-', '.']) && name.as_str().chars().all(safe));
                prop_assert_eq!(name.as_str().parse::<NodeName>(), Ok(name.clone()));
            }
            if let Ok(name) = text.parse::<Environment>() {
                prop_assert!(name.as_str().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            }
        }
    }
}

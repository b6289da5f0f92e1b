//! Patterns in which `*` stands for any characters and nothing else is special: names of nodes, and resources, which are
//! full of brackets.

use serde::{Deserialize, Serialize};

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(String);

impl Glob {
    /// True when the whole text fits.
    pub fn fits(&self, text: &str) -> bool {
        fits(&self.0, text)
    }
}

/// True when the whole text fits the pattern.
pub fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    // The first place is as good as any other: what follows has the more room.
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_brackets() {
        let fits = |glob: &str, text: &str| Glob(glob.into()).fits(text);
        for (glob, text) in [
            ("*", ""),
            ("File[/etc/motd]", "File[/etc/motd]"),
            ("File[/etc/*]", "File[/etc/a/b]"),
            ("*::Base", "Profile::Base"),
            ("a*b*b", "abb"),
        ] {
            assert!(fits(glob, text), "{glob} {text}");
        }
        for (glob, text) in [("File[/etc/motd]", "File[/etc/motd]x"), ("a*b*b", "ab"), ("", "a"), ("[ab]", "a")] {
            assert!(!fits(glob, text), "{glob} {text}");
        }
    }
}

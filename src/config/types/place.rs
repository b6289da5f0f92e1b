//! A file of this machine, or something on the web.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Refusal, Setting};

/// A path, or an address that begins with `https://` or `http://`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A file; relative to the folder of whoever names it.
    File(PathBuf),
    /// An address. No password is in it.
    Web(String),
}

impl Place {
    /// The same with a path that means the same from everywhere.
    pub fn below(&self, folder: &Path) -> Place {
        match self {
            Place::File(path) => Place::File(folder.join(path)),
            Place::Web(_) => self.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Web(url) => f.write_str(url),
        }
    }
}

impl Setting for Place {
    fn expected() -> String {
        "a path, or an address like https://example.com/x".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() || text.contains(['\0', '\n']) {
            return Err(Refusal::new("not a path"));
        }
        let web = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        if let Some(rest) = web {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            if host.contains('@') {
                return Err(Refusal::new("an address with a user or a password in it")
                    .suggest("leave them out: configuration files are read by many"));
            }
            if host.is_empty() || text.contains(char::is_whitespace) {
                return Err(Refusal::new("not an address").suggest("write https://HOST/PATH"));
            }
            return Ok(Place::Web(text.to_owned()));
        }
        if text.starts_with("~/") || text == "~" {
            // No shell reads this file.
            return Err(Refusal::new("`~` is not expanded here").suggest("write the path in full"));
        }
        Ok(Place::File(text.into()))
    }

    fn schema() -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_addresses() {
        assert_eq!(Place::parse("hooks/a").unwrap(), Place::File("hooks/a".into()));
        let web = Place::parse("https://example.com/a?b=c").unwrap();
        assert_eq!(web, Place::Web("https://example.com/a?b=c".into()));
        assert_eq!(web.below(Path::new("/etc")), web);
        assert_eq!(Place::parse("a").unwrap().below(Path::new("/etc")).to_string(), "/etc/a");
        for bad in ["", "~", "~/a", "https://", "https://u:p@example.com/", "https://example.com/a b"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}

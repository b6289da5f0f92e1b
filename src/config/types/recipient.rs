//! Whom backups are encrypted for: a public key of age.

use std::fmt;

use age::x25519::Recipient;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Refusal, Setting};

/// Why a private key is refused. Lines with one are not shown.
pub const PRIVATE_KEY: &str = "this is a private key, which belongs in no configuration: give the public one";

/// A public key of age: `age1...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeRecipient(Recipient);

impl AgeRecipient {
    /// The key.
    pub fn key(&self) -> &Recipient {
        &self.0
    }
}

impl fmt::Display for AgeRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for AgeRecipient {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AgeRecipient {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        AgeRecipient::parse(&text).map_err(|refusal| serde::de::Error::custom(refusal.reason))
    }
}

impl Setting for AgeRecipient {
    fn expected() -> String {
        "a public key of age, `age1...`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.to_ascii_uppercase().contains("AGE-SECRET-KEY-") {
            return Err(Refusal::new(PRIVATE_KEY).suggest("`age-keygen -y FILE` shows it"));
        }
        text.parse().map(AgeRecipient).map_err(|_| {
            Refusal::new("not a public key of age")
                .suggest("write `age1` and 58 more characters, as `age-keygen` shows it")
        })
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^age1[02-9ac-hj-np-z]{58}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

    #[test]
    fn only_public_keys_are_taken() {
        let key = AgeRecipient::parse(PUBLIC).unwrap();
        assert_eq!(key.to_string(), PUBLIC);
        assert_eq!(serde_json::from_value::<AgeRecipient>(json!(key)).unwrap(), key);
        let typo = PUBLIC.replace("7pa", "7pq");
        for wrong in ["", "age1", "ssh-ed25519 AAAA", &typo] {
            assert_eq!(AgeRecipient::parse(wrong).unwrap_err().reason, "not a public key of age", "{wrong}");
        }
        for private in ["AGE-SECRET-KEY-1GQ9", "age-secret-key-1gq9"] {
            assert_eq!(AgeRecipient::parse(private).unwrap_err().reason, PRIVATE_KEY);
        }
    }
}

//! What a file from elsewhere is known by: its hash, or the key that signs it.

use std::fmt;

use minisign_verify::PublicKey;
use serde_json::{Value, json};

use super::{Refusal, Setting};

/// A SHA-256, 64 hexadecimal digits in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256Sum(String);

/// A public key of minisign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey(String);

impl Sha256Sum {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl SigningKey {
    /// The key.
    pub fn key(&self) -> PublicKey {
        PublicKey::from_base64(&self.0).expect("looked at when it was read")
    }
}

impl fmt::Display for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Setting for Sha256Sum {
    fn expected() -> String {
        "a SHA-256: 64 hexadecimal digits".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        match text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            true => Ok(Sha256Sum(text.to_ascii_lowercase())),
            false => Err(Refusal::new("not a SHA-256").suggest("`sha256sum FILE` shows it: 64 hexadecimal digits")),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^[0-9A-Fa-f]{64}$" })
    }
}

impl Setting for SigningKey {
    fn expected() -> String {
        "a public key of minisign, `RW...`".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        match PublicKey::from_base64(text) {
            Ok(_) => Ok(SigningKey(text.to_owned())),
            Err(_) => Err(Refusal::new("not a public key of minisign")
                .suggest("write the second line of `minisign.pub`: `RW` and 54 more characters")),
        }
    }

    fn schema() -> Value {
        json!({ "type": "string", "pattern": "^RW[A-Za-z0-9+/=]{54}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_keys() {
        assert_eq!(Sha256Sum::parse(&"Ab".repeat(32)).unwrap().as_str(), "ab".repeat(32));
        assert!(Sha256Sum::parse(&"ab".repeat(31)).is_err() && Sha256Sum::parse(&"xy".repeat(32)).is_err());
        let key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
        assert_eq!(SigningKey::parse(key).unwrap().to_string(), key);
        assert!(SigningKey::parse("RWQf").is_err() && SigningKey::parse("").is_err());
    }
}

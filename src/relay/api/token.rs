//! Bearer tokens: never shown by accident, kept by their hash.

use std::fmt;

use sha2::{Digest, Sha256};

use super::names::BadName;

/// What tokens of our server begin with, so that scanners for leaked secrets find them.
const PREFIX: &str = "pwr_";
/// Hexadecimal characters of chance in a token of ours.
const RANDOM: usize = 40;
/// Hexadecimal characters of the checksum behind them.
const CHECKSUM: usize = 8;

/// A bearer token. `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token from a file or a header: blanks around it do not count.
    ///
    /// # Errors
    /// It is empty, too long, or has characters that a header cannot carry.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let text = text.trim();
        if text.is_empty() || text.len() > 512 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadName::new("a token is one word of visible ASCII, at most 512 characters"));
        }
        Ok(Token(text.to_owned()))
    }

    /// A token of our own from these random bytes: `pwr_`, 40 characters, and 8 of a checksum.
    pub fn from_random(bytes: [u8; RANDOM / 2]) -> Self {
        let random = hex(&bytes);
        let checksum = checksum(&random);
        Token(format!("{PREFIX}{random}{checksum}"))
    }

    /// False for what our server cannot have made, such as one that was cut short when it was copied.
    pub fn is_ours(&self) -> bool {
        let Some(rest) = self.0.strip_prefix(PREFIX) else { return false };
        rest.len() == RANDOM + CHECKSUM && rest.is_ascii() && checksum(&rest[..RANDOM]) == rest[RANDOM..]
    }

    /// The secret itself, for a header or the one place that shows it once.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// By which it is kept and found.
    pub fn hash(&self) -> TokenHash {
        TokenHash(hex(&Sha256::digest(self.0.as_bytes())))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

/// The SHA-256 of a token, hexadecimal. A token has 160 bits of chance, so that nothing slower is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct TokenHash(String);

impl TokenHash {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn checksum(random: &str) -> String {
    hex(&Sha256::digest(random.as_bytes())[..CHECKSUM / 2])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_ours_is_known_and_not_shown() {
        let token = Token::from_random([7; 20]);
        assert!(token.is_ours());
        assert_eq!(token.secret().len(), 52);
        assert!(!format!("{token:?}").contains("0707"));
        let cut = Token::parse(&token.secret()[..51]).unwrap();
        let changed = Token::parse(&token.secret().replacen('7', "8", 1)).unwrap();
        assert!(!cut.is_ours() && !changed.is_ours());
        assert_ne!(token.hash(), changed.hash());
    }

    #[test]
    fn tokens_of_others_are_tokens() {
        assert_eq!(Token::parse(" eyJhbGciOi.x.y\n").unwrap().secret(), "eyJhbGciOi.x.y");
        for bad in ["", " ", "a b", "a\nb", "é", &"x".repeat(513)] {
            assert!(Token::parse(bad).is_err(), "{bad:?}");
        }
    }
}

//! Signatures by Standard Webhooks: HMAC-SHA256 over identifier, time and body.

use sha2::{Digest, Sha256};

/// SHA-256's block.
const BLOCK: usize = 64;

/// The secret that signs.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads `whsec_` and base64; 24 bytes at least.
    ///
    /// # Errors
    /// It is something else. Says nothing of what it is.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.trim().strip_prefix("whsec_").and_then(from_base64);
        match bytes {
            Some(bytes) if bytes.len() >= 24 => Ok(Secret(bytes)),
            _ => Err("the secret is not `whsec_` and base64 of 24 bytes or more".into()),
        }
    }

    /// The `webhook-signature`.
    pub fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let signed = hmac(&self.0, format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", to_base64(&signed))
    }
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    match key.len() > BLOCK {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let padded = |with: u8| block.map(|b| b ^ with);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_usize, |word, b| word << 8 | usize::from(*b)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let letter = char::from(ALPHABET[word >> (18 - 6 * at) & 63]);
            out.push(if at > chunk.len() { '=' } else { letter });
        }
    }
    out
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let mut out = Vec::new();
    let (mut word, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        word = word << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(word >> bits & 255).ok()?);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 4231 (test case 2), and of the Standard Webhooks specification's libraries.
    #[test]
    fn known_signatures() {
        let hex: String = hmac(b"Jefe", b"what do ya want for nothing?").iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long: String = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(long, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn base64_both_ways() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(to_base64(plain.as_bytes()), text);
            assert_eq!(from_base64(text).unwrap(), plain.as_bytes());
        }
        assert_eq!(from_base64("a b"), None);
        for bad in ["", "whsec_", "whsec_Zm9v", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!"] {
            assert!(Secret::parse(bad).is_err(), "{bad}");
        }
    }
}

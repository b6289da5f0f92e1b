//! Hashes of specifications: equal input, equal hash, on every machine and in every version that means the same.

use serde::Serialize;
use sha2::{Digest, Sha256};

/// 16 hex digits over the value's JSON. Its maps must be sorted (`BTreeMap`), as all of ours are.
pub fn of(value: &impl Serialize) -> String {
    // Plain data of ours always serialises.
    let json = serde_json::to_vec(value).expect("plain data serialises");
    Sha256::digest(json).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_follows_the_content_only() {
        assert_eq!(super::of(&("a", 1)), super::of(&("a", 1)));
        assert_ne!(super::of(&("a", 1)), super::of(&("a", 2)));
    }
}

//! Where the release manifest comes from: the program itself, or a file or an address that the user names, known by its hash
//! or its signature.

use std::path::Path;

use jiff::civil::Date;
use minisign_verify::{PublicKey, Signature};
use sha2::{Digest, Sha256};

use super::Manifest;
use crate::config::types::Place;
use crate::error::{Error, Result};
use crate::web;

/// A manifest is some pages of text.
pub const LARGEST: u64 = 1 << 20;
/// What is appended to a manifest's name for its signature.
const SIGNATURE: &str = ".minisig";

/// What a manifest is known by.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Its SHA-256, in lower-case digits.
    pub sha256: Option<String>,
    /// The key that signs it.
    pub key: Option<PublicKey>,
}

/// A manifest with what it was read from, to be carried elsewhere.
#[derive(Debug, Clone)]
pub struct Listed {
    /// What it says.
    pub manifest: Manifest,
    /// As it was written.
    pub text: String,
    /// The signature beside it, where a key was asked for.
    pub signature: Option<String>,
}

/// Reads a manifest, and sees that it is genuine, valid today, and for this program.
///
/// # Errors
/// It cannot be read, was tampered with, is over, or is of a newer format.
pub fn load(place: &Place, trust: &Trust, today: Date) -> Result<Listed> {
    let text = read(place)?;
    let signature = match trust.key {
        Some(_) => Some(String::from_utf8_lossy(&read(&signature_of(place))?).into_owned()),
        None => None,
    };
    check(&place.to_string(), text, signature, trust, today)
}

/// Where the signature of a manifest is: beside it.
pub fn signature_of(place: &Place) -> Place {
    match place {
        Place::File(path) => Place::File(format!("{}{SIGNATURE}", path.display()).into()),
        Place::Web(url) => Place::Web(format!("{url}{SIGNATURE}")),
    }
}

/// The same for a manifest that is at hand; `place` is what people call it.
///
/// # Errors
/// As [`load`].
pub fn check(place: &str, text: Vec<u8>, signature: Option<String>, trust: &Trust, today: Date) -> Result<Listed> {
    if let Some(expected) = &trust.sha256 {
        let found = hash(&text);
        if found != *expected {
            return Err(Error::refused(format!("{place} is not the manifest that was expected"))
                .details([format!("its SHA-256 is {found}"), format!("and not {expected}")])
                .hint("it was changed, or there is a newer one: ask where it is from for its hash"));
        }
    }
    if let Some(key) = &trust.key {
        let signature = signature
            .as_deref()
            .ok_or_else(|| Error::refused(format!("{place} has no signature, and is trusted by that")))?;
        let signature = Signature::decode(signature)
            .map_err(|e| Error::refused(format!("{place}{SIGNATURE} is no signature of minisign")).because(e))?;
        key.verify(&text, &signature, false).map_err(|e| {
            Error::refused(format!("{place} is not signed by the key that is trusted"))
                .because(e)
                .hint("it was changed, or another key signs it by now: nothing in it is used")
        })?;
    }
    let text = String::from_utf8(text).map_err(|e| Error::failed(format!("{place} is no text")).because(e))?;
    let manifest = Manifest::parse(&text)
        .map_err(|error| Error { what: format!("{place} cannot be used: {}", error.what), ..error })?;
    match manifest.expires {
        Some(last) if last < today => {
            Err(Error::refused(format!("{place} is good until {last}, and today is {today}"))
                .hint("fetch the one that has followed it; an old one would hide what is known by now"))
        }
        _ => Ok(Listed { manifest, text, signature }),
    }
}

/// SHA-256 in lower-case digits.
pub fn hash(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

fn read(place: &Place) -> Result<Vec<u8>> {
    match place {
        Place::Web(url) => web::get(url, LARGEST),
        Place::File(path) => file(path),
    }
}

fn file(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let failed = |e: std::io::Error| Error::usage(format!("cannot read {}", path.display())).because(e);
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(Error::failed(format!("{} is too large for a manifest", path.display()))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::{Setting, SigningKey};
    use crate::error::Kind;

    const EMBEDDED: &str = include_str!("../../images/channels.yaml");

    fn today() -> Date {
        jiff::civil::date(2026, 11, 27)
    }

    fn write(text: &str) -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("releases.yaml");
        std::fs::write(&path, text).unwrap();
        (folder, Place::File(path))
    }

    #[test]
    fn one_that_was_changed_is_refused() {
        let (_folder, place) = write(EMBEDDED);
        let hash: String = Sha256::digest(EMBEDDED).iter().map(|b| format!("{b:02x}")).collect();
        let trust = Trust { sha256: Some(hash), key: None };
        assert!(load(&place, &trust, today()).is_ok());
        let (_folder, place) = write(&EMBEDDED.replace("agents: 7.0.0", "agents: 6.0.0"));
        let refused = load(&place, &trust, today()).unwrap_err();
        assert_eq!(refused.kind, Kind::Refused);
        assert!(refused.what.ends_with("is not the manifest that was expected"), "{refused}");
    }

    /// The example of minisign's own documentation: a text, its key, its signature.
    #[test]
    fn a_signature_must_be_of_the_trusted_key() {
        const SIGNED: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==";
        let key = SigningKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap().key();
        let (folder, place) = write("test");
        let trust = Trust { sha256: None, key: Some(key) };
        assert!(load(&place, &trust, today()).unwrap_err().what.starts_with("cannot read"), "no signature");
        std::fs::write(folder.path().join("releases.yaml.minisig"), SIGNED).unwrap();
        // What is signed gets as far as being no manifest; what is not, does not.
        assert!(load(&place, &trust, today()).unwrap_err().what.contains("cannot be used"));
        std::fs::write(folder.path().join("releases.yaml"), "Test").unwrap();
        let refused = load(&place, &trust, today()).unwrap_err();
        assert!(refused.what.ends_with("is not signed by the key that is trusted"), "{refused}");
        std::fs::write(folder.path().join("releases.yaml.minisig"), "nonsense").unwrap();
        assert!(load(&place, &trust, today()).unwrap_err().what.ends_with("is no signature of minisign"));
    }

    #[test]
    fn one_that_is_over_or_of_a_newer_program_is_refused() {
        let load = |text: String| {
            let (_folder, place) = write(&text);
            load(&place, &Trust::default(), today())
        };
        let expires =
            |day: &str| EMBEDDED.replacen("schema_version: 1", &format!("schema_version: 1\nexpires: {day}"), 1);
        assert!(load(expires("2026-11-27")).is_ok());
        assert!(load(expires("2026-11-26")).unwrap_err().what.contains("is good until 2026-11-26"));
        let newer = load("schema_version: 2\nsomething: new\n".into()).unwrap_err();
        assert!(newer.what.contains("is of a newer pupperware"), "{newer}");
        assert!(load("[".into()).is_err() && load(String::new()).is_err());
    }
}

//! The certificate authority as Puppet Server's HTTP API shows it: names, states, requests. Sending them is the caller's
//! (see `api`); what is done to which certificate is for `plan::ca` to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use x509_parser::pem::parse_x509_pem;

use crate::error::{Error, Result};

/// X.509 ends common names here.
const LONGEST: usize = 64;
/// Every certificate and request. The last part of the path means nothing, and has to be there.
pub const LIST: &str = "/puppet-ca/v1/certificate_statuses/any_key";

/// The name in a certificate: lower case, of `a-z`, `0-9`, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertName(String);

impl CertName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CertName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if text.is_empty() {
            return Err("a certificate's name cannot be empty".into());
        }
        if text.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(format!("certificate names are lower case; write {}", text.to_lowercase()));
        }
        if text.len() > LONGEST {
            return Err(format!("a certificate's name has at most {LONGEST} characters; this has {}", text.len()));
        }
        if !text.starts_with(fits) {
            return Err("a certificate's name begins with a letter or a digit".into());
        }
        match text.chars().find(|c| !fits(*c) && !matches!(c, '.' | '_' | '-')) {
            Some(bad) => {
                Err(format!("{bad:?} is not allowed; a certificate's name is made of a-z, 0-9, `.`, `_` and `-`"))
            }
            None if text.contains("..") => Err("a certificate's name has no two dots in a row".into()),
            None => Ok(CertName(text.to_owned())),
        }
    }
}

/// What the CA made of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It asked, and waits to be signed.
    Pending,
    /// It has a certificate.
    Signed,
    /// Its certificate is on the CRL.
    Revoked,
}

/// A certificate, or the request for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Its name.
    pub certname: String,
    /// Pending, signed or revoked.
    pub state: State,
    /// Serial number in hexadecimal digits; a request has none.
    pub serial: Option<String>,
    /// Its end, RFC 3339; a request has none.
    pub not_after: Option<String>,
    /// SHA-256 of the certificate, or of the request.
    pub fingerprint: String,
    /// DNS names in it, its own among them.
    pub dns_alt_names: Vec<String>,
}

/// A certificate as the API writes it. Only what we ask for.
#[derive(Deserialize)]
struct Status {
    name: String,
    state: String,
    #[serde(default)]
    fingerprint: String,
    serial_number: Option<serde_json::Value>,
    not_after: Option<String>,
    #[serde(default)]
    dns_alt_names: Vec<String>,
}

/// Reads the answer to [`LIST`], by name.
///
/// # Errors
/// It is not what the API has answered so far.
pub fn read_list(body: &str) -> Result<Vec<Certificate>> {
    let statuses: Vec<Status> = serde_json::from_str(body)
        .map_err(|e| Error::failed("the CA's answer is not a list of certificates").because(e))?;
    let mut all = statuses.into_iter().map(certificate).collect::<Result<Vec<_>>>()?;
    all.sort_by(|a, b| a.certname.cmp(&b.certname));
    Ok(all)
}

fn certificate(status: Status) -> Result<Certificate> {
    let state = match status.state.as_str() {
        "requested" => State::Pending,
        "signed" => State::Signed,
        "revoked" => State::Revoked,
        other => return Err(Error::failed(format!("the CA says of {} that it is \"{other}\"", status.name))),
    };
    let serial = match status.serial_number {
        Some(serde_json::Value::Number(n)) => n.as_u64().map(|n| format!("{n:04X}")),
        Some(serde_json::Value::String(text)) => Some(text),
        _ => None,
    };
    // `2031-11-21T14:00:00UTC` is how the CA ends its times.
    let not_after = status.not_after.map(|at| at.strip_suffix("UTC").map_or(at.clone(), |bare| format!("{bare}Z")));
    Ok(Certificate {
        certname: status.name,
        state,
        serial,
        not_after,
        fingerprint: status.fingerprint,
        dns_alt_names: status.dns_alt_names.iter().map(|n| n.trim_start_matches("DNS:").to_owned()).collect(),
    })
}

/// Where one certificate's state is asked for, changed and forgotten.
pub fn status_path(certname: &str) -> String {
    format!("/puppet-ca/v1/certificate_status/{certname}")
}

/// Where a request is handed in.
pub fn request_path(certname: &str) -> String {
    format!("/puppet-ca/v1/certificate_request/{certname}")
}

/// Where a signed certificate is fetched.
pub fn certificate_path(certname: &str) -> String {
    format!("/puppet-ca/v1/certificate/{certname}")
}

/// The body that asks for a state: `signed` or `revoked`.
pub fn desired_state(state: &str) -> Vec<u8> {
    serde_json::json!({ "desired_state": state }).to_string().into_bytes()
}

/// The end of a certificate in PEM, RFC 3339; nothing when it is none.
pub fn end_of(pem: &[u8]) -> Option<String> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let seconds = pem.parse_x509().ok()?.validity().not_after.timestamp();
    Some(jiff::Timestamp::from_second(seconds).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_puppet_takes() {
        for good in ["web01", "web01.example.com", "a_b-c.d", &"a".repeat(64)] {
            assert_eq!(good.parse::<CertName>().unwrap().as_str(), good);
        }
        for bad in ["", "Web01", ".a", "-a", "a b", "a/b", "a..b", "é", "a\n", "*", &"a".repeat(65)] {
            assert!(bad.parse::<CertName>().is_err(), "{bad:?}");
        }
        assert_eq!("Web01".parse::<CertName>().unwrap_err(), "certificate names are lower case; write web01");
    }

    #[test]
    fn an_answer_that_is_none_is_told() {
        assert!(read_list("<html>").is_err());
        assert!(read_list(r#"[{"name":"a","state":"unheard of"}]"#).is_err());
    }
}

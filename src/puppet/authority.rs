//! A CA that was made elsewhere, as files: what must be there, and its form and order as Puppet Server wants them.
//!
//! Names, ends, and whether the key is the certificate's are judged here. Whether signatures hold is for OpenSSL to say,
//! inside the engine (`import` in `images/provision/pupperware-provision`).

use std::fmt::Display;

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::der::{DerObject, parse_der};
use x509_parser::error::X509Error;
use x509_parser::pem::{Pem, parse_x509_pem};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::X509Name;

use super::ca::CertName;
use super::serial;
use crate::error::{Error, Result};

/// The file with the CA's certificate and those above it.
pub const CERTIFICATES: &str = "ca_crt.pem";
/// The file with its key.
pub const KEY: &str = "ca_key.pem";
/// The file with the revocation lists of all of them.
pub const LISTS: &str = "ca_crl.pem";
/// The file with the next serial number.
pub const SERIAL: &str = serial::FILE;
/// The file with what was signed, a line a certificate.
pub const INVENTORY: &str = "inventory.txt";
/// The directory with what was signed, a file a certificate.
pub const SIGNED: &str = "signed";

/// Puppet's `pp_cli_auth`: who shows it may sign and revoke.
const CLI_AUTH: &str = "1.3.6.1.4.1.34380.1.3.39";

/// Serial numbers from here on are random ones. Puppet's CA counts, and never gets there.
const RANDOM: u128 = 1 << 62;

/// The files of a CA, as they were found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// [`CERTIFICATES`].
    pub certificates: String,
    /// [`KEY`].
    pub key: String,
    /// [`LISTS`].
    pub lists: String,
    /// [`SERIAL`], if there is one.
    pub serial: Option<String>,
    /// [`INVENTORY`], if there is one.
    pub inventory: Option<String>,
    /// Of each file in [`SIGNED`], its name without `.pem`, and its content.
    pub signed: Vec<(String, String)>,
}

/// A CA that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Who it says it is.
    pub subject: String,
    /// When the first of its certificates ends.
    pub ends: Timestamp,
    /// When the first revocation list of a CA above it ends, which nobody here can make anew.
    pub lists_end: Timestamp,
    /// Names of certificates that may drive the CA, as that of the Puppet Server which had it before.
    pub administrators: Vec<String>,
    /// Its certificate, then those above it, the root last.
    pub certificates: String,
    /// The newest revocation list of each, in the same order.
    pub lists: String,
    /// The serial number that comes next.
    pub serial: u128,
}

/// Looks at the files of a CA.
///
/// # Errors
/// The first thing that is wrong, with the file's name.
pub fn judge(found: &Found, now: Timestamp) -> Result<Authority> {
    let texts = blocks(&found.certificates, "CERTIFICATE");
    let pems = pems(CERTIFICATES, &texts)?;
    let certificates = pems.iter().zip(1..).map(|(pem, number)| {
        pem.parse_x509().map_err(|e| wrong(CERTIFICATES, format!("its certificate {number} cannot be read: {e}")))
    });
    let certificates: Vec<X509Certificate> = certificates.collect::<Result<_>>()?;
    let chain = chain(&certificates, &modulus(&found.key)?)?;
    for (at, below) in chain.iter().zip(0..) {
        certificate(&certificates[*at], below, now)?;
    }
    let issuer = &certificates[chain[0]];
    let (lists, revoked, lists_end) = lists(&found.lists, chain.iter().map(|at| certificates[*at].subject()), now)?;
    let mut used = revoked;
    if chain.len() == 1 {
        used.push(issuer.raw_serial().to_vec());
    }
    let (serials, administrators) = signed(&found.signed, issuer)?;
    used.extend(serials);
    let ends = chain.iter().map(|at| certificates[*at].validity().not_after.timestamp()).min();
    Ok(Authority {
        subject: issuer.subject().to_string(),
        ends: ends.and_then(|e| Timestamp::from_second(e).ok()).unwrap_or(Timestamp::MAX),
        certificates: chain.iter().map(|at| texts[*at].as_str()).collect(),
        lists_end,
        administrators,
        lists,
        serial: next_serial(found, &used)?,
    })
}

/// The blocks of PEM with this label, each with a line end.
fn blocks(text: &str, label: &str) -> Vec<String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line == begin {
            open = Some(String::new());
        }
        if let Some(block) = &mut open {
            *block += line;
            *block += "\n";
        }
        if line == end {
            found.extend(open.take());
        }
    }
    found
}

fn pems(file: &str, texts: &[String]) -> Result<Vec<Pem>> {
    let read = |(text, number): (&String, usize)| {
        let read = parse_x509_pem(text.as_bytes()).map_err(|e| wrong(file, format!("its block {number}: {e}")));
        read.map(|(_, pem)| pem)
    };
    let pems = texts.iter().zip(1..).map(read).collect::<Result<Vec<_>>>()?;
    if pems.is_empty() { Err(wrong(file, "it holds nothing in PEM that belongs there")) } else { Ok(pems) }
}

/// The modulus of an RSA key in PEM. It is compared, and goes no further.
fn modulus(text: &str) -> Result<Vec<u8>> {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        let hint =
            format!("take its passphrase away: `openssl pkey -in {KEY} -out plain.pem`, in its place and mode 0600");
        return Err(wrong(KEY, "the key has a passphrase, which nobody can type when Puppet Server starts").hint(hint));
    }
    let plain = blocks(text, "RSA PRIVATE KEY").pop();
    let wrapped = blocks(text, "PRIVATE KEY").pop();
    let is_rsa = plain.is_some();
    let Some(block) = plain.or(wrapped) else {
        let what = if text.contains("PRIVATE KEY-----") { NOT_RSA } else { "there is no private key in it" };
        return Err(wrong(KEY, what));
    };
    let (_, pem) = parse_x509_pem(block.as_bytes()).map_err(|e| wrong(KEY, e))?;
    let found = if is_rsa { of_rsa(&pem.contents) } else { of_pkcs8(&pem.contents) };
    found.ok_or_else(|| wrong(KEY, NOT_RSA))
}

/// Puppet Server signs with `SHA256withRSA`, whatever its key.
const NOT_RSA: &str = "the key is not RSA, and Puppet Server signs with RSA only";

/// `RSAPrivateKey`: version, modulus, exponents and primes.
fn of_rsa(der: &[u8]) -> Option<Vec<u8>> {
    let (_, key) = parse_der(der).ok()?;
    let parts: &Vec<DerObject> = key.as_sequence().ok()?;
    (parts.len() >= 9).then(|| parts[1].as_slice().ok())?.map(strip)
}

/// `PrivateKeyInfo`: version, algorithm, and the key in an octet string.
fn of_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let (_, info) = parse_der(der).ok()?;
    of_rsa(info.as_sequence().ok()?.get(2)?.as_slice().ok()?)
}

/// A number without leading zeros.
fn strip(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|b| *b == 0).collect()
}

/// The certificate of the key, then those above it, as places in the list.
fn chain(certificates: &[X509Certificate], modulus: &[u8]) -> Result<Vec<usize>> {
    let has_key = |c: &X509Certificate| matches!(c.public_key().parsed(), Ok(PublicKey::RSA(key)) if strip(key.modulus) == modulus);
    let Some(mut at) = certificates.iter().position(has_key) else {
        return Err(wrong(CERTIFICATES, format!("none of its certificates is that of the key in {KEY}")));
    };
    let mut chain = vec![at];
    while certificates[at].issuer().as_raw() != certificates[at].subject().as_raw() {
        let issuer = certificates[at].issuer();
        let above = certificates.iter().position(|c| c.subject().as_raw() == issuer.as_raw());
        let Some(above) = above.filter(|above| !chain.contains(above)) else {
            let what = format!("the certificate of {issuer}, which signed {}, is missing", certificates[at].subject());
            return Err(wrong(CERTIFICATES, what).hint("all certificates up to the root belong in it"));
        };
        at = above;
        chain.push(at);
    }
    Ok(chain)
}

/// One certificate of the chain, with so many CAs between it and what is signed.
fn certificate(certificate: &X509Certificate, below: u32, now: Timestamp) -> Result<()> {
    let subject = certificate.subject();
    let (from, until) = (certificate.validity().not_before, certificate.validity().not_after);
    if until.timestamp() <= now.as_second() {
        return Err(wrong(CERTIFICATES, format!("the certificate of {subject} ended on {}", day(until.timestamp()))));
    }
    if from.timestamp() > now.as_second() {
        return Err(wrong(CERTIFICATES, format!("the certificate of {subject} begins on {}", day(from.timestamp()))));
    }
    let odd = |e: X509Error| wrong(CERTIFICATES, format!("the certificate of {subject} cannot be read: {e}"));
    let constraints = certificate.basic_constraints().map_err(odd)?.map(|b| b.value);
    if !constraints.is_some_and(|c| c.ca) {
        return Err(wrong(CERTIFICATES, format!("the certificate of {subject} is not that of a CA (no CA:TRUE)")));
    }
    if let Some(most) = constraints.and_then(|c| c.path_len_constraint).filter(|most| *most < below) {
        let what = format!("{subject} allows {most} CAs below it (pathlen), and there are {below}");
        return Err(wrong(CERTIFICATES, what));
    }
    if certificate.key_usage().map_err(odd)?.is_some_and(|u| !u.value.key_cert_sign() || !u.value.crl_sign()) {
        let what = format!("the certificate of {subject} may not sign certificates and revocation lists (key usage)");
        return Err(wrong(CERTIFICATES, what));
    }
    Ok(())
}

/// The newest list of each of these, in their order, what the first one has revoked, and when the others end.
fn lists<'n>(
    text: &str,
    subjects: impl Iterator<Item = &'n X509Name<'n>>,
    now: Timestamp,
) -> Result<(String, Vec<Vec<u8>>, Timestamp)> {
    let texts = blocks(text, "X509 CRL");
    let pems = pems(LISTS, &texts)?;
    let lists = pems.iter().zip(1..).map(|(pem, number)| {
        let list = CertificateRevocationList::from_der(&pem.contents).map(|(_, list)| list);
        list.map_err(|e| wrong(LISTS, format!("its list {number} cannot be read: {e}")))
    });
    let lists: Vec<CertificateRevocationList> = lists.collect::<Result<_>>()?;
    let (mut chosen, mut revoked, mut ends) = (String::new(), None, Timestamp::MAX);
    for subject in subjects {
        let of_subject = lists.iter().zip(&texts).filter(|(l, _)| l.issuer().as_raw() == subject.as_raw());
        let Some((list, text)) = of_subject.max_by_key(|(l, _)| l.last_update().timestamp()) else {
            let what = format!("there is no revocation list of {subject}");
            return Err(wrong(LISTS, what).hint("the lists of all CAs up to the root belong in it, empty ones too"));
        };
        if let Some(end) = list.next_update().filter(|end| end.timestamp() <= now.as_second()) {
            let what = format!("the revocation list of {subject} ended on {}", day(end.timestamp()));
            return Err(wrong(LISTS, what).hint("get a new one from that CA"));
        }
        chosen += text;
        if revoked.is_some() {
            let end = list.next_update().and_then(|end| Timestamp::from_second(end.timestamp()).ok());
            ends = ends.min(end.unwrap_or(Timestamp::MAX));
        }
        revoked.get_or_insert_with(|| list.iter_revoked_certificates().map(|r| r.raw_serial().to_vec()).collect());
    }
    Ok((chosen, revoked.unwrap_or_default(), ends))
}

/// The serial numbers of what was signed, which must be this CA's; and names of those that may drive the CA.
fn signed(files: &[(String, String)], issuer: &X509Certificate) -> Result<(Vec<Vec<u8>>, Vec<String>)> {
    let (mut used, mut administrators) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let file = format!("{SIGNED}/{name}.pem");
        name.parse::<CertName>().map_err(|why| wrong(&file, why))?;
        let pem = parse_x509_pem(text.as_bytes()).map_err(|e| wrong(&file, e))?.1;
        let certificate = pem.parse_x509().map_err(|e| wrong(&file, e))?;
        if certificate.issuer().as_raw() != issuer.subject().as_raw() {
            let what = format!("it was signed by {}, and the CA is {}", certificate.issuer(), issuer.subject());
            return Err(wrong(&file, what));
        }
        used.push(certificate.raw_serial().to_vec());
        if certificate.extensions().iter().any(|e| e.oid.to_id_string() == CLI_AUTH) {
            administrators.push(name.clone());
        }
    }
    Ok((used, administrators))
}

/// The serial number after everything that is known to be used. Whoever reused one would revoke two at once.
fn next_serial(found: &Found, used: &[Vec<u8>]) -> Result<u128> {
    if found.serial.is_none() && found.inventory.is_none() {
        let hint =
            format!("add the CA's `{SERIAL}` or `{INVENTORY}`; if it has signed nothing yet: `echo 0002 > {SERIAL}`");
        return Err(wrong(SERIAL, "it is missing, so nobody knows which serial numbers are used").hint(hint));
    }
    let mut next = match &found.serial {
        Some(text) => serial::parse(text).ok_or_else(|| wrong(SERIAL, "it is no number in hexadecimal digits"))?,
        None => 1,
    };
    for (line, number) in found.inventory.iter().flat_map(|t| t.lines()).zip(1..) {
        let Some(word) = line.split_whitespace().next() else { continue };
        let used = word.strip_prefix("0x").and_then(serial::parse);
        let used =
            used.ok_or_else(|| wrong(INVENTORY, format!("line {number} does not begin with a serial number")))?;
        next = next.max(used + 1);
    }
    if next >= RANDOM {
        return Err(wrong(SERIAL, format!("{} is too large for a CA that counts", serial::text(next)))
            .hint(format!("where serial numbers were random, begin with a small one: `echo 0002 > {SERIAL}`")));
    }
    // Random ones are never met by counting.
    let counted = used.iter().filter_map(|bytes| {
        let bytes = strip(bytes);
        (bytes.len() < 8).then(|| bytes.iter().fold(0_u128, |n, b| (n << 8) | u128::from(*b)))
    });
    Ok(counted.map(|n| n + 1).fold(next, u128::max))
}

fn wrong(file: &str, what: impl Display) -> Error {
    Error::usage(format!("{file}: {what}"))
}

fn day(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| "a day beyond the calendar".into(), |t| t.strftime("%F").to_string())
}

#[cfg(test)]
mod tests;

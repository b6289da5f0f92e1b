//! What the looks inside print, read into facts. Pure; anything odd becomes "cannot be told", never "well".

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use x509_parser::pem::Pem;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

use crate::audit::model::{Certificate, Database, File, HbaRule, Update, Verdict, Volumes};

/// What `volumes.sh` prints. `wanted` are the hashes of configuration files by path.
pub(super) fn volumes(text: &str, wanted: &BTreeMap<String, String>) -> Volumes {
    let mut volumes = Volumes::default();
    let mut pems: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if let Some(pem) = line.strip_prefix(' ') {
            if let Some((_, content)) = pems.last_mut() {
                content.push_str(pem);
                content.push('\n');
            }
            continue;
        }
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["file", uid, gid, mode, kind, path] => volumes.files.extend(file([uid, gid, mode], kind, path)),
            ["key", hash, path] => volumes.keys.push((path.to_owned(), hash.to_owned())),
            ["pem", path] => pems.push((path.to_owned(), String::new())),
            ["glob", glob] if !glob.is_empty() => volumes.autosign.push(glob.to_owned()),
            ["sha", hash, path] => {
                let right = wanted.get(path).cloned().unwrap_or_default();
                volumes.configuration.push((path.to_owned(), hash.to_owned(), right));
            }
            _ => {}
        }
    }
    for (path, content) in pems {
        let blocks: Vec<Pem> = Pem::iter_from_buffer(content.as_bytes()).filter_map(Result::ok).collect();
        let shared = path.ends_with("/ca.pem") || path.ends_with("crl.pem") || path == "ca/ca_crt.pem";
        if shared {
            volumes.trust.push((path.clone(), content_hash(&blocks)));
        }
        if path.ends_with("crl.pem") {
            volumes.crl_ends.extend(blocks.iter().filter_map(crl_end).map(|end| (path.clone(), end)));
        } else if !path.ends_with("/ca.pem") {
            volumes.certificates.extend(blocks.iter().filter_map(|block| certificate(&path, block)));
        }
    }
    volumes
}

fn file([uid, gid, mode]: [&str; 3], kind: &str, path: &str) -> Option<File> {
    Some(File {
        path: path.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        mode: u32::from_str_radix(mode, 8).ok()?,
        directory: kind == "d",
    })
}

/// Over what PEM files hold, however it is spelt, in whatever order.
fn content_hash(blocks: &[Pem]) -> String {
    let mut contents: Vec<&[u8]> = blocks.iter().map(|b| b.contents.as_slice()).collect();
    contents.sort_unstable();
    let mut hash = Sha256::new();
    for content in contents {
        hash.update(content.len().to_be_bytes());
        hash.update(content);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// When a list of revoked certificates ends; one without an end lasts.
fn crl_end(block: &Pem) -> Option<i64> {
    let (_, list) = CertificateRevocationList::from_der(&block.contents).ok()?;
    Some(list.next_update()?.timestamp())
}

fn certificate(path: &str, block: &Pem) -> Option<Certificate> {
    let parsed: X509Certificate = block.parse_x509().ok()?;
    let key = match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => ("RSA".to_owned(), key.key_size()),
        Ok(PublicKey::EC(point)) => ("EC".to_owned(), point.key_size()),
        // Nothing that we make, and nothing that we could judge: found as too short.
        _ => ("unknown".to_owned(), 0),
    };
    let algorithm = &parsed.signature_algorithm.algorithm;
    let name = x509_parser::objects::oid2sn(algorithm, x509_parser::objects::oid_registry());
    Some(Certificate {
        path: path.to_owned(),
        subject: parsed.subject().to_string(),
        not_after: parsed.validity().not_after.timestamp(),
        key,
        signature: name.map_or_else(|_| algorithm.to_id_string(), ToOwned::to_owned),
    })
}

/// Numbers of lines with a secret, counted from one; nothing when there was nothing to compare with.
pub(super) fn secret_lines(text: &str) -> Option<Vec<usize>> {
    let mut lines = text.lines();
    let patterns: usize = lines.next()?.strip_prefix("patterns ")?.trim().parse().ok()?;
    (patterns > 0).then(|| lines.filter_map(|l| l.trim().parse().ok()).collect())
}

/// What `tls.sh` prints.
pub(super) fn versions(text: &str) -> Vec<(String, Verdict)> {
    let rows = text.lines().filter_map(|line| line.split_once('\t'));
    rows.map(|(version, verdict)| {
        let name = match version {
            "tls1" => "TLS 1.0",
            "tls1_1" => "TLS 1.1",
            _ => "TLS 1.2",
        };
        let verdict = match verdict {
            "accepted" => Verdict::Allowed,
            "refused" => Verdict::Refused,
            _ => Verdict::Unknown("no connection".into()),
        };
        (name.to_owned(), verdict)
    })
    .collect()
}

/// Ports of `/proc/net/tcp` and `tcp6` that listen for more than the container itself.
pub(super) fn listeners(text: &str) -> Vec<u16> {
    let mut ports: Vec<u16> = text.lines().filter_map(listener).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn listener(line: &str) -> Option<u16> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    // The kernel writes each 32 bits of an address as the machine has them: the first byte of 127.x is the last here.
    let loopback = match address.len() {
        8 => address.ends_with("7F"),
        _ => {
            address == "00000000000000000000000001000000"
                || address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F")
        }
    };
    (*fields.get(3)? == "0A" && !loopback).then(|| u16::from_str_radix(port, 16).ok())?
}

/// A request's answer. An alert in the handshake is a refusal; silence is not.
pub(super) fn http(code: i64, status: &str, stderr: &str) -> Verdict {
    match (code, status) {
        (0, "401" | "403") => Verdict::Refused,
        // Not found is an answer that only who is allowed gets.
        (0, status) if status.starts_with('2') || status.starts_with('4') => Verdict::Allowed,
        (0, status) => Verdict::Unknown(format!("it answered with status {status}")),
        _ if stderr.contains("alert") => Verdict::Refused,
        _ => Verdict::Unknown(stderr.trim().to_owned()),
    }
}

/// What the CA did with a stranger's request.
pub(super) fn signing(stdout: &str, stderr: &str) -> Verdict {
    match stdout.trim() {
        "requested" => Verdict::Refused,
        "signed" => Verdict::Allowed,
        "" => Verdict::Unknown(stderr.trim().to_owned()),
        other => Verdict::Unknown(format!("the CA says \"{other}\"")),
    }
}

/// What `database.sh` prints.
pub(super) fn database(text: &str) -> Database {
    let mut database = Database::default();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["hba", kind, users, method, databases, address] => database.rules.push(HbaRule {
                kind: kind.to_owned(),
                users: users.to_owned(),
                method: method.to_owned(),
                text: format!("{kind} {databases} {users} {address} {method}")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
            }),
            ["super", role] => database.superusers.push(role.to_owned()),
            ["weak", role] => database.weak_passwords.push(role.to_owned()),
            _ => {}
        }
    }
    database
}

/// What stands behind this word and a tab.
pub(super) fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rows = text.lines().filter_map(|line| line.split_once('\t'));
    rows.find(|(first, _)| *first == name).map_or("", |(_, rest)| rest.trim())
}

/// What psql says of a connection without TLS. Asked for a password, it was let in that far.
pub(super) fn plain_connection(said: &str) -> Verdict {
    if said == "connected" || said.contains("no password supplied") || said.contains("authentication failed") {
        return Verdict::Allowed;
    }
    match said.contains("no pg_hba.conf entry") || said.contains("pg_hba.conf rejects") {
        true => Verdict::Refused,
        false => Verdict::Unknown(said.to_owned()),
    }
}

/// What psql says of a connection with TLS and without a password.
pub(super) fn without_password(said: &str) -> Verdict {
    match said {
        "connected" => Verdict::Allowed,
        _ if said.contains("no password supplied") || said.contains("pg_hba.conf") => Verdict::Refused,
        _ => Verdict::Unknown(said.to_owned()),
    }
}

/// What `updates.sh` prints for a container's image.
pub(super) fn updates(container: &str, text: &str) -> Vec<Update> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("update\t"));
    rows.filter_map(|row| {
        let mut fields = row.split('\t');
        let mut next = || fields.next().map(ToOwned::to_owned);
        Some(Update {
            container: container.to_owned(),
            package: next()?,
            installed: next()?,
            available: next()?,
            security: next()?.split(',').any(|suite| suite.ends_with("-security")),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read_line_by_line() {
        let text = "file\t920\t920\t640\tf\tca/ca_key.pem\nkey\tabc\tca/ca_key.pem\nnonsense\nglob\t*.example.com\n\
            pem\tca/ca_crl.pem\n -----BEGIN X509 CRL-----\n AAAA\n -----END X509 CRL-----\n\
            pem\tpuppetdb-config/ssl/crl.pem\n text before\n -----BEGIN X509 CRL-----\n AAAA\n -----END X509 CRL-----\n\
            sha\t1\tpuppetdb-config/a\nsha\t\tpuppetdb-config/b\n";
        let wanted = BTreeMap::from([("puppetdb-config/a".to_owned(), "1".to_owned())]);
        let found = volumes(text, &wanted);
        assert_eq!((found.files[0].mode, found.files[0].uid, found.files[0].directory), (0o640, 920, false));
        assert_eq!(found.keys, [("ca/ca_key.pem".to_owned(), "abc".to_owned())]);
        assert_eq!(found.trust[0].1, found.trust[1].1, "how it is spelt makes no difference");
        assert_eq!(found.autosign, ["*.example.com"]);
        assert_eq!(found.configuration[0], ("puppetdb-config/a".into(), "1".into(), "1".into()));
    }

    #[test]
    fn sockets_of_the_loopback_are_left_out() {
        let text = "  sl  local_address rem_address   st\n\
            0: 00000000:1FCC 00000000:0000 0A x\n 1: 0B00007F:81D5 00000000:0000 0A x\n\
            2: 0200A8C0:1538 00000000:0000 01 x\n 3: 00000000000000000000000000000000:1F90 0:0 0A x\n\
            4: 0000000000000000FFFF00000100007F:1F91 0:0 0A x\n 5: 00000000000000000000000001000000:1F92 0:0 0A x\n";
        assert_eq!(listeners(text), [8080, 8140]);
    }

    #[test]
    fn a_refusal_is_told_from_silence() {
        assert_eq!(http(0, "403", ""), Verdict::Refused);
        assert_eq!(http(0, "204", ""), Verdict::Allowed);
        assert_eq!(http(0, "404", ""), Verdict::Allowed);
        assert_eq!(http(56, "000", "tlsv13 alert certificate required"), Verdict::Refused);
        assert!(matches!(http(7, "000", "curl: (7) refused"), Verdict::Unknown(_)));
        assert!(matches!(http(0, "503", ""), Verdict::Unknown(_)));

        assert_eq!(signing("requested\n", ""), Verdict::Refused);
        assert_eq!(signing("signed\n", ""), Verdict::Allowed);
        assert_eq!(signing("", "curl: (22) 400"), Verdict::Unknown("curl: (22) 400".into()));

        assert_eq!(plain_connection("FATAL: no pg_hba.conf entry for host, no encryption"), Verdict::Refused);
        assert_eq!(plain_connection("fe_sendauth: no password supplied"), Verdict::Allowed);
        assert!(matches!(plain_connection("Connection refused"), Verdict::Unknown(_)));
        assert_eq!(without_password("fe_sendauth: no password supplied"), Verdict::Refused);
        assert_eq!(without_password("connected"), Verdict::Allowed);
        assert!(matches!(without_password(""), Verdict::Unknown(_)));
    }

    #[test]
    fn no_secrets_to_compare_with_is_not_the_same_as_none_found() {
        assert_eq!(secret_lines("patterns 3\n2\n7\n"), Some(vec![2, 7]));
        assert_eq!(secret_lines("patterns 3\n"), Some(vec![]));
        assert_eq!(secret_lines("patterns 0\n"), None);
        assert_eq!(secret_lines(""), None);
    }

    #[test]
    fn updates_of_the_security_suite_are_told_apart() {
        let text =
            "Hit\nupdate\tcurl\t8.14.1-2\t8.14.1-3\tstable-security\nupdate\ttzdata\t1\t2\tstable-updates,stable\n";
        let found = updates("demo-agent-1", text);
        assert_eq!(
            found.iter().map(|u| (u.package.as_str(), u.security)).collect::<Vec<_>>(),
            [("curl", true), ("tzdata", false)]
        );
        assert_eq!((found[0].installed.as_str(), found[0].available.as_str()), ("8.14.1-2", "8.14.1-3"));
    }

    #[test]
    fn the_database_is_read() {
        let text = "hba\tlocal\tpostgres\tpeer\tall\t\nhba\thostssl\tpuppetdb\tscram-sha-256\tpuppetdb\tall\nsuper\tpostgres\ndisable\tpsql: no\n";
        let found = database(text);
        assert_eq!(found.rules[1].text, "hostssl puppetdb puppetdb all scram-sha-256");
        assert_eq!(found.superusers, ["postgres"]);
        assert_eq!(field(text, "disable"), "psql: no");
    }
}

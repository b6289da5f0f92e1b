//! A root and an intermediate CA that nobody uses, made with openssl for a hundred years.

use insta::assert_snapshot;

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("fixtures/", $name)).to_owned()
    };
}

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// An intermediate CA, everything in the wrong order and with words in between.
fn found() -> Found {
    Found {
        certificates: format!("the root\n{}and ours\n{}", fixture!("root.pem"), fixture!("issuing.pem")),
        key: fixture!("issuing.key"),
        lists: fixture!("root.crl") + &fixture!("issuing.crl"),
        serial: Some("0010\n".into()),
        ..Found::default()
    }
}

fn refused(found: &Found) -> String {
    let error = judge(found, now()).unwrap_err();
    assert_eq!(error.kind.exit_code(), 2);
    format!("{error}{}", error.hint.as_ref().map(|h| format!("\nhint: {h}")).unwrap_or_default())
}

#[test]
fn an_intermediate_comes_first_and_its_root_last() {
    let ca = judge(&found(), now()).unwrap();
    assert_eq!(ca.subject, "CN=Example Puppet CA");
    assert_eq!(ca.certificates, fixture!("issuing.pem") + &fixture!("root.pem"));
    assert_eq!(ca.lists, fixture!("issuing.crl") + &fixture!("root.crl"));
    assert_eq!(ca.serial, 0x10);
    assert!(ca.ends > "2120-01-01T00:00:00Z".parse().unwrap());
    assert!(ca.lists_end > ca.ends.min("2120-01-01T00:00:00Z".parse().unwrap()) && ca.lists_end < Timestamp::MAX);
    assert_eq!(ca.administrators, [""; 0]);
}

#[test]
fn both_forms_of_an_rsa_key_are_read() {
    let ca = judge(&Found { key: fixture!("issuing.rsa.key"), ..found() }, now()).unwrap();
    assert_eq!(ca, judge(&found(), now()).unwrap());
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let with = |key: &str| refused(&Found { key: key.into(), ..found() });
    assert_snapshot!(with(&fixture!("web01.key")), @"ca_crt.pem: none of its certificates is that of the key in ca_key.pem");
    assert_snapshot!(with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), @"
    ca_key.pem: the key has a passphrase, which nobody can type when Puppet Server starts
    hint: take its passphrase away: `openssl pkey -in ca_key.pem -out plain.pem`, in its place and mode 0600
    ");
    assert_snapshot!(with("-----BEGIN EC PRIVATE KEY-----\n"), @"ca_key.pem: the key is not RSA, and Puppet Server signs with RSA only");
    assert_snapshot!(with("hello"), @"ca_key.pem: there is no private key in it");
    let broken = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
    assert_snapshot!(with(broken), @"ca_key.pem: the key is not RSA, and Puppet Server signs with RSA only");
}

#[test]
fn a_chain_that_is_not_whole_or_no_ca_is_refused() {
    let alone = Found { certificates: fixture!("issuing.pem"), ..found() };
    assert_snapshot!(refused(&alone), @"
    ca_crt.pem: the certificate of CN=Example Root, which signed CN=Example Puppet CA, is missing
    hint: all certificates up to the root belong in it
    ");
    let leaf =
        Found { certificates: found().certificates + &fixture!("web01.pem"), key: fixture!("web01.key"), ..found() };
    assert_snapshot!(refused(&leaf), @"ca_crt.pem: the certificate of CN=web01 is not that of a CA (no CA:TRUE)");
    let cut = found().certificates.replace("MII", "MIJ");
    assert!(refused(&Found { certificates: cut, ..found() }).starts_with("ca_crt.pem: its "));
    assert_snapshot!(refused(&Found { certificates: String::new(), ..found() }), @"ca_crt.pem: it holds nothing in PEM that belongs there");
    let later = judge(&found(), "2140-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(later.what.starts_with("ca_crt.pem: the certificate of CN=Example Puppet CA ended on 2126-"), "{later}");
    let before = judge(&found(), "2020-01-01T00:00:00Z".parse().unwrap()).unwrap_err();
    assert!(before.what.starts_with("ca_crt.pem: the certificate of CN=Example Puppet CA begins on 2026-"), "{before}");
}

#[test]
fn every_ca_of_the_chain_needs_its_list() {
    let without_root = Found { lists: fixture!("issuing.crl"), ..found() };
    assert_snapshot!(refused(&without_root), @"
    ca_crl.pem: there is no revocation list of CN=Example Root
    hint: the lists of all CAs up to the root belong in it, empty ones too
    ");
}

#[test]
fn serial_numbers_go_on_after_everything_that_is_known() {
    let next = |serial: Option<&str>, inventory: Option<&str>, signed: &[&str]| {
        let signed = signed.iter().map(|name| ((*name).to_owned(), fixture!("web01.pem"))).collect();
        let (serial, inventory) = (serial.map(ToOwned::to_owned), inventory.map(ToOwned::to_owned));
        judge(&Found { serial, inventory, signed, ..found() }, now()).map(|ca| serial::text(ca.serial))
    };
    // The list has revoked 0A; web01 has 0B.
    assert_eq!(next(Some("0002"), None, &[]).unwrap(), "000B");
    assert_eq!(next(Some("0002"), None, &["web01"]).unwrap(), "000C");
    let inventory = "0x0001 2020-01-01T00:00:00UTC 2040-01-01T00:00:00UTC /CN=ca\n\n0x00FF x y /CN=web99\n";
    assert_eq!(next(Some("0020"), Some(inventory), &[]).unwrap(), "0100");
    assert_eq!(next(None, Some(inventory), &[]).unwrap(), "0100");
    let what = |r: Result<String>| r.unwrap_err().what;
    assert_eq!(what(next(None, Some("web01\n"), &[])), "inventory.txt: line 1 does not begin with a serial number");
    assert_eq!(what(next(Some("x"), None, &[])), "serial: it is no number in hexadecimal digits");
    assert!(what(next(Some("FFFFFFFFFFFFFFFF"), None, &[])).contains("too large for a CA that counts"));
    assert_snapshot!(refused(&Found { serial: None, ..found() }), @"
    serial: it is missing, so nobody knows which serial numbers are used
    hint: add the CA's `serial` or `inventory.txt`; if it has signed nothing yet: `echo 0002 > serial`
    ");
}

#[test]
fn what_was_signed_is_this_cas_and_has_a_name_of_puppets() {
    let with = |name: &str, pem: String| refused(&Found { signed: vec![(name.into(), pem)], ..found() });
    assert_snapshot!(with("root", fixture!("root.pem")), @"signed/root.pem: it was signed by CN=Example Root, and the CA is CN=Example Puppet CA");
    assert!(with("Web01", fixture!("web01.pem")).starts_with("signed/Web01.pem: certificate names are lower case"));
    assert!(with("web01", "nothing".into()).starts_with("signed/web01.pem: "));
}

//! A list of releases behind HTTPS: who serves it must be trusted, and so must what is in it.
//!
//! The server shows a certificate of a CA of its own (`https/make.sh` makes all of it). A machine trusts that CA where it
//! says so: `SSL_CERT_FILE`.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha256};

use crate::{pupperware, transcript};

const LIST: &str = include_str!("https/releases.yaml");
const SIGNATURE: &str = include_str!("https/releases.yaml.minisig");
const KEY: &str = include_str!("https/releases.pub");
const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/https/ca.pem");

/// Serves a list and its signature; the address of the list.
fn serve(list: String) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = CertificateDer::from_pem_slice(include_bytes!("https/cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("https/key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut request = vec![0; 4096];
            // Who does not trust the certificate sends no request.
            let Ok(read) = stream.read(&mut request) else { continue };
            let asked = String::from_utf8_lossy(&request[..read]).into_owned();
            let body = if asked.starts_with("GET /releases.yaml.minisig ") { SIGNATURE } else { &list };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    format!("https://localhost:{port}/releases.yaml")
}

/// `releases list` of that list, on a machine that trusts the CA, or does not.
fn listed(trusted: bool, url: &str, known: &[&str]) -> String {
    let mut command = pupperware();
    command.args(["--host", "tcp://127.0.0.1:1", "releases", "--manifest", url]).args(known).arg("list");
    if trusted {
        command.env("SSL_CERT_FILE", CA);
    }
    transcript(&mut command)
}

#[track_caller]
fn says(transcript: &str, texts: &[&str]) {
    for text in texts {
        assert!(transcript.contains(text), "no {text:?} in\n{transcript}");
    }
}

#[test]
fn a_list_behind_https_is_used_when_server_and_list_are_trusted() {
    let url = serve(LIST.to_owned());
    let hash: String = Sha256::digest(LIST).iter().map(|b| format!("{b:02x}")).collect();
    let (by_hash, by_key) = (["--manifest-sha256", hash.as_str()], ["--manifest-key", KEY.trim()]);
    // Nothing tells that it is genuine: it is not even asked for.
    says(&listed(true, &url, &[]), &["exit code: 2", "nothing tells that what comes from there is genuine"]);
    for known in [&by_hash[..], &by_key[..], &[by_hash, by_key].concat()[..]] {
        says(&listed(true, &url, known), &["exit code: 0", "8.0.9"]);
        let strange = listed(false, &url, known);
        says(&strange, &["exit code: 1", "cannot fetch https://localhost:"]);
        assert!(!strange.contains("8.0.9"), "{strange}");
    }
    let wrong = "0".repeat(64);
    says(
        &listed(true, &url, &["--manifest-sha256", &wrong]),
        &["exit code: 6", "is not the manifest that was expected", &hash],
    );
}

#[test]
fn a_list_that_was_changed_on_its_way_is_refused() {
    let changed = LIST.replace("8.0.9", "8.0.8");
    assert_ne!(changed, LIST);
    let url = serve(changed);
    let refused = listed(true, &url, &["--manifest-key", KEY.trim()]);
    says(&refused, &["exit code: 6", "is not signed by the key that is trusted"]);
    assert!(!refused.contains("8.0.8 "), "{refused}");
    // Another key than the one that signed.
    let other = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
    says(&listed(true, &serve(LIST.to_owned()), &["--manifest-key", other]), &["exit code: 6"]);
}

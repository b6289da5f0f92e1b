//! The only place that speaks HTTP to the world outside: fetches what the user names, and calls the user's hooks.
//!
//! Certificates are judged by the machine's own authorities. The engine is not reached this way: that is `engine`'s.

use std::io::Read;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use crate::error::{Error, Result};

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gets a document of at most so many bytes.
///
/// # Errors
/// There is no such document, nobody answers, or it is too large.
pub fn get(url: &str, most: u64) -> Result<Vec<u8>> {
    let failed = |e: ureq::Error| Error::failed(format!("cannot fetch {url}")).because(e);
    let mut response = agent(url).get(url).call().map_err(failed)?;
    let mut bytes = Vec::new();
    let read = response.body_mut().as_reader().take(most + 1).read_to_end(&mut bytes);
    read.map_err(|e| Error::failed(format!("cannot fetch {url}")).because(e))?;
    if bytes.len() as u64 > most {
        return Err(Error::failed(format!("{url} is larger than {most} bytes")));
    }
    Ok(bytes)
}

/// Sends a JSON document by POST; any answer but a success is an error.
///
/// # Errors
/// Nobody answers, or with another status.
pub fn post(url: &str, json: &str) -> Result<()> {
    let request = agent(url).post(url).header("Content-Type", "application/json");
    match request.send(json) {
        Ok(_) => Ok(()),
        Err(e) => Err(Error::failed(format!("{url} was called, and did not take it")).because(e)),
    }
}

fn agent(url: &str) -> ureq::Agent {
    // The default of the whole process; a second call changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::PlatformVerifier).build();
    ureq::Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        // What was asked for safely is not fetched in clear text after all.
        .https_only(url.starts_with("https://"))
        .user_agent(concat!("pupperware/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// An address that answers one request with this; and what it was asked.
    fn once(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/x", listener.local_addr().unwrap());
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            let mut request = String::new();
            while !(request.contains("\r\n\r\n") && (request.starts_with("GET") || request.ends_with('}'))) {
                let read = stream.read(&mut bytes).unwrap();
                request += std::str::from_utf8(&bytes[..read]).unwrap();
            }
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        (url, asked)
    }

    #[test]
    fn a_document_is_fetched_up_to_its_limit() {
        const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
        let (url, asked) = once(ANSWER);
        assert_eq!(get(&url, 5).unwrap(), b"hello");
        assert!(asked.join().unwrap().starts_with("GET /x "));
        let (url, _asked) = once(ANSWER);
        assert!(get(&url, 4).unwrap_err().what.contains("larger than 4 bytes"));
        let (url, _asked) = once("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert!(get(&url, 4).unwrap_err().what.starts_with("cannot fetch http://"));
    }

    #[test]
    fn a_hook_hears_json_and_may_say_no() {
        let (url, asked) = once("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        post(&url, r#"{"a":1}"#).unwrap();
        assert!(asked.join().unwrap().ends_with(r#"{"a":1}"#));
        let (url, _asked) = once("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert!(post(&url, r#"{"a":1}"#).is_err());
    }
}

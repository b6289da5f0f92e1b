//! Where a service is: a base URL that can hold nothing but scheme, host, port and path.

use std::fmt;
use std::net::IpAddr;

use hyper::http::Uri;

/// A base URL. Clear text is for this machine only: what we send carries a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Over TLS.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path without a slash at its end; often empty.
    path: String,
}

impl Target {
    /// Reads `https://HOST[:PORT][/PATH]`.
    ///
    /// # Errors
    /// What is wrong with the URL, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|e| format!("\"{}\" is not a URL: {e}", shown(text)))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(format!("\"{}\" has no scheme or no host; write https://HOST", shown(text)));
        };
        if authority.as_str().contains('@') {
            // Not shown: what stands there is a password, or was meant as one.
            return Err("the URL names a user; tokens and passwords come from files".into());
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(format!("\"{}\" has a query or a fragment; only the base of the API is wanted", shown(text)));
        }
        let tls = match scheme {
            "https" => true,
            "http" => false,
            other => return Err(format!("\"{other}\" is not a scheme that is spoken here; write https://HOST")),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(format!("\"{}\" has no host", shown(text)));
        }
        if authority.as_str().ends_with(':') {
            return Err(format!("\"{}\" has a colon and no port", shown(text)));
        }
        let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !tls && !loopback {
            return Err(format!(
                "\"{}\" is clear text, and the token would be read by others; write https://",
                shown(text)
            ));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Target { tls, host, port, path: uri.path().trim_end_matches('/').to_owned() })
    }

    /// The path of a request below the base.
    pub fn path(&self, below: &str) -> String {
        format!("{}{below}", self.path)
    }

    /// The `Host` header.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }
}

/// What may be said of a text that somebody else wrote: short, and no control characters.
fn shown(text: &str) -> String {
    text.chars().take(120).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_base_is_read_and_written() {
        let target = Target::parse("https://Relay.example.com/api/").unwrap();
        assert_eq!(target.path("/_puppet/runs"), "/api/_puppet/runs");
        assert_eq!(target.to_string(), "https://relay.example.com/api");
        assert_eq!(Target::parse("http://[::1]:8080").unwrap().authority(), "[::1]:8080");
        assert_eq!(Target::parse("http://127.0.0.1").unwrap().port, 80);
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for bad in [
            "",
            "relay.example.com",
            "ftp://a",
            "https://u:p@a",
            "https://a?b=c",
            "https://a#b",
            "https://a:",
            "http://relay.example.com",
            "https://a b",
            "https:///x",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad} was taken");
        }
        assert!(!Target::parse("https://user:hunter2@a").unwrap_err().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}") {
            if let Ok(target) = Target::parse(&text) {
                prop_assert_eq!(Target::parse(&target.to_string()).unwrap(), target);
            }
        }
    }
}

//! Where a service is reachable from outside of the engine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::{Value, json};

use super::{Refusal, Setting};
use crate::config::problem::quote;

/// Where agents reach the server: `0.0.0.0:8140`, `[::1]:8140`, or a port on all IPv4 addresses.
pub type Publish = Published<8140, true>;
/// Where people reach Puppetboard: an address and a port, or a port on this machine's loopback alone.
pub type PublishHere = Published<8088, false>;
/// Where the Relay server is reached: an address and a port, or a port on this machine's loopback alone.
pub type PublishRelay = Published<8170, false>;

/// An address of the engine's host and a port. `PORT` is the one inside, and the one that is published by default; a port
/// alone is on all IPv4 addresses when `ALL`, else on the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Published<const PORT: u16, const ALL: bool> {
    address: IpAddr,
    port: u16,
}

impl<const PORT: u16, const ALL: bool> Published<PORT, ALL> {
    /// What a port alone is on.
    const ALONE: IpAddr = IpAddr::V4(if ALL { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST });

    /// The host's address; unspecified (`0.0.0.0`, `::`) for all of them.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The port, never 0.
    pub fn port(self) -> u16 {
        self.port
    }
}

impl<const PORT: u16, const ALL: bool> Default for Published<PORT, ALL> {
    fn default() -> Self {
        Published { address: Self::ALONE, port: PORT }
    }
}

impl<const PORT: u16, const ALL: bool> fmt::Display for Published<PORT, ALL> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.address, self.port).fmt(f)
    }
}

impl<const PORT: u16, const ALL: bool> Setting for Published<PORT, ALL> {
    fn expected() -> String {
        format!("a port like {PORT}, or an address and a port like 127.0.0.1:{PORT}")
    }

    const TAKES_INTEGER: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if digits(text) {
            return port(text).map(|port| Published { address: Self::ALONE, port });
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            // `::1:8140` is itself an address: ask rather than guess.
            return Err(Refusal::new(format!("{} is an IPv6 address; brackets tell it from the port", quote(text)))
                .suggest(match text.rsplit_once(':') {
                    Some((ip, port)) if ip.parse::<Ipv6Addr>().is_ok() && digits(port) => {
                        format!("write `\"[{ip}]:{port}\"` or `\"[{text}]:{PORT}\"`")
                    }
                    _ => format!("write `\"[{text}]:{PORT}\"`"),
                }));
        }
        if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            let whole = SocketAddr::new(ip, PORT);
            return Err(Refusal::new("the port is missing").suggest(format!("write `\"{whole}\"`")));
        }
        let Some((host, number)) = text.rsplit_once(':') else {
            return Err(Refusal::new(format!("{} is neither a port nor an address and a port", quote(text)))
                .suggest(format!("write `{PORT}`, `127.0.0.1:{PORT}` or `\"[::1]:{PORT}\"`")));
        };
        let port = port(number)?;
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let address = match inner {
            Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6).ok(),
            None => host.parse::<Ipv4Addr>().map(IpAddr::V4).ok(),
        };
        address.map(|address| Published { address, port }).ok_or_else(|| {
            let refusal = Refusal::new(format!("{} is not an IP address", quote(host)));
            if host.is_empty() || host == "*" {
                let all = if ALL { port.to_string() } else { format!("0.0.0.0:{port}") };
                refusal.suggest(format!("write `{all}` for all IPv4 addresses"))
            } else if host == "localhost" {
                refusal.suggest(format!("write `127.0.0.1:{port}`"))
            } else if digits(host) {
                refusal.suggest(format!("the port inside is always {PORT}: write `{host}`"))
            } else {
                refusal.suggest("write an address of the engine's host, such as `127.0.0.1:8140`")
            }
        })
    }

    fn schema() -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 65535 },
            { "type": "string", "pattern": r"^(([0-9]{1,3}(\.[0-9]{1,3}){3}|\[[0-9A-Fa-f:.]+\]):)?[0-9]+$" },
        ] })
    }
}

fn port(text: &str) -> Result<u16, Refusal> {
    match text.parse::<u64>() {
        Ok(0) => Err(Refusal::new("port 0 would be a random port").suggest("write a port from 1 to 65535")),
        Ok(number) if number > 65535 => {
            Err(Refusal::new(format!("port {number} is larger than 65535")).suggest("write a port from 1 to 65535"))
        }
        Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(number as u16),
        _ => Err(Refusal::new(format!("{} is not a port", quote(text))).suggest("write a port from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_ports_and_addresses() {
        for (text, shown) in [
            ("8140", "0.0.0.0:8140"),
            ("127.0.0.1:18140", "127.0.0.1:18140"),
            ("[::1]:8140", "[::1]:8140"),
            ("[::]:1", "[::]:1"),
            ("1.2.3.4:65535", "1.2.3.4:65535"),
        ] {
            assert_eq!(Publish::parse(text).map(|p| p.to_string()).as_deref(), Ok(shown));
        }
    }

    #[test]
    fn a_port_alone_is_where_its_service_belongs() {
        assert_eq!(Publish::default().to_string(), "0.0.0.0:8140");
        assert_eq!(PublishHere::default().to_string(), "127.0.0.1:8088");
        for (text, shown) in [("9000", "127.0.0.1:9000"), ("0.0.0.0:9000", "0.0.0.0:9000"), ("[::1]:1", "[::1]:1")] {
            assert_eq!(PublishHere::parse(text).map(|p| p.to_string()).as_deref(), Ok(shown));
        }
        let advice = |text: &str| PublishHere::parse(text).expect_err(text).suggestion.unwrap_or_default();
        assert_eq!(advice(":9000"), "write `0.0.0.0:9000` for all IPv4 addresses");
        assert_eq!(advice("9000:80"), "the port inside is always 8088: write `9000`");
        assert_eq!(advice("10.0.0.1"), "write `\"10.0.0.1:8088\"`");
    }

    #[test]
    fn refuses_with_advice() {
        let advice = |text: &str| Publish::parse(text).expect_err(text).suggestion.unwrap_or_default();
        assert_eq!(advice("0"), "write a port from 1 to 65535");
        assert_eq!(advice("65536"), "write a port from 1 to 65535");
        assert_eq!(advice("localhost:8140"), "write `127.0.0.1:8140`");
        assert_eq!(advice("8140:8140"), "the port inside is always 8140: write `8140`");
        assert_eq!(advice(":8141"), "write `8141` for all IPv4 addresses");
        assert_eq!(advice("10.0.0.1"), "write `\"10.0.0.1:8140\"`");
        assert_eq!(advice("[::1]"), "write `\"[::1]:8140\"`");
        assert_eq!(advice("::1"), "write `\"[::1]:8140\"`");
        for bad in ["", "x", "256.0.0.1:1", "1.2.3.4:+1", "[1.2.3.4]:1", "-5", "99999999999999999999999"] {
            assert!(Publish::parse(bad).is_err(), "{bad}");
        }
    }
}

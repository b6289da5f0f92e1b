//! Commands for those who watch over a platform: `pupperware metrics` and `support-bundle`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

/// Print metrics in Prometheus' text format.
///
/// Which services are up and ready, memory and heap, catalogs, the command queue. Nothing has to be installed or opened
/// for it: services are asked inside their containers, with their own certificates. With --listen, a server answers
/// GET /metrics until Ctrl-C, with what is true at each request.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware metrics                 once, to stdout\n  \
    pupperware metrics --listen 9140   at http://127.0.0.1:9140/metrics")]
pub struct MetricsArgs {
    /// Serve them over HTTP: a port of 127.0.0.1, or an address and a port; port 0 for any.
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = parse_listen)]
    pub listen: Option<SocketAddr>,
}

/// Collect what helps others to help you, in one archive.
///
/// Status, checks, configuration, the plan of `up`, the journal, the services' last log lines, and what the engine
/// tells of containers, networks and volumes. Secrets are replaced: the platform's own by their values, others by how
/// they look. Look through it before you give it away. What cannot be had is noted in the archive's manifest.json.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware support-bundle                  a tar archive in this directory\n  \
    pupperware support-bundle --to case7.tar   under this name")]
pub struct SupportBundleArgs {
    /// Write it here; nothing that is there is replaced [default: pupperware-support-PROJECT-TIME.tar].
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// `9140`, `0.0.0.0:9140`, `[::1]:9140`. A port alone is of the loopback address.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "write it like 9140 or 127.0.0.1:9140".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_reached_from_this_machine_only() {
        assert_eq!(parse_listen("9140").unwrap().to_string(), "127.0.0.1:9140");
        assert_eq!(parse_listen("0.0.0.0:9140").unwrap().to_string(), "0.0.0.0:9140");
        assert_eq!(parse_listen("[::1]:9140").unwrap().to_string(), "[::1]:9140");
        for wrong in ["", "localhost", "70000", "127.0.0.1", "::1:9140:"] {
            assert!(parse_listen(wrong).is_err(), "{wrong}");
        }
    }
}

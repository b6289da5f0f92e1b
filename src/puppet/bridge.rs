//! The bridge's settings on a platform: the server beside it, the platform's own agents and no others, PuppetDB's reports.

use super::{directory, file};
use crate::config::Config;
use crate::config::types::Addon;
use crate::desired::credentials::{self, RELAY as OWNER};
use crate::engine::FileEntry;

/// Files of the `bridge-config` volume. Keys, certificate and token are not among them: they never leave the engine.
pub fn files(config: &Config) -> Vec<FileEntry> {
    vec![directory(".", OWNER, 0o750), file("bridge.yaml", settings(config), OWNER)]
}

fn settings(config: &Config) -> String {
    // Agents are known by a pattern: one more of them needs no other bridge.
    let agents = credentials::agent_certname(config.project.as_str(), 0);
    let agents = agents.trim_end_matches('0');
    let board = config.puppetboard.publish;
    let shown = config.has(Addon::Puppetboard) && board.address().is_loopback();
    let reports = match shown {
        true => format!("  report_url: 'http://localhost:{}/report/{{certname}}/{{hash}}'\n", board.port()),
        false => String::new(),
    };
    format!("{SETTINGS}{reports}allow:\n  nodes: ['{agents}*']\n")
}

const SETTINGS: &str = "\
# Written by pupperware; changes are overwritten.
relay:
  url: https://relay:8170
  token_file: /etc/pupperware/secrets/relay-bridge-token
  ca_file: /etc/pupperware/ssl/ca.pem
state_dir: /var/lib/bridge
backend: platform
ssh:
  user: root
  port: 2222
  key_file: /etc/pupperware/ssh/id
  known_hosts_file: /etc/pupperware/ssh/known_hosts
puppetdb:
  url: https://puppetdb:8081
  ca_file: /etc/pupperware/ssl/ca.pem
  cert_file: /etc/pupperware/ssl/cert.pem
  key_file: /etc/pupperware/ssl/key.pem
";

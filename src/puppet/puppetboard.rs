//! Puppetboard's settings: PuppetDB over TLS and nothing else, no catalogs, no free queries, nothing from elsewhere.

use super::{directory, file};
use crate::config::Config;
use crate::desired::credentials::PUPPETBOARD as OWNER;
use crate::engine::FileEntry;

/// Files of the `puppetboard-config` volume. The key that Flask signs with is made in the container, at each start.
pub fn files(config: &Config) -> Vec<FileEntry> {
    vec![directory(".", OWNER, 0o750), file("settings.py", settings(config), OWNER)]
}

fn settings(config: &Config) -> String {
    format!("{SETTINGS}{}", if config.puppetboard.publish.address().is_loopback() { TRUSTED_HOSTS } else { "" })
}

const SETTINGS: &str = "\
# Written by pupperware; changes are overwritten.
PUPPETDB_HOST = 'puppetdb'
PUPPETDB_PORT = 8081
PUPPETDB_PROTO = 'https'
PUPPETDB_SSL_VERIFY = '/etc/pupperware/ssl/ca.pem'
PUPPETDB_CERT = '/etc/pupperware/ssl/cert.pem'
PUPPETDB_KEY = '/etc/pupperware/ssl/key.pem'
with open('/run/puppetboard/secret-key') as key:
    SECRET_KEY = key.read()
# Fonts, styles and scripts come from here.
OFFLINE_MODE = True
# Resources have parameters, and those can be secret.
ENABLE_CATALOG = False
ENABLE_CLASS = False
ENABLE_QUERY = False
SCHEDULER_ENABLED = False
LOGLEVEL = 'warning'
CODE_PREFIX_TO_REMOVE = '/etc/puppet/code/(current/)?environments(/.*?/modules)?'
";

/// Only this machine's browsers come here, and a page of a stranger could send them by a name of its own.
const TRUSTED_HOSTS: &str = "TRUSTED_HOSTS = ['localhost', '127.0.0.1']\n";

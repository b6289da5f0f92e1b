//! What the platform's Relay server is started with, and how Puppet's servers send reports to it.

use super::{directory, file};
use crate::config::Config;
use crate::config::types::{Beside, Loaded};
use crate::desired::Private;
use crate::desired::credentials::{BRIDGE_TOKEN, OPERATOR_TOKEN, PUPPET, RELAY as OWNER, TRIGGER_TOKEN};
use crate::engine::FileEntry;

/// The report processor. It goes with the server that it speaks to, so it comes from here and not with an image.
const PROCESSOR: &str = include_str!("../../integrations/puppet/lib/puppet/reports/relay.rb");
/// Where Ruby finds it, below the servers' configuration volume.
const LIBRARY: &str = "ruby";
/// The same in the servers' containers.
pub const LOAD_PATH: &str = "/etc/pupperware/ruby";

/// Files of the `relay-config` volume. Certificate and tokens are not among them: they never leave the engine.
pub fn files(config: &Config) -> Vec<FileEntry> {
    let mut files = vec![directory(".", OWNER, 0o750), file("arguments", arguments(config), OWNER)];
    if let Some(Loaded { text, beside }) = rules(config) {
        // With a mark of each file beside it: where one of them has another content, the server has to start again.
        let marks = beside.iter().map(|Beside { path, mark, .. }| format!("# {path} {mark}\n")).collect::<String>();
        files.extend([directory("secrets", OWNER, 0o700), directory("secrets/rules", OWNER, 0o700)]);
        files.push(file("relay.yaml", format!("{WRITTEN}{marks}{text}"), OWNER));
    }
    files
}

/// The user's files that the rules name. What is in them is a secret, and read when it is delivered.
pub fn private(config: &Config) -> Vec<Private> {
    let beside = rules(config).into_iter().flat_map(|loaded| &loaded.beside);
    let private = |b: &Beside| Private { path: b.path.clone(), from: b.from.clone(), owner: OWNER };
    beside.map(private).collect()
}

fn rules(config: &Config) -> Option<&Loaded> {
    config.relay.rules.as_ref()?.loaded()
}

/// A word a line, for `pupperware relay serve`.
fn arguments(config: &Config) -> String {
    let secret = |name: &str| format!("/etc/pupperware/secrets/{name}");
    let mut words = vec![
        format!("--keep-token=bridge=bridge:{}", secret(BRIDGE_TOKEN)),
        format!("--keep-token=operator=run,approve:{}", secret(OPERATOR_TOKEN)),
        match config.reports_to_relay() {
            true => format!("--keep-token={SERVERS}=trigger:{}", secret(TRIGGER_TOKEN)),
            false => format!("--drop-token={SERVERS}"),
        },
    ];
    words.extend(rules(config).map(|_| "--rules=/etc/pupperware/relay.yaml".to_owned()));
    words.join("\n") + "\n"
}

/// What the token of Puppet's servers is called.
const SERVERS: &str = "puppetserver";

/// What a server needs to send reports. Its own user cannot change the program.
pub fn processor() -> Vec<FileEntry> {
    let ours = |entry: FileEntry| FileEntry { owner: (0, PUPPET.into()), ..entry };
    let folder = |path: &str| ours(directory(path, 0, 0o750));
    vec![
        file("relay.yaml", SETTINGS.to_owned(), PUPPET),
        folder(LIBRARY),
        folder(&format!("{LIBRARY}/puppet")),
        folder(&format!("{LIBRARY}/puppet/reports")),
        ours(file(&format!("{LIBRARY}/puppet/reports/relay.rb"), PROCESSOR.to_owned(), 0)),
    ]
}

const WRITTEN: &str = "# Written by pupperware; changes are overwritten.\n";

const SETTINGS: &str = "\
# Written by pupperware; changes are overwritten.
url: https://relay:8170
token_file: /etc/pupperware/secrets/relay-trigger-token
ca_file: /var/lib/puppet/ssl/certs/ca.pem
";

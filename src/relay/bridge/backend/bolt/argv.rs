//! Bolt's command line, its inventory, and what surrounds it. Nothing of a request becomes an option, a file to read, or a
//! pattern: node names stand in the inventory only, as data, and the target is a group of ours.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::relay::api::NodeName;
use crate::relay::bridge::backend::ssh::argv::Address;

/// How Bolt is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Bolt, a path or a name in `$PATH`.
    pub program: PathBuf,
    /// The private key. Without it, those that Bolt finds.
    pub key: Option<PathBuf>,
    /// Keys of the nodes; the user's own file without it.
    pub known_hosts: Option<PathBuf>,
    /// Seconds until a node counts as unreachable.
    pub connect_timeout: u32,
}

/// The group that the inventory puts all nodes of a call into.
const GROUP: &str = "relay_run";

/// The arguments, program first.
pub fn argv(client: &Client, folder: &Path, concurrency: usize, remote: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![client.program.clone().into()];
    words.extend(["command", "run", remote, "--targets", GROUP, "--inventoryfile"].map(OsString::from));
    words.push(folder.join("inventory.json").into());
    words.push("--project".into());
    words.push(folder.join("project").into());
    words.extend(["--format", "json", "--no-color", "--no-save-rerun", "--no-tty"].map(OsString::from));
    words.extend(["--log-level", "warn", "--concurrency"].map(OsString::from));
    words.push(concurrency.to_string().into());
    words.push("--connect-timeout".into());
    words.push(client.connect_timeout.to_string().into());
    words
}

/// Bolt's environment. An inventory in it is an error to Bolt when one is named, too.
pub fn surroundings(client: &Client, folder: &Path, command: &mut Command) {
    command.env_remove("BOLT_INVENTORY").env("BOLT_DISABLE_ANALYTICS", "1").current_dir(folder);
    if client.known_hosts.is_some() {
        command.env("HOME", folder);
    }
}

/// The nodes of a call. Each says its transport itself: a target called `localhost` would be this machine otherwise.
pub fn inventory(client: &Client, nodes: &[(&NodeName, Address)]) -> Value {
    let target = |(name, address): &(&NodeName, Address)| {
        let host = if address.host.contains(':') { format!("[{}]", address.host) } else { address.host.clone() };
        json!({
            "name": name.as_str(),
            "uri": format!("ssh://{host}:{}", address.port),
            "config": { "transport": "ssh", "ssh": { "user": address.user } },
        })
    };
    let mut ssh = json!({
        "host-key-check": true,
        "connect-timeout": client.connect_timeout,
        "load-config": false,
        "tty": false,
    });
    if let Some(key) = &client.key {
        ssh["private-key"] = json!(key);
    }
    json!({
        "groups": [{ "name": GROUP, "targets": nodes.iter().map(target).collect::<Vec<_>>() }],
        "config": { "transport": "ssh", "ssh": ssh },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client { program: "bolt".into(), key: Some("/keys/id".into()), known_hosts: None, connect_timeout: 10 }
    }

    #[test]
    fn the_whole_command_line() {
        let words = argv(&client(), Path::new("/s/bolt-1"), 5, "exec sh -c 'puppet agent'");
        let words: Vec<&str> = words.iter().map(|w| w.to_str().unwrap()).collect();
        insta::assert_snapshot!(words.join("\n"), @r"
        bolt
        command
        run
        exec sh -c 'puppet agent'
        --targets
        relay_run
        --inventoryfile
        /s/bolt-1/inventory.json
        --project
        /s/bolt-1/project
        --format
        json
        --no-color
        --no-save-rerun
        --no-tty
        --log-level
        warn
        --concurrency
        5
        --connect-timeout
        10
        ");
    }

    #[test]
    fn nodes_are_data() {
        let node: NodeName = "web01".parse().unwrap();
        let at = |host: &str| Address { host: host.into(), port: 22, user: "root".into(), key_name: None };
        let told = inventory(&client(), &[(&node, at("192.0.2.7")), (&node, at("2001:db8::1"))]);
        insta::assert_snapshot!(told.to_string(), @r#"{"config":{"ssh":{"connect-timeout":10,"host-key-check":true,"load-config":false,"private-key":"/keys/id","tty":false},"transport":"ssh"},"groups":[{"name":"relay_run","targets":[{"config":{"ssh":{"user":"root"},"transport":"ssh"},"name":"web01","uri":"ssh://192.0.2.7:22"},{"config":{"ssh":{"user":"root"},"transport":"ssh"},"name":"web01","uri":"ssh://[2001:db8::1]:22"}]}]}"#);
    }
}

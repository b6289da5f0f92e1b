//! The command line of the OpenSSH client. Everything in it comes from our own configuration, but for the remote command,
//! which [`super::quote`] makes.

use std::ffi::OsString;
use std::path::PathBuf;

/// How nodes are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The OpenSSH client, a path or a name in `$PATH`.
    pub program: PathBuf,
    /// The private key. Without it the client's own ones and the agent's are tried.
    pub key: Option<PathBuf>,
    /// Keys of the nodes; the user's own file without it.
    pub known_hosts: Option<PathBuf>,
    /// A configuration file of OpenSSH; none is read without it.
    pub config: Option<PathBuf>,
    /// Takes the key of a node that was never seen. A changed one is refused whatever this says.
    pub accept_new: bool,
    /// Seconds until a node counts as unreachable.
    pub connect_timeout: u32,
}

/// Where one node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Host name or address, checked: see [`host`].
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who logs in, checked: see [`user`].
    pub user: String,
    /// The name that its key is known by, where it is not that of the host.
    pub key_name: Option<String>,
}

/// A host name or address that is nothing else to `ssh`: no option, no `user@`, no `%`, no white space.
///
/// # Errors
/// Why it is none, for people.
pub fn host(text: &str) -> Result<String, String> {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = text.parse::<std::net::IpAddr>().is_ok()
        || (text.len() <= 253 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(name));
    if fits { Ok(text.to_owned()) } else { Err(format!("{text:?} is neither a host name nor an address")) }
}

/// A login name that is nothing else to `ssh`.
///
/// # Errors
/// Why it is none, for people.
pub fn user(text: &str) -> Result<String, String> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let fits = text.len() <= 32 && text.starts_with(first) && text.chars().all(|c| first(c) || matches!(c, '-' | '.'));
    if fits { Ok(text.to_owned()) } else { Err(format!("{text:?} is not a login name")) }
}

/// The arguments, program first.
///
/// - `BatchMode`, `NumberOfPasswordPrompts`: nobody is there to answer.
/// - `ServerAlive*`: the only way to notice that a node died during a long run.
/// - `ControlMaster`: a shared connection that ends takes all of its sessions with it.
/// - `--`: what follows is a host and never an option.
pub fn argv(client: &Client, address: &Address, remote: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec![client.program.clone().into(), "-T".into(), "-F".into()];
    words.push(client.config.as_ref().map_or("none".into(), |f| f.clone().into()));
    let mut option = |text: String| words.extend([OsString::from("-o"), text.into()]);
    option("BatchMode=yes".into());
    option(format!("ConnectTimeout={}", client.connect_timeout));
    option("ConnectionAttempts=1".into());
    option(format!("StrictHostKeyChecking={}", if client.accept_new { "accept-new" } else { "yes" }));
    if let Some(file) = &client.known_hosts {
        // In quotes, as the value is a list. Paths with quotes or backslashes are refused where they are read.
        option(format!("UserKnownHostsFile=\"{}\"", file.display()));
        option("GlobalKnownHostsFile=none".into());
    }
    if let Some(name) = &address.key_name {
        option(format!("HostKeyAlias={name}"));
    }
    for text in [
        "ServerAliveInterval=15",
        "ServerAliveCountMax=4",
        "ControlMaster=no",
        "ControlPath=none",
        "ForwardAgent=no",
        "ClearAllForwardings=yes",
        "PermitLocalCommand=no",
        "NumberOfPasswordPrompts=0",
        "PreferredAuthentications=publickey",
        "EscapeChar=none",
        "LogLevel=ERROR",
    ] {
        option(text.into());
    }
    if let Some(key) = &client.key {
        option("IdentitiesOnly=yes".into());
        words.extend([OsString::from("-i"), key.clone().into()]);
    }
    words.extend(
        ["-l", &address.user, "-p", &address.port.to_string(), "--", &address.host, remote].map(OsString::from),
    );
    words
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn client() -> Client {
        Client {
            program: "ssh".into(),
            key: Some("/keys/id".into()),
            known_hosts: Some("/keys/known hosts".into()),
            config: None,
            accept_new: false,
            connect_timeout: 10,
        }
    }

    fn address(host: &str) -> Address {
        Address { host: host.into(), port: 22, user: "root".into(), key_name: Some("web01".into()) }
    }

    #[test]
    fn the_whole_command_line() {
        let words = argv(&client(), &address("192.0.2.7"), "exec sh");
        let words: Vec<&str> = words.iter().map(|w| w.to_str().unwrap()).collect();
        insta::assert_snapshot!(words.join("\n"), @r#"
        ssh
        -T
        -F
        none
        -o
        BatchMode=yes
        -o
        ConnectTimeout=10
        -o
        ConnectionAttempts=1
        -o
        StrictHostKeyChecking=yes
        -o
        UserKnownHostsFile="/keys/known hosts"
        -o
        GlobalKnownHostsFile=none
        -o
        HostKeyAlias=web01
        -o
        ServerAliveInterval=15
        -o
        ServerAliveCountMax=4
        -o
        ControlMaster=no
        -o
        ControlPath=none
        -o
        ForwardAgent=no
        -o
        ClearAllForwardings=yes
        -o
        PermitLocalCommand=no
        -o
        NumberOfPasswordPrompts=0
        -o
        PreferredAuthentications=publickey
        -o
        EscapeChar=none
        -o
        LogLevel=ERROR
        -o
        IdentitiesOnly=yes
        -i
        /keys/id
        -l
        root
        -p
        22
        --
        192.0.2.7
        exec sh
        "#);
    }

    /// OpenSSH itself says what it understands; it is asked only where it is installed.
    #[test]
    fn openssh_understands_it() {
        let mut words = argv(&client(), &address("web01.example.com"), "true");
        words.truncate(words.len() - 1);
        let Ok(output) = Command::new(&words[0]).arg("-G").args(&words[1..]).output() else { return };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for line in [
            "hostname web01.example.com",
            "hostkeyalias web01",
            "userknownhostsfile \"/keys/known hosts\"",
            "batchmode yes",
        ] {
            let bare = line.replace('"', "");
            assert!(text.contains(line) || text.contains(&bare), "{line} is not in {text}");
        }
    }

    #[test]
    fn hosts_and_users_are_nothing_else() {
        for good in ["web01", "web01.example.com", "192.0.2.7", "2001:db8::1", "a_b"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["", "-oProxyCommand=x", "root@a", "ssh://a", "%h", "a b", "a\n", "a;b", "$(a)", ".a"] {
            assert!(host(bad).is_err(), "{bad}");
            assert!(user(bad).is_err(), "{bad}");
        }
        assert!(user("deploy-1").is_ok());
    }

    proptest! {
        #[test]
        fn no_host_is_an_option(text in "\\PC{0,40}") {
            if let Ok(host) = host(&text) {
                prop_assert!(!host.starts_with('-') && !host.contains(['@', '%', ' ', '/', '\n']));
            }
        }
    }
}

//! What each key of the file is for: the words of the reference and of the JSON Schema.
//!
//! Types and defaults are not repeated here: they come from the validator and from `Config::default()`.
//! Tests hold the three together.

/// The words about one key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Dotted path.
    pub path: &'static str,
    /// What it is for: sentences, in Markdown.
    pub about: &'static str,
    /// A value as it could stand in the file; empty for a section.
    pub example: &'static str,
}

const fn key(path: &'static str, example: &'static str, about: &'static str) -> Key {
    Key { path, about, example }
}

const fn section(path: &'static str, about: &'static str) -> Key {
    Key { path, about, example: "" }
}

const CPUS: &str = "The container's share of processors. Unset: all of them.";
const MEMORY: &str = "The container's memory limit. `auto`: what its settings need, within the machine's memory.";

/// Every key and section, in the order of the reference.
pub const KEYS: &[Key] = &[
    key(
        "project",
        "team-a",
        "The platform's name on the engine, at most 40 characters. Containers, volumes, networks and agents' certificates are named after it; several platforms with different names can live side by side.",
    ),
    key(
        "channel",
        "lts",
        "The channel to follow: the platform runs its newest fit release. Excludes `release`. Unset: what the platform already runs, or the default channel.",
    ),
    key("release", "8.0.0", "The exact release to run. Excludes `channel`."),
    key(
        "with",
        "[puppetboard]",
        "Services beside those that every platform has: `puppetboard`, which shows what PuppetDB holds as web pages; `relay`, where `relay.enabled` is false. One that is taken out of the list goes with the next `up`, and its certificate is revoked.",
    ),
    section("puppetserver", "The primary: the Puppet Server that holds the CA."),
    key(
        "puppetserver.publish",
        "127.0.0.1:8140",
        "Where agents outside of the engine reach the server: a port on all IPv4 addresses of the host, or an address and a port. IPv6 addresses stand in brackets (and YAML then wants quotes): `\"[::1]:8140\"`.",
    ),
    key(
        "puppetserver.dns_alt_names",
        "[puppet.example.com]",
        "Names in the server's certificate, beside `puppet`, `puppetserver` and `localhost`, which are always there. Give every name that agents use. No wildcards.",
    ),
    key(
        "puppetserver.autosign",
        "[\"*.example.com\"]",
        "Whose certificate requests are signed without being asked about: `false` (nobody but the platform's own agents), a list of certificate names or globs, or `true` (everybody who can reach the server; never outside of a test).",
    ),
    key(
        "puppetserver.autosign_policy",
        "./autosign-policy",
        "A script that is asked about every request that `autosign` does not sign and that shows no one-time token. It gets the certname as its argument and the request in PEM on standard input, and signs with exit code 0, within 60 seconds. It runs in Puppet Server's container, which has `sh`, `perl`, `openssl` and `curl`. Relative to the configuration file; no secrets in it.",
    ),
    key(
        "puppetserver.jruby_instances",
        "2",
        "How many requests are compiled at the same time. `auto`: one fewer than there are processors, from 1 to 4, as far as half of the machine's memory carries them.",
    ),
    key(
        "puppetserver.heap",
        "2g",
        "The JVM's heap. `auto`: 512m and another 512m for each JRuby instance, as far as memory allows.",
    ),
    key("puppetserver.memory", "3g", MEMORY),
    key("puppetserver.cpus", "1.5", CPUS),
    key(
        "puppetserver.pids",
        "1024",
        "The most processes and threads in the container. Unset: the platform's own limit.",
    ),
    key(
        "puppetserver.environment_timeout",
        "unlimited",
        "How long compiled environments are kept: `0` reads the code on every request, `unlimited` keeps it until the server restarts (faster).",
    ),
    section("puppetdb", "PuppetDB: facts, catalogs and reports."),
    key("puppetdb.node_ttl", "30d", "A node that was silent for so long is deactivated. `0s`: never."),
    key("puppetdb.node_purge_ttl", "60d", "A node that was deactivated for so long is forgotten. `0s`: never."),
    key("puppetdb.report_ttl", "30d", "Reports older than this are deleted."),
    key("puppetdb.heap", "1g", "The JVM's heap. `auto`: 512m, less on a small machine."),
    key("puppetdb.memory", "1536m", MEMORY),
    key("puppetdb.cpus", "1", CPUS),
    section("postgres", "PostgreSQL, PuppetDB's store."),
    key("postgres.memory", "1g", MEMORY),
    key("postgres.cpus", "1", CPUS),
    key(
        "postgres.shared_buffers",
        "256m",
        "Memory that PostgreSQL keeps pages in. `auto`: a quarter of its memory limit.",
    ),
    section(
        "compilers",
        "Servers that compile catalogs beside the primary, behind a balancer that agents reach instead of it.",
    ),
    key(
        "compilers.replicas",
        "2",
        "How many, from 0 to 16. It holds until `pupperware scale compilers=N` was asked for; from then on, that number does.",
    ),
    key(
        "compilers.balancer",
        "always",
        "`auto`: there is a balancer as long as there are compilers, and the first of them moves the published port to it, for which the primary restarts. `always`: there is one from the start, and compilers come and go without a gap.",
    ),
    key(
        "compilers.jruby_instances",
        "2",
        "How many requests each of them compiles at the same time. `auto`: one fewer than there are processors, from 1 to 4.",
    ),
    key("compilers.heap", "1g", "The JVM's heap of each. `auto`: 256m and another 512m for each JRuby instance."),
    section("agents", "The platform's own agents, for trying things and for proving that the platform works."),
    key("agents.replicas", "3", "How many."),
    section("puppetboard", "Puppetboard, when it is among `with`."),
    key(
        "puppetboard.publish",
        "9000",
        "Where Puppetboard is reached: a port on this machine's loopback, or an address and a port. It has no login: whoever reaches it reads the facts and reports of every node.",
    ),
    key("puppetboard.memory", "512m", "The container's memory limit. More than a thousand nodes want more."),
    section(
        "relay",
        "Puppet runs on request: the Relay server, and the bridge, which runs Puppet on the platform's agents.",
    ),
    key(
        "relay.enabled",
        "false",
        "Whether the platform has both. Switched off, they go with the next `up`: their certificates are revoked, and agents let the bridge in no more; requests and what was done are kept.",
    ),
    key(
        "relay.publish",
        "8170",
        "Where programs outside of the engine reach the server, over TLS and with a token: a port on this machine's loopback, or an address and a port. Unset: nowhere; `pupperware relay` asks through the engine.",
    ),
    key(
        "relay.reports",
        "true",
        "Whether the servers send what changed, would change or failed to the Relay server, where programs can read it and `relay.rules` tells others of it. Unset: where there are rules. The servers restart when it changes.",
    ),
    key(
        "relay.rules",
        "./relay.yaml",
        "A file with rules by which the Relay server tells others of reports: Slack, or a signed webhook. It names files with addresses and secrets, relative to itself, which are readable for you alone. Relative to the folder of this file. The server restarts when it changes.",
    ),
    section("code", "Where Puppet code comes from."),
    key(
        "code.dir",
        "./code",
        "A directory that holds `environments/` with a directory for each environment. Relative to the folder of this file. Unset: the volume `code`, with an empty `production`.",
    ),
    section(
        "code.control_repo",
        "A git repository that code is deployed from, by r10k: each branch is an environment. Excludes `code.dir`.",
    ),
    key(
        "code.control_repo.url",
        "https://git.example.com/puppet/control.git",
        "Where the repository is: `https://`, `ssh://`, `git@HOST:PATH`, or without any protection `http://` and `git://`. No password belongs here.",
    ),
    key(
        "code.control_repo.ssh_key",
        "./control.key",
        "A file with the private SSH key, without a passphrase, readable for you alone. Relative to the folder of this file.",
    ),
    key(
        "code.control_repo.token",
        "./control.token",
        "A file with an access token for an `https://` repository, readable for you alone. It is shown to the repository's own host only. A user name other than `pupperware` stands in the URL.",
    ),
    key(
        "code.control_repo.ca",
        "./git-ca.pem",
        "A file with the certificates of the CA that an `https://` repository's host has its own from, in PEM. Unset: the public CAs that Debian trusts.",
    ),
    key(
        "code.control_repo.known_hosts",
        "./known_hosts",
        "A file with the SSH keys of the hosts that are trusted, as `ssh-keyscan` writes it. SSH needs it.",
    ),
    key("code.control_repo.timeout", "5m", "How long a whole deployment may take. Unset: 10m."),
    section("backup", "How the platform is backed up; `pupperware backup` does it."),
    key(
        "backup.keep",
        "14",
        "How many whole backups of this platform `pupperware backup create --prune` leaves in the directory, and `backup prune` without `--keep`. Unset: neither removes anything.",
    ),
    key(
        "backup.max_age",
        "26h",
        "`pupperware doctor` warns when the last good backup is older, or when there is none. Unset: it does not.",
    ),
    key(
        "backup.recipients",
        "[age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa]",
        "Public keys of [age](https://age-encryption.org) that backups are encrypted for; each private key opens them alone. `age-keygen` makes a pair. Keep private keys elsewhere than this machine.",
    ),
    section(
        "releases",
        "Where releases are listed. What a platform runs stays what it is: only `pupperware upgrade` moves it.",
    ),
    key(
        "releases.manifest",
        "releases.yaml",
        "The release manifest: a file, relative to the folder of this one, or an address, which then needs one of the two settings below. Unset: the one that the program brings.",
    ),
    key(
        "releases.sha256",
        "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        "The manifest's SHA-256. One that differs is refused.",
    ),
    key(
        "releases.public_key",
        "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3",
        "The public key of [minisign](https://jedisct1.github.io/minisign/) that the manifest is signed with. The signature stands beside it, under the same name with `.minisig` at its end.",
    ),
    section("upgrade", "When and how the platform goes to another release; `pupperware upgrade` does it."),
    key(
        "upgrade.window",
        "\"Sun 02:00-04:00\"",
        "When `upgrade` may begin, by the clock and the time zone of the machine that it is typed on; several days stand between commas, none means every day. Outside of it `upgrade` refuses, unless `--outside-window` is given. Unset: at any time.",
    ),
    key(
        "upgrade.before",
        "hooks/before-upgrade",
        "What is called before anything is changed: an executable, relative to the folder of this file, or an address that is sent a JSON object by POST. Where it fails, nothing is upgraded.",
    ),
    key(
        "upgrade.after",
        "https://chat.example.com/hooks/upgrades",
        "What is told how an upgrade ended, in the same way. A failure is only a warning.",
    ),
    key(
        "upgrade.keep",
        "30d",
        "For how long after an upgrade `upgrade --prune` leaves the database of before, which `upgrade --rollback` needs. `0s`: for ever.",
    ),
    section("images", "Images to use instead of those of the release, by component: a mirror, or your own builds."),
    key("images.base", "registry.example.com/pupperware/base:8.0.0", "What the other images are built on."),
    key(
        "images.provision",
        "registry.example.com/pupperware/provision:8.0.0",
        "What makes credentials and carries files, in containers that live for seconds.",
    ),
    key(
        "images.jre",
        "registry.example.com/pupperware/jre:8.0.0",
        "What the images of Puppet Server and PuppetDB are built on.",
    ),
    key("images.postgres", "registry.example.com/pupperware/postgres:8.0.0", "PostgreSQL."),
    key("images.puppetdb", "registry.example.com/pupperware/puppetdb:8.0.0", "PuppetDB."),
    key("images.puppetserver", "registry.example.com/pupperware/puppetserver:8.0.0", "Puppet Server."),
    key("images.agent", "registry.example.com/pupperware/agent:8.0.0", "The Puppet agent."),
    key("images.code", "registry.example.com/pupperware/code:8.0.0", "What deploys and checks Puppet code."),
    key("images.puppetboard", "registry.example.com/pupperware/puppetboard:8.0.0", "Puppetboard."),
    key("images.balancer", "registry.example.com/pupperware/balancer:8.0.0", "The balancer."),
    key("images.relay", "registry.example.com/pupperware/relay:8.0.0", "The Relay server and the bridge."),
];

/// The words about this path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

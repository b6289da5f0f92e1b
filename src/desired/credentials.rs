//! Which CA, certificates and secrets a platform has, and the request that makes them inside the engine.
//!
//! Keys and secrets are made by `pupperware-provision` in a one-shot container (see `images/provision`), so none of them
//! ever comes here: this is names, places, owners.

use serde::Serialize;

use super::{addons, compilers};
use crate::config::Config;
use crate::config::types::Addon;

/// uid and gid of puppetserver in our images.
pub const PUPPET: u32 = 920;
/// uid and gid of PuppetDB in our images.
pub const PUPPETDB: u32 = 921;
/// uid and gid of PostgreSQL in our images.
pub const POSTGRES: u32 = 922;
/// uid and gid of the balancer in our images.
pub const BALANCER: u32 = 924;
/// uid and gid of Puppetboard in our images.
pub const PUPPETBOARD: u32 = 923;

/// uid and gid of the Relay server and the bridge in our image.
pub const RELAY: u32 = 925;

/// The token with which the bridge takes runs from the platform's Relay server.
pub const BRIDGE_TOKEN: &str = "relay-bridge-token";
/// The token with which who is let into the server's container asks for runs.
pub const OPERATOR_TOKEN: &str = "relay-operator-token";
/// The token with which Puppet's servers send reports to it.
pub const TRIGGER_TOKEN: &str = "relay-trigger-token";

/// Names that the server's certificate always has, beside the user's.
pub const SERVER_NAMES: [&str; 3] = ["puppet", "puppetserver", "localhost"];

/// The secret that PuppetDB logs into PostgreSQL with.
pub const DATABASE_PASSWORD: &str = "puppetdb-password";

/// What `secrets` calls the key pairs of hiera-eyaml.
pub const EYAML: &str = "eyaml";

/// Everything that is issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// Subject of the CA certificate.
    pub ca_name: String,
    /// Leaf certificates.
    pub certificates: Vec<Certificate>,
    /// Directories with their owner.
    pub directories: Vec<Directory>,
    /// Random secrets: name and length in bytes.
    pub secrets: Vec<(String, u32)>,
    /// Copies of secrets: name, volume key, path, owner.
    pub copies: Vec<(String, String, String, u32)>,
    /// Copies that compilers get, each with what else it needs before it starts.
    pub compiler_copies: Vec<(String, String, String, u32)>,
    /// Key pairs of hiera-eyaml.
    pub eyaml: KeyPairs,
    /// Whether the bridge may run Puppet on the platform's agents.
    pub bridge: bool,
}

/// Where hiera-eyaml's key pairs are: `eyaml/NUMBER/{private,public}_key.pkcs7.pem` in a volume. The first is made with
/// everything else; a rotation adds one, and none goes. Their originals are in the volume `state`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyPairs {
    /// Volume key.
    pub volume: String,
    /// Owner.
    pub owner: u32,
}

impl KeyPairs {
    /// The order that `pupperware-provision` makes them by: the first one, or another one, too.
    pub fn order(&self, another: bool) -> String {
        format!("eyaml {} {}{}", self.volume, self.owner, if another { " new" } else { "" })
    }
}

/// A leaf certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// Subject and first name.
    pub certname: String,
    /// All DNS names.
    pub names: Vec<String>,
    /// How files are laid out.
    pub layout: Layout,
    /// Volume key.
    pub volume: String,
    /// Owner.
    pub owner: u32,
}

/// How a certificate's files are laid out in its volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `ssl/{ca,cert,key,crl}.pem`.
    Flat,
    /// Puppet's ssldir is the volume's root.
    Puppet,
    /// Puppet's ssldir is `ssl` in the volume.
    PuppetSub,
}

impl Layout {
    fn name(self) -> &'static str {
        match self {
            Layout::Flat => "flat",
            Layout::Puppet => "puppet",
            Layout::PuppetSub => "puppet-sub",
        }
    }
}

/// A directory with its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Directory {
    /// Volume key.
    pub volume: String,
    /// Path in the volume; `.` is its root.
    pub path: String,
    /// Owner and group.
    pub owner: u32,
    /// Permission bits.
    pub mode: u32,
}

/// What the configured platform needs, with its database in the volume of this key.
pub fn of(config: &Config, database: &str) -> Credentials {
    let mut server_names: Vec<String> = SERVER_NAMES.iter().map(ToString::to_string).collect();
    for name in &config.puppetserver.dns_alt_names {
        let name = name.to_string();
        if !server_names.contains(&name) {
            server_names.push(name);
        }
    }
    let certificate = |certname: &str, names: Vec<String>, layout, volume: &str, owner| Certificate {
        certname: certname.into(),
        names,
        layout,
        volume: volume.into(),
        owner,
    };
    let mut certificates = vec![
        certificate("puppet", server_names.clone(), Layout::Puppet, "puppetserver-ssl", PUPPET),
        certificate("puppetdb", vec!["puppetdb".into(), "localhost".into()], Layout::Flat, "puppetdb-config", PUPPETDB),
        certificate("postgres", vec!["postgres".into(), "localhost".into()], Layout::Flat, "postgres-config", POSTGRES),
    ];
    let directory =
        |volume: &str, path: &str, owner, mode| Directory { volume: volume.into(), path: path.into(), owner, mode };
    let mut directories = vec![
        directory("ca", ".", PUPPET, 0o750),
        directory("puppetserver-ssl", ".", PUPPET, 0o771),
        directory("puppetserver-config", ".", PUPPET, 0o755),
        directory("puppetserver-data", ".", PUPPET, 0o755),
        directory("puppetserver-data", "autosign-tokens", PUPPET, 0o700),
        directory("puppetdb-config", ".", PUPPETDB, 0o750),
        directory("puppetdb-config", "secrets", PUPPETDB, 0o700),
        directory("puppetdb-data", ".", PUPPETDB, 0o750),
        directory("postgres-config", ".", POSTGRES, 0o750),
        directory("postgres-config", "secrets", POSTGRES, 0o700),
        directory(database, ".", POSTGRES, 0o700),
        directory("state", ".", 0, 0o700),
    ];
    for addon in addons::present(config) {
        let parts = addons::parts(addon);
        let certname = addons::certname(config.project.as_str(), addon);
        let names = std::iter::once(certname.clone()).chain(parts.names.iter().map(ToString::to_string)).collect();
        certificates.push(certificate(&certname, names, Layout::Flat, parts.volume, parts.owner));
        directories.push(directory(parts.volume, ".", parts.owner, 0o750));
        directories.extend(parts.data.map(|volume| directory(volume, ".", parts.owner, 0o700)));
    }
    let mut secrets = vec![(DATABASE_PASSWORD.to_owned(), 24)];
    let mut copies: Vec<(&str, &str, u32)> =
        vec![(DATABASE_PASSWORD, "puppetdb-config", PUPPETDB), (DATABASE_PASSWORD, "postgres-config", POSTGRES)];
    if config.has(Addon::Bridge) {
        let relay = addons::parts(Addon::Relay).volume;
        directories.extend([relay, addons::BRIDGE_CONFIG].map(|volume| directory(volume, "secrets", RELAY, 0o700)));
        secrets.extend([BRIDGE_TOKEN, OPERATOR_TOKEN].map(|name| (name.to_owned(), 24)));
        copies.extend([
            (BRIDGE_TOKEN, relay, RELAY),
            (OPERATOR_TOKEN, relay, RELAY),
            (BRIDGE_TOKEN, addons::BRIDGE_CONFIG, RELAY),
        ]);
    }
    let mut compiler_copies = Vec::new();
    if config.reports_to_relay() {
        secrets.push((TRIGGER_TOKEN.to_owned(), 24));
        directories.push(directory("puppetserver-config", "secrets", PUPPET, 0o700));
        copies.extend([
            (TRIGGER_TOKEN, addons::parts(Addon::Relay).volume, RELAY),
            (TRIGGER_TOKEN, "puppetserver-config", PUPPET),
        ]);
        let volumes = (1..=config.compilers.replicas.get()).map(compilers::config_volume);
        compiler_copies
            .extend(volumes.map(|volume| (TRIGGER_TOKEN.into(), volume, secret_path(TRIGGER_TOKEN), PUPPET)));
    }
    if config.balanced() {
        // Agents know it by the server's names, and have to find them in its certificate.
        let certname = compilers::balancer_certname(config.project.as_str());
        let names = [vec![certname.clone()], server_names].concat();
        certificates.push(certificate(&certname, names, Layout::Flat, compilers::BALANCER_VOLUME, BALANCER));
        directories.push(directory(compilers::BALANCER_VOLUME, ".", BALANCER, 0o750));
    }
    if config.code.dir.is_none() {
        for path in [
            ".",
            "environments",
            "environments/production",
            "environments/production/manifests",
            "environments/production/modules",
        ] {
            directories.push(directory("code", path, PUPPET, 0o755));
        }
    }
    for number in 1..=config.agents.replicas.get() {
        let certname = agent_certname(config.project.as_str(), number);
        let volume = format!("agent-{number}");
        directories.push(directory(&volume, ".", 0, 0o755));
        certificates.push(certificate(&certname, vec![certname.clone()], Layout::PuppetSub, &volume, 0));
    }
    Credentials {
        ca_name: format!("Puppet CA: {}", config.project),
        certificates,
        directories,
        secrets,
        copies: copies
            .into_iter()
            .map(|(name, volume, owner)| (name.into(), volume.into(), secret_path(name), owner))
            .collect(),
        compiler_copies,
        eyaml: KeyPairs { volume: "puppetserver-config".into(), owner: PUPPET },
        bridge: config.has(Addon::Bridge),
    }
}

/// Where a secret's copies are in their volumes.
fn secret_path(name: &str) -> String {
    format!("secrets/{name}")
}

/// Certname (and host name) of one of the platform's own agents.
pub fn agent_certname(project: &str, number: u32) -> String {
    format!("{project}-agent-{number}")
}

impl Certificate {
    /// True for the platform's own agents: they can also enrol as any agent does, with a one-time token.
    pub fn is_agent(&self) -> bool {
        self.layout == Layout::PuppetSub
    }
}

/// The order that lets the bridge run Puppet on an agent over SSH.
fn open_ssh(certname: &str, volume: &str) -> String {
    format!("ssh {certname} {volume} {} {RELAY}", addons::BRIDGE_CONFIG)
}

/// The request that lets nobody run Puppet over SSH on the agents with these volumes any more.
pub fn close_ssh(volumes: &[&str]) -> String {
    volumes.iter().map(|volume| format!("unssh {volume}\n")).collect()
}

/// The request that lets agents enrol by themselves: a one-time token for each, known to it and to the server's
/// policy. `agents` are pairs of certname and volume key.
pub fn enrolment(agents: &[(&str, &str)]) -> String {
    agents.iter().map(|(certname, volume)| format!("dir {volume} . 0 0 755\nenrol {certname} {volume} 0 0\n")).collect()
}

/// The request that lets the bridge run Puppet on these agents.
pub fn bridged(agents: &[(&str, &str)]) -> String {
    agents.iter().map(|(certname, volume)| open_ssh(certname, volume) + "\n").collect()
}

impl Credentials {
    /// What must be issued while the server is down: all but its agents.
    pub fn core(&self) -> Credentials {
        let agents: Vec<&str> = self.agent_volumes();
        let mut core = self.clone();
        core.certificates.retain(|c| !c.is_agent());
        core.directories.retain(|d| !agents.contains(&d.volume.as_str()));
        core
    }

    /// What must be there whatever services were asked for: a change of it means that all is issued anew. The services
    /// that come and go have volumes of their own, which tell.
    pub fn lasting(&self) -> Credentials {
        let mut lasting = self.core();
        let comes_and_goes = |volume: &str| addons::owns(volume) || volume == compilers::BALANCER_VOLUME;
        lasting.certificates.retain(|c| !comes_and_goes(&c.volume));
        lasting.directories.retain(|d| !comes_and_goes(&d.volume));
        lasting.copies.retain(|(_, volume, ..)| !comes_and_goes(volume));
        let copies = &lasting.copies;
        lasting.secrets.retain(|(name, _)| copies.iter().any(|(copied, ..)| copied == name));
        lasting.bridge = false;
        lasting.compiler_copies.clear();
        lasting
    }

    /// All copies of a secret: volume key, path, owner.
    pub fn copies_of<'c>(&'c self, secret: &'c str) -> impl Iterator<Item = (&'c str, &'c str, u32)> {
        let all = self.copies.iter().chain(&self.compiler_copies).filter(move |(name, ..)| name == secret);
        all.map(|(_, volume, path, owner)| (volume.as_str(), path.as_str(), *owner))
    }

    /// Keys of the agents' volumes.
    pub fn agent_volumes(&self) -> Vec<&str> {
        self.certificates.iter().filter(|c| c.is_agent()).map(|c| c.volume.as_str()).collect()
    }

    /// The request that `pupperware-provision` reads. Certificates of the names in `again` are issued anew, whatever
    /// they are like.
    pub fn request(&self, again: &[String]) -> String {
        let mut lines = Vec::new();
        for d in &self.directories {
            lines.push(format!("dir {} {} {} {} {:o}", d.volume, d.path, d.owner, d.owner, d.mode));
        }
        for (name, bytes) in &self.secrets {
            lines.push(format!("secret {name} {bytes}"));
        }
        lines.push(self.eyaml.order(false));
        lines.push(format!("ca {}", self.ca_name));
        for c in &self.certificates {
            // The certname is always among the names; what is listed are the others.
            let others: Vec<&str> = c.names.iter().map(String::as_str).filter(|n| *n != c.certname).collect();
            lines.push(format!(
                "cert {} {} {} {} {} {}{}",
                c.certname,
                if others.is_empty() { "-".to_owned() } else { others.join(",") },
                c.layout.name(),
                c.volume,
                c.owner,
                c.owner,
                if again.contains(&c.certname) { " force" } else { "" }
            ));
        }
        for (name, volume, path, owner) in &self.copies {
            lines.push(format!("copysecret {name} {volume} {path} {owner}"));
        }
        if self.bridge {
            lines.extend(self.certificates.iter().filter(|c| c.is_agent()).map(|c| open_ssh(&c.certname, &c.volume)));
        }
        lines.join("\n") + "\n"
    }

    /// Subjects of the CA and of all certificates, with their paths where all volumes are at `/volumes`.
    pub fn places(&self) -> Vec<(String, String)> {
        let ca = (self.ca_name.clone(), "/volumes/ca/ca_crt.pem".to_owned());
        let place = |c: &Certificate| {
            let Certificate { certname, volume, .. } = c;
            match c.layout {
                Layout::Flat => format!("/volumes/{volume}/ssl/cert.pem"),
                Layout::Puppet => format!("/volumes/{volume}/certs/{certname}.pem"),
                Layout::PuppetSub => format!("/volumes/{volume}/ssl/certs/{certname}.pem"),
            }
        };
        std::iter::once(ca).chain(self.certificates.iter().map(|c| (c.certname.clone(), place(c)))).collect()
    }

    /// Keys of the volumes that hold something issued, the CA's among them.
    pub fn volumes(&self) -> Vec<&str> {
        let mut keys: Vec<&str> = self.directories.iter().map(|d| d.volume.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The certificate of a certname.
    pub fn certificate(&self, certname: &str) -> Option<&Certificate> {
        self.certificates.iter().find(|c| c.certname == certname)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::types::{ProjectName, Setting};

    /// X.509 limits common names to 64 characters, and OpenSSL makes no certificate with a longer one.
    #[test]
    fn common_names_of_the_longest_project_fit() {
        let project = ProjectName::parse(&"p".repeat(40)).unwrap();
        let credentials = of(&Config { project: project.clone(), ..Config::default() }, "postgres-data");
        assert!(credentials.ca_name.len() <= 64);
        assert!(agent_certname(project.as_str(), u32::MAX).len() <= 64);
        assert!(Addon::ALL.iter().all(|addon| addons::certname(project.as_str(), *addon).len() <= 64));
        assert!(compilers::certname(project.as_str(), compilers::SLOTS).len() <= 64);
    }
}

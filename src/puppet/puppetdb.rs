//! PuppetDB: its configuration, and the queries that we ask it.

use serde::Deserialize;

use super::{directory, file, megabytes, metrics};
use crate::config::Config;
use crate::config::sizing::Sizing;
use crate::config::types::Addon;
use crate::desired::credentials::PUPPETDB as OWNER;
use crate::desired::{addons, compilers};
use crate::engine::FileEntry;
use crate::error::{Error, Result};

/// Files of the `puppetdb-config` volume. The password is not among them: it never leaves the engine.
pub fn files(config: &Config, sizing: &Sizing) -> Vec<FileEntry> {
    vec![
        directory(".", OWNER, 0o750),
        directory("conf.d", OWNER, 0o750),
        file("conf.d/config.ini", CONFIG.to_owned(), OWNER),
        file("certificate-allowlist", allowed(config), OWNER),
        file("conf.d/database.ini", database_ini(config), OWNER),
        file("conf.d/jetty.ini", JETTY.to_owned(), OWNER),
        file("jvm.options", jvm_options(sizing), OWNER),
    ]
}

const CONFIG: &str = "\
# Written by pupperware; changes are overwritten.
[global]
vardir = /var/lib/puppetdb
logging-config = /etc/puppetdb/logback.xml

[puppetdb]
disable-update-checking = true
certificate-allowlist = /etc/pupperware/certificate-allowlist
";

/// Whose certificates PuppetDB always answers: the server's, and its own for requests from inside. A certificate of the CA
/// is not enough: every agent has one, and facts, catalogs and reports tell much about other nodes.
const ALLOWED: [&str; 2] = ["puppet", "puppetdb"];

/// One name a line; those of Puppetboard and of the bridge as long as they are part of the platform. Where there may be
/// compilers, all that there can be: another one must not restart PuppetDB.
fn allowed(config: &Config) -> String {
    let project = config.project.as_str();
    let asking = [Addon::Puppetboard, Addon::Bridge].into_iter().filter(|addon| config.has(*addon));
    let asking = asking.map(|addon| addons::certname(project, addon));
    let slots = if config.balanced() { compilers::SLOTS } else { 0 };
    let compilers = (1..=slots).map(|number| compilers::certname(project, number));
    ALLOWED.map(String::from).into_iter().chain(asking).chain(compilers).map(|name| format!("{name}\n")).collect()
}

/// Where the certificate is in the container.
const SSL: &str = "/etc/pupperware/ssl";

/// TLS with the server's name checked (verify-full), by the platform's own CA. PuppetDB ends where it gets no connection
/// while it starts; by default it would wait 3 s, which is little beside a server that starts on the same two cores.
fn database_ini(config: &Config) -> String {
    let p = &config.puppetdb;
    format!(
        "# Written by pupperware; changes are overwritten.\n\
         [database]\n\
         subname = //postgres:5432/puppetdb?sslmode=verify-full&sslrootcert={SSL}/ca.pem&sslcert={SSL}/cert.pem&sslkey={SSL}/key.pk8\n\
         username = puppetdb\n\
         node-ttl = {}\n\
         node-purge-ttl = {}\n\
         report-ttl = {}\n\
         gc-interval = 60\n\
         connection-timeout = 15000\n",
        p.node_ttl, p.node_purge_ttl, p.report_ttl
    )
}

/// Clear text is off; over TLS every client needs a certificate of our CA, and [`ALLOWED`] says which.
const JETTY: &str = "\
# Written by pupperware; changes are overwritten.
[jetty]
ssl-host = 0.0.0.0
ssl-port = 8081
ssl-key = /etc/pupperware/ssl/key.pem
ssl-cert = /etc/pupperware/ssl/cert.pem
ssl-ca-cert = /etc/pupperware/ssl/ca.pem
ssl-crl-path = /etc/pupperware/ssl/crl.pem
ssl-protocols = TLSv1.2,TLSv1.3
client-auth = need
";

fn jvm_options(sizing: &Sizing) -> String {
    let heap = megabytes(sizing.puppetdb.heap.value);
    format!("# Written by pupperware; changes are overwritten.\n-Xms{heap}m\n-Xmx{heap}m\n")
}

/// A node as PuppetDB tells it; only what we ask for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Node {
    /// Hash of the newest report.
    pub latest_report_hash: Option<String>,
    /// When that report was made, RFC 3339.
    pub report_timestamp: Option<String>,
    /// `changed`, `unchanged`, `failed`.
    pub latest_report_status: Option<String>,
}

/// The command that asks for a node, to be run in PuppetDB's own container with its own certificate.
pub fn node_query(certname: &str) -> Vec<String> {
    request("GET", &format!("/pdb/query/v4/nodes/{certname}"), None)
}

/// The command that asks how many nodes run which version of Puppet.
pub fn agent_versions() -> Vec<String> {
    // ["extract",["value",["function","count"]],["=","name","puppetversion"],["group_by","value"]]
    let query = "%5B%22extract%22%2C%5B%22value%22%2C%5B%22function%22%2C%22count%22%5D%5D%2C%5B%22%3D%22%2C%22name%22%2C\
                 %22puppetversion%22%5D%2C%5B%22group_by%22%2C%22value%22%5D%5D";
    request("GET", &format!("/pdb/query/v4/facts?query={query}"), None)
}

/// The command that asks for the facts of every active node.
pub fn factsets() -> Vec<String> {
    let mut command = request("GET", "/pdb/query/v4/factsets", None);
    // A large answer takes its time; a failed one must not look like facts.
    let limit = command.iter().position(|word| word == "--max-time").expect("every request has a limit");
    command[limit + 1] = "600".into();
    command.insert(1, "--fail".into());
    command
}

/// Nodes that run one version of Puppet.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AgentVersion {
    /// The version.
    #[serde(rename = "value")]
    pub version: String,
    /// How many nodes.
    pub count: u64,
}

impl AgentVersion {
    /// True when it is older for sure.
    pub fn older_than(&self, oldest: &semver::Version) -> bool {
        let major: Option<u64> = self.version.split('.').next().and_then(|m| m.parse().ok());
        major.is_some_and(|major| major < oldest.major)
    }
}

/// Reads the answer to [`agent_versions`].
///
/// # Errors
/// It is no list of versions.
pub fn read_agent_versions(answer: &str) -> Result<Vec<AgentVersion>> {
    serde_json::from_str(answer).map_err(|e| {
        Error::failed("PuppetDB's answer is not a list of versions").because(e).details([answer.trim().to_owned()])
    })
}

/// The command that asks for its status with all figures.
pub fn status() -> Vec<String> {
    request("GET", metrics::STATUS, None)
}

/// The command that asks for the figures of its queue, to be read one a line.
pub fn queue() -> Vec<String> {
    let mut command = request("GET", &format!("{}{}", metrics::QUEUE, metrics::QUEUE_COUNTERS[0]), None);
    // One call of curl for all: they share the connection.
    let server = command.last().expect("a command has words").strip_suffix(metrics::QUEUE_COUNTERS[0]);
    let server = server.unwrap_or_default().to_owned();
    command.extend(metrics::QUEUE_COUNTERS[1..].iter().map(|name| format!("{server}{name}")));
    command.extend(["--write-out".to_owned(), "\\n".to_owned()]);
    command
}

/// The command that deactivates a node: its data goes with the next purge, and it is not counted any more.
///
/// `timestamp` is RFC 3339.
pub fn deactivate(certname: &str, timestamp: &str) -> Vec<String> {
    let body = serde_json::json!({ "certname": certname, "producer_timestamp": timestamp }).to_string();
    let path =
        format!("/pdb/cmd/v1?command=deactivate_node&version=3&certname={certname}&secondsToWaitForCompletion=30");
    request("POST", &path, Some(&body))
}

fn request(method: &str, path: &str, body: Option<&str>) -> Vec<String> {
    let mut command: Vec<String> = [
        "curl",
        "--silent",
        "--show-error",
        "--max-time",
        "40",
        "--request",
        method,
        "--resolve",
        "puppetdb:8081:127.0.0.1",
    ]
    .map(String::from)
    .to_vec();
    for (flag, file) in [("--cacert", "ca.pem"), ("--cert", "cert.pem"), ("--key", "key.pem")] {
        command.extend([flag.to_owned(), format!("{SSL}/{file}")]);
    }
    if let Some(body) = body {
        command.extend(["--header", "Content-Type: application/json", "--data", body].map(String::from));
    }
    command.push(format!("https://puppetdb:8081{path}"));
    command
}

/// Reads the answer to [`node_query`]: `None` when PuppetDB does not know the node.
///
/// # Errors
/// An answer that is neither a node nor PuppetDB's "no such node".
pub fn read_node(answer: &str) -> Result<Option<Node>> {
    let value: serde_json::Value = serde_json::from_str(answer)
        .map_err(|e| Error::failed("PuppetDB's answer is not JSON").because(e).details([answer.trim().to_owned()]))?;
    if value.get("certname").is_some() {
        let node =
            serde_json::from_value(value).map_err(|e| Error::failed("PuppetDB's answer is not a node").because(e))?;
        return Ok(Some(node));
    }
    match value.get("error").and_then(|e| e.as_str()) {
        Some(text) if text.starts_with("No information is known about node") => Ok(None),
        _ => Err(Error::failed("PuppetDB refused the query").details([answer.trim().to_owned()])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_agents_are_told_from_new_ones() {
        let versions = read_agent_versions(r#"[{"value":"7.23.0","count":4},{"value":"6.28.0","count":1}]"#).unwrap();
        let oldest = semver::Version::new(7, 0, 0);
        let old: Vec<&str> = versions.iter().filter(|v| v.older_than(&oldest)).map(|v| v.version.as_str()).collect();
        assert_eq!(old, ["6.28.0"]);
        assert_eq!(read_agent_versions("[]").unwrap(), []);
        assert!(read_agent_versions("<html>").is_err());
    }

    #[test]
    fn answers_are_told_apart() {
        let node = read_node(
            r#"{"certname":"a","latest_report_hash":"x","report_timestamp":null,"latest_report_status":"changed"}"#,
        );
        assert_eq!(node.unwrap().unwrap().latest_report_hash.as_deref(), Some("x"));
        assert_eq!(read_node(r#"{"error":"No information is known about node b"}"#).unwrap(), None);
        assert!(read_node(r#"{"error":"boom"}"#).is_err());
        assert!(read_node("<html>").is_err());
    }
}

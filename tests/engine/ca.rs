//! Certificates of agents and services: who is let in, who is shut out, and what stays up meanwhile.

use std::process::{Command, Output};

use serde_json::Value;

use crate::platform::{Platform, docker, turn};

const SERVICES: [&str; 3] = ["postgres", "puppetdb", "puppetserver"];

/// Intent: an operator lets agents in by token and by hand, shuts one out, and renews a service's certificate. Who is
/// revoked is refused by Puppet Server and PuppetDB at once, and no container restarts for it.
#[test]
fn agents_are_let_in_and_shut_out_everywhere() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    let node = Node::new(&platform);
    let name = node.certname.as_str();

    // By token: signed at once. The token was good once, and is nowhere in the journal.
    let token = platform.ok(&["ca", "token", name]).stdout.trim().to_owned();
    assert_eq!(token.len(), 64, "{token}");
    node.enrol_with(&token);
    assert!(matches!(node.agent().status.code(), Some(0 | 2)), "{}", text(&node.agent()));
    platform.run(&["ca", "token", name]).expect(6).says("has a certificate already");
    let signed = certificate(&platform, name);
    assert_eq!(signed["state"], "signed");
    assert!(signed["not_after"].as_str().is_some_and(|at| at.ends_with('Z')), "{signed}");
    assert!(signed["serial"].is_string() && signed["fingerprint"].is_string() && signed["dns_alt_names"].is_array());
    assert!(node.asks_puppetdb().status.success(), "{}", text(&node.asks_puppetdb()));

    // What would break the platform, or is meant for nobody, is refused; nothing was changed.
    let before = platform.ok(&["ca", "list", "-o", "json"]).stdout;
    platform.run(&["--yes", "ca", "revoke", name, "puppet"]).expect(6).says("pupperware ca reissue puppetserver");
    platform.run(&["--yes", "ca", "clean", "puppetdb"]).expect(6).says("pupperware ca reissue puppetdb");
    platform.run(&["--yes", "ca", "revoke", "nobody"]).expect(2).says("the CA knows no \"nobody\"");
    platform.run(&["--yes", "ca", "revoke", "../web01"]).expect(2);
    platform.run(&["ca", "revoke", name]).expect(6).says("add `--yes`");
    assert_eq!(platform.ok(&["ca", "list", "-o", "json"]).stdout, before);

    // Shut out, everywhere, at once; nothing restarts, and the proof holds.
    let touched = SERVICES.map(|s| platform.touched(s));
    platform.ok(&["--yes", "ca", "revoke", name]).says("revoked, and refused everywhere");
    assert_eq!(node.agent().status.code(), Some(1), "{}", text(&node.agent()));
    let refused = node.asks_puppetdb();
    assert!(!refused.status.success() && text(&refused).contains("alert"), "{}", text(&refused));
    assert_eq!(certificate(&platform, name)["state"], "revoked");
    let status = platform.status();
    assert_eq!((&status["proved"], &status["healthy"]), (&Value::Bool(true), &Value::Bool(true)), "{status:#}");

    // Cleaned, the name may ask again; it waits until it is signed, and only what was agreed to is signed.
    platform.ok(&["--yes", "ca", "clean", name]);
    assert!(!platform.ok(&["ca", "list"]).stdout.contains("pupperware-canary"));
    node.forget();
    assert_eq!(node.agent().status.code(), Some(1), "{}", text(&node.agent()));
    assert_eq!(certificate(&platform, name)["state"], "pending");
    platform.run(&["ca", "sign", "--all"]).expect(6).says(name);
    assert_eq!(certificate(&platform, name)["state"], "pending");
    platform.ok(&["--yes", "ca", "sign", "--all"]).says(name);
    assert!(matches!(node.agent().status.code(), Some(0 | 2)), "{}", text(&node.agent()));
    assert_eq!(SERVICES.map(|s| platform.touched(s)), touched);

    // A new certificate for PuppetDB: same CA, same trust; the database is not touched, and the platform is proved.
    let (authority, server) = (platform.ca(), certificate(&platform, "puppet")["serial"].clone());
    let (old, database) = (certificate(&platform, "puppetdb")["serial"].clone(), platform.touched("postgres"));
    platform.run(&["ca", "reissue", "pupetdb"]).expect(2).says("it has postgres, puppetdb, puppetserver");
    platform.ok(&["ca", "reissue", "puppetdb"]);
    assert_ne!(certificate(&platform, "puppetdb")["serial"], old);
    assert_eq!(certificate(&platform, "puppet")["serial"], server);
    assert_eq!((platform.ca(), platform.touched("postgres")), (authority, database));
    platform.ok(&["up"]).says("nothing to do");
    let ends = platform.status()["certificates"].clone();
    assert!(ends.as_array().is_some_and(|all| all.len() == 5 && all.iter().all(|c| c["expiring"] == false)), "{ends}");
    assert!(matches!(node.agent().status.code(), Some(0 | 2)), "{}", text(&node.agent()));

    // A list that somebody else made longer.
    platform.inside("puppetserver", &["puppetserver", "ca", "revoke", "--certname", name]);
    platform.ok(&["ca", "crl"]).says("refuses whoever is on it");
    assert!(!node.asks_puppetdb().status.success());

    platform.ok(&["stop", "puppetserver"]);
    platform.run(&["ca", "list"]).expect(1).says("puppetserver does not run").says("start");
}

/// A certificate as `ca list` tells it.
fn certificate(platform: &Platform, name: &str) -> Value {
    let list: Value = serde_json::from_str(&platform.ok(&["ca", "list", "-o", "json"]).stdout).unwrap();
    assert_eq!(list["schema_version"], 1);
    let all = list["certificates"].as_array().expect("a list");
    all.iter().find(|c| c["certname"] == name).unwrap_or_else(|| panic!("no {name} in {list:#}")).clone()
}

/// A machine with the agent, on the networks of Puppet Server and PuppetDB.
struct Node {
    certname: String,
}

impl Node {
    fn new(platform: &Platform) -> Self {
        let node = Node { certname: format!("{}-node", platform.project) };
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &platform.container("agent")]);
        let front = platform.volume("front");
        let name = node.certname.as_str();
        let run = ["run", "--detach", "--init", "--name", name, "--hostname", name, "--network", &front];
        docker(&[&run[..], &["--entrypoint", "sleep", &image, "3600"]].concat());
        docker(&["network", "connect", &platform.volume("back"), name]);
        node
    }

    /// One run of the agent.
    fn agent(&self) -> Output {
        let run = ["puppet", "agent", "--onetime", "--no-daemonize", "--detailed-exitcodes", "--waitforcert", "0"];
        self.exec(&[&run[..], &["--no-usecacheonfailure", "--certname", &self.certname]].concat())
    }

    /// What it gets from PuppetDB with its certificate.
    fn asks_puppetdb(&self) -> Output {
        let ssl = "/var/lib/puppet/ssl";
        let (certificate, key) =
            (format!("{ssl}/certs/{}.pem", self.certname), format!("{ssl}/private_keys/{}.pem", self.certname));
        let authority = format!("{ssl}/certs/ca.pem");
        let asks = ["curl", "-sS", "--fail", "--cacert", &authority, "--cert", &certificate, "--key", &key];
        self.exec(&[&asks[..], &["https://puppetdb:8081/status/v1/simple"]].concat())
    }

    fn enrol_with(&self, token: &str) {
        let attributes = format!("custom_attributes:\n  1.2.840.113549.1.9.7: \"{token}\"\n");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("csr_attributes.yaml");
        std::fs::write(&file, attributes).unwrap();
        docker(&["cp", file.to_str().unwrap(), &format!("{}:/var/lib/puppet/", self.certname)]);
    }

    /// As a machine that was made anew.
    fn forget(&self) {
        let gone = self.exec(&["rm", "-rf", "/var/lib/puppet/ssl", "/var/lib/puppet/csr_attributes.yaml"]);
        assert!(gone.status.success(), "{}", text(&gone));
    }

    fn exec(&self, command: &[&str]) -> Output {
        Command::new("docker").args([&["exec", &self.certname], command].concat()).output().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.certname]);
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

//! A platform with a history: agents with real modules and an encrypted value, and many reports. It is made before a
//! disaster or an upgrade, and looked for after it.

use std::collections::BTreeSet;

use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use crate::packages::{self, fed};
use crate::platform::{Platform, docker, eventually};

/// How long a history is.
#[derive(Clone, Copy)]
pub struct Length {
    /// Agents of the platform.
    pub agents: u32,
    /// Reports of nodes that are nowhere else, beside those of the real agents.
    pub reports: usize,
}

impl Length {
    /// The configuration that it needs.
    pub fn configuration(self) -> String {
        format!("agents: {{ replicas: {} }}\n", self.agents)
    }
}

/// What Hiera finds when it can open it.
const SECRET: &str = ", sealed";
const HIERA: &str = "---
version: 5
hierarchy:
  - name: secrets
    lookup_key: eyaml_lookup_key
    path: secrets.eyaml
    options:
      pkcs7_private_key: /etc/pupperware/eyaml/1/private_key.pkcs7.pem
      pkcs7_public_key: /etc/pupperware/eyaml/1/public_key.pkcs7.pem
";
/// Reports of the same node.
const EACH: usize = 10;
const MODULES: [&str; 3] = ["stdlib", "concat", "ntp"];
const MANIFEST: &str = "node default {
  class { 'ntp':
    servers => ['ntp.example.com'], config => '/etc/ntp.conf', package_manage => false, service_manage => false
  }
  concat { '/etc/history': }
  concat::fragment { 'one': target => '/etc/history', content => join(sort(['past', 'and']), ' '), order => '1' }
  concat::fragment { 'two': target => '/etc/history', content => lookup('secret'), order => '2' }
}
";

/// What was there.
pub struct History {
    length: Length,
    /// By agent: the hash of its certificate.
    certificates: Vec<String>,
    /// What `ca list` said.
    list: String,
    /// Hashes of all reports.
    reports: BTreeSet<String>,
}

impl History {
    /// Gives a platform that is up code to serve, runs its agents, and fills its database.
    pub fn make(platform: &Platform, length: Length) -> Self {
        serve_modules(platform);
        run_twice(platform, length);
        send_reports(platform, length);
        // Two runs of each agent, and what the platform's proof left.
        let least = length.reports + 2 * length.agents as usize + 1;
        eventually("every report is stored", || hashes(platform).len() >= least);
        History {
            length,
            certificates: certificates(platform, length),
            list: platform.ok(&["ca", "list", "-o", "json"]).stdout,
            reports: hashes(platform),
        }
    }

    /// All of it is there, the agents run as if nothing had been, and nothing is worse than on a new platform.
    pub fn is_there(&self, platform: &Platform) {
        assert_eq!(platform.ok(&["ca", "list", "-o", "json"]).stdout, self.list);
        let lost = self.reports.difference(&hashes(platform)).count();
        assert_eq!(lost, 0, "of {} reports", self.reports.len());
        run_twice(platform, self.length);
        assert_eq!(certificates(platform, self.length), self.certificates);
        platform.ok(&["audit"]).says("clean, nothing was found");
    }
}

fn agents(platform: &Platform, length: Length) -> impl Iterator<Item = String> {
    let project = platform.project.clone();
    (1..=length.agents).map(move |number| format!("{project}-agent-{number}"))
}

/// Puts modules that Debian packages into the platform's own code volume: that one is in a backup, a directory is not.
fn serve_modules(platform: &Platform) {
    let packages = MODULES.map(|module| format!("puppet-module-puppetlabs-{module}"));
    let file = platform.folder().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let sealed = platform.ok(&["code", "eyaml", "encrypt", "--label", "secret", "secret"]).stdout;
    let mut script = String::from("mkdir /picked/modules /picked/manifests /picked/data\n");
    for (name, text) in [("hiera.yaml", HIERA), ("data/secrets.eyaml", &format!("---\n{sealed}"))] {
        script += &format!("cat > /picked/{name} << 'END'\n{text}END\n");
    }
    for module in MODULES {
        let from = format!("/files/usr/share/puppet/modules.available/puppetlabs-{module}");
        script += &format!("cp -r {from} /picked/modules/{module}\n");
    }
    script += &format!("cat > /picked/manifests/site.pp << 'END'\n{MANIFEST}END");
    let code = packages::picked(&packages.each_ref().map(String::as_str), &script);
    packages::put(&code, &platform.container("puppetserver"), "/etc/puppet/code/environments/production");
}

/// The first run of each agent makes of it what the manifest and the modules say, the second changes nothing.
fn run_twice(platform: &Platform, length: Length) {
    platform.run(&["agent", "run"]).expect(2);
    for agent in agents(platform, length) {
        assert_eq!(docker(&["exec", &agent, "cat", "/etc/history"]), format!("and past{SECRET}"));
        assert!(docker(&["exec", &agent, "cat", "/etc/ntp.conf"]).contains("ntp.example.com"));
    }
    platform.ok(&["agent", "run"]);
}

fn certificates(platform: &Platform, length: Length) -> Vec<String> {
    let hash = |agent: String| {
        let file = format!("/var/lib/puppet/ssl/certs/{agent}.pem");
        docker(&["exec", &agent, "sha256sum", &file])
    };
    agents(platform, length).map(hash).collect()
}

/// Hashes of all reports in PuppetDB; none while it does not answer.
fn hashes(platform: &Platform) -> BTreeSet<String> {
    // ["extract",["hash"],["~","certname","."]]
    let query = "%5B%22extract%22%2C%5B%22hash%22%5D%2C%5B%22~%22%2C%22certname%22%2C%22.%22%5D%5D";
    let answer = platform.ask_puppetdb(&format!("reports?query={query}")).stdout;
    let reports: Vec<Value> = serde_json::from_str(&answer).unwrap_or_default();
    reports.iter().map(|r| r["hash"].as_str().expect("a hash").to_owned()).collect()
}

/// Sends reports as Puppet Server does: one command each, with a certificate that PuppetDB takes them from.
fn send_reports(platform: &Platform, length: Length) {
    let now = Timestamp::now();
    let mut requests = String::from("silent\nfail-early\n");
    for number in 0..length.reports {
        let report = report(number, now);
        let value = |key: &str| report[key].as_str().expect("a string").to_owned();
        let parameters = format!(
            "command=store_report&version=8&certname={}&producer-timestamp={}",
            value("certname"),
            value("producer_timestamp")
        );
        let quoted = report.to_string().replace('\\', "\\\\").replace('"', "\\\"");
        for line in [
            format!("url = \"https://puppetdb:8081/pdb/cmd/v1?{parameters}\""),
            "resolve = \"puppetdb:8081:127.0.0.1\"".into(),
            "cacert = /etc/pupperware/ssl/ca.pem".into(),
            "cert = /etc/pupperware/ssl/cert.pem".into(),
            "key = /etc/pupperware/ssl/key.pem".into(),
            "header = \"Content-Type: application/json\"".into(),
            format!("data-binary = \"{quoted}\""),
            "fail\noutput = /dev/null\nnext".into(),
        ] {
            requests += &line;
            requests.push('\n');
        }
    }
    let requests = requests.trim_end_matches("next\n");
    let container = platform.container("puppetdb");
    let curl = ["exec", "--interactive", &container, "curl", "--config", "-"];
    assert!(fed(&curl, requests.as_bytes()), "PuppetDB takes every command");
}

/// A report in PuppetDB's wire format, version 8: a run that changed a file, some time before `now`.
fn report(number: usize, now: Timestamp) -> Value {
    let ago = |seconds: i64| now.checked_sub(Span::new().seconds(seconds)).expect("a recent time").to_string();
    let before = 60 * i64::try_from(number).expect("a small number");
    let (start, end, sent) = (ago(before + 20), ago(before + 12), ago(before + 10));
    let uuid = format!("00000000-0000-4000-8000-{number:012}");
    let event = json!({
        "status": "success", "timestamp": end, "property": "ensure", "name": "ensure", "new_value": "file",
        "old_value": "absent", "message": "created", "corrective_change": false,
    });
    let resource = json!({
        "timestamp": end,
        "resource_type": "File",
        "resource_title": format!("/etc/past-{number}"),
        "skipped": false,
        "corrective_change": false,
        "file": "/etc/puppet/code/environments/production/manifests/site.pp",
        "line": 1,
        "containment_path": ["Stage[main]", "Main"],
        "events": [event],
    });
    let log = json!({
        "file": null, "line": null, "level": "notice", "message": format!("Applied catalog {number}"),
        "source": "Puppet", "tags": ["notice"], "time": end,
    });
    json!({
        "certname": format!("past-{:03}.example.com", number / EACH),
        "environment": "production",
        "puppet_version": "8.10.0",
        "report_format": 12,
        "configuration_version": number.to_string(),
        "start_time": start,
        "end_time": end,
        "producer_timestamp": sent,
        "producer": "puppet",
        "transaction_uuid": uuid,
        "catalog_uuid": uuid,
        "code_id": null,
        "job_id": null,
        "cached_catalog_status": "not_used",
        "status": "changed",
        "noop": false,
        "noop_pending": false,
        "corrective_change": false,
        "type": "agent",
        "metrics": [{ "category": "resources", "name": "changed", "value": 1 }],
        "logs": [log],
        "resources": [resource],
    })
}

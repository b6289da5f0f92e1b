//! Agents that are not ours: a plain Debian container that reaches the published port and nothing else.
//!
//! On both release lines, each against the agent of its own Debian, with real modules from Debian's packages.

use std::path::Path;
use std::process::{Command, Output};

use crate::platform::{Platform, docker, turn};

/// The name under which the stranger knows the server.
const SERVER: &str = "puppet.example.com";
const MODULES: [&str; 4] = ["stdlib", "concat", "apache", "ntp"];
/// Services are left alone: nothing starts services inside of a plain container.
const MANIFEST: &str = "node default { }
node /-stranger$/ {
  class { 'apache': service_manage => false, default_vhost => false }
  apache::vhost { 'site.example.com': port => 8080, docroot => '/srv/site' }
  class { 'ntp':
    servers => ['ntp.example.com'], package_name => ['ntpsec'], config => '/etc/ntpsec/ntp.conf', service_manage => false
  }
  file { '/etc/stranger': content => join(sort(['one', 'two']), ' ') }
  file_line { 'motd': path => '/etc/motd.stranger', line => 'managed', require => File['/etc/motd.stranger'] }
  file { '/etc/motd.stranger': ensure => file }
}
";

#[test]
#[ignore = "not seen to pass since it or its surroundings changed: `make engine-all` runs it"]
fn a_stranger_enrols_and_gets_a_catalog_from_stable() {
    a_stranger_enrols_and_gets_a_catalog("stable", "trixie");
}

#[test]
#[ignore = "not seen to pass since it or its surroundings changed: `make engine-all` runs it"]
fn a_stranger_enrols_and_gets_a_catalog_from_lts() {
    a_stranger_enrols_and_gets_a_catalog("lts", "bookworm");
}

/// Intent: Debian's own agent needs only the address: it asks for a certificate, waits to be signed by hand, and then
/// applies a catalog made of the modules in the code directory; its second run changes nothing.
fn a_stranger_enrols_and_gets_a_catalog(channel: &str, suite: &str) {
    let Some(_turn) = turn() else { return };
    let line = format!("channel: {channel}\n");
    let platform = Platform::new(&line);
    platform.ok(&["images", "build", "base"]);
    let stranger = Stranger::new(&platform, suite);
    // The engine's machine as the stranger's network sees it: all that it can reach of the platform.
    let address = stranger.run(&["getent", "hosts", SERVER]);
    let address = address.split_whitespace().next().expect("an address");
    platform.configure_at(address, &format!("dns_alt_names: [{SERVER}]"), &line);
    let code = platform.folder().join("control-repo");
    stranger.write_code(&code);
    platform.ok(&["up", "--code", code.to_str().unwrap()]);
    let status = platform.status();
    assert_eq!(status["proved"], true, "{status:#}");
    assert_eq!(status["channel"], channel, "{status:#}");

    // Not signed: it gets no catalog, and the CA knows of it.
    let first = stranger.agent();
    assert_eq!(first.status.code(), Some(1), "{}", text(&first));
    let waiting = platform.inside("puppetserver", &["puppetserver", "ca", "list"]);
    assert!(waiting.contains(&stranger.name), "{waiting}");

    // Signed by hand, with Puppet's own tool: a catalog with changes, then one without.
    platform.inside("puppetserver", &["puppetserver", "ca", "sign", "--certname", &stranger.name]);
    let second = stranger.agent();
    assert_eq!(second.status.code(), Some(2), "{}", text(&second));
    assert_eq!(stranger.run(&["cat", "/etc/stranger"]), "one two");
    assert!(stranger.run(&["cat", "/etc/apache2/sites-enabled/25-site.example.com.conf"]).contains("/srv/site"));
    assert!(stranger.run(&["cat", "/etc/ntpsec/ntp.conf"]).contains("ntp.example.com"));
    let third = stranger.agent();
    assert_eq!(third.status.code(), Some(0), "{}", text(&third));
    assert_eq!(platform.node(&stranger.name)["latest_report_status"], "unchanged");
    drop(stranger);
}

/// A plain Debian container with Debian's agent, on the engine's default network.
struct Stranger {
    /// Container name and certname.
    name: String,
}

impl Stranger {
    fn new(platform: &Platform, suite: &str) -> Self {
        let stranger = Stranger { name: format!("{}-stranger", platform.project) };
        let host = format!("{SERVER}:host-gateway");
        let label = format!("dev.pupperware.test={}", platform.project);
        let image = format!("pupperware/debian:{suite}");
        let command = ["--label", &label, "--add-host", &host, "--init", &image, "sleep", "3600"];
        docker(&[&["run", "--detach", "--name", &stranger.name, "--hostname", &stranger.name][..], &command].concat());
        stranger.run(&["apt-get", "update", "-q"]);
        let modules = MODULES.map(|module| format!("puppet-module-puppetlabs-{module}"));
        let install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-qy", "--no-install-recommends"];
        stranger.run(&[&install[..], &["puppet-agent"], &modules.each_ref().map(String::as_str)].concat());
        for (name, value) in [("server", SERVER), ("serverport", &platform.port.to_string())] {
            stranger.run(&["puppet", "config", "set", "--section", "main", name, value]);
        }
        stranger
    }

    /// A control repository of one environment, with the modules that Debian packages.
    fn write_code(&self, folder: &Path) {
        let environment = folder.join("environments/production");
        std::fs::create_dir_all(environment.join("manifests")).unwrap();
        std::fs::create_dir_all(environment.join("modules")).unwrap();
        std::fs::write(environment.join("manifests/site.pp"), MANIFEST).unwrap();
        for module in MODULES {
            let found = self.run(&["readlink", "-f", &format!("/usr/share/puppet/modules/{module}")]);
            let from = format!("{}:{found}/.", self.name);
            docker(&["cp", &from, environment.join("modules").join(module).to_str().unwrap()]);
        }
    }

    /// One run of the agent, as its user starts it.
    fn agent(&self) -> Output {
        let arguments = ["exec", &self.name, "puppet", "agent", "--test", "--color=false", "--waitforcert", "0"];
        Command::new("docker").args(arguments).output().unwrap()
    }

    #[track_caller]
    fn run(&self, command: &[&str]) -> String {
        docker(&[&["exec", &self.name], command].concat())
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

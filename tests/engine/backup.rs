//! Backup and restore: a platform is put back from one file after everything of it is gone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::history::{self, History};
use crate::platform::{Platform, docker, turn};

/// An agent from outside, whose certificate was signed by hand before the backup was made.
struct Outsider<'p> {
    platform: &'p Platform,
    volume: String,
    certname: String,
}

impl<'p> Outsider<'p> {
    fn enrol(platform: &'p Platform) -> Self {
        let certname = format!("{}-outside", platform.project);
        let outsider = Outsider { platform, volume: format!("{}-outside", platform.project), certname };
        // The request is made and not granted yet.
        assert!(!outsider.runs());
        platform.inside("puppetserver", &["puppetserver", "ca", "sign", "--certname", &outsider.certname]);
        assert!(outsider.runs(), "its certificate is signed");
        outsider
    }

    /// A run with what it has: true when it applied its catalog.
    fn runs(&self) -> bool {
        let image = docker(&["inspect", "--format", "{{.Config.Image}}", &self.platform.container("agent")]);
        let network = format!("{}_front", self.platform.project);
        let mount = format!("{}:/var/lib/puppet", self.volume);
        let mut command = Command::new("docker");
        command.args(["run", "--rm", "--network", &network, "--volume", &mount, "--hostname", &self.certname]);
        command.args(["--entrypoint", "puppet", &image, "agent", "--onetime", "--no-daemonize", "--server", "puppet"]);
        command.args(["--certname", &self.certname, "--waitforcert", "0", "--detailed-exitcodes"]);
        matches!(command.output().unwrap().status.code(), Some(0 | 2))
    }
}

impl Drop for Outsider<'_> {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["volume", "rm", "--force", &self.volume]).output();
    }
}

fn signed(platform: &Platform) -> String {
    platform.inside("puppetserver", &["puppetserver", "ca", "list", "--all"])
}

fn serial(platform: &Platform) -> u64 {
    let text = platform.inside("puppetserver", &["cat", "/etc/puppet/puppetserver/ca/serial"]);
    u64::from_str_radix(text.trim(), 16).unwrap()
}

fn archives(platform: &Platform) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(platform.folder().join("backups")).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    found
}

fn damaged(of: &Path, name: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let mut bytes = std::fs::read(of).unwrap();
    change(&mut bytes);
    let path = of.with_file_name(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

/// Intent: everything of a platform is lost, and comes back from one file: the same CA, the same signed certificates, the
/// same reports; agents never notice. A restore that is killed half-way is finished by the same command, and by no other.
/// Archives that are not whole change nothing.
#[test]
fn a_platform_comes_back_from_its_backup() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new(history::CONFIGURATION);
    platform.up();
    let outsider = Outsider::enrol(&platform);
    let history = History::make(&platform);
    let report = platform.node(&outsider.certname)["latest_report_hash"].clone();
    let (ca, list, next) = (platform.ca(), signed(&platform), serial(&platform));

    let leftover = platform.folder().join("backups");
    std::fs::create_dir(&leftover).unwrap();
    std::fs::write(leftover.join(format!("{}-20261121T000000Z.pupperware.partial", platform.project)), "x").unwrap();
    let touched = platform.touched("puppetserver");
    platform.ok(&["backup", "create"]).says(".pupperware (").says("not in it: puppetdb-data");
    assert_eq!(platform.touched("puppetserver"), touched, "it serves meanwhile");
    let files = archives(&platform);
    assert_eq!(files.len(), 1, "what a killed run left is swept: {files:?}");
    let file = files[0].display().to_string();
    platform.ok(&["backup", "list", "-o", "json"]).says("\"complete\": true");
    platform.ok(&["backup", "verify", &file, "-o", "json"]).says("\"proved\": true");
    assert_eq!(docker(&["ps", "--all", "--quiet", "--filter", "name=pwverify-"]), "", "what was thrown away is gone");

    // What is not whole, or of somebody else, changes nothing.
    let cut = damaged(&files[0], "cut.pupperware", |bytes| bytes.truncate(bytes.len() / 2));
    let bent = damaged(&files[0], "bent.pupperware", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    });
    for broken in [&cut, &bent] {
        platform.run(&["--yes", "backup", "restore", broken]).expect(1).says("is not a whole backup");
    }
    platform.run(&["--yes", "--project", "pwtest-other", "backup", "restore", &file]).expect(6).says("is a backup of");
    platform.run(&["backup", "restore", &file]).expect(6).says("needs a yes");
    platform.ok(&["up"]).says("nothing to do");
    platform.ok(&["backup", "prune", "--keep", "1"]).says("kept and not counted").says("nothing to remove");

    // Over the running platform: what is there now is saved first. Killed when the first data is gone.
    let mut killed = platform.start(&["--yes", "backup", "restore", &file]);
    killed.sees("destroy", &platform.container("puppetserver"));
    killed.signal("KILL");
    killed.end();
    platform.run(&["up"]).expect(6).says("half-restored");
    platform.ok(&["--yes", "backup", "restore", &file]).says("is back as of");
    assert!(outsider.runs(), "with its old certificate");
    assert_eq!((platform.ca(), signed(&platform)), (ca.clone(), list.clone()));
    let after = serial(&platform);
    assert!(after >= next + 65_536, "{next} -> {after}");
    assert_eq!(archives(&platform).len(), 4, "one more, of what was there before");
    platform.ok(&["up"]).says("nothing to do");

    // The disaster: nothing is left but the file, not even the configuration.
    platform.ok(&["--yes", "down", "--destroy-data", "ALL"]);
    std::fs::remove_file(platform.folder().join("pupperware.yaml")).unwrap();
    platform.ok(&["backup", "restore", &file]).says("comes from the backup").says("is back as of");
    assert!(outsider.runs(), "with its old certificate");
    assert_eq!((platform.ca(), signed(&platform)), (ca, list));
    let reports = format!("[\"=\", \"hash\", {report}]");
    let found = reports_of(&platform, &reports);
    assert!(found.contains(report.as_str().unwrap()), "the report of before is there: {found}");
    platform.ok(&["up"]).says("nothing to do");
    history.is_there(&platform);
}

/// Reports in PuppetDB that match a query.
fn reports_of(platform: &Platform, query: &str) -> String {
    let files = ["ca", "cert", "key"].map(|f| format!("/etc/pupperware/ssl/{f}.pem"));
    let mut command = vec!["curl", "-sf", "-G", "--resolve", "puppetdb:8081:127.0.0.1"];
    command.extend(["--cacert", &files[0], "--cert", &files[1], "--key", &files[2]]);
    let query = format!("query={query}");
    command.extend(["https://puppetdb:8081/pdb/query/v4/reports", "--data-urlencode", &query]);
    platform.inside("puppetdb", &command)
}

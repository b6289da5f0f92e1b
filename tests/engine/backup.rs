//! Backup and restore: a platform is put back from one file after everything of it is gone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::history::{History, Length};
use crate::platform::{Platform, Run, docker, leftovers, turn};

/// A pair of keys that guards nothing.
const PRIVATE: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

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

/// The project of the throw-away platform that a run of `verify` told of.
fn thrown_away(verify: &Run) -> String {
    let rest = verify.stderr.split_once("restoring it as ").expect("it says what it makes").1;
    rest.split_once(',').expect("and what becomes of it").0.to_owned()
}

/// `backup create` where only so many blocks of 512 bytes can be written: a disk that is full for this process alone.
fn create_with_little_room(platform: &Platform) -> Run {
    let limited = format!("trap '' XFSZ; ulimit -f 8; exec '{}' backup create", env!("CARGO_BIN_EXE_pupperware"));
    let mut command = Command::new("sh");
    command.current_dir(platform.folder()).args(["-c", &limited]).env("PUPPERWARE_PROGRESS", "plain");
    Run::of(command.output().unwrap(), &["backup create, without room"])
}

/// Intent: everything of a platform is lost, and comes back from one file: the same CA, the same signed certificates, the
/// same reports; agents never notice. A restore that is killed half-way is finished by the same command, and by no other.
/// Archives that are not whole change nothing, nor does a full disk. The age of the last good one is known.
#[test]
#[ignore = "took 35 minutes on a busy machine: `make engine-all` runs it"]
fn a_platform_comes_back_from_its_backup() {
    let Some(_turn) = turn() else { return };
    let length = Length { agents: 3, reports: 1000 };
    let platform = Platform::new(&format!("backup: {{ keep: 9, max_age: 26h }}\n{}", length.configuration()));
    let configuration = std::fs::read_to_string(platform.folder().join("pupperware.yaml")).unwrap();
    platform.up();
    platform.ok(&["doctor", "--check", "backup-age"]).says("warning").says("no good backup is on record");
    let outsider = Outsider::enrol(&platform);
    let history = History::make(&platform, length);
    let report = platform.node(&outsider.certname)["latest_report_hash"].clone();
    let (ca, list, next) = (platform.ca(), signed(&platform), serial(&platform));

    let leftover = platform.folder().join("backups");
    std::fs::create_dir(&leftover).unwrap();
    std::fs::write(leftover.join(format!("{}-20261121T000000Z.pupperware.partial", platform.project)), "x").unwrap();
    let touched = platform.touched("puppetserver");
    create_with_little_room(&platform).expect(1).says("cannot write").says("free some space there");
    assert!(archives(&platform).is_empty(), "a backup without room leaves nothing: {:?}", archives(&platform));
    platform.ok(&["backup", "create", "--prune"]).says(".pupperware (").says("not in it: puppetdb-data");
    assert_eq!(platform.touched("puppetserver"), touched, "it serves meanwhile");
    let files = archives(&platform);
    assert_eq!(files.len(), 1, "what a killed run left is swept: {files:?}");
    let file = files[0].display().to_string();
    platform.ok(&["backup", "list", "-o", "json"]).says("\"complete\": true");
    let last = platform.status()["backup"].clone();
    assert_eq!((last["file"].as_str(), &last["verified_at"]), (Some(file.as_str()), &serde_json::Value::Null));
    let verified = platform.ok(&["backup", "verify", &file, "-o", "json"]).says("\"proved\": true");
    assert_eq!(leftovers(&thrown_away(&verified)), [""; 0], "what was thrown away is gone");
    assert!(platform.status()["backup"]["verified_at"].is_string(), "{:#}", platform.status());
    platform.ok(&["doctor", "--check", "backup-age"]).says("the last good backup is");

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

    // Encrypted, it is written and read back without the private key, and is put back with it only.
    let key = platform.folder().join("key.txt");
    std::fs::write(&key, PRIVATE).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let sealed = platform.folder().join("sealed.pupperware").display().to_string();
    platform.ok(&["backup", "create", "--recipient", PUBLIC, "--to", &sealed]).says(", encrypted)");
    platform.run(&["--yes", "backup", "restore", &sealed]).expect(2).says(&format!("is encrypted for {PUBLIC}"));
    let identity = ["--identity", &key.display().to_string()].map(String::from);
    let restore = ["--yes", "backup", "restore", &sealed, &identity[0], &identity[1]];

    // The disaster: nothing is left but the file and its key, not even the configuration. The first try finds no room.
    platform.ok(&["--yes", "down", "--destroy-data", "ALL"]);
    std::fs::remove_file(platform.folder().join("pupperware.yaml")).unwrap();
    let (ca_volume, tiny) = (platform.volume("ca"), ["--opt", "type=tmpfs", "--opt", "device=tmpfs"]);
    docker(&[&["volume", "create"][..], &tiny, &["--opt", "o=size=4k", &ca_volume]].concat());
    let full = platform.run(&restore).expect(1).says("pupperware.yaml: placed");
    full.says("volume ca cannot be put back").says("free some space where the engine");
    docker(&["volume", "rm", &ca_volume]);
    platform.run(&["--project", &platform.project, "up"]).expect(6).says("half-restored").says(&identity.join(" "));
    platform.ok(&restore).says("is back as of");
    assert_eq!(std::fs::read_to_string(platform.folder().join("pupperware.yaml")).unwrap(), configuration);
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

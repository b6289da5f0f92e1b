//! The built program: the bridge killed with SIGKILL while it works, and the commands of those who ask for runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::server::FakeRelay;

/// A directory with everything that a bridge needs: a token, a file, and an `ssh` that is a script.
pub struct Site {
    folder: tempfile::TempDir,
    more: String,
    ca: Option<String>,
}

impl Site {
    /// `ssh` does this; `$node` is the node, `$remote` what it is told to run.
    pub fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site { folder, more: String::new(), ca: None };
        site.token("s3cret");
        let started = site.path("started");
        // Its last two arguments, as with every ssh; what it says is what Puppet says.
        let text = format!(
            "#!/bin/sh\nfor word; do node=$remote; remote=$word; done\n\
             echo \"$node\" >> {}\nnonce=$(printf %s \"$remote\" | sed 's/.*\\(pupperware-[0-9a-f]*\\).*/\\1/')\n\
             ends() {{ printf '\\n%s %d\\n' \"$nonce\" \"$1\"; exit 0; }}\n{script}\n",
            started.display()
        );
        fs::write(site.path("ssh"), text).unwrap();
        fs::set_permissions(site.path("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        site
    }

    /// With these lines in the bridge's file.
    pub fn with(mut self, more: &str) -> Self {
        self.more = more.to_owned();
        self
    }

    /// With these authorities instead of the machine's.
    pub fn with_ca(mut self, file: &str) -> Self {
        self.ca = Some(file.to_owned());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn token(&self, text: &str) {
        // The new one appears whole.
        fs::write(self.path("token.new"), text).unwrap();
        fs::set_permissions(self.path("token.new"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(self.path("token.new"), self.path("token")).unwrap();
    }

    /// Nodes that `ssh` was started for, as often as it was.
    pub fn started(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("started")).unwrap_or_default();
        let mut nodes: Vec<String> = text.lines().map(String::from).collect();
        nodes.sort();
        nodes
    }

    pub fn journal(&self) -> String {
        fs::read_to_string(self.path("state/journal.jsonl")).unwrap_or_default()
    }

    pub fn bridge(&self, url: &str, flags: &[&str]) -> Command {
        let file = format!(
            "relay: {{ url: '{url}', token_file: '{}', wait_seconds: 5, interval_seconds: 1{} }}\nstate_dir: '{}'\n\
             openssh_client_path: '{}'\n{}heartbeat_seconds: 1\nrecovery_seconds: 1\n{}",
            self.path("token").display(),
            self.ca.as_ref().map(|file| format!(", ca_file: '{file}'")).unwrap_or_default(),
            self.path("state").display(),
            self.path("ssh").display(),
            if self.more.contains("backend:") { "" } else { "backend: ssh\n" },
            self.more
        );
        fs::write(self.path("bridge.yaml"), file).unwrap();
        let mut command = pupperware();
        command.args(["relay", "bridge", "--settings"]).arg(self.path("bridge.yaml")).args(flags);
        command
    }

    /// Until what there is is done; its messages.
    pub fn once(&self, url: &str) -> Output {
        ended(self.bridge(url, &["--once"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// A command that asks for runs.
    pub fn ask(&self, url: &str, words: &[&str]) -> Output {
        let mut command = pupperware();
        command.args(["relay"]).args(words).args(["--relay-url", url, "--token-file"]).arg(self.path("token"));
        ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

fn pupperware() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pupperware"));
    command.env_remove("PUPPERWARE_RELAY_URL").env_remove("PUPPERWARE_LOG").stdin(Stdio::null());
    command
}

/// A process that has ended, or the test has. What it says is read meanwhile, or it would wait for that for ever.
pub fn ended(child: Child) -> Output {
    let id = child.id();
    let (send, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match end.recv_timeout(Duration::from_secs(60)) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
            let output = end.recv().unwrap().unwrap();
            panic!("it does not end: {}", text(&output.stderr));
        }
    }
}

/// Waits for something that has to come.
pub fn until(what: &str, mut come: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !come() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// The child ends with the test.
pub struct Living(pub Child);

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn living(site: &Site, url: &str) -> Living {
    let errors = fs::File::create(site.path("stderr")).unwrap();
    Living(site.bridge(url, &[]).stdout(Stdio::null()).stderr(errors).spawn().unwrap())
}

pub fn stderr(site: &Site) -> String {
    fs::read_to_string(site.path("stderr")).unwrap_or_default()
}

/// Killed when the journal has this many lines, for each number of lines that it comes to have.
#[test]
fn sigkill_at_every_line_of_the_journal() {
    let whole = {
        let (site, relay) = (Site::new("ends 2"), FakeRelay::start(false));
        relay.book.ask(&["a", "b"], |_| {});
        assert!(site.once(&relay.url()).status.success());
        site.journal().lines().count()
    };
    assert_eq!(whole, 9, "intent, accepted, started, two nodes twice, completed, acknowledged");
    for lines in 1..=whole {
        let (site, relay) = (Site::new("sleep 0.05; ends 2"), FakeRelay::start(false));
        let id = relay.book.ask(&["a", "b"], |_| {});
        let mut child = site.bridge(&relay.url(), &[]).stderr(Stdio::null()).spawn().unwrap();
        until("the journal is that long", || site.journal().lines().count() >= lines);
        child.kill().unwrap();
        child.wait().unwrap();
        let output = site.once(&relay.url());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mut started = site.started();
        let all = started.len();
        started.dedup();
        assert_eq!(all, started.len(), "a node was started twice, killed at line {lines}");
        assert!(relay.book.outcome(&id).is_some(), "no end was reported, killed at line {lines}");
        for node in ["a", "b"] {
            assert!(relay.book.node(&id, node).unwrap().status.is_final());
        }
    }
}

#[test]
fn a_run_from_asking_to_its_end() {
    let (site, relay) =
        (Site::new("case $node in *bad*) echo 'Error: no'; ends 6;; *) ends 2;; esac"), FakeRelay::start(false));
    let _bridge = living(&site, &relay.url());
    let good = site.ask(&relay.url(), &["run", "--nodes", "web01,web02", "--noop", "--wait", "-o", "json"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    let run: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(run["state"]["outcome"], "finished");
    assert_eq!(run["nodes"][0]["status"], "changed");
    assert_eq!(run["noop"], true);
    assert!(text(&good.stderr).contains("web02: changed"), "{}", text(&good.stderr));

    let bad = site.ask(&relay.url(), &["run", "--nodes", "web01,bad01", "--wait"]);
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad.stderr));
    assert!(text(&bad.stdout).contains("Error: no"), "{}", text(&bad.stdout));
}

#[test]
fn approval_is_not_asked_of_a_server_that_does_not_know_it() {
    let (site, relay) = (Site::new("ends 0"), FakeRelay::start(true));
    let asked = site.ask(&relay.url(), &["run", "--nodes", "web01", "--needs-approval"]);
    assert_eq!(asked.status.code(), Some(6), "{}", text(&asked.stderr));
    assert_eq!(relay.count("POST", "/_puppet/runs"), 0);
}

#[test]
fn runs_are_listed_shown_and_cancelled() {
    let (site, relay) = (Site::new("sleep 30; ends 0"), FakeRelay::start(false));
    let _bridge = living(&site, &relay.url());
    let asked = site.ask(&relay.url(), &["run", "--nodes", "web01", "-o", "json"]);
    let id = serde_json::from_slice::<serde_json::Value>(&asked.stdout).unwrap()["id"].as_str().unwrap().to_owned();
    until("it runs", || !site.started().is_empty());
    assert!(text(&site.ask(&relay.url(), &["runs", "list"]).stdout).contains(&id));
    assert!(site.ask(&relay.url(), &["runs", "cancel", &id]).status.success());
    until("it has ended", || relay.book.outcome(&id.parse().unwrap()).is_some());
    let shown = site.ask(&relay.url(), &["runs", "show", &id, "-o", "json"]);
    let run: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&run["state"]["outcome"], &run["nodes"][0]["status"]), (&"cancelled".into(), &"cancelled".into()));
    let unknown = site.ask(&relay.url(), &["runs", "show", "8e659097-254a-4b27-bb93-88efea9a9f0e"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown.stderr));
}

#[test]
fn a_bridge_that_is_not_there_any_more_is_given_up() {
    let (site, relay) = (Site::new("sleep 30; ends 0"), FakeRelay::start(false));
    let bridge = living(&site, &relay.url());
    let id = relay.book.ask(&["web01"], |_| {});
    until("it runs", || !site.started().is_empty() && relay.count("PUT", "/state") > 0);
    drop(bridge);
    // What a client sees of it much later.
    relay.clock_ahead(3_600);
    let said = {
        let mut kept = relay.book.kept();
        let (run, life) = kept.runs.get_mut(&id).unwrap();
        life.state.updated_at = Some(jiff::Timestamp::now() - jiff::SignedDuration::from_secs(100));
        run.clone()
    };
    assert_eq!(said.id, id);
    let relay_url = relay.url();
    let followed = site.follow(&relay_url, &relay, &id);
    assert_eq!(followed.status.code(), Some(5), "{}", text(&followed.stderr));
    assert!(text(&followed.stderr).contains("signs of life"));
}

impl Site {
    /// `relay run --wait`, for a run that is there already: the server gives it for whatever is asked.
    fn follow(&self, url: &str, relay: &FakeRelay, id: &pupperware::relay::api::RunId) -> Output {
        let body = format!("{{\"id\":\"{id}\"}}");
        relay.fail(move |method, path, _| match (method, path) {
            ("POST", "/_puppet/runs") => crate::server::Fault::Say(201, body.clone()),
            _ => crate::server::Fault::None,
        });
        self.ask(url, &["run", "--nodes", "web01", "--wait"])
    }
}

#[test]
fn the_check_says_what_is_wrong() {
    let (site, relay) = (Site::new("ends 0"), FakeRelay::start(false));
    let look = |site: &Site, url: &str| ended(site.bridge(url, &["--check"]).stderr(Stdio::piped()).spawn().unwrap());
    let good = look(&site, &relay.url());
    assert!(good.status.success(), "{}", text(&good.stderr));
    site.token("wrong");
    let bad = look(&site, &relay.url());
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).contains("token"), "{}", text(&bad.stderr));
    fs::set_permissions(site.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let open = look(&site, &relay.url());
    assert_eq!(open.status.code(), Some(2));
    assert!(text(&open.stderr).contains("chmod 600"), "{}", text(&open.stderr));
    assert!(!Path::new(&site.path("started")).exists());
}

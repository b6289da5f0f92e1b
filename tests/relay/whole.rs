//! A whole run: the server, the bridge and who asks are processes of the built program, over the loopback address, with
//! tokens in files. Only the `ssh` in the bridge's PATH is a script.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Far more than anything takes here; only what never comes runs into it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that ends with the test.
struct Living(Child);

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder with everything in it: the server's state, tokens, the bridge's file, `bin/ssh`.
struct Site {
    folder: tempfile::TempDir,
    address: String,
    server: Option<Living>,
}

impl Site {
    /// A server, and tokens for who asks and for the bridge. `ssh` does this; `$node` is the node.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut site = Site { folder, address: "127.0.0.1:0".into(), server: None };
        site.serve();
        for (name, scope) in [("ci", "run"), ("bridge", "bridge"), ("boss", "approve")] {
            let mut create = site.pupperware(&["relay", "token", "create", name, "--scope", scope, "--state-dir"]);
            let made = create.arg(site.path("relay")).output().unwrap();
            assert!(made.status.success(), "{}", text(&made.stderr));
            fs::write(site.path(name), made.stdout).unwrap();
            fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        // Its last two arguments are the node and the command, as with every ssh; the word after the output is how the
        // bridge knows that Puppet ended, and not the connection.
        let ssh = format!(
            "#!/bin/sh\nfor word; do node=$remote; remote=$word; done\necho \"$node\" >> {}\n\
             nonce=$(printf %s \"$remote\" | sed 's/.*\\(pupperware-[0-9a-f]*\\).*/\\1/')\n\
             ends() {{ printf '\\n%s %d\\n' \"$nonce\" \"$1\"; exit 0; }}\n{script}\n",
            site.path("started").display()
        );
        fs::create_dir(site.path("bin")).unwrap();
        fs::write(site.path("bin/ssh"), ssh).unwrap();
        fs::set_permissions(site.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn pupperware(&self, words: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("pupperware"));
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.args(words).env("PATH", path).env_remove("PUPPERWARE_LOG").stdin(Stdio::null());
        command.env("PUPPERWARE_RELAY_URL", self.url()).env("PUPPERWARE_RELAY_TOKEN_FILE", self.path("ci"));
        command
    }

    /// Starts the server, at the address that it had before. It says where it is.
    fn serve(&mut self) {
        let mut command = self.pupperware(&["relay", "serve", "--listen", &self.address, "--state-dir"]);
        let mut child = command.arg(self.path("relay")).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("http://")).expect("a server that says where it is");
        let address = line.split("http://").nth(1).unwrap().split(';').next().unwrap();
        self.address = address.to_owned();
        // Whatever else it says is read, so that it never waits for that.
        std::thread::spawn(move || lines.for_each(drop));
        self.server = Some(Living(child));
    }

    fn bridge(&self) -> Living {
        self.bridge_with("")
    }

    /// A bridge with these lines in its file, too.
    fn bridge_with(&self, more: &str) -> Living {
        let settings = format!(
            "relay: {{ url: '{}', token_file: '{}' }}\nstate_dir: '{}'\nheartbeat_seconds: 1\n{more}",
            self.url(),
            self.path("bridge").display(),
            self.path("journal").display()
        );
        fs::write(self.path("bridge.yaml"), settings).unwrap();
        let mut command = self.pupperware(&["relay", "bridge", "--settings"]);
        let errors = fs::File::create(self.path("bridge.log")).unwrap();
        Living(command.arg(self.path("bridge.yaml")).stdout(Stdio::null()).stderr(errors).spawn().unwrap())
    }

    /// `relay` with these words, to its end.
    fn relay(&self, words: &[&str]) -> Output {
        self.pupperware(&[&["relay"], words].concat()).output().unwrap()
    }

    /// Asks for a run without waiting for it.
    fn ask(&self, words: &[&str]) -> String {
        let asked = self.relay(&[&["run", "-o", "json"], words].concat());
        assert!(asked.status.success(), "{}", text(&asked.stderr));
        serde_json::from_slice::<Value>(&asked.stdout).unwrap()["id"].as_str().unwrap().to_owned()
    }

    fn show(&self, id: &str) -> Value {
        let shown = self.relay(&["runs", "show", id, "-o", "json"]);
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        serde_json::from_slice(&shown.stdout).unwrap()
    }

    fn ended(&self, id: &str) -> Value {
        until("the run has ended", || Some(self.show(id)).filter(|run| run["state"]["status"] == "complete"))
    }

    fn started(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("started")).unwrap_or_default();
        let mut nodes: Vec<String> = text.lines().map(str::to_owned).collect();
        nodes.sort();
        nodes
    }
}

fn until<T>(what: &str, mut come: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(it) = come() {
            return it;
        }
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn from_asking_to_the_end() {
    let site = Site::new("case $node in bad*) echo 'Error: no such file'; ends 6 ;; *) ends 2 ;; esac");
    let _bridge = site.bridge();
    let good = site.relay(&["run", "--nodes", "web01,web02", "--wait", "-o", "json"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    let run: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!((&run["state"]["status"], &run["state"]["outcome"]), (&"complete".into(), &"finished".into()));
    assert_eq!(run["state"]["progress"]["changed"], 2);
    let nodes: Vec<&Value> = run["nodes"].as_array().unwrap().iter().map(|node| &node["status"]).collect();
    assert_eq!(nodes, ["changed", "changed"]);
    assert_eq!(site.started(), ["web01", "web02"]);

    let bad = site.relay(&["run", "--nodes", "web03,bad01", "--wait", "-o", "json"]);
    assert_eq!(bad.status.code(), Some(1), "{}", text(&bad.stderr));
    let run: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(run["state"]["outcome"], "failed");
    assert_eq!((&run["nodes"][0]["status"], &run["nodes"][0]["exit_code"]), (&"failed".into(), &6.into()));
    assert_eq!(run["nodes"][1]["status"], "changed");
}

#[test]
fn a_run_is_stopped() {
    let site = Site::new("exec sleep 300");
    let _bridge = site.bridge();
    let id = site.ask(&["--nodes", "web01,web02", "--parallelism", "1"]);
    until("Puppet runs on a node", || (!site.started().is_empty()).then_some(()));
    let cancelled = site.relay(&["runs", "cancel", &id]);
    assert!(cancelled.status.success(), "{}", text(&cancelled.stderr));
    let run = site.ended(&id);
    assert_eq!(run["state"]["outcome"], "cancelled");
    assert_eq!(site.started().len(), 1, "the other node was never started");
    let again = site.relay(&["runs", "cancel", &id]);
    assert!(again.status.success(), "{}", text(&again.stderr));
}

/// Whoever asked is killed while they wait: the run is the server's, goes on, and is there for whoever looks.
#[test]
fn whoever_asked_is_gone() {
    let site = Site::new("while [ ! -e \"$(dirname \"$0\")/go\" ]; do sleep 0.05; done; ends 2");
    let _bridge = site.bridge();
    let mut asking = site.pupperware(&["relay", "run", "--nodes", "web01", "--wait"]);
    let mut asking = asking.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("Puppet runs on a node", || (!site.started().is_empty()).then_some(()));
    asking.kill().unwrap();
    asking.wait().unwrap();
    let listed: Value = serde_json::from_slice(&site.relay(&["runs", "list", "-o", "json"]).stdout).unwrap();
    let id = listed["runs"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(site.show(&id)["state"]["status"], "in-progress");
    fs::write(site.path("bin/go"), "").unwrap();
    let run = site.ended(&id);
    assert_eq!((&run["state"]["outcome"], &run["nodes"][0]["status"]), (&"finished".into(), &"changed".into()));
}

#[test]
fn the_server_is_killed_half_way() {
    let mut site = Site::new("while [ ! -e \"$(dirname \"$0\")/go\" ]; do sleep 0.05; done; ends 2");
    let _bridge = site.bridge();
    let id = site.ask(&["--nodes", "web01"]);
    until("Puppet runs on a node", || (!site.started().is_empty()).then_some(()));
    site.server = None;
    fs::write(site.path("bin/go"), "").unwrap();
    site.serve();
    let run = site.ended(&id);
    assert_eq!((&run["state"]["outcome"], &run["nodes"][0]["status"]), (&"finished".into(), &"changed".into()));
    assert_eq!(site.started(), ["web01"]);
}

/// A PuppetDB that has a report of every node for every run: the first run is noop and finds that a service would be
/// started; the second one starts it, and on `web02` changes a file that nobody was told of.
fn puppetdb() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut first: Option<String> = None;
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(line) = lines.next() else { continue };
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let word = |after: &str| line.split(after).nth(1).map(|rest| rest.split("%22").next().unwrap().to_owned());
            let body = match word("%22job_id%22%2C%22") {
                Some(job) => {
                    let noop = *first.get_or_insert(job.clone()) == job;
                    let node = word("%22certname%22%2C%22").unwrap();
                    let kind = if noop {
                        "aa"
                    } else if node == "web02" {
                        "cc"
                    } else {
                        "bb"
                    };
                    let status = if noop { "unchanged" } else { "changed" };
                    format!(r#"[{{"hash":"{kind}","status":"{status}","noop_pending":{noop}}}]"#)
                }
                None => {
                    let event = |title: &str, status: &str| {
                        format!(
                            r#"{{"resource_type":"Service","resource_title":"{title}","property":"ensure","old_value":"stopped",
                            "new_value":"running","status":"{status}","corrective_change":false}}"#
                        )
                    };
                    match word("%22report%22%2C%22").as_deref() {
                        Some("aa") => format!("[{}]", event("nginx", "noop")),
                        Some("bb") => format!("[{}]", event("nginx", "success")),
                        _ => format!("[{},{}]", event("nginx", "success"), event("cron", "success")),
                    }
                }
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    url
}

#[test]
fn a_noop_run_is_approved_and_what_was_done_is_held_against_it() {
    let mut site = Site::new("case $remote in *--noop*) ends 0 ;; *) ends 2 ;; esac");
    let _bridge = site.bridge_with(&format!("puppetdb: {{ url: '{}' }}\n", puppetdb()));
    let id = site.ask(&["--nodes", "web01,web02", "--needs-approval", "--preview", "--not-by-requester"]);
    let waiting = |run: &Value| run["approval"]["status"] == "waiting";
    until("the noop run has ended", || Some(site.show(&id)).filter(waiting));
    assert_eq!(site.started(), ["web01", "web02"]);
    // Everything that is known by now outlives the server.
    site.server = None;
    site.serve();
    let found = site.relay(&["runs", "changes", &id]);
    assert!(
        text(&found.stdout).contains("Service[nginx]") && text(&found.stdout).contains("would change"),
        "{}",
        text(&found.stdout)
    );
    let refused = site.relay(&["approve", &id]);
    assert_eq!(refused.status.code(), Some(1), "who asks has not the scope: {}", text(&refused.stderr));
    let boss = site.path("boss");
    let approved = site.relay(&["approve", &id, "--reason", "CHG-1", "--token-file", boss.to_str().unwrap()]);
    assert!(approved.status.success(), "{}", text(&approved.stderr));
    let run = site.ended(&id);
    assert_eq!(run["state"]["outcome"], "finished");
    let approval = &run["approval"];
    assert_eq!((&approval["decided_by"], &approval["reason"]), (&"boss".into(), &"CHG-1".into()));
    assert_eq!(approval["drifted"], 1, "{run}");
    assert_eq!(site.started(), ["web01", "web01", "web02", "web02"]);
    let compared = site.relay(&["runs", "changes", &id, "-o", "json"]);
    let compared: Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!(
        (&compared["nodes"][0]["verdict"], &compared["nodes"][1]["verdict"]),
        (&"as_approved".into(), &"drift".into())
    );
    assert_eq!(compared["nodes"][1]["unapproved"][0]["resource"], "Service[cron]");
}

#[test]
fn a_run_that_is_denied_is_not_started() {
    let site = Site::new("ends 2");
    let _bridge = site.bridge();
    let id = site.ask(&["--nodes", "web01", "--needs-approval"]);
    let boss = site.path("boss");
    let listed = text(&site.relay(&["runs", "list"]).stdout);
    assert!(listed.contains(&id) && listed.contains("needs approval"), "{listed}");
    let denied = site.relay(&["deny", &id, "--reason", "no", "--token-file", boss.to_str().unwrap()]);
    assert!(denied.status.success(), "{}", text(&denied.stderr));
    let run = site.ended(&id);
    assert_eq!((&run["state"]["outcome"], &run["approval"]["reason"]), (&"denied".into(), &"no".into()));
    assert!(site.started().is_empty());
    let late = site.relay(&["approve", &id, "--token-file", boss.to_str().unwrap()]);
    assert_eq!(late.status.code(), Some(6), "{}", text(&late.stderr));
}

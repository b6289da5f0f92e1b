//! A platform for one scenario: a project name and a folder of its own, the program, `docker` to look from outside.
//!
//! Dropping it takes everything away again, and fails the scenario if something is left.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, TryLockError};
use std::time::Duration;

use serde_json::Value;

/// Two scenarios at a time: a platform's start keeps two cores busy, and much of the rest is waiting.
static TURNS: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];
static IMAGES: Once = Once::new();
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The right to use the engine; `None` when the user asked to skip these tests.
pub fn turn() -> Option<MutexGuard<'static, ()>> {
    if std::env::var("PUPPERWARE_ENGINE_TESTS").as_deref() == Ok("skip") {
        return None;
    }
    // Both lines' images come first: else two scenarios would make the same ones beside each other.
    IMAGES.call_once_force(|_| {
        let folder = tempfile::tempdir().unwrap();
        for channel in ["stable", "lts"] {
            let arguments = ["images", "build", "--channel", channel];
            let mut command = Command::new(env!("CARGO_BIN_EXE_pupperware"));
            command.current_dir(folder.path()).args(arguments).env("PUPPERWARE_PROGRESS", "plain");
            Run::of(command.output().unwrap(), &arguments).expect(0);
        }
    });
    loop {
        for turn in &TURNS {
            match turn.try_lock() {
                Ok(turn) => return Some(turn),
                Err(TryLockError::Poisoned(failed)) => return Some(failed.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A platform under test.
pub struct Platform {
    /// Project name.
    pub project: String,
    /// Published port.
    pub port: u16,
    folder: tempfile::TempDir,
    /// The engine's address; none is the one that both command lines find by themselves.
    engine: Option<String>,
}

impl Platform {
    /// A platform that does not exist yet, with a port that is free now. `extra` is appended to its configuration.
    pub fn new(extra: &str) -> Self {
        Self::made(extra, None)
    }

    /// The same on another engine.
    pub fn on(extra: &str, engine: &str) -> Self {
        Self::made(extra, Some(engine.to_owned()))
    }

    fn made(extra: &str, engine: Option<String>) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let project = format!("pwtest-{}-{number}", std::process::id());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let platform = Platform { project, port, folder: tempfile::tempdir().unwrap(), engine };
        platform.configure("", extra);
        platform
    }

    /// Writes the configuration: `server` are lines below `puppetserver:`, `extra` lines at the top level.
    pub fn configure(&self, server: &str, extra: &str) {
        self.configure_at("127.0.0.1", server, extra);
    }

    /// The same, published on an address of this machine.
    pub fn configure_at(&self, address: &str, server: &str, extra: &str) {
        let (project, port) = (&self.project, self.port);
        let server: String = server.lines().map(|line| format!("  {line}\n")).collect();
        // They are in the way of nobody; what is measured and listed elsewhere is without them.
        let without = if extra.contains("relay") { "" } else { "relay: { enabled: false }\n" };
        let text = format!("project: {project}\npuppetserver:\n  publish: {address}:{port}\n{server}{without}{extra}");
        std::fs::write(self.folder.path().join("pupperware.yaml"), text).unwrap();
    }

    /// The platform's folder, where the program runs.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_path_buf()
    }

    /// The program with these arguments, not yet run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pupperware"));
        command.current_dir(self.folder.path()).args(arguments);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PUPPERWARE_")) {
            command.env_remove(name);
        }
        command.env("PUPPERWARE_PROGRESS", "plain");
        command.envs(self.engine.iter().map(|engine| ("DOCKER_HOST", engine)));
        command
    }

    /// The docker command on this platform's engine, which must succeed.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> String {
        let engine = self.engine.iter().flat_map(|engine| ["--host", engine]);
        docker(&engine.chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    /// Waits until a service says that it is ready.
    #[track_caller]
    pub fn ready_again(&self, service: &str) {
        let mut command = Command::new("docker");
        command.args(["exec", &self.container(service), "/usr/local/bin/pupperware-ready"]);
        command.envs(self.engine.iter().map(|engine| ("DOCKER_HOST", engine)));
        eventually(&format!("{service} is ready again"), || command.output().is_ok_and(|o| o.status.success()));
    }

    /// Runs the program.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap(), arguments)
    }

    /// Starts the program, and goes on while it runs.
    pub fn start(&self, arguments: &[&str]) -> Started {
        Self::started(self.command(arguments), arguments)
    }

    /// The same with another way to the engine.
    pub fn start_through(&self, engine: &str, arguments: &[&str]) -> Started {
        let mut command = self.command(arguments);
        command.env("DOCKER_HOST", engine);
        Self::started(command, arguments)
    }

    fn started(mut command: Command, arguments: &[&str]) -> Started {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Started { child, arguments: arguments.join(" "), since: docker(&["info", "--format", "{{.SystemTime}}"]) }
    }

    /// Runs it, and expects success.
    pub fn ok(&self, arguments: &[&str]) -> Run {
        self.run(arguments).expect(0)
    }

    /// `up`, which must end well, and the status afterwards, which must be proved.
    pub fn up(&self) -> Value {
        self.ok(&["up"]);
        let status = self.status();
        assert_eq!(status["proved"], true, "{status:#}");
        assert_eq!(status["healthy"], true, "{status:#}");
        status
    }

    /// `status -o json`.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.ok(&["status", "-o", "json"]).stdout).unwrap()
    }

    /// Name of a service's first container.
    pub fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }

    /// Name of a volume on the engine.
    pub fn volume(&self, key: &str) -> String {
        format!("{}_{key}", self.project)
    }

    /// The output of a command in a service's container, which must succeed.
    pub fn inside(&self, service: &str, command: &[&str]) -> String {
        let mut arguments = vec!["exec", service, "--"];
        arguments.extend(command);
        self.ok(&arguments).stdout
    }

    /// Container id and start time by service: what changes when a container was touched.
    pub fn touched(&self, service: &str) -> String {
        self.docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", &self.container(service)])
    }

    /// Fingerprint of the CA.
    pub fn ca(&self) -> String {
        self.inside("puppetserver", &["sha256sum", "/etc/puppet/puppetserver/ca/ca_crt.pem"])
    }

    /// Serial number of the server's certificate, and its names.
    pub fn server_certificate(&self) -> String {
        let path = "/var/lib/puppet/ssl/certs/puppet.pem";
        self.inside("puppetserver", &["openssl", "x509", "-in", path, "-noout", "-serial", "-ext", "subjectAltName"])
    }

    /// When PuppetDB got the last report of the platform's agent.
    pub fn report_time(&self) -> String {
        let node = self.node(&format!("{}-agent-1", self.project));
        node["report_timestamp"].as_str().expect("the agent has reported").to_owned()
    }

    /// A node as PuppetDB knows it.
    pub fn node(&self, certname: &str) -> Value {
        let run = self.ask_puppetdb(&format!("nodes/{certname}")).expect(0);
        serde_json::from_str(&run.stdout).unwrap()
    }

    /// How many reports of a node PuppetDB holds; `None` while it does not answer.
    pub fn reports(&self, certname: &str) -> Option<usize> {
        let run = self.ask_puppetdb(&format!("reports?query=%5B%22%3D%22%2C%22certname%22%2C%22{certname}%22%5D"));
        Some(serde_json::from_str::<Vec<Value>>(&run.stdout).ok()?.len())
    }

    /// A query, made in PuppetDB's container with its own certificate.
    pub fn ask_puppetdb(&self, query: &str) -> Run {
        let query = format!("https://puppetdb:8081/pdb/query/v4/{query}");
        let mut command =
            vec!["exec", "puppetdb", "--", "curl", "-sf", "--max-time", "20", "--resolve", "puppetdb:8081:127.0.0.1"];
        let files = ["ca", "cert", "key"].map(|f| format!("/etc/pupperware/ssl/{f}.pem"));
        command.extend(["--cacert", &files[0], "--cert", &files[1], "--key", &files[2], &query]);
        self.run(&command)
    }

    /// The image of a component that the platform's release uses.
    pub fn image(&self, component: &str) -> String {
        let list: Value = serde_json::from_str(&self.ok(&["images", "list", "-o", "json"]).stdout).unwrap();
        let found = list["images"].as_array().unwrap().iter().find(|i| i["component"] == component);
        found.unwrap_or_else(|| panic!("no {component}"))["reference"].as_str().unwrap().to_owned()
    }

    fn leftovers(&self) -> Vec<String> {
        left_of(&self.project, |arguments| self.docker(arguments))
    }
}

/// Everything on the machine's own engine that is of a project.
pub fn leftovers(project: &str) -> Vec<String> {
    left_of(project, docker)
}

fn left_of(project: &str, docker: impl Fn(&[&str]) -> String) -> Vec<String> {
    let filter = format!("label=dev.pupperware.project={project}");
    let list = |kind: &str, arguments: &[&str]| {
        let mut all = vec![kind, "ls"];
        all.extend(arguments);
        all.extend(["--quiet", "--filter", &filter]);
        docker(&all).lines().map(|id| format!("{kind} {id}")).collect::<Vec<_>>()
    };
    [list("container", &["--all"]), list("volume", &[]), list("network", &[])].concat()
}

impl Drop for Platform {
    fn drop(&mut self) {
        let gone = self.run(&["--yes", "down", "--destroy-data", "ALL"]);
        if !std::thread::panicking() {
            let left = self.leftovers();
            assert!(left.is_empty(), "left behind: {left:?}\n{}", gone.all());
        }
    }
}

/// A run of the program that goes on.
pub struct Started {
    child: Child,
    arguments: String,
    /// The engine's time when it began.
    since: String,
}

impl Started {
    /// Waits until the engine has told of this event of a service's first container since the run began.
    pub fn sees(&mut self, event: &str, container: &str) {
        loop {
            let filters = ["--filter", &format!("container={container}"), "--filter", &format!("event={event}")];
            let until = docker(&["info", "--format", "{{.SystemTime}}"]);
            let window = ["events", "--since", &self.since, "--until", &until, "--format", "{{.Time}}"];
            if !docker(&[&window[..], &filters].concat()).is_empty() {
                return;
            }
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "`{}` ended before {event} of {container}",
                self.arguments
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// True while it runs.
    pub fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal by its short name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "`{}` was gone already", self.arguments);
    }

    /// Waits for its end.
    pub fn end(self) -> Run {
        let arguments = [self.arguments.as_str()];
        Run::of(self.child.wait_with_output().unwrap(), &arguments)
    }
}

/// How a run of the program ended.
pub struct Run {
    arguments: String,
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// From its output.
    pub fn of(output: Output, arguments: &[&str]) -> Self {
        Run {
            arguments: arguments.join(" "),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Everything, for a failed assertion.
    pub fn all(&self) -> String {
        format!("`{}` ended with {:?}\n{}\n{}", self.arguments, self.code, self.stdout, self.stderr)
    }

    /// Expects this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.all());
        self
    }

    /// Expects this text on either stream.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "no \"{text}\" in {}", self.all());
        self
    }
}

/// The docker command, which must succeed; its output without the last line end.
#[track_caller]
pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("the docker command is there");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Looks once a second, three minutes at most: a limit, not a measurement.
#[track_caller]
pub fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..180 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("within three minutes, not so: {what}");
}

/// Tells those who watch (`--nocapture`): figures, and what to type to do the same again.
#[expect(clippy::print_stderr, reason = "there is no other way out of a test")]
pub fn tell(line: &str) {
    eprintln!("{line}");
}

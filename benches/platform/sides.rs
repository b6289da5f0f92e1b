//! The sides of the comparison: this program, and docker-compose v2 with the files in `peers/`.
//!
//! Same engine, heaps, limits, code and agent for each. Everything made here carries a project name `pwbench-...` and is
//! removed at the end; the images stay for the next run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::figures::{Comparison, Unit};
use crate::machine::cpu_seconds;

/// The heaps and limits that our sizing chooses on a machine of two cores; the other side gets the same.
const SIZES: [(&str, &str); 7] = [
    ("PUPPETSERVER_HEAP", "1024m"),
    ("PUPPETSERVER_MEMORY", "1624m"),
    ("PUPPETSERVER_JRUBIES", "1"),
    ("PUPPETDB_HEAP", "512m"),
    ("PUPPETDB_MEMORY", "862m"),
    ("POSTGRES_BUFFERS", "128MB"),
    ("POSTGRES_MEMORY", "512m"),
];
const CONFIGURATION: &str = "
puppetserver: { publish: 'PORT', heap: 1g, memory: 1624m, jruby_instances: 1 }
puppetdb: { heap: 512m, memory: 862m }
postgres: { shared_buffers: 128m, memory: 512m }
relay: { enabled: false }
";
/// What a stock install of each component is.
const PACKAGES: [(&str, &str); 4] = [
    ("postgres", "postgresql"),
    ("puppetdb", "puppetdb"),
    ("puppetserver", "puppetserver puppet-terminus-puppetdb"),
    ("agent", "puppet-agent"),
];
/// What a stock platform has nothing like. It is off, and not counted.
const OURS_ALONE: [&str; 4] = ["balancer", "code", "puppetboard", "relay"];
const MODULES: [&str; 4] = ["stdlib", "concat", "apache", "ntp"];
/// What is asked for under load: a hundred resources from real modules.
const HEAVY: &str = "node default {
  class { 'apache': service_manage => false, default_vhost => false }
  range(1, 8).each |$n| { apache::vhost { \"site${n}.example.com\": port => 8080, docroot => \"/srv/site${n}\" } }
  class { 'ntp': servers => ['ntp.example.com'], service_manage => false }
}
";
/// What the agents apply: nothing that takes long, the same everywhere.
const LIGHT: &str = "node default { notify { 'applied': } }\n";

/// Images by component.
pub type Set = BTreeMap<String, String>;

/// Everything that must be there before anything is measured.
pub struct Images {
    /// Ours.
    pub ours: Set,
    /// Plain package installs.
    pub stock: Set,
    /// A control repository with two environments: `production`, which is light, and `load`, which is not.
    code: PathBuf,
    channel: String,
    compose: PathBuf,
    _folder: tempfile::TempDir,
}

impl Images {
    /// Builds what is missing.
    pub fn prepare(channel: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let suite = match channel {
            "lts" => "bookworm",
            "stable" => "trixie",
            other => panic!("no peers for the channel {other}"),
        };
        let prepare = |arguments: &[&str]| {
            let mut command = program();
            command.current_dir(&folder).args(["--project", "pwbench-images"]).args(arguments);
            text(&run(&mut command))
        };
        prepare(&["images", "build", "--channel", channel]);
        let list: Value =
            serde_json::from_str(&prepare(&["images", "list", "--channel", channel, "-o", "json"])).unwrap();
        prepare(&["--yes", "down", "--destroy-data", "ALL"]);
        let ours =
            list["images"].as_array().unwrap().iter().filter(|i| !OURS_ALONE.contains(&word(&i["component"]).as_str()));
        let ours = ours.map(|i| (word(&i["component"]), word(&i["reference"]))).collect();

        let base = format!("BASE=pupperware/debian:{suite}");
        let stock_file = peers().join("stock");
        let build = |name: &str, packages: &str| {
            let tag = format!("pwbench/{name}:{suite}");
            let packages = format!("PACKAGES={packages}");
            let context = stock_file.display().to_string();
            docker(&["build", "--quiet", "--tag", &tag, "--build-arg", &base, "--build-arg", &packages, &context]);
            tag
        };
        let stock = PACKAGES.iter().map(|(name, packages)| ((*name).to_owned(), build(name, packages))).collect();
        let modules = MODULES.map(|m| format!("puppet-module-puppetlabs-{m}")).join(" ");
        let tools = build("tools", &format!("docker-compose {modules}"));

        let holder = docker(&["create", &tools]);
        let take = |from: &str, to: &Path| docker(&["cp", &format!("{holder}:{from}"), to.to_str().unwrap()]);
        let code = folder.path().join("code");
        for (name, manifest) in [("production", LIGHT), ("load", HEAVY)] {
            let environment = code.join("environments").join(name);
            std::fs::create_dir_all(environment.join("manifests")).unwrap();
            std::fs::write(environment.join("manifests/site.pp"), manifest).unwrap();
        }
        let modules = code.join("environments/load/modules");
        std::fs::create_dir(&modules).unwrap();
        for module in MODULES {
            // Debian links each from its folder of installed modules.
            let link = ["run", "--rm", &tools, "readlink", "-f", &format!("/usr/share/puppet/modules/{module}")];
            take(&format!("{}/.", docker(&link)), &modules.join(module));
        }
        let compose = folder.path().join("docker-compose");
        // Debian 12 has version 1, which is not the peer; 13's runs anywhere.
        take("/usr/libexec/docker/cli-plugins/docker-compose", &compose);
        docker(&["rm", &holder]);
        Images { ours, stock, code, channel: channel.into(), compose, _folder: folder }
    }

    /// Disk of all images of a side, layers that they share counted once.
    pub fn sizes(&self) -> Comparison {
        let mut sizes = Comparison::new("images of the platform, shared layers once", Unit::Mebibytes);
        for (name, set) in [("pupperware", &self.ours), ("compose, stock images", &self.stock)] {
            let mut layers: BTreeMap<String, u64> = BTreeMap::new();
            for image in set.values() {
                layers.extend(layer_sizes(image));
            }
            #[allow(clippy::cast_precision_loss)]
            sizes.add(name, layers.values().sum::<u64>() as f64 / 1_048_576.0);
        }
        sizes
    }
}

/// Layers of an image with their sizes in bytes. The engine lists both, oldest first and newest first.
fn layer_sizes(image: &str) -> Vec<(String, u64)> {
    let ids = docker(&["image", "inspect", "--format", "{{join .RootFS.Layers \" \"}}", image]);
    let sizes = docker(&["history", "--human=false", "--no-trunc", "--format", "{{.Size}}", image]);
    let mut sizes: Vec<u64> = sizes.lines().filter_map(|s| s.parse().ok()).collect();
    sizes.reverse();
    // Steps that only change settings have no size and no layer; a layer may be empty, too.
    let ids: Vec<&str> = ids.split(' ').collect();
    while sizes.len() > ids.len() {
        let empty = sizes.iter().position(|s| *s == 0).expect("more steps than layers");
        sizes.remove(empty);
    }
    ids.into_iter().map(String::from).zip(sizes).collect()
}

/// What a start took.
pub struct Taken {
    /// Seconds on the clock.
    pub wall: f64,
    /// Seconds of all processors.
    pub cpu: f64,
}

enum Way {
    Ours,
    Compose { program: PathBuf, images: Set },
}

/// One platform, started in one way.
pub struct Side {
    name: String,
    project: String,
    folder: tempfile::TempDir,
    way: Way,
    port: u16,
    code: PathBuf,
}

impl Side {
    /// This program.
    pub fn ours(images: &Images) -> Self {
        let side = Side::new("pupperware", images, Way::Ours);
        let settings = CONFIGURATION.replace("PORT", &format!("127.0.0.1:{}", side.port));
        let settings = format!("project: {}\nchannel: {}{settings}", side.project, images.channel);
        std::fs::write(side.folder.path().join("pupperware.yaml"), settings).unwrap();
        side
    }

    /// docker-compose v2 with these images.
    pub fn compose(images: &Images, name: &str, set: Set) -> Self {
        Side::new(name, images, Way::Compose { program: images.compose.clone(), images: set })
    }

    fn new(name: &str, images: &Images, way: Way) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let project = format!("pwbench-{}-{port}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        Side { name: name.into(), project, folder, way, port, code: images.code.clone() }
    }

    /// As it stands in the tables.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From nothing (or from existing volumes) until PuppetDB holds a report that it did not hold before.
    pub fn starts(&mut self, warm: bool) -> Taken {
        if warm {
            self.stays_up();
            self.down();
        } else {
            self.destroy();
        }
        let before = if warm { self.report_known() } else { String::new() };
        let (clock, cpu) = (Instant::now(), cpu_seconds());
        self.up();
        // Our `up` ends when the report is there; the other side's when its containers have started.
        if matches!(self.way, Way::Compose { .. }) {
            while !self.has_reported_since(&before) {
                assert!(clock.elapsed() < Duration::from_secs(600), "{}: no report within 10 minutes", self.name);
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Taken { wall: clock.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
    }

    /// Up, however long it takes.
    pub fn stays_up(&mut self) {
        self.up();
        while matches!(self.way, Way::Compose { .. }) && !self.has_reported_since("") {
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    fn up(&self) -> Output {
        run(&mut match &self.way {
            Way::Ours => self.ours_command(&["up", "--code", self.code.to_str().unwrap()]),
            Way::Compose { .. } => self.compose_command(&["up", "-d"]),
        })
    }

    /// `up` of a platform that is up, milliseconds.
    pub fn no_op(&self) -> f64 {
        let clock = Instant::now();
        self.up();
        clock.elapsed().as_secs_f64() * 1000.0
    }

    /// `status` or `ps`, milliseconds.
    pub fn status(&self) -> f64 {
        let mut command = match &self.way {
            Way::Ours => self.ours_command(&["status"]),
            Way::Compose { .. } => self.compose_command(&["ps"]),
        };
        let clock = Instant::now();
        run(&mut command);
        clock.elapsed().as_secs_f64() * 1000.0
    }

    /// Containers gone, volumes kept.
    pub fn down(&self) {
        run(&mut match &self.way {
            Way::Ours => self.ours_command(&["down"]),
            Way::Compose { .. } => self.compose_command(&["down", "--timeout", "30"]),
        });
    }

    /// Nothing left.
    pub fn destroy(&self) {
        run(&mut match &self.way {
            Way::Ours => self.ours_command(&["--yes", "down", "--destroy-data", "ALL"]),
            Way::Compose { .. } => self.compose_command(&["down", "--volumes", "--timeout", "30"]),
        });
    }

    /// Memory of the three services, MiB, as the engine counts it, page cache left out.
    pub fn memory(&self) -> f64 {
        let services = ["postgres", "puppetdb", "puppetserver"].map(|s| self.container(s));
        let mut arguments = vec!["stats", "--no-stream", "--format", "{{.MemUsage}}"];
        arguments.extend(services.iter().map(String::as_str));
        docker(&arguments).lines().map(|line| mebibytes(line.split(" / ").next().unwrap_or_default())).sum()
    }

    /// A container with the agent's certificate, next to the server, for load.
    pub fn loader(&self, images: &Images) -> String {
        let name = format!("{}-loader", self.project);
        let (network, volume) = match self.way {
            Way::Ours => (format!("{}_front", self.project), format!("{}_agent-1", self.project)),
            Way::Compose { .. } => (format!("{}_default", self.project), format!("{}_agent", self.project)),
        };
        let mounts = [format!("{volume}:/var/lib/puppet:ro"), format!("{}:/peers:ro", peers().display())];
        let mut arguments = vec!["run", "--detach", "--rm", "--name", &name, "--network", &network, "--init"];
        for mount in &mounts {
            arguments.extend(["--volume", mount]);
        }
        arguments.extend(["--entrypoint", "sleep", &images.ours["agent"], "3600"]);
        docker(&arguments);
        name
    }

    fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }

    fn ours_command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    fn compose_command(&self, arguments: &[&str]) -> Command {
        let Way::Compose { program, images } = &self.way else { unreachable!("only for compose") };
        let mut command = Command::new(program);
        command.current_dir(peers()).args(["--project-name", &self.project, "--file", "compose.yaml"]).args(arguments);
        command.envs(SIZES).env("PORT", self.port.to_string()).env("CODE", &self.code).env("PEERS", peers());
        for (component, image) in images {
            command.env(format!("{}_IMAGE", component.to_uppercase()), image);
        }
        command
    }

    /// When the agent's newest report was made, as PuppetDB knows it; empty when there is none.
    fn report_known(&self) -> String {
        // Only asked of the compose sides, between their starts; ours proves its own.
        match &self.way {
            Way::Ours => String::new(),
            Way::Compose { .. } => std::fs::read_to_string(self.folder.path().join("last-report")).unwrap_or_default(),
        }
    }

    fn has_reported_since(&self, before: &str) -> bool {
        let url = "http://localhost:8080/pdb/query/v4/nodes/agent";
        let output = Command::new("docker").args(["exec", &self.container("puppetdb"), "curl", "-s", url]).output();
        let Ok(node) = serde_json::from_slice::<Value>(&output.expect("docker runs").stdout) else { return false };
        let Some(time) = node["report_timestamp"].as_str() else { return false };
        std::fs::write(self.folder.path().join("last-report"), time).unwrap();
        time != before
    }
}

/// The files that the other side uses.
pub fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pupperware"));
    command.env("PUPPERWARE_PROGRESS", "plain");
    command
}

/// `1.5GiB` -> 1536.
fn mebibytes(text: &str) -> f64 {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
    let number: f64 = digits.parse().unwrap_or(0.0);
    match text.trim_start_matches(digits) {
        "GiB" => number * 1024.0,
        "KiB" => number / 1024.0,
        "B" => number / 1_048_576.0,
        _ => number,
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Runs a command, which must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|wrong| panic!("{command:?}: {wrong}"));
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{wrong}", output.status);
    output
}

/// The docker command, which must succeed.
pub fn docker(arguments: &[&str]) -> String {
    text(&run(Command::new("docker").args(arguments)))
}

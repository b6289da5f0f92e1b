//! What breaks by itself: processes that are killed, a database that stands still, a disk that is full, memory that does
//! not suffice, a network that is cut, a journal that is damaged. What users see of each, and what it takes to recover,
//! stands in docs/reliability.md.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::packages;
use crate::platform::{Platform, docker, eventually, tell, turn};

/// How long PostgreSQL is away.
const AWAY: Duration = Duration::from_secs(120);

/// Intent: whatever breaks, every report that the server took is in PuppetDB in the end, the CA goes on where it was, and
/// nobody has to repair anything by hand.
#[test]
#[ignore = "not seen to pass since it or its surroundings changed: `make engine-all` runs it"]
fn nothing_is_lost_whatever_breaks() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    let disk = SmallDisk::below_postgres(&platform);
    platform.up();
    let (ca, mut reports) = (platform.ca(), reports(&platform));

    // The database stands still: agents notice nothing, their reports wait on PuppetDB's disk, and outlive its death: here
    // by the kernel's hand, because memory does not suffice.
    docker(&["pause", &platform.container("postgres")]);
    let since = Instant::now();
    for _ in 0..2 {
        platform.ok(&["agent", "run"]);
        reports += 1;
    }
    out_of_memory(&platform, "puppetdb");
    // It cannot start without its database, and without it no catalog is compiled.
    platform.run(&["agent", "run"]).expect(1);
    std::thread::sleep(AWAY.saturating_sub(since.elapsed()));
    docker(&["unpause", &platform.container("postgres")]);
    all_arrive(&platform, reports, "PostgreSQL goes on after two minutes");

    // The database's disk is full, and PostgreSQL dies on it: agents notice nothing, and their reports wait.
    disk.fill();
    for _ in 0..2 {
        platform.ok(&["agent", "run"]);
        reports += 1;
    }
    cannot_write(&platform);
    kill_process(&platform, "postgres");
    disk.free();
    all_arrive(&platform, reports, "the disk has room again");

    // Each service's process dies: the engine starts it again, and the next run goes through.
    for service in ["postgres", "puppetdb", "puppetserver"] {
        let since = Instant::now();
        kill_process(&platform, service);
        platform.ready_again(service);
        tell(&format!("{service}: ready {} s after its process was killed", since.elapsed().as_secs()));
        platform.ok(&["agent", "run"]);
        reports += 1;
        all_arrive(&platform, reports, "a run");
    }

    // An agent's clock is wrong: ahead, its reports are stored by the server's time; far behind, it trusts nobody, and says
    // so. When its clock is right again, it goes on.
    let clock = WrongClock::of(&platform);
    assert_eq!(clock.run("+10d").0, Some(0));
    reports += 1;
    let (code, said) = clock.run("-10y");
    assert!(code == Some(1) && said.contains("not yet valid"), "{code:?} {said}");
    platform.ok(&["agent", "run"]);
    reports += 1;
    all_arrive(&platform, reports, "an agent's clock is right again");

    // PuppetDB is cut off from its database: what agents send is kept, drift is told, `up` connects it again.
    docker(&["network", "disconnect", &platform.volume("data"), &platform.container("puppetdb")]);
    assert_eq!(platform.status()["drift"]["state"], "differs", "{:#}", platform.status());
    platform.ok(&["agent", "run"]);
    platform.up();
    // The run of `up` itself is the second one.
    reports += 2;
    all_arrive(&platform, reports, "`up` has connected PuppetDB");

    // The journal is damaged: it is what was, not what is, and no change needs it.
    let journals = platform.volume("state");
    let damage = "for f in $(find /state -name '*.jsonl'); do printf '\\377{half a line' >> $f; done";
    let mount = format!("{journals}:/state");
    docker(&["run", "--rm", "--volume", &mount, "--entrypoint", "sh", &platform.image("base"), "-c", damage]);
    platform.ok(&["up"]).says("nothing to do");
    platform.ok(&["restart", "puppetdb"]);
    platform.ok(&["smoke"]);
    assert_eq!(platform.ca(), ca);
}

/// A disk of its own for PostgreSQL's data: in memory, and there for as long as the container that holds it.
struct SmallDisk {
    holder: String,
}

impl SmallDisk {
    fn below_postgres(platform: &Platform) -> Self {
        platform.ok(&["images", "build", "base"]);
        let (project, volume) = (&platform.project, platform.volume("postgres-data"));
        let labels =
            ["project", "role", "key", "stream"].iter().zip([project.as_str(), "volume", "postgres-data", "8"]);
        let labels: Vec<String> =
            labels.map(|(name, value)| format!("--label=dev.pupperware.{name}={value}")).collect();
        let disk = ["type=tmpfs", "device=tmpfs", "o=size=256m,uid=922,gid=922,mode=0700"];
        let disk = disk.map(|option| format!("--opt={option}"));
        let options = labels.iter().chain(&disk).map(String::as_str);
        docker(&["volume", "create"].into_iter().chain(options).chain([volume.as_str()]).collect::<Vec<_>>());
        let holder = format!("{project}-disk");
        let (mount, label) = (format!("{volume}:/disk"), format!("dev.pupperware.test={project}"));
        let run =
            ["run", "--detach", "--init", "--name", &holder, "--label", &label, "--user", "0", "--volume", &mount];
        docker(&[&run[..], &["--entrypoint", "sleep", &platform.image("base"), "infinity"]].concat());
        SmallDisk { holder }
    }

    fn fill(&self) {
        let fill = "! dd if=/dev/zero of=/disk/ballast bs=64k 2> /tmp/said && grep 'No space left' /tmp/said";
        docker(&["exec", &self.holder, "sh", "-c", fill]);
    }

    fn free(&self) {
        docker(&["exec", &self.holder, "rm", "/disk/ballast"]);
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Not by `docker`, which would fail the scenario a second time.
        let _ = Command::new("docker").args(["rm", "--force", &self.holder]).output();
    }
}

/// PostgreSQL itself says that there is no room.
fn cannot_write(platform: &Platform) {
    let table = "CREATE TABLE room AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)";
    let psql = ["exec", &platform.container("postgres"), "psql", "-X", "-U", "postgres", "-d", "puppetdb", "-c", table];
    let output = Command::new("docker").args(psql).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("No space left on device"), "{said}");
}

/// Takes all memory that a service's container may have, so that the kernel kills its main process.
fn out_of_memory(platform: &Platform, service: &str) {
    let (container, since) = (platform.container(service), docker(&["info", "--format", "{{.SystemTime}}"]));
    let before = platform.touched(service);
    // Which of the processes it kills is the kernel's choice, unless one is offered.
    let eat = "echo 1000 > /proc/1/oom_score_adj; exec tail /dev/zero";
    let eaten = Command::new("docker").args(["exec", &container, "sh", "-c", eat]).output().unwrap();
    assert!(!eaten.status.success());
    started_again(platform, service, &before);
    let until = docker(&["info", "--format", "{{.SystemTime}}"]);
    let filters = ["--filter", &format!("container={container}"), "--filter", "event=oom"];
    let told = docker(&[&["events", "--since", &since, "--until", &until][..], &filters].concat());
    assert!(!told.is_empty(), "the kernel has killed for lack of memory");
}

/// SIGKILL for a service's main process, from outside: the engine takes it for a crash, not for a stop.
pub fn kill_process(platform: &Platform, service: &str) {
    let container = platform.container(service);
    let before = platform.touched(service);
    let process = docker(&["inspect", "--format", "{{.State.Pid}}", &container]);
    let kill = format!("kill -9 {process}");
    let host = ["run", "--rm", "--pid", "host", "--user", "0", "--cap-drop", "ALL", "--cap-add", "KILL"];
    docker(&[&host[..], &["--entrypoint", "sh", &platform.image("base"), "-c", &kill]].concat());
    started_again(platform, service, &before);
}

/// By the engine.
fn started_again(platform: &Platform, service: &str, before: &str) {
    eventually(&format!("{service} is started again"), || {
        let running = docker(&["inspect", "--format", "{{.State.Running}}", &platform.container(service)]);
        running == "true" && platform.touched(service) != before
    });
}

/// An agent that can be made to see another time; the engine's machine keeps its own.
struct WrongClock {
    agent: String,
}

impl WrongClock {
    fn of(platform: &Platform) -> Self {
        let pick = "cp /files/usr/lib/*/faketime/libfaketime.so.1 /picked/";
        let agent = platform.container("agent");
        packages::put(&packages::picked(&["libfaketime"], pick), &agent, "/tmp");
        WrongClock { agent }
    }

    /// A run so far from now; its exit code, and what it said.
    fn run(&self, away: &str) -> (Option<i32>, String) {
        let mut command = Command::new("docker");
        command.args(["exec", "--env", "LD_PRELOAD=/tmp/libfaketime.so.1", "--env", &format!("FAKETIME={away}")]);
        let output = command.args([&self.agent, "/usr/local/bin/pupperware-agent-run"]).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }
}

/// How many reports of the platform's agent PuppetDB holds.
fn reports(platform: &Platform) -> usize {
    platform.reports(&format!("{}-agent-1", platform.project)).unwrap_or_default()
}

/// All reports are stored, and each once.
fn all_arrive(platform: &Platform, expected: usize, after: &str) {
    let since = Instant::now();
    eventually(&format!("{expected} reports are in PuppetDB"), || reports(platform) >= expected);
    assert_eq!(reports(platform), expected);
    tell(&format!("after {after}: every report stored within {} s", since.elapsed().as_secs() + 1));
}

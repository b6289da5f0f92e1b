//! `kill -9` at random: whatever an operator does is cut off anywhere, done again, and nothing is lost or done twice.
//!
//! Each kill has a number, and its number is all that it is made of: `PUPPERWARE_KILLS=7-7` does the seventh again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::ops::RangeInclusive;
use std::process::{Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

use crate::code::{self, Repository};
use crate::platform::{Platform, Run, docker, eventually, tell, turn};

/// The kills of an ordinary run of the tests.
const ORDINARY: &str = "1-12";
/// After so many kills, everything is looked at.
const CHECKPOINT: u32 = 10;
/// How long a Puppet run takes about; it has no plan whose steps could be counted.
const AGENT_RUN: u32 = 6000;

/// What is done, and cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Sign,
    Revoke,
    Clean,
    RunAgent,
    Deploy,
    Backup,
    RestartAgent,
    RestartPostgres,
    ChangePostgres,
    Rotate,
}

/// When it is cut off.
#[derive(Debug, Clone)]
struct Kill {
    operation: Operation,
    /// After this part of what its steps tell of themselves, in thousandths.
    after: u32,
    /// And so many milliseconds later: in the middle of a step, perhaps.
    later: u64,
}

impl Kill {
    fn number(number: u32) -> Self {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let operation = prop_oneof![
            3 => Just(Operation::Sign),
            3 => Just(Operation::Revoke),
            3 => Just(Operation::Clean),
            3 => Just(Operation::RunAgent),
            2 => Just(Operation::Deploy),
            2 => Just(Operation::Backup),
            2 => Just(Operation::RestartAgent),
            1 => Just(Operation::RestartPostgres),
            1 => Just(Operation::ChangePostgres),
            1 => Just(Operation::Rotate),
        ];
        let later = prop_oneof![2 => Just(0), 2 => 0..300_u64, 1 => 300..4000_u64];
        let kill =
            (operation, 0..1000_u32, later).prop_map(|(operation, after, later)| Kill { operation, after, later });
        let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), random);
        kill.new_tree(&mut runner).expect("nothing is filtered out").current()
    }
}

/// Intent: an operator's session is lost again and again, at any moment. The same command, typed again, ends what was
/// begun; no serial number is given twice, no certificate, report or volume is lost, and record and journal can be read.
#[test]
#[ignore = "not seen to pass since it or its surroundings changed: `make engine-all` runs it"]
fn nothing_is_lost_wherever_a_command_is_killed() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    let git = Repository::new(&platform, &code::image(&platform));
    let mut history = Kills { platform: &platform, git: &git, memory: 512, signed: BTreeMap::new() };
    history.configure();
    platform.up();
    let made = Made::of(&platform);
    let numbers = numbers();
    for number in numbers.clone() {
        history.survives(number, &Kill::number(number));
        if number % CHECKPOINT == 0 || number == *numbers.end() {
            history.all_is_well(&made);
        }
    }
}

/// Which kills: those of the variable `PUPPERWARE_KILLS`, such as `1-100`.
fn numbers() -> RangeInclusive<u32> {
    let text = std::env::var("PUPPERWARE_KILLS").unwrap_or_else(|_| ORDINARY.into());
    let numbers = text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    numbers.filter(|n| !n.is_empty()).unwrap_or_else(|| panic!("PUPPERWARE_KILLS is {text:?}, not such as 1-100"))
}

/// What must stay as it was made.
#[derive(Debug, PartialEq)]
struct Made {
    ca: String,
    /// Names of volumes, each with the time of its making.
    volumes: BTreeSet<String>,
}

impl Made {
    fn of(platform: &Platform) -> Self {
        let ours = format!("label=dev.pupperware.project={}", platform.project);
        let shown = "{{.Name}} {{.Label \"dev.pupperware.role\"}} {{.Label \"dev.pupperware.made\"}}";
        let all = docker(&["volume", "ls", "--filter", &ours, "--format", shown]);
        // The record is another volume after each change.
        let volumes = all.lines().filter(|l| l.contains(" volume ")).map(ToOwned::to_owned).collect();
        Made { ca: platform.ca(), volumes }
    }
}

/// A platform that lives through kills.
struct Kills<'p> {
    platform: &'p Platform,
    git: &'p Repository,
    /// PostgreSQL's memory limit as it is configured.
    memory: u32,
    /// Certificates that must stay: names with serial number and fingerprint.
    signed: BTreeMap<String, (Value, Value)>,
}

impl Kills<'_> {
    fn configure(&self) {
        let memory = format!("postgres: {{ memory: {}m }}\n", self.memory);
        self.platform.configure("", &(self.git.configuration(self.git.port, "5m") + &memory));
    }

    /// Cuts one operation off, does it again, and looks at what came of it.
    fn survives(&mut self, number: u32, kill: &Kill) {
        let platform = self.platform;
        let name = format!("kill-{number}.example.com");
        match kill.operation {
            Operation::Sign => {
                self.asks(&name);
                self.twice(number, kill, &["ca", "sign", &name]).expect(0);
                let certificate = self.certificate(&name).expect("it is listed");
                assert_eq!(certificate["state"], "signed");
                self.signed.insert(name, (certificate["serial"].clone(), certificate["fingerprint"].clone()));
            }
            Operation::Revoke => {
                self.enrols(&name);
                self.twice(number, kill, &["--yes", "ca", "revoke", &name]).expect(0);
                assert_eq!(self.certificate(&name).expect("it is listed")["state"], "revoked");
            }
            Operation::Clean => {
                self.enrols(&name);
                let again = self.twice(number, kill, &["--yes", "ca", "clean", &name]);
                // Killed after the last step: the name is unknown by now.
                assert!(matches!(again.code, Some(0 | 2)), "{}", again.all());
                assert_eq!(self.certificate(&name), None);
            }
            Operation::RunAgent => {
                let again = self.twice(number, kill, &["agent", "run"]);
                assert!(matches!(again.code, Some(0 | 2)), "{}", again.all());
            }
            Operation::Deploy => {
                let commit = self.git.commit(&format!("node default {{ notify {{ \"kill {number}\": }} }}"));
                self.twice(number, kill, &["code", "deploy"]).expect(0);
                assert_eq!(code::commit(&code::served(platform), "production"), commit);
            }
            Operation::Backup => {
                self.twice(number, kill, &["backup", "create"]).expect(0);
                platform.ok(&["--yes", "backup", "prune", "--keep", "1"]);
            }
            Operation::RestartAgent => {
                self.twice(number, kill, &["restart", "agent"]).expect(0);
            }
            Operation::RestartPostgres => {
                self.twice(number, kill, &["restart", "postgres"]).expect(0);
            }
            Operation::ChangePostgres => {
                self.memory = if self.memory == 512 { 576 } else { 512 };
                self.configure();
                self.twice(number, kill, &["up"]).expect(0);
            }
            Operation::Rotate => {
                self.twice(number, kill, &["secrets", "rotate"]).expect(0);
            }
        }
    }

    /// Starts a command and kills it; how the same command ends afterwards.
    fn twice(&self, number: u32, kill: &Kill, arguments: &[&str]) -> Run {
        let reached = match kill.operation {
            Operation::RunAgent => self.killed_in_time(kill, arguments),
            _ => self.killed_at_step(kill, arguments),
        };
        tell(&format!("kill {number}: {}: {reached}", arguments.join(" ")));
        self.platform.run(arguments)
    }

    fn killed_in_time(&self, kill: &Kill, arguments: &[&str]) -> String {
        let mut child = self.platform.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let after = Duration::from_millis(u64::from(kill.after * AGENT_RUN / 1000));
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        format!("after {} ms", after.as_millis())
    }

    fn killed_at_step(&self, kill: &Kill, arguments: &[&str]) -> String {
        let mut command = self.platform.command(&[&["--progress", "json"], arguments].concat());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut lines, mut told, mut until, mut all) = (Vec::new(), 0, None, 0);
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            lines.push(line);
            match event["event"].as_str() {
                // Each step tells when it begins and when it has ended.
                Some("plan_started") => {
                    all = 2 * event["steps"].as_u64().expect("a number");
                    until = Some(all * u64::from(kill.after) / 1000);
                }
                Some("step_started" | "step_finished") => told += 1,
                _ => {}
            }
            if until.is_some_and(|until| told >= until) {
                std::thread::sleep(Duration::from_millis(kill.later));
                child.kill().unwrap();
                break;
            }
        }
        let status = child.wait().unwrap();
        assert!(
            status.code().is_none_or(|code| code == 0),
            "`{}` failed by itself: {}",
            arguments.join(" "),
            lines.join("\n")
        );
        format!("after {told} of {all} events, and {} ms", kill.later)
    }

    /// Somebody asks for a certificate of this name.
    fn asks(&self, name: &str) {
        let script = "set -eu; cd /tmp; [ -e kills.key ] || openssl genrsa -out kills.key 2048; \
            openssl req -new -key kills.key -subj /CN=$1 | curl -sS --fail --cacert /var/lib/puppet/ssl/certs/ca.pem \
            --request PUT --header 'Content-Type: text/plain' --data-binary @- \
            https://puppet:8140/puppet-ca/v1/certificate_request/$1";
        docker(&["exec", &self.platform.container("agent"), "sh", "-c", script, "sh", name]);
    }

    fn enrols(&self, name: &str) {
        self.asks(name);
        self.platform.ok(&["ca", "sign", name]);
    }

    /// A certificate as `ca list` tells it.
    fn certificate(&self, name: &str) -> Option<Value> {
        let list: Value = serde_json::from_str(&self.platform.ok(&["ca", "list", "-o", "json"]).stdout).unwrap();
        list["certificates"].as_array().expect("a list").iter().find(|c| c["certname"] == name).cloned()
    }

    /// What never changes has not; and the platform is as one that nobody ever killed anything on.
    fn all_is_well(&self, made: &Made) {
        let platform = self.platform;
        platform.up();
        platform.ok(&["up"]).says("nothing to do");
        assert_eq!(Made::of(platform), *made);
        for (name, (serial, fingerprint)) in &self.signed {
            let certificate = self.certificate(name).unwrap_or_else(|| panic!("{name} is lost"));
            assert_eq!((&certificate["serial"], &certificate["fingerprint"]), (serial, fingerprint), "{name}");
            assert_eq!(certificate["state"], "signed", "{name}");
        }
        no_serial_twice(platform);
        journal_is_whole(platform);
        let agent = format!("{}-agent-1", platform.project);
        eventually("every report that the server took is in PuppetDB", || {
            let stored = platform.reports(&agent);
            stored.is_some() && stored == Some(taken(platform))
        });
        let left = format!("label=dev.pupperware.project={}", platform.project);
        let left =
            docker(&["ps", "--all", "--filter", &left, "--format", "{{.Names}} {{.Label \"dev.pupperware.role\"}}"]);
        assert!(left.lines().all(|l| l.ends_with(" service")), "{left}");
    }
}

/// The CA writes down every certificate that it makes, with its number.
fn no_serial_twice(platform: &Platform) {
    let ca = "/etc/puppet/puppetserver/ca";
    let inventory = platform.inside("puppetserver", &["cat", &format!("{ca}/inventory.txt")]);
    let serial = |line: &str| u64::from_str_radix(line.split(' ').next()?.trim_start_matches("0x"), 16).ok();
    let mut seen = BTreeSet::new();
    for line in inventory.lines() {
        let number = serial(line).unwrap_or_else(|| panic!("no serial number in {line:?}"));
        assert!(seen.insert(number), "{number:#x} is there twice:\n{inventory}");
    }
    let next = platform.inside("puppetserver", &["cat", &format!("{ca}/serial")]);
    let next = u64::from_str_radix(next.trim(), 16).unwrap();
    assert!(seen.last().is_some_and(|last| *last < next), "the next one is {next:#x}:\n{inventory}");
}

/// Every line of every change's journal.
fn journal_is_whole(platform: &Platform) {
    let mount = format!("{}:/state:ro", platform.volume("state"));
    let read = "cat /state/journal/*/*.jsonl";
    let lines = docker(&["run", "--rm", "--volume", &mount, "--entrypoint", "sh", &platform.image("base"), "-c", read]);
    for line in lines.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "not a line of a journal: {line:?}");
    }
}

/// How many reports Puppet Server has taken and handed on, as its log tells.
fn taken(platform: &Platform) -> usize {
    let output = Command::new("docker").args(["logs", &platform.container("puppetserver")]).output().unwrap();
    let log = String::from_utf8_lossy(&output.stdout);
    log.lines().filter(|l| l.contains("'store_report' command for") && l.contains("submitted to PuppetDB")).count()
}

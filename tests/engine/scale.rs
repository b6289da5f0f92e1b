//! Compilers that come and go under load: what agents notice of it, and what is left of them.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::faults::kill_process;
use crate::load::{Load, SIGNED, serve_site};
use crate::platform::{Platform, docker, eventually, tell, turn};

/// How many agents loop.
const AGENTS: u32 = 4;
/// Intent: an operator adds compilers to a platform that serves, shuts an agent out, loses a compiler, restarts the
/// others, and takes all away again. Agents that loop meanwhile see no failure but of the requests that the killed
/// compiler had; nothing is left of the compilers.
#[test]
#[ignore = "takes 10 minutes: `make engine-all` runs it"]
fn compilers_come_and_go_and_no_agent_notices() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.configure(SIGNED, "compilers: { balancer: always }\n");
    platform.run(&["scale", "compilers=1"]).expect(1).says("pupperware up");
    platform.up();
    serve_site(&platform);
    let load = Load::start(&platform, AGENTS);

    // Up: none fails, all of them compile, and the same again does nothing.
    let since = Instant::now();
    platform.ok(&["scale", "compilers=2"]).says("2 compilers");
    tell(&format!("0 to 2 compilers: {} s", since.elapsed().as_secs()));
    platform.ok(&["scale", "compilers=2"]).says("nothing to do");
    assert_eq!(replicas(&platform, "compiler"), 2);
    eventually("both compilers have compiled", || catalogs(&platform).iter().filter(|n| **n > 0).count() == 2);

    let up = load.end();
    tell(&format!("load over 0 -> 2: {up:#}"));
    assert_eq!(up["failed"], serde_json::json!({}), "{up:#}");

    // Shut out by the balancer, which sees certificates.
    let name = format!("node-{AGENTS}.load.test");
    assert_eq!(asks(&platform, &name), "200");
    platform.ok(&["--yes", "ca", "revoke", &name]).says("revoked, and refused everywhere");
    assert!(asks(&platform, &name).contains("alert"), "{}", asks(&platform, &name));

    // One after the other: none fails. Killed: whoever it compiled for may fail, and nobody afterwards.
    let load = Load::start(&platform, AGENTS - 1);
    platform.ok(&["restart", "compiler"]);
    let rolled = load.end();
    assert_eq!(rolled["failed"], serde_json::json!({}), "{rolled:#}");
    let load = Load::start(&platform, AGENTS - 1);
    kill_process(&platform, "compiler");
    std::thread::sleep(Duration::from_secs(20));
    let killed = load.end();
    let failures: u64 = killed["failed"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert!(failures <= 2, "{killed:#}");
    platform.ready_again("compiler");
    platform.ok(&["up"]);

    // Down, and nothing is left.
    let load = Load::start(&platform, AGENTS - 1);
    platform.ok(&["scale", "compilers=0"]).says("0 compilers");
    let down = load.end();
    tell(&format!("load over 2 -> 0: {down:#}"));
    assert_eq!(down["failed"], serde_json::json!({}), "{down:#}");
    platform.ok(&["scale", "compilers=0"]).says("nothing to do");
    let list = platform.ok(&["ca", "list", "-o", "json"]).stdout;
    assert!(!list.contains("-compiler-"), "{list}");
    let volumes = docker(&["volume", "ls", "--quiet", "--filter", &format!("name={}_compiler", platform.project)]);
    assert_eq!(volumes, "");
    let nodes = platform.ask_puppetdb("nodes").expect(0).stdout;
    assert!(!nodes.contains("-compiler-"), "{nodes}");
    platform.run(&["audit"]).expect(0);
}

fn replicas(platform: &Platform, service: &str) -> usize {
    let status = platform.status();
    let services = status["services"].as_array().unwrap();
    services.iter().find(|s| s["name"] == service).map_or(0, |s| s["replicas"].as_array().unwrap().len())
}

/// Requests that each compiler has had.
fn catalogs(platform: &Platform) -> Vec<u64> {
    let stats = platform.inside("balancer", &["pupperware-balance", "stats"]);
    let rows = stats.lines().filter(|l| l.starts_with("compilers,compiler-")).map(|l| l.split(',').collect::<Vec<_>>());
    rows.filter_map(|row| row[7].parse().ok()).collect()
}

/// What an agent of the load gets with its certificate.
fn asks(platform: &Platform, name: &str) -> String {
    let (agent, folder) = (platform.container("agent"), platform.folder().join("agents"));
    let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
    for file in ["ca.pem", &certificate, &key] {
        docker(&["cp", folder.join(file).to_str().unwrap(), &format!("{agent}:/tmp/{file}")]);
    }
    let url = format!("https://puppet:8140/puppet/v3/node/{name}?environment=production");
    let (certificate, key) = (format!("/tmp/{certificate}"), format!("/tmp/{key}"));
    let ask = ["exec", &agent, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", "/tmp/ca.pem"];
    let shown = ["--cert", &certificate, "--key", &key, &url];
    let output = Command::new("docker").args([&ask[..], &shown].concat()).output().unwrap();
    format!("{}{}", if output.status.success() { "" } else { "failed: " }, text(&output))
}

fn text(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{stdout}{stderr}")
}

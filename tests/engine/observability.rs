//! What a platform tells of itself: logs and metrics for programs, and a bundle for those who help.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use pupperware::engine::unpack;
use serde_json::Value;

use crate::platform::{Platform, docker, turn};

/// Intent: programs read logs and metrics of a platform as it runs, and see when a part of it does not; a bundle has
/// everything but secrets.
#[test]
fn a_platform_tells_programs_how_it_is_and_nobody_its_secrets() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    logs_are_objects(&platform);

    let metrics = platform.ok(&["metrics"]).stdout;
    for service in ["postgres", "puppetdb", "puppetserver", "agent"] {
        assert!(sample(&metrics, "pupperware_service_up", service) > 0.5, "{metrics}");
        assert!(sample(&metrics, "pupperware_container_memory_bytes", service) > 1e5, "{metrics}");
    }
    for service in ["puppetdb", "puppetserver"] {
        assert!(sample(&metrics, "pupperware_service_answers", service) > 0.5, "{metrics}");
        let heap = sample(&metrics, "pupperware_jvm_heap_used_bytes", service);
        assert!(heap > 1e6 && heap < sample(&metrics, "pupperware_jvm_heap_max_bytes", service), "{metrics}");
    }
    let catalogs = |text: &str| sample(text, "pupperware_puppetserver_catalogs_compiled_total", "puppetserver");
    assert!(catalogs(&metrics) > 0.5, "{metrics}");
    assert!(sample(&metrics, "pupperware_puppetdb_queue_depth", "puppetdb") >= 0.0);
    assert!(metrics.contains("outcome=\"processed\""), "{metrics}");
    platform.ok(&["agent", "run"]);
    assert!(catalogs(&platform.ok(&["metrics"]).stdout) > catalogs(&metrics), "a catalog was compiled");
    the_endpoint_answers(&platform);

    a_bundle_has_no_secrets(&platform);

    platform.ok(&["stop", "puppetdb"]);
    let metrics = platform.ok(&["metrics"]).stdout;
    assert!(sample(&metrics, "pupperware_service_up", "puppetdb") < 0.5, "{metrics}");
    assert!(metrics.contains("pupperware_proved 0\n"), "{metrics}");
    platform.ok(&["support-bundle", "--to", "stopped.tar"]);
}

fn logs_are_objects(platform: &Platform) {
    let lines = platform.ok(&["logs", "-o", "json", "--tail", "5", "postgres", "puppetdb"]).stdout;
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).expect("a JSON object")).collect();
    for service in ["postgres", "puppetdb"] {
        let of_service: Vec<_> = lines.iter().filter(|l| l["service"] == service).collect();
        assert_eq!(of_service.len(), 5, "{lines:#?}");
        for line in of_service {
            assert_eq!(line["container"], platform.container(service).as_str());
            assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
            assert!(["stdout", "stderr"].contains(&line["stream"].as_str().unwrap()), "{line}");
            assert!(line["message"].is_string(), "{line}");
        }
    }
}

/// The value of a service's first sample of a metric.
fn sample(text: &str, name: &str, service: &str) -> f64 {
    let start = format!("{name}{{service=\"{service}\",");
    let line = text.lines().find(|line| line.starts_with(&start));
    let line = line.unwrap_or_else(|| panic!("no {start} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn the_endpoint_answers(platform: &Platform) {
    let mut command = platform.command(&["metrics", "--listen", "0"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find(|l| l.as_ref().unwrap().contains("http://")).unwrap().unwrap();
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("GET /metrics");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\npupperware_proved 1\n"), "{answer}");
    assert!(ask("GET /").starts_with("HTTP/1.1 404 "));
    assert!(ask("POST /metrics").starts_with("HTTP/1.1 405 "));
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
}

/// The platform's own secret in a log, which nobody could tell by its looks; strangers' in an environment and a log.
fn a_bundle_has_no_secrets(platform: &Platform) {
    let own = platform.inside("puppetdb", &["cat", "/etc/pupperware/secrets/puppetdb-password"]);
    let own = own.trim();
    let log = format!("printf 'somebody said {own}\\napi_token=planted-in-a-log\\n' > /proc/1/fd/2");
    platform.inside("postgres", &["sh", "-c", &log]);
    let label = format!("dev.pupperware.project={}", platform.project);
    let stranger = format!("{}-stranger", platform.project);
    docker(&[
        "create",
        "--name",
        &stranger,
        "--label",
        &label,
        "--env",
        "DB_PASSWORD=planted-in-env",
        "pupperware/anchor:1",
        "/none",
    ]);
    let shown = docker(&["logs", &platform.container("postgres")]) + &docker(&["inspect", &stranger]);
    assert!(shown.contains("planted-in-env"), "it is planted");

    let said = platform.ok(&["support-bundle", "--to", "bundle.tar"]);
    docker(&["rm", &stranger]);
    assert!(!said.stderr.contains("not in the bundle"), "{}", said.all());
    let path = platform.folder().join("bundle.tar");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let archive = std::fs::read(&path).unwrap();
    let files = unpack(&archive).unwrap();
    for secret in [own, "planted-in-env", "planted-in-a-log", "PRIVATE KEY"] {
        let holds = |(_, content): &&(String, Vec<u8>)| String::from_utf8_lossy(content).contains(secret);
        let found: Vec<_> = files.iter().filter(holds).map(|(name, _)| name).collect();
        assert!(found.is_empty(), "a secret is in {found:?}");
    }
    let read = |file: &str| {
        let path = format!("pupperware-support-{}/{file}", platform.project);
        let found = files.iter().find(|(name, _)| *name == path);
        String::from_utf8(found.unwrap_or_else(|| panic!("no {path}")).1.clone()).unwrap()
    };
    let json = |file: &str| serde_json::from_str::<Value>(&read(file)).unwrap();
    assert_eq!(json("status.json")["proved"], true);
    assert_eq!(json("manifest.json")["secrets_known"], true);
    assert_eq!(json("plan.json")["project"], platform.project.as_str());
    assert!(json("doctor.json")["checks"].is_array() && json("config.json")["settings"].is_array());
    assert!(read("journal.jsonl").contains("\"command\":\"up\""));
    let log = read(&format!("logs/{}.log", platform.container("postgres")));
    assert!(log.contains("somebody said [redacted]") && log.contains("api_token=[redacted]"), "{log}");
    let inspected = read(&format!("inspect/containers/{stranger}.json"));
    assert!(inspected.contains("DB_PASSWORD=[redacted]"), "{inspected}");
    platform.run(&["support-bundle", "--to", "bundle.tar"]).expect(6).says("is there already");
    let volumes = docker(&["ps", "--all", "--filter", &format!("name={}-journal", platform.project), "--quiet"]);
    assert_eq!(volumes, "", "the journal's reader is gone");
}

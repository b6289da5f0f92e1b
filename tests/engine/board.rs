//! Puppetboard as people meet it: in a browser; and what is left of it when it is not wanted any more.

use std::process::Command;

use serde_json::Value;

use crate::audit::{an_agents_certificate_is_refused_by_puppetdb, answer_to};
use crate::platform::{Platform, docker, turn};

/// Intent: asked for on the command line, Puppetboard shows a browser the platform's node and its report, out of its own
/// files, and opens PuppetDB for nobody else; the next plain `up` takes it away with everything that it was allowed; asked
/// for again, it is back.
#[test]
fn a_browser_sees_the_node_and_its_report_and_nothing_is_left_afterwards() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    platform.configure("", &format!("puppetboard: {{ publish: {port} }}\n"));
    let address = format!("http://localhost:{port}");
    platform.ok(&["up", "--with", "puppetboard"]).says(&format!("puppetboard: {address}/"));

    a_browser_sees(&platform, &address);
    only_this_machines_names_are_answered(&address);
    catalogs_and_queries_are_off(&address);
    an_agents_certificate_is_refused_by_puppetdb(&platform);
    let [certificate, key] =
        ["cert", "key"].map(|f| platform.inside("puppetboard", &["cat", &format!("/etc/pupperware/ssl/{f}.pem")]));
    assert_eq!(answer_to(&platform, &certificate, &key), "200");
    platform.ok(&["audit", "--with", "puppetboard"]).says("clean, nothing was found");
    assert_eq!(services(&platform), ["agent", "postgres", "puppetboard", "puppetdb", "puppetserver"]);
    let name = format!("{}-puppetboard", platform.project);
    assert!(authority(&platform).contains(&name));
    platform.ok(&["restart", "puppetboard"]);
    platform.ok(&["up", "--with", "puppetboard"]);

    // It is not in the file.
    let postgres = platform.touched("postgres");
    platform.up();
    assert_eq!(services(&platform), ["agent", "postgres", "puppetdb", "puppetserver"]);
    assert_eq!(answer_to(&platform, &certificate, &key), "403");
    assert!(!authority(&platform).contains(&name));
    let left = docker(&["volume", "ls", "-q"]) + &docker(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(!left.contains(&platform.volume("puppetboard-config")) && !left.contains(&platform.volume("board")));
    platform.ok(&["audit"]).says("clean, nothing was found");
    assert_eq!(platform.status()["drift"]["state"], "none");

    platform.ok(&["up", "--with", "puppetboard"]);
    assert!(page(&format!("{address}/nodes")).contains(&format!("{}-agent-1", platform.project)));
    platform.ok(&["audit", "--with", "puppetboard"]).says("clean, nothing was found");
    assert_eq!(platform.touched("postgres"), postgres);
}

fn a_browser_sees(platform: &Platform, address: &str) {
    let node = format!("{}-agent-1", platform.project);
    let overview = page(&format!("{address}/"));
    assert!(overview.contains("Population") && overview.contains(">1<"), "{overview}");
    assert!(page(&format!("{address}/nodes")).contains(&node));

    // These rows are filled in by scripts, and the browser finds no other host than this one.
    let report = platform.node(&node)["latest_report_hash"].as_str().expect("it has reported").to_owned();
    let reports = page(&format!("{address}/reports"));
    assert!(reports.contains(&format!("/report/{node}/{report}")), "{reports}");
    let shown = page(&format!("{address}/report/{node}/{report}"));
    assert!(shown.contains(&node) && shown.contains("Metrics"), "{shown}");
}

/// The page as Chromium has it when its scripts have run.
fn page(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost")
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(url)
        .output()
        .expect("chromium is there: `scripts/prerequisites test` installs it");
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a page of a stranger, whose name leads to this machine, could ask for.
fn only_this_machines_names_are_answered(address: &str) {
    assert_eq!(status(address, &[]), "200");
    // 400, or 500 where Puppetboard's own error page cannot be made for such a name, either.
    for headers in [&["Host: stranger.example"][..], &["Host: stranger.example", "X-Forwarded-Host: localhost"]] {
        let status = status(address, headers);
        assert!(matches!(status.as_str(), "400" | "500"), "{headers:?}: {status}");
    }
}

/// What shows parameters of resources, and so perhaps secrets, is off.
fn catalogs_and_queries_are_off(address: &str) {
    for page in ["query", "catalogs", "catalog/puppet", "classes"] {
        assert_eq!(status(&format!("{address}/{page}"), &[]), "403", "{page}");
    }
}

/// The status with which a page is answered.
fn status(url: &str, headers: &[&str]) -> String {
    let headers = headers.iter().flat_map(|header| ["-H", header]);
    let output = Command::new("curl")
        .args(["-s", "-o", "/dev/null", "-w", "%{http_code}"])
        .args(headers)
        .arg(url)
        .output()
        .expect("curl is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn services(platform: &Platform) -> Vec<String> {
    let status = platform.status();
    assert_eq!((&status["healthy"], &status["proved"]), (&Value::Bool(true), &Value::Bool(true)), "{status:#}");
    status["services"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
}

/// What the CA lists.
fn authority(platform: &Platform) -> String {
    platform.ok(&["ca", "list", "-o", "json"]).stdout
}

//! Bad days: each has its state in the run, and its word for people.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pupperware::relay::api::{NodeStatus, Outcome, Status};

use crate::process::{Site, ended, living, stderr, text, until};
use crate::server::{FakeRelay, Fault};

/// One node, one run; its outcome, the node's status, error and message.
fn day(script: &str, more: &str) -> (Outcome, NodeStatus, String, String) {
    let (site, relay) = (Site::new(script).with(more), FakeRelay::start(false));
    let id = relay.book.ask(&["web01"], |_| {});
    let output = site.once(&relay.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let node = relay.book.node(&id, "web01").unwrap();
    let word = |line: Option<_>| line.map(|l: pupperware::relay::api::Line| l.to_string()).unwrap_or_default();
    (relay.book.outcome(&id).unwrap(), node.status, word(node.error), word(node.message))
}

#[test]
fn what_can_be_wrong_with_a_node() {
    let refused = "echo 'ssh: connect to host web01 port 22: No route to host' >&2; exit 255";
    let cases = [
        (refused, NodeStatus::Unreachable, "unreachable", "No route"),
        ("echo 'root@web01: Permission denied (publickey).' >&2; exit 255", NodeStatus::Failed, "auth", "Permission"),
        ("echo 'Host key verification failed.' >&2; exit 255", NodeStatus::Failed, "host_key", "known_hosts"),
        // The machine went away half-way: what was said is no end.
        ("echo 'Notice: Applying'; exit 255", NodeStatus::Unreachable, "unreachable", ""),
        (
            "echo 'Notice: Run of Puppet configuration client already in progress; skipping'; ends 1",
            NodeStatus::Failed,
            "locked",
            "in progress",
        ),
        (
            "echo 'Notice: Skipping run; administratively disabled (Reason: x)'; ends 1",
            NodeStatus::Failed,
            "disabled",
            "disabled",
        ),
        ("echo 'sh: 1: puppet: not found' >&2; ends 127", NodeStatus::Failed, "no_agent", "not found"),
        (
            "echo 'Error: Could not retrieve catalog from remote server'; ends 1",
            NodeStatus::Failed,
            "catalog",
            "catalog",
        ),
        ("kill -9 $$", NodeStatus::Unreachable, "unreachable", ""),
    ];
    for (script, status, error, message) in cases {
        let (outcome, was, word, said) = day(script, "");
        assert_eq!((outcome, was, word.as_str()), (Outcome::Failed, status, error), "{script}");
        assert!(said.contains(message), "{script}: {said}");
    }
}

#[test]
fn a_node_that_takes_too_long_and_one_whose_run_does() {
    let (_, status, error, _) = day("sleep 30; ends 0", "node_timeout_seconds: 1\n");
    assert_eq!((status, error.as_str()), (NodeStatus::Failed, "timeout"));
    let (outcome, _, error, _) = day("sleep 30; ends 0", "run_timeout_seconds: 1\n");
    assert_eq!((outcome, error.as_str()), (Outcome::Failed, "deadline"));
}

#[test]
fn puppetdb_is_down() {
    let (outcome, status, _, message) = day("ends 2", "puppetdb: { url: 'http://127.0.0.1:1' }\n");
    assert_eq!((outcome, status), (Outcome::Finished, NodeStatus::Changed));
    assert!(message.contains("PuppetDB could not be asked"), "{message}");
}

#[test]
fn there_is_no_ssh() {
    let (site, relay) = (Site::new("ends 0"), FakeRelay::start(false));
    fs::remove_file(site.path("ssh")).unwrap();
    let id = relay.book.ask(&["web01"], |_| {});
    assert!(site.once(&relay.url()).status.success());
    assert!(relay.book.node(&id, "web01").unwrap().message.unwrap().as_str().contains("cannot run"));
}

#[test]
fn the_server_has_a_bad_day() {
    let faults: Vec<Fault> = vec![
        Fault::Say(500, "<html>oops</html>".into()),
        Fault::Say(503, String::new()),
        Fault::Say(302, String::new()),
        Fault::Say(429, String::new()),
        Fault::Say(200, "<html>".into()),
        Fault::Say(200, "{\"runs\":7}".into()),
        Fault::Huge,
        Fault::Lose,
        Fault::Slow(Duration::from_millis(300)),
    ];
    for fault in faults {
        let (site, relay) = (Site::new("ends 2"), FakeRelay::start(false));
        let id = relay.book.ask(&["web01"], |_| {});
        // Each of the first requests of every kind goes wrong once.
        let bad = fault.clone();
        let seen = std::sync::Mutex::new(BTreeSet::new());
        relay.fail(move |method, path, _| {
            let fresh = seen.lock().unwrap().insert((method.to_owned(), path.rsplit('/').next().unwrap().to_owned()));
            if fresh && !(path.ends_with("accept") && matches!(bad, Fault::Say(200, _))) {
                bad.clone()
            } else {
                Fault::None
            }
        });
        let _bridge = living(&site, &relay.url());
        until(&format!("the run has ended in spite of {fault:?}"), || relay.book.outcome(&id).is_some());
        assert_eq!(site.started().len(), 1, "{fault:?}");
        assert_eq!(relay.book.outcome(&id), Some(Outcome::Finished));
    }
}

/// A conflict is no trouble that goes by: whose run it is then, somebody else has decided.
#[test]
fn the_server_answers_with_409() {
    let conflict = || Fault::Say(409, "<html>conflict</html>".into());
    let (site, relay) = (Site::new("ends 2"), FakeRelay::start(false));
    let id = relay.book.ask(&["web01"], |_| {});
    relay.fail(move |_, path, _| if path.ends_with("accept") { conflict() } else { Fault::None });
    assert!(site.once(&relay.url()).status.success());
    assert!(site.started().is_empty(), "it was not accepted");
    assert_eq!(relay.book.outcome(&id), None, "and is there for who accepts it");

    let conflict = || Fault::Say(409, "<html>conflict</html>".into());
    let (site, relay) = (Site::new("sleep 0.5; ends 2").with("parallelism: 1\n"), FakeRelay::start(false));
    let id = relay.book.ask(&["web01", "web02", "web03"], |_| {});
    relay.fail(move |method, _, _| if method == "PUT" { conflict() } else { Fault::None });
    let output = site.once(&relay.url());
    assert!(text(&output.stderr).contains("nothing more is started for it"), "{}", text(&output.stderr));
    assert!(site.started().len() < 3, "{:?}", site.started());
    assert_eq!(relay.book.outcome(&id), None);
}

#[test]
fn another_bridge_was_faster() {
    let (site, relay) = (Site::new("ends 0"), FakeRelay::start(false));
    let id = relay.book.ask(&["web01"], |_| {});
    let book = Arc::clone(&relay.book);
    let other = id.clone();
    relay.fail(move |_, path, _| {
        if path.ends_with("accept") {
            let _ = book.accept(&other, Some(&"another-token".parse().unwrap()));
        }
        Fault::None
    });
    assert!(site.once(&relay.url()).status.success());
    assert!(site.started().is_empty());
    assert!(site.journal().contains("\"reason\":\"taken\""));
}

#[test]
fn two_bridges_on_one_token() {
    let relay = FakeRelay::start(false);
    let sites = [Site::new("ends 0"), Site::new("ends 0")];
    let _bridges: Vec<_> = sites.iter().map(|site| living(site, &relay.url())).collect();
    let ids: Vec<_> = (0..12).map(|n| relay.book.ask(&[&format!("node{n}")], |_| {})).collect();
    until("all have ended", || ids.iter().all(|id| relay.book.outcome(id).is_some()));
    let mut started: Vec<String> = sites.iter().flat_map(Site::started).collect();
    started.sort();
    started.dedup();
    assert_eq!(started.len(), 12);
    assert_eq!(sites.iter().map(|s| s.started().len()).sum::<usize>(), 12, "each node once");
    assert!(relay.book.kept().accepted.values().all(|times| *times == 1));

    let second = ended(sites[0].bridge(&relay.url(), &[]).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another bridge uses"), "{}", text(&second.stderr));
}

#[test]
fn the_token_is_revoked_half_way_and_replaced() {
    let (site, relay) = (Site::new("sleep 1; ends 2"), FakeRelay::start(false));
    let id = relay.book.ask(&["web01"], |_| {});
    let _bridge = living(&site, &relay.url());
    until("it runs", || !site.started().is_empty());
    *relay.token.lock().unwrap() = "another".to_owned();
    until("the bridge has noticed", || stderr(&site).contains("the token is not accepted"));
    assert_eq!(relay.book.outcome(&id), None);
    site.token("another");
    until("its end is reported", || relay.book.outcome(&id).is_some());
    assert_eq!(relay.book.outcome(&id), Some(Outcome::Finished), "what was under way went on");
}

#[test]
fn clocks_are_hours_apart() {
    let (site, relay) = (Site::new("sleep 0.3; ends 0"), FakeRelay::start(false));
    relay.clock_ahead(7_200);
    let id = relay.book.ask(&["web01"], |_| {});
    assert!(site.once(&relay.url()).status.success());
    let kept = relay.book.kept();
    let promises = kept.said.iter().filter(|(run, s)| *run == id && s.status == Status::InProgress);
    let now = jiff::Timestamp::now();
    for (_, said) in promises {
        let ahead = said.next_update_before.unwrap().duration_since(now).as_secs();
        assert!((7_190..7_210).contains(&ahead), "promised by the server's clock, and not {ahead} seconds from ours");
    }
}

#[test]
fn a_server_that_keeps_to_the_original() {
    let (site, relay) = (Site::new("ends 2"), FakeRelay::start(true));
    let id = relay.book.ask(&["web01"], |_| {});
    let output = site.once(&relay.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(relay.book.outcome(&id), Some(Outcome::Finished));
    // And one that asks there gets an answer, too.
    let _bridge = living(&site, &relay.url());
    let asked = site.ask(&relay.url(), &["run", "--nodes", "web02", "--wait", "-o", "json"]);
    assert_eq!(asked.status.code(), Some(0), "{}", text(&asked.stderr));
}

#[test]
fn hostile_runs_are_left_and_the_others_are_not() {
    let (site, relay) = (Site::new("ends 0"), FakeRelay::start(false));
    let id = relay.book.ask(&["web01"], |_| {});
    let good = serde_json::to_value(relay.book.run(&id).unwrap()).unwrap();
    let hostile = |change: fn(&mut serde_json::Value)| {
        let mut run = good.clone();
        change(&mut run);
        run
    };
    let list = serde_json::json!({ "runs": [
        hostile(|r| r["scope"] = serde_json::json!({ "nodes": ["-oProxyCommand=touch /tmp/pwned"] })),
        hostile(|r| r["environment"] = "production; reboot".into()),
        hostile(|r| r["id"] = "../../../etc/passwd".into()),
        hostile(|r| r["scope"] = serde_json::json!({ "nodes": ["a\n"] })),
        hostile(|r| r["noop"] = "no".into()),
        serde_json::Value::Null,
        good,
    ] });
    let body = list.to_string();
    relay.fail(move |method, path, _| match (method, path) {
        ("GET", "/_puppet/runs") => Fault::Say(200, body.clone()),
        _ => Fault::None,
    });
    assert!(site.once(&relay.url()).status.success());
    assert_eq!(site.started(), ["web01"]);
    assert_eq!(relay.book.outcome(&id), Some(Outcome::Finished));
}

#[test]
fn a_megabyte_of_nodes() {
    let (site, relay) = (Site::new("ends 0").with("allow: { max_nodes: 100 }\n"), FakeRelay::start(false));
    let _bridge = living(&site, &relay.url());
    let names: String = (0..10_000).map(|n| format!("node-{n:05}.{}.example.com\n", "x".repeat(85))).collect();
    assert!(names.len() > 1 << 20);
    fs::write(site.path("nodes"), names).unwrap();
    let nodes = site.path("nodes");
    let asked = site.ask(&relay.url(), &["run", "--nodes-file", nodes.to_str().unwrap(), "--wait", "-o", "json"]);
    assert_eq!(asked.status.code(), Some(6), "{}", &text(&asked.stderr)[..text(&asked.stderr).len().min(2_000)]);
    let run: serde_json::Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(run["state"]["outcome"], "error");
    assert!(run["state"]["run_results"]["result"]["msg"].as_str().unwrap().contains("at most 100 nodes"));
    assert!(site.started().is_empty());
    let again = site.path("nodes-2");
    fs::write(&again, (0..10_001).map(|n| format!("n{n}\n")).collect::<String>()).unwrap();
    let asked = site.ask(&relay.url(), &["run", "--nodes-file", again.to_str().unwrap()]);
    assert_eq!(asked.status.code(), Some(2));
    assert!(text(&asked.stderr).contains("10000"), "{}", text(&asked.stderr));
}

#[test]
fn what_is_not_allowed_here_is_refused_and_proved() {
    let (site, relay) = (Site::new("ends 0").with("allow: { noop_only: true }\n"), FakeRelay::start(false));
    let real = relay.book.ask(&["web01"], |_| {});
    let noop = relay.book.ask(&["web01"], |run| run.noop = true);
    assert!(site.once(&relay.url()).status.success());
    assert_eq!(relay.book.outcome(&real), Some(Outcome::Error));
    assert_eq!(relay.book.outcome(&noop), Some(Outcome::Finished));
    let log = fs::read_to_string(site.path("state/audit.jsonl")).unwrap();
    assert!(log.contains("\"refused\"") && log.contains("noop only"), "{log}");
    // Somebody makes it look better than it was.
    fs::write(site.path("state/audit.jsonl"), log.replace("\"refused\"", "\"started\"")).unwrap();
    let output = site.once(&relay.url());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("was changed"), "{}", text(&output.stderr));
}

#[test]
fn the_journal_cannot_be_written() {
    let (site, relay) = (Site::new("ends 0"), FakeRelay::start(false));
    relay.book.ask(&["web01"], |_| {});
    fs::write(site.path("state"), "a file where a directory should be").unwrap();
    let output = site.once(&relay.url());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("journal"), "{}", text(&output.stderr));
    assert!(site.started().is_empty());
}

#[test]
fn canaries_batches_and_failures() {
    let script = "case $node in *bad*) ends 4;; *) ends 2;; esac";
    let (site, relay) = (Site::new(script), FakeRelay::start(false));
    let canary = relay.book.ask(&["bad1", "n1", "n2"], |run| {
        run.limits = serde_json::from_str("{\"canary\":1}").unwrap();
    });
    let failures = relay.book.ask(&["bad2", "bad3", "n3", "n4"], |run| {
        run.limits = serde_json::from_str("{\"batch\":1,\"max_failures\":2}").unwrap();
    });
    assert!(site.once(&relay.url()).status.success());
    assert_eq!(site.started(), ["bad1", "bad2", "bad3"]);
    assert_eq!(relay.book.outcome(&canary), Some(Outcome::Failed));
    let skipped = relay.book.node(&canary, "n1").unwrap();
    assert_eq!((skipped.status, skipped.message.unwrap().as_str()), (NodeStatus::Skipped, "a canary failed"));
    assert_eq!(relay.book.node(&failures, "n4").unwrap().status, NodeStatus::Skipped);
}

#[test]
fn tls_that_cannot_be_trusted() {
    let (site, relay) = (Site::new("ends 0"), FakeRelay::start(false));
    // No TLS at all where TLS is wanted.
    let output =
        ended(site.bridge(&format!("https://{}", relay.address), &["--check"]).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot trust"), "{}", text(&output.stderr));
    // Clear text where others could read it.
    let output = ended(site.bridge("http://relay.example.com", &["--check"]).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("clear text"), "{}", text(&output.stderr));
    assert!(relay.requests.lock().unwrap().is_empty(), "no token left the machine");
    // A certificate of nobody whom we trust, and one of another name.
    for (ca, why) in [("web01.pem", "UnknownIssuer"), ("issuing.pem", "name")] {
        let (address, asked) = over_tls();
        let ca = fixture(ca);
        let site = Site::new("ends 0").with_ca(ca.to_str().unwrap());
        let output = ended(
            site.bridge(&format!("https://localhost:{}", address.port()), &["--check"])
                .stderr(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(said.contains("cannot trust") && said.contains(why), "{said}");
        assert!(!asked.load(Ordering::SeqCst), "no token was sent");
    }
    fs::set_permissions(site.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/puppet/authority/fixtures").join(name)
}

/// A server with the certificate of `web01`; whether anything came to it over TLS.
fn over_tls() -> (SocketAddr, Arc<AtomicBool>) {
    let acceptor = pupperware::relay::server::tls::acceptor(&fixture("web01.pem"), &fixture("web01.key")).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
    let seen = Arc::clone(&asked);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(stream).await
                    && tokio::io::AsyncReadExt::read_u8(&mut stream).await.is_ok()
                {
                    seen.store(true, Ordering::SeqCst);
                }
            }
        });
    });
    (address, asked)
}

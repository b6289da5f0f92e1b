//! What breaks by itself: processes that are killed, a database that stands still, a network that is cut, a journal that
//! is damaged. What users see of each, and what it takes to recover, stands in docs/reliability.md.

use std::time::Duration;

use crate::platform::{Platform, docker, turn};

/// Intent: whatever breaks, every report that the server took is in PuppetDB in the end, the CA goes on where it was, and
/// nobody has to repair anything by hand.
#[test]
fn nothing_is_lost_whatever_breaks() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    let (ca, mut reports) = (platform.ca(), reports(&platform));

    // The database stands still: agents notice nothing, their reports wait on PuppetDB's disk, and outlive its death.
    docker(&["pause", &platform.container("postgres")]);
    for _ in 0..2 {
        platform.ok(&["agent", "run"]);
        reports += 1;
    }
    kill_process(&platform, "puppetdb");
    docker(&["unpause", &platform.container("postgres")]);
    all_arrive(&platform, reports);

    // Each service's process dies: the engine starts it again, and the next run goes through.
    for service in ["postgres", "puppetdb", "puppetserver"] {
        kill_process(&platform, service);
        ready_again(&platform, service);
        platform.ok(&["agent", "run"]);
        reports += 1;
        all_arrive(&platform, reports);
    }

    // PuppetDB is cut off from its database: what agents send is kept, drift is told, `up` connects it again.
    docker(&["network", "disconnect", &platform.volume("data"), &platform.container("puppetdb")]);
    assert_eq!(platform.status()["drift"]["state"], "differs", "{:#}", platform.status());
    platform.ok(&["agent", "run"]);
    platform.up();
    // The run of `up` itself is the second one.
    reports += 2;
    all_arrive(&platform, reports);

    // The journal is damaged: it is what was, not what is, and no change needs it.
    let journals = platform.volume("state");
    let damage = "for f in $(find /state -name '*.jsonl'); do printf '\\377{half a line' >> $f; done";
    let mount = format!("{journals}:/state");
    docker(&["run", "--rm", "--volume", &mount, "--entrypoint", "sh", &helper_image(&platform), "-c", damage]);
    platform.ok(&["up"]).says("nothing to do");
    platform.ok(&["restart", "puppetdb"]);
    platform.ok(&["smoke"]);
    assert_eq!(platform.ca(), ca);
}

/// The image of the component `provision` that the platform's release uses.
fn helper_image(platform: &Platform) -> String {
    let list = platform.ok(&["images", "list", "-o", "json"]).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let images = list["images"].as_array().unwrap();
    let helper = images.iter().find(|i| i["component"] == "provision").expect("there is one");
    helper["reference"].as_str().unwrap().to_owned()
}

/// SIGKILL for a service's main process, from outside: the engine takes it for a crash, not for a stop.
fn kill_process(platform: &Platform, service: &str) {
    let container = platform.container(service);
    let process = docker(&["inspect", "--format", "{{.State.Pid}}", &container]);
    let kill = format!("kill -9 {process}");
    let host = ["run", "--rm", "--pid", "host", "--user", "0", "--cap-drop", "ALL", "--cap-add", "KILL"];
    docker(&[&host[..], &["--entrypoint", "sh", &helper_image(platform), "-c", &kill]].concat());
    eventually(&format!("{service} is started again"), || {
        docker(&["inspect", "--format", "{{.RestartCount}} {{.State.Running}}", &container]) == "1 true"
            || docker(&["inspect", "--format", "{{.State.Pid}}", &container]) != process
    });
}

fn ready_again(platform: &Platform, service: &str) {
    let ready = ["exec", &platform.container(service), "/usr/local/bin/pupperware-ready"];
    eventually(&format!("{service} is ready again"), || {
        std::process::Command::new("docker").args(ready).output().is_ok_and(|o| o.status.success())
    });
}

/// How many reports of the platform's agent PuppetDB holds.
fn reports(platform: &Platform) -> usize {
    platform.reports(&format!("{}-agent-1", platform.project)).unwrap_or_default()
}

fn all_arrive(platform: &Platform, expected: usize) {
    eventually(&format!("{expected} reports are in PuppetDB"), || reports(platform) >= expected);
    assert_eq!(reports(platform), expected);
}

/// Looks once a second, three minutes at most: a limit, not a measurement.
#[track_caller]
fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..180 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    panic!("within three minutes, not so: {what}");
}

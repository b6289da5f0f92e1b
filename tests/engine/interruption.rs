//! `kill -9` of `up` at every step: the next `up` goes on, and the platform ends proved.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::platform::{Platform, docker, turn};

/// Intent: nothing that is half-done is in the way. Each run is killed right after a step it had not reached before
/// began, then right after one ended, until a run gets to its end; then the platform is proved.
#[test]
#[ignore = "not seen to pass since it or its surroundings changed: `make engine-all` runs it"]
fn a_killed_up_goes_on_wherever_it_was_killed() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    let mut kills = 0;
    // Positions by what was going on, not by number: plans get shorter from run to run.
    let mut seen: Vec<String> = Vec::new();
    while kill_at_new_position(&platform, &mut seen) {
        kills += 1;
        assert!(kills < 120, "no end of new positions: {seen:?}");
    }
    assert!(kills > 40, "only {kills} positions: {seen:?}");
    platform.up();
    platform.ok(&["smoke"]);
    platform.ok(&["up"]).says("nothing to do");
}

/// Intent: a Puppet run that an interrupted command left in the agent's container is waited for.
#[test]
fn a_run_that_was_left_behind_is_waited_for() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    let agent = platform.container("agent");
    docker(&["exec", "--detach", &agent, "/usr/local/bin/pupperware-agent-run"]);
    let lock = "until [ -e /var/cache/puppet/state/agent_catalog_run.lock ]; do sleep 0.05; done";
    docker(&["exec", &agent, "timeout", "60", "sh", "-c", lock]);
    platform.ok(&["agent", "run"]);
}

/// Starts `up` and kills it at the first event not seen before. False when it ended by itself, well.
fn kill_at_new_position(platform: &Platform, seen: &mut Vec<String>) -> bool {
    let mut command = platform.command(&["--progress", "json", "up"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        lines.push(line);
        let name = event["event"].as_str().unwrap_or_default();
        if !matches!(name, "step_started" | "step_finished") {
            continue;
        }
        // Finished steps are told by their number only; the step's start is among the lines.
        let id = &event["id"];
        let started = lines.iter().filter_map(|l| serde_json::from_str::<Value>(l).ok());
        let what = started.into_iter().find(|e| e["event"] == "step_started" && e["id"] == *id);
        let what = what.map(|e| format!("{} {}", e["kind"], e["resource"])).unwrap_or_default();
        let position = format!("{name} {what}");
        if !seen.contains(&position) {
            seen.push(position);
            // SIGKILL: the program gets no chance to do anything.
            child.kill().unwrap();
            child.wait().unwrap();
            return true;
        }
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{}", lines.join("\n"));
    false
}

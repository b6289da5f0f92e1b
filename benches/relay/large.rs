//! A run on ten thousand nodes, a hundred at once, each of which takes a second: time beside the least that is possible,
//! memory, and whether the signs of life come as promised.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};

use crate::site::Site;

const NODES: usize = 10_000;
/// As in the bridge's file.
const PARALLELISM: usize = 100;

/// The run.
pub async fn measure() -> Value {
    let site = Site::new();
    let token = site.token("asker", "run");
    site.token("bridge", "bridge");
    let bridge = site.bridge("1", "wait_seconds: 30, interval_seconds: 30");
    let mut client = site.client(&token).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let nodes: Vec<String> = (0..NODES).map(|n| format!("node-{n:05}.example.com")).collect();
    let body = json!({ "scope": { "nodes": nodes } });
    let begun = Instant::now();
    let (status, run) = client.call(Method::POST, "/_puppet/runs", Some(&body)).await;
    assert_eq!(status, 201, "{run}");
    let path = format!("/_puppet/runs/{}", run["id"].as_str().unwrap_or_default());
    let (mut longest, mut broken, mut last) = (0.0_f64, 0_u32, None);
    let state = loop {
        let (_, run) = client.call(Method::GET, &path, None).await;
        let state = run["state"].clone();
        if state["status"] == "complete" {
            break state;
        }
        let time = |name: &str| state[name].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if let Some(updated) = time("updated_at") {
            if let Some(before) = last.filter(|before| *before != updated) {
                longest = longest.max(updated.duration_since(before).as_secs_f64());
            }
            last = Some(updated);
        }
        broken += u32::from(time("next_update_before").is_some_and(|promised| jiff::Timestamp::now() > promised));
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    let seconds = begun.elapsed().as_secs_f64();
    let least = (NODES / PARALLELISM) as f64;
    json!({ "nodes": NODES, "parallelism": PARALLELISM, "outcome": state["outcome"], "progress": state["progress"],
        "seconds": seconds, "least_seconds": least, "of_the_possible": least / seconds,
        "longest_between_signs_of_life_seconds": longest, "promises_broken": broken,
        "bridge_memory_mib": bridge.most_memory(), "server_memory_mib": site.server.most_memory() })
}

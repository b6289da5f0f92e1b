//! A thousand runs that wait, and fifty bridges that all want all of them: each run is taken once.

use std::collections::HashMap;
use std::time::Instant;

use hyper::Method;
use serde_json::{Value, json};

use crate::site::{Client, Site};

const RUNS: usize = 1_000;
const BRIDGES: usize = 50;

/// The race.
pub async fn measure() -> Value {
    let site = Site::new();
    let asker = site.token("asker", "run");
    let tokens: Vec<String> = (0..BRIDGES).map(|n| site.token(&format!("bridge-{n}"), "bridge")).collect();
    let mut client = site.client(&asker).await;
    for number in 0..RUNS {
        let body = json!({ "scope": { "nodes": [format!("node-{number}")] } });
        let (status, answer) = client.call(Method::POST, "/_puppet/runs", Some(&body)).await;
        assert_eq!(status, 201, "{answer}");
        // As many as one token may ask for in a second.
        tokio::time::sleep(std::time::Duration::from_millis(8)).await;
    }
    let begun = Instant::now();
    let mut bridges = Vec::new();
    for (number, token) in tokens.into_iter().enumerate() {
        let client = site.client(&token).await;
        bridges.push(tokio::spawn(bridge(client, number)));
    }
    let (mut taken, mut conflicts) = (HashMap::new(), 0_usize);
    for bridge in bridges {
        let (mine, lost) = bridge.await.expect("a bridge");
        conflicts += lost;
        for id in mine {
            *taken.entry(id).or_insert(0_usize) += 1;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let once = taken.values().filter(|count| **count == 1).count();
    json!({ "runs": RUNS, "bridges": BRIDGES, "taken_once": once, "taken_more_often": taken.len() - once,
        "not_taken": RUNS - taken.len(), "conflicts": conflicts, "seconds": seconds,
        "server_memory_mib": site.server.most_memory() })
}

/// Takes what it can until nothing is offered any more.
async fn bridge(mut client: Client, number: usize) -> (Vec<String>, usize) {
    let (mut mine, mut conflicts) = (Vec::new(), 0);
    loop {
        let (status, list) = client.call(Method::GET, "/_puppet/runs", None).await;
        if status == 429 {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        }
        let runs = list["runs"].as_array().cloned().unwrap_or_default();
        if runs.is_empty() {
            return (mine, conflicts);
        }
        for run in runs {
            let id = run["id"].as_str().unwrap_or_default().to_owned();
            let body = json!({ "accept_token": format!("{number}:{id}") });
            match client.call(Method::POST, &format!("/_puppet/runs/{id}/accept"), Some(&body)).await {
                (202, _) => mine.push(id),
                (409, _) => conflicts += 1,
                (429, _) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
                (status, answer) => panic!("{status}: {answer}"),
            }
        }
    }
}

//! From asking for a run to a bridge that has it: with the long poll, and with a timer of 30 seconds as the original has.
//! Both times are the server's own.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::site::{Site, percentile};

/// With the long poll: two hundred runs, five a second.
pub async fn long_poll() -> Value {
    told(latencies("wait_seconds: 30, interval_seconds: 30", 200, Duration::from_millis(200)).await)
}

/// With a timer: ten runs, far enough from each other that each waits for the timer alone.
pub async fn timer() -> Value {
    told(latencies("wait_seconds: 0, interval_seconds: 30", 10, Duration::from_secs(41)).await)
}

fn told(mut values: Vec<f64>) -> Value {
    json!({ "runs": values.len(), "p50_ms": percentile(&mut values, 50), "p99_ms": percentile(&mut values, 99) })
}

async fn latencies(manner: &str, runs: usize, pause: Duration) -> Vec<f64> {
    let site = Site::new();
    let token = site.token("asker", "run");
    site.token("bridge", "bridge");
    let _bridge = site.bridge("0", manner);
    let mut client = site.client(&token).await;
    // The bridge has found the server.
    sleep(Duration::from_secs(3)).await;
    let mut asked = Vec::new();
    for number in 0..runs {
        let body = json!({ "scope": { "nodes": [format!("node-{number}")] } });
        let (status, run) = client.call(Method::POST, "/_puppet/runs", Some(&body)).await;
        assert_eq!(status, 201, "{run}");
        asked.push(run["id"].as_str().unwrap_or_default().to_owned());
        sleep(pause).await;
    }
    let mut values = Vec::new();
    for id in asked {
        loop {
            let (_, run) = client.call(Method::GET, &format!("/_puppet/runs/{id}"), None).await;
            let time = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            if let (Some(asked), Some(taken)) = (time(&run["created_at"]), time(&run["state"]["accepted_at"])) {
                values.push(taken.duration_since(asked).as_secs_f64() * 1_000.0);
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    values
}

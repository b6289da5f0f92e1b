//! Many bridges after the same runs.

use std::collections::HashMap;
use std::sync::Arc;

use hyper::Method;
use pupperware::relay::server::book::Rules;
use serde_json::json;

use crate::served::{Served, token};

const BRIDGES: usize = 50;
const RUNS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_bridges_take_each_run_once() {
    let folder = tempfile::tempdir().unwrap();
    let served = Arc::new(Served::start(folder.path(), Rules::default()).await);
    let asker = token(folder.path(), "asker", &["run"]).await;
    let mut bridges = Vec::new();
    for number in 0..BRIDGES {
        let token = token(folder.path(), &format!("bridge-{number}"), &["bridge"]).await;
        bridges.push(tokio::spawn(race(served.clone(), token, number)));
    }
    let mut asked = Vec::new();
    for number in 0..RUNS {
        asked.push(served.ask(&asker, &[&format!("node-{number}")]).await);
    }
    // A last one, that everybody sees and nobody takes, ends the race.
    served.ask(&asker, &["the-end"]).await;
    let mut taken: HashMap<String, usize> = HashMap::new();
    for bridge in bridges {
        for id in bridge.await.unwrap() {
            *taken.entry(id).or_default() += 1;
        }
    }
    assert_eq!(taken.len(), RUNS);
    assert!(asked.iter().all(|id| taken.get(id) == Some(&1)), "{taken:?}");
    Arc::into_inner(served).unwrap().stop().await;
}

/// Takes what it can until only the last run is left. Each accept is sent twice, as if the first answer had been lost.
async fn race(served: Arc<Served>, token: String, number: usize) -> Vec<String> {
    let mut mine = Vec::new();
    loop {
        let list = served.call(Method::GET, "/_puppet/runs?wait=20", &token, None).await;
        assert_eq!(list.status, 200, "{list:?}");
        let runs = list.body["runs"].as_array().unwrap();
        let over = runs.iter().all(|run| run["scope"]["nodes"][0] == "the-end");
        if over && !runs.is_empty() {
            return mine;
        }
        for run in runs.iter().filter(|run| run["scope"]["nodes"][0] != "the-end") {
            let id = run["id"].as_str().unwrap();
            let path = format!("/_puppet/runs/{id}/accept");
            let body = json!({"accept_token": format!("{number}:{id}")});
            let first = served.call(Method::POST, &path, &token, Some(body.clone())).await;
            let again = served.call(Method::POST, &path, &token, Some(body)).await;
            assert_eq!(first.status, again.status, "an accept can be repeated, a conflict stays one");
            assert_eq!(first.body["lease"], again.body["lease"]);
            match first.status {
                202 => mine.push(id.to_owned()),
                409 => {}
                other => panic!("{other}: {first:?}"),
            }
        }
    }
}

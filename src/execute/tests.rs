//! Steps and the loop around them, against an engine that says what the test wants.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::desired::labels;
use crate::engine::fake::Fake;
use crate::images::{Build, DesiredImage, Source};
use crate::report::{Env, Mode};

/// The question without its parameters.
fn path(question: &str) -> &str {
    question.split('?').next().unwrap_or_default()
}

fn missing() -> (u16, String) {
    (404, r#"{"message":"no such thing"}"#.into())
}

fn context(fake: &Fake) -> Arc<Context> {
    let env = Env { live: false, ci: false, utf8: false, color: false, errors_only: true };
    Arc::new(Context::new(
        fake.engine.clone(),
        "demo".into(),
        Version::new(8, 0, 0),
        None,
        Report::for_mode(Mode::Quiet, &env),
        "the-lock".into(),
        Duration::from_secs(60),
    ))
}

/// Steps that each need the one before.
fn chain(actions: impl IntoIterator<Item = Action>) -> Plan {
    let step = |(id, action): (usize, Action)| Step {
        id,
        action,
        cause: "a test".into(),
        needs: id.checked_sub(1).into_iter().collect(),
    };
    Plan { steps: actions.into_iter().enumerate().map(step).collect() }
}

/// Carries a plan out, the user having pressed Ctrl-C so many times before.
async fn carried_out(fake: &Fake, plan: &Plan, interruptions: u32) -> Result<(), (Box<Error>, usize)> {
    let journal = Journal::open(fake.engine.clone(), "the-lock".into(), "run".into());
    run(&context(fake), plan, &journal, &Cancel::after(interruptions)).await.map(|_| ())
}

fn create_volume() -> Action {
    Action::CreateVolume { key: "code".into(), spec: labels::volume("demo", "code") }
}

#[tokio::test]
async fn an_interruption_before_the_first_step_begins_none() {
    let fake = Fake::new(|_, _| (200, "{}".into()));
    let (error, done) = carried_out(&fake, &chain([create_volume()]), 1).await.unwrap_err();
    assert_eq!((error.kind, done), (Kind::Interrupted, 0));
    assert!(!fake.asked().iter().any(|q| q.contains("/volumes")), "{:?}", fake.asked());
}

/// Creates the network `demo_data` where a network with these labels is found: at the first look, or only when the
/// engine refuses to make another one.
async fn create_network(found: Option<Value>, at_first: bool) -> (Result<()>, bool) {
    let looks = AtomicUsize::new(0);
    let exists = found.is_some();
    let fake = Fake::new(move |question, _| match path(question) {
        "GET /networks/demo_data" => match &found {
            Some(labels) if looks.fetch_add(1, Ordering::Relaxed) > 0 || at_first => {
                (200, json!({ "Id": "1", "Name": "demo_data", "Labels": labels }).to_string())
            }
            _ => missing(),
        },
        "POST /networks/create" if exists => (409, r#"{"message":"it exists"}"#.into()),
        _ => (201, r#"{"Id":"1","Warning":""}"#.into()),
    });
    let spec = labels::network("demo", "data", true);
    let outcome = steps::run(&context(&fake), 0, &Action::CreateNetwork { spec }).await.map(|_| ());
    (outcome, fake.asked().iter().any(|q| q.starts_with("POST")))
}

#[tokio::test]
async fn a_network_of_ours_is_taken_as_it_is_and_a_foreign_one_never() {
    let ours = json!(labels::network("demo", "data", true).labels);
    let outdated = json!(labels::network("demo", "data", false).labels);
    let composes = json!({ "com.docker.compose.project": "demo", "com.docker.compose.network": "data" });
    let (outcome, made) = create_network(None, false).await;
    assert!(outcome.is_ok() && made);
    let (outcome, made) = create_network(Some(ours.clone()), true).await;
    assert!(outcome.is_ok() && !made);
    assert!(create_network(Some(ours), false).await.0.is_ok());
    for foreign in [outdated, composes, json!({})] {
        for at_first in [true, false] {
            let (outcome, made) = create_network(Some(foreign.clone()), at_first).await;
            let error = outcome.unwrap_err();
            assert_eq!(error.what, "there is a network demo_data already, and it is not of this platform");
            assert!(error.hint.unwrap().contains("`docker network rm demo_data`"));
            // Older engines would make a second one of that name.
            assert_eq!(made, !at_first);
        }
    }
}

#[tokio::test]
async fn an_image_that_came_meanwhile_is_not_built_again() {
    let fake = Fake::new(|question, _| match path(question) {
        "GET /images/pupperware/agent:8-key/json" => (200, r#"{"Id":"sha256:1"}"#.into()),
        other => panic!("{other}"),
    });
    let build = Build { key: "key".into(), arguments: std::collections::BTreeMap::new(), release: "8.0.0".into() };
    let image = DesiredImage {
        component: "agent".into(),
        reference: "pupperware/agent:8-key".into(),
        source: Source::Build(build),
    };
    let outcome = steps::run(&context(&fake), 0, &Action::BuildImage { image }).await.unwrap();
    assert_eq!(outcome.as_deref(), Some("already here"));
}

#[tokio::test]
async fn the_state_volume_goes_with_our_own_lock_and_no_other() {
    let fake = Fake::new(|_, _| (204, String::new()));
    let action = Action::RemoveVolume { key: "state".into(), name: "demo_state".into(), throw_away: false };
    steps::run(&context(&fake), 0, &action).await.unwrap();
    let asked = fake.asked();
    let asked: Vec<&str> = asked.iter().map(|q| path(q)).collect();
    assert_eq!(asked, ["DELETE /containers/the-lock", "DELETE /volumes/demo_state"]);
}

/// Restarts PuppetDB, which runs since second 10. The engine tells of a death at `second` only after that, while
/// another step is under way for at most `patience`.
async fn restarted_with_a_death_at(second: i64, patience: Duration) -> Result<(), (Box<Error>, usize)> {
    const NAME: &str = "demo-puppetdb-1";
    let (looks, restarted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wait = move |looks: &AtomicUsize, count: usize, patience: Duration| {
        let end = std::time::Instant::now() + patience;
        while looks.load(Ordering::Relaxed) < count && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let fake = Fake::new(move |question, _| match path(question) {
        "GET /events" => {
            wait(&restarted, 1, Duration::from_secs(30));
            let actor = json!({ "ID": "1", "Attributes": { "name": NAME, "exitCode": "143" } });
            let event = json!({ "Type": "container", "Action": "die", "Actor": actor,
                "timeNano": second * 1_000_000_000 });
            (200, format!("{event}\n"))
        }
        "GET /containers/demo-puppetdb-1/json" => {
            looks.fetch_add(1, Ordering::Relaxed);
            let state = json!({ "Running": true, "StartedAt": "1970-01-01T00:00:10.000000001Z", "ExitCode": 0 });
            (200, json!({ "Id": "1", "State": state }).to_string())
        }
        // A death that alarms is looked into.
        "POST /volumes/create" => {
            restarted.fetch_add(1, Ordering::Relaxed);
            wait(&looks, 2, patience);
            let volume = json!({ "Name": "demo_code", "Driver": "local", "Mountpoint": "/", "Labels": {},
                "Scope": "local", "Options": {} });
            (201, volume.to_string())
        }
        "PUT /containers/the-lock/archive" => (200, String::new()),
        "GET /containers/demo-puppetdb-1/logs" => missing(),
        _ => (204, String::new()),
    });
    let (name, service) = (NAME.to_owned(), "puppetdb".to_owned());
    let plan = chain([
        Action::StopContainer { name: name.clone(), service: service.clone(), grace_seconds: 1 },
        Action::StartContainer { name, service },
        create_volume(),
    ]);
    carried_out(&fake, &plan, 0).await
}

#[tokio::test]
async fn news_of_the_death_before_a_restart_are_no_alarm() {
    let outcome = restarted_with_a_death_at(9, Duration::from_millis(300)).await;
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[tokio::test]
async fn a_death_after_a_restart_is_an_alarm() {
    let (error, _) = restarted_with_a_death_at(11, Duration::from_secs(30)).await.unwrap_err();
    assert_eq!(error.what, "puppetdb died: exit code 143");
}

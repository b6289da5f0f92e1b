//! Steps and the loop around them, against an engine that says what the test wants.

use super::*;
use crate::desired::labels;
use crate::engine::fake::Fake;
use crate::report::{Env, Mode};

/// The question without its parameters.
fn path(question: &str) -> &str {
    question.split('?').next().unwrap_or_default()
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
    run(&context(fake), plan, &journal, &Cancel::after(interruptions)).await
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

#[tokio::test]
async fn the_state_volume_goes_with_our_own_lock_and_no_other() {
    let fake = Fake::new(|_, _| (204, String::new()));
    let action = Action::RemoveVolume { key: "state".into(), name: "demo_state".into(), throw_away: false };
    steps::run(&context(&fake), 0, &action).await.unwrap();
    let asked = fake.asked();
    let asked: Vec<&str> = asked.iter().map(|q| path(q)).collect();
    assert_eq!(asked, ["DELETE /containers/the-lock", "DELETE /volumes/demo_state"]);
}

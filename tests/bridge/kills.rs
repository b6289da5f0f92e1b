//! Killed at every point: no node is started twice, no run is lost, every end is reported.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use pupperware::relay::api::{NodeStatus, Outcome, RunId};
use pupperware::relay::bridge::drive::Ambiguous;
use tokio::sync::watch;

use crate::world::{World, live};

const NEVER: usize = usize::MAX;

fn quiet() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    // Kept for ever: a bridge whose starter is gone is asked for nothing.
    std::mem::forget(sender);
    receiver
}

/// Lives with these deaths, then until all is done. The number of lives.
async fn lives(world: &Arc<World>, deaths: &[usize]) -> usize {
    let mut deaths = deaths.iter().copied();
    for number in 1..100 {
        let survived = live(world, deaths.next().unwrap_or(NEVER), true, quiet()).await;
        let rest = world.runs().values().all(|state| state.closed());
        if matches!(survived, Ok(true)) && rest && (world.book.strict || world.book.list().is_empty()) {
            return number;
        }
        // A supervisor starts it again after a moment.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("it does not come to an end: {:?}", world.runs());
}

fn check(world: &World, ids: &[RunId]) {
    for ((run, node), times) in world.started.lock().unwrap().iter() {
        assert_eq!(*times, 1, "{node} was started {times} times for {run}");
    }
    for id in ids {
        assert!(world.book.kept().accepted.get(id).is_some_and(|times| *times == 1), "{id} was not accepted once");
        let outcome = world.book.outcome(id);
        assert!(outcome.is_some(), "the end of {id} was not reported");
        for node in ["a", "b", "c"] {
            let told = world.book.node(id, node).unwrap_or_else(|| panic!("nothing was told of {node}"));
            let started = world.started.lock().unwrap().contains_key(&(id.clone(), node.parse().unwrap()));
            if started && world.puppetdb {
                assert_eq!(told.status, NodeStatus::Changed, "{told:?}");
            } else if told.status != NodeStatus::Changed {
                assert_eq!(told.error.as_ref().map(|e| e.as_str()), Some("lost"), "{told:?}");
            }
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// How a story went, by how often the bridge lived.
fn story(deaths: &[usize], lost_answers: Vec<usize>, puppetdb: bool, runs: usize) -> usize {
    runtime().block_on(async {
        let world = Arc::new(World { lost_answers, puppetdb, ..World::new(false) });
        let ids: Vec<RunId> = (0..runs).map(|_| world.book.ask(&["a", "b", "c"], |_| {})).collect();
        let count = lives(&world, deaths).await;
        check(&world, &ids);
        assert!(world.alarms.lock().unwrap().iter().all(|a| !a.contains("perhaps")), "{:?}", world.alarms);
        count
    })
}

#[test]
fn at_every_single_point() {
    let mut points = 0;
    for point in 1.. {
        if story(&[point], Vec::new(), true, 1) == 1 {
            break;
        }
        points = point;
    }
    // Intent, accept, start, three nodes, the end, each with a point before and after.
    assert!(points > 25, "only {points} points were met");
}

#[test]
fn at_every_single_point_without_a_puppetdb() {
    for point in 1..40 {
        story(&[point], Vec::new(), false, 1);
    }
}

#[test]
fn with_every_single_answer_lost() {
    for call in 0..12 {
        story(&[], vec![call], true, 1);
        story(&[], vec![call, call + 1, call + 2], true, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn at_any_points_with_any_answers_lost(
        deaths in proptest::collection::vec(1usize..40, 0..8),
        lost in proptest::collection::vec(0usize..60, 0..10),
        puppetdb: bool,
        runs in 1usize..3,
    ) {
        story(&deaths, lost, puppetdb, runs);
    }
}

/// A server that knows no accept tokens cannot say whose a run is.
#[test]
fn a_lost_accept_on_a_strict_server_is_left_with_an_alarm() {
    for ambiguous in [Ambiguous::Skip, Ambiguous::Adopt] {
        runtime().block_on(async {
            // The list is call 0, accepting is call 1.
            let world = Arc::new(World { lost_answers: vec![1], ambiguous, ..World::new(true) });
            let id = world.book.ask(&["a"], |_| {});
            lives(&world, &[]).await;
            let alarms = world.alarms.lock().unwrap().clone();
            assert!(alarms.iter().any(|a| a.contains("perhaps by this bridge")), "{alarms:?}");
            let started = world.started.lock().unwrap().len();
            match ambiguous {
                Ambiguous::Skip => assert_eq!((started, world.book.outcome(&id)), (0, None)),
                Ambiguous::Adopt => assert_eq!((started, world.book.outcome(&id)), (1, Some(Outcome::Finished))),
            }
        });
    }
}

#[test]
fn on_a_strict_server_no_node_is_started_twice_either() {
    for point in 1..40 {
        runtime().block_on(async {
            let world = Arc::new(World::new(true));
            let id = world.book.ask(&["a", "b", "c"], |_| {});
            lives(&world, &[point]).await;
            assert!(world.started.lock().unwrap().values().all(|times| *times == 1));
            let ambiguous = world.alarms.lock().unwrap().iter().any(|a| a.contains("perhaps by this bridge"));
            assert_eq!(ambiguous, world.book.outcome(&id).is_none(), "an end, or an alarm");
        });
    }
}

/// The server is away for an hour, with a run under way: that goes on to its end, which is told soon after the hour; what
/// was asked for meanwhile is done then. No node is started twice.
#[test]
fn the_server_is_away_for_an_hour() {
    runtime().block_on(async {
        let begun = tokio::time::Instant::now();
        let back = begun + Duration::from_secs(3_610);
        let away = Some((begun + Duration::from_secs(10), back));
        let world = Arc::new(World { away, takes: Duration::from_secs(60), ..World::new(false) });
        let first = world.book.ask(&["a", "b", "c"], |_| {});
        let (end, shutdown) = watch::channel(false);
        let story = async {
            tokio::time::sleep(Duration::from_secs(1_800)).await;
            assert_eq!(world.started.lock().unwrap().len(), 3, "what was under way goes on without the server");
            assert_eq!(world.book.outcome(&first), None);
            let second = world.book.ask(&["a", "b", "c"], |_| {});
            while world.book.outcome(&first).is_none() || world.book.outcome(&second).is_none() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            end.send_replace(true);
            (second, back.elapsed())
        };
        let (lived, (second, after)) = tokio::join!(live(&world, NEVER, false, shutdown), story);
        assert!(matches!(lived, Ok(true)));
        check(&world, &[first.clone(), second]);
        assert_eq!(world.book.outcome(&first), Some(Outcome::Finished));
        // The longest pauses, and the second run itself.
        assert!(after < Duration::from_secs(300), "{after:?} after the server was back");
    });
}

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::relay::api::life::Refused;
use crate::relay::api::{
    AcceptToken, ApprovalTerms, Lease, NewEvent, NewToken, NodeStatus, Outcome, StateUpdate, Status, Token,
};

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_600_000_000 + seconds).unwrap()
}

pub(super) fn id(number: u8) -> RunId {
    RunId::from_random([number; 16])
}

pub(super) fn lease(name: &str) -> Lease {
    name.parse().unwrap()
}

pub(super) fn caller(token: &str, connection: &str) -> Caller {
    Caller { token: token.parse().unwrap(), connection: connection.parse().unwrap() }
}

pub(super) fn me() -> Caller {
    caller("00000001", "default")
}

pub(super) fn on(nodes: &[&str]) -> NewRun {
    serde_json::from_value(json!({"scope": {"nodes": nodes}})).unwrap()
}

/// Of a run and its preview.
pub(super) fn ids(number: u8) -> (RunId, RunId) {
    (id(number), id(number | 128))
}

/// Takes what was decided into the book.
pub(super) fn take<T>(book: &mut Book, decision: Decision<T>) -> Result<T, Refusal> {
    let (facts, answer) = decision?;
    if !facts.is_empty() {
        book.apply(book.number() + 1, facts);
    }
    Ok(answer)
}

fn ask(book: &mut Book, caller: &Caller, number: u8, nodes: &[&str]) {
    let decision = book.ask(&Rules::default(), caller, on(nodes), None, ids(number), at(0));
    take(book, decision).unwrap();
}

pub(super) fn accept(book: &mut Book, number: u8) -> Result<(), Refusal> {
    let decision = book.accept(&me(), &id(number), None, &lease("l"), at(1));
    take(book, decision).map(|_| ())
}

pub(super) fn update(book: &mut Book, number: u8, update: &StateUpdate) -> Result<State, Refusal> {
    let decision = book.update(&me(), &id(number), update, at(2));
    take(book, decision)
}

pub(super) fn offered(book: &Book) -> Vec<RunId> {
    book.offers(&me().connection).into_iter().map(|entry| entry.id.clone()).collect()
}

#[test]
fn one_run_a_node_and_nothing_is_overtaken() {
    let mut book = Book::default();
    ask(&mut book, &me(), 1, &["a", "b"]);
    ask(&mut book, &me(), 2, &["b", "c"]);
    ask(&mut book, &me(), 3, &["c"]);
    ask(&mut book, &me(), 4, &["d"]);
    assert_eq!(offered(&book), [id(1), id(4)], "2 waits for 1, and 3 does not overtake 2");
    accept(&mut book, 1).unwrap();
    assert_eq!(offered(&book), [id(4)]);
    assert_eq!(accept(&mut book, 2).unwrap_err().code, "node_busy");
    update(&mut book, 1, &StateUpdate::complete(Outcome::Finished)).unwrap();
    assert_eq!(offered(&book), [id(2), id(4)]);
}

#[test]
fn a_list_has_not_nodes_without_end() {
    let mut book = Book::default();
    let nodes: Vec<String> = (0..9_000).map(|n| format!("n{n}")).collect();
    let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
    (1..=4).for_each(|number| ask(&mut book, &me(), number, &nodes));
    assert_eq!(fitting(book.all(&me().connection, 0, 9)).len(), 2);
    assert_eq!(fitting(book.all(&me().connection, 3, 9)).len(), 1);
    assert_eq!(fitting(book.all(&me().connection, 4, 9)).len(), 0);
}

#[test]
fn requesters_take_turns() {
    let mut book = Book::default();
    let (busy, other) = (me(), caller("00000002", "default"));
    for number in 1..=3 {
        ask(&mut book, &busy, number, &[&format!("n{number}")]);
    }
    ask(&mut book, &other, 4, &["n4"]);
    assert_eq!(offered(&book), [id(1), id(4), id(2), id(3)]);
}

#[test]
fn another_connection_sees_nothing() {
    let mut book = Book::default();
    ask(&mut book, &me(), 1, &["a"]);
    let stranger = caller("00000009", "other");
    assert!(book.offers(&stranger.connection).is_empty() && book.all(&stranger.connection, 0, 9).is_empty());
    assert_eq!(book.run(&stranger.connection, &id(1)).unwrap_err().status, 404);
    assert_eq!(book.accept(&stranger, &id(1), None, &lease("l"), at(1)).unwrap_err().status, 404);
    assert_eq!(book.cancel(&stranger.connection, &id(1), at(1)).unwrap_err().status, 404);
    assert_eq!(book.nodes(&stranger.connection, &id(1), 0, 9).unwrap_err().status, 404);
    ask(&mut book, &stranger, 2, &["a"]);
    assert_eq!(book.offers(&stranger.connection).len(), 1, "a node of one is not busy for another");
}

#[test]
fn a_key_gives_the_same_run() {
    let mut book = Book::default();
    let key = Some("k".parse().unwrap());
    let mut once = |nodes: &[&str], number| {
        let decision = book.ask(&Rules::default(), &me(), on(nodes), key.clone(), ids(number), at(0));
        take(&mut book, decision)
    };
    let first = once(&["a"], 1).unwrap();
    assert_eq!(once(&["a"], 2).unwrap().id, first.id);
    assert_eq!(once(&["b"], 3).unwrap_err().code, "idempotency_key_reused");
}

#[test]
fn a_connection_may_not_pile_up_runs() {
    let mut book = Book::default();
    let rules = Rules { waiting_per_connection: 2, ..Rules::default() };
    ask(&mut book, &me(), 1, &["a"]);
    ask(&mut book, &me(), 2, &["b"]);
    let refusal = book.ask(&rules, &me(), on(&["c"]), None, ids(3), at(0)).unwrap_err();
    assert_eq!((refusal.status, refusal.retry_after), (429, Some(30)));
    accept(&mut book, 1).unwrap();
    assert!(book.ask(&rules, &me(), on(&["c"]), None, ids(3), at(0)).is_ok(), "what is under way does not wait");
}

#[test]
fn nodes_are_those_of_the_run() {
    let mut book = Book::default();
    ask(&mut book, &me(), 1, &["b", "a"]);
    accept(&mut book, 1).unwrap();
    let with = |name: &str| StateUpdate {
        nodes: vec![NodeResult::new(name.parse().unwrap(), NodeStatus::Changed)],
        ..StateUpdate::in_progress(at(60))
    };
    assert_eq!(update(&mut book, 1, &with("c")).unwrap_err().code, "other_node");
    update(&mut book, 1, &with("b")).unwrap();
    let page = book.nodes(&me().connection, &id(1), 0, 10).unwrap();
    let seen: Vec<_> = page.nodes.iter().map(|node| (node.certname.as_str(), node.status)).collect();
    assert_eq!(seen, [("a", NodeStatus::Pending), ("b", NodeStatus::Changed)]);
    assert_eq!(book.nodes(&me().connection, &id(1), 1, 10).unwrap().nodes.len(), 1);
}

#[test]
fn noop_and_no_noop_exclude_each_other() {
    let request = NewRun { noop: true, no_noop: true, ..on(&["a"]) };
    assert_eq!(Book::default().ask(&Rules::default(), &me(), request, None, ids(1), at(0)).unwrap_err().status, 422);
}

#[test]
fn tokens_are_replaced_two_at_a_time() {
    let mut book = Book::default();
    let new = || -> NewToken {
        serde_json::from_value(json!({"connection": "default", "name": "ci", "scopes": ["run"]})).unwrap()
    };
    let token = |n: u8| (TokenId::from_random([n; 4]), Token::from_random([n; 20]));
    let ((first, secret_1), (second, secret_2), (third, secret_3)) = (token(1), token(2), token(3));
    let decision = book.make_token(new(), first.clone(), &secret_1, at(0));
    take(&mut book, decision).unwrap();
    assert_eq!(book.make_token(new(), second.clone(), &secret_2, at(1)).unwrap_err().code, "token_exists");
    let decision = book.rotate_token(&first, second.clone(), &secret_2, at(1));
    take(&mut book, decision).unwrap();
    assert!(book.holder(&secret_1, at(2)).is_some() && book.holder(&secret_2, at(2)).is_some());
    for id in [&first, &second] {
        let refusal = book.rotate_token(id, third.clone(), &secret_3, at(2)).unwrap_err();
        assert_eq!(refusal.code, "token_rotating");
    }
    let after = at(1).saturating_add(ROTATION_GRACE).unwrap();
    assert!(book.holder(&secret_1, after).is_none() && book.holder(&secret_2, after).is_some());
    let decision = book.revoke_token(&second, after);
    take(&mut book, decision).unwrap();
    assert!(book.holder(&secret_2, after).is_none());
    assert_eq!(book.tokens().len(), 2, "what ended is still listed");
    assert_eq!(book.revoke_token(&third, after).unwrap_err().status, 404);
}

/// Told at every start: the same is the same, another one takes its place, and what was made by hand stays.
#[test]
fn a_token_from_elsewhere_is_the_one_of_its_name() {
    let mut book = Book::default();
    let new = |name: &str, scope: &str| -> NewToken {
        serde_json::from_value(json!({"connection": "default", "name": name, "scopes": [scope]})).unwrap()
    };
    let token = |n: u8| (TokenId::from_random([n; 4]), Token::from_random([n; 20]));
    let ((ours, by_hand), (_, given)) = (token(1), token(2));
    let decision = book.make_token(new("ci", "run"), ours, &by_hand, at(0));
    take(&mut book, decision).unwrap();
    for start in 3..=5 {
        let decision = book.adopt_token(new("bridge", "bridge"), token(start).0, &given, at(1));
        take(&mut book, decision).unwrap();
    }
    assert_eq!(book.tokens().len(), 2);
    let (another, next) = token(6);
    let decision = book.adopt_token(new("bridge", "bridge"), another, &next, at(2));
    take(&mut book, decision).unwrap();
    assert!(book.holder(&given, at(2)).is_none() && book.holder(&next, at(2)).is_some());
    assert!(book.holder(&by_hand, at(2)).is_some());
    // The same one for something else.
    let decision = book.adopt_token(new("bridge", "run"), token(7).0, &next, at(3));
    take(&mut book, decision).unwrap();
    let (_, scopes) = book.holder(&next, at(3)).unwrap();
    assert_eq!(scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["run"]);
}

#[test]
fn what_ended_long_ago_goes() {
    let mut book = Book::default();
    for number in 1..=3 {
        ask(&mut book, &me(), number, &["a"]);
        accept(&mut book, number).unwrap();
        update(&mut book, number, &StateUpdate::complete(Outcome::Finished)).unwrap();
    }
    ask(&mut book, &me(), 4, &["a"]);
    let keep = Retention { runs: 2, ..Retention::default() };
    let facts = book.outlived(&keep, at(10));
    book.apply(book.number() + 1, facts);
    assert_eq!(book.run(&me().connection, &id(1)).unwrap_err().status, 404);
    assert!(book.run(&me().connection, &id(2)).is_ok());
    let later = at(2).saturating_add(keep.runs_for).unwrap();
    let facts = book.outlived(&keep, later);
    book.apply(book.number() + 1, facts);
    assert_eq!(book.all(&me().connection, 0, 9).len(), 1, "what has not ended stays");
    assert!(book.outlived(&keep, later).is_empty());
}

#[test]
fn an_event_is_taken_once_and_the_oldest_go() {
    let mut book = Book::default();
    let send = |book: &mut Book, transaction: &str, number: u8| {
        let event: NewEvent = serde_json::from_value(json!({"data": {"transaction_uuid": transaction}})).unwrap();
        let decision = book.take_event(&me(), event, id(number), at(number.into()));
        take(book, decision).unwrap()
    };
    assert_eq!(send(&mut book, "u1", 1), send(&mut book, "u1", 2));
    send(&mut book, "u2", 3);
    let list = book.events_after(&me().connection, 0, 10);
    assert_eq!((list.events.len(), list.next), (2, 2));
    assert_eq!(book.events_after(&me().connection, list.next, 10).events, []);
    for keep in
        [Retention { events: 1, ..Retention::default() }, Retention { event_bytes: 200, ..Retention::default() }]
    {
        let mut book = book.clone();
        let facts = book.outlived(&keep, at(9));
        book.apply(book.number() + 1, facts);
        assert_eq!(book.events_after(&me().connection, 0, 10).events.len(), 1);
        assert_eq!(send(&mut book, "u1", 4).number, 3, "numbers go on");
    }
}

#[test]
fn bridges_are_waited_for_so_long() {
    let mut book = Book::default();
    ask(&mut book, &me(), 1, &["a"]);
    let rules = Rules::default();
    assert!(book.overdue(&rules, at(3_599)).is_empty());
    let facts = book.overdue(&rules, at(3_600));
    book.apply(book.number() + 1, facts);
    let state = book.run(&me().connection, &id(1)).unwrap().state().clone();
    assert_eq!((state.status, state.outcome), (Status::Complete, Some(Outcome::Expired)));
    assert!(book.overdue(&rules, at(9_999)).is_empty());
    assert_eq!(accept(&mut book, 1).unwrap_err().code, Refused::Complete.code());
}

/// What can be asked of a server.
#[derive(Debug, Clone)]
enum Request {
    Ask(Vec<u8>, Option<u8>, bool),
    Accept(usize, Option<u8>),
    Beat(usize, u8),
    Done(usize, bool),
    Cancel(usize),
    Decide(usize, bool),
    Look,
    Event(u8),
}

fn request() -> impl Strategy<Value = Request> {
    let run = || 0_usize..12;
    prop_oneof![
        3 => (proptest::collection::vec(0_u8..6, 1..4), proptest::option::of(0_u8..3), any::<bool>())
            .prop_map(|(n, k, g)| Request::Ask(n, k, g)),
        3 => (run(), proptest::option::of(0_u8..3)).prop_map(|(r, t)| Request::Accept(r, t)),
        2 => (run(), 0_u8..6).prop_map(|(r, n)| Request::Beat(r, n)),
        2 => (run(), any::<bool>()).prop_map(|(r, g)| Request::Done(r, g)),
        1 => run().prop_map(Request::Cancel),
        2 => (run(), any::<bool>()).prop_map(|(r, y)| Request::Decide(r, y)),
        2 => Just(Request::Look),
        1 => (0_u8..4).prop_map(Request::Event),
    ]
}

proptest! {
    /// Whatever is asked: what the facts make again is what there is, with a snapshot in between or not; and never are
    /// two runs under way on one node.
    #[test]
    fn facts_and_snapshots_make_the_same_again(
        requests in proptest::collection::vec((request(), 0_i64..900), 1..60), cut in 0_usize..60,
    ) {
        let (mut book, mut log, mut snapshot) = (Book::default(), Vec::new(), None);
        let (mut now, mut asked) = (0, 0_u8);
        for (at_request, (request, pause)) in requests.into_iter().enumerate() {
            now += pause;
            let nth = |book: &Book, n: usize| book.runs.values().nth(n).cloned();
            let the_lease = |entry: &Entry| entry.life.lease().cloned();
            let facts = match &request {
                Request::Ask(nodes, key, gated) => {
                    asked += 1;
                    let names: Vec<String> = nodes.iter().map(|n| format!("n{n}")).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    let key = key.map(|key| key.to_string().parse().unwrap());
                    let mut request = on(&names);
                    request.approval = gated.then(|| ApprovalTerms { preview: nodes.len() > 1, ..Default::default() });
                    book.ask(&Rules::default(), &me(), request, key, ids(asked), at(now)).map(|(f, _)| f)
                }
                Request::Accept(n, token) => {
                    let Some(entry) = nth(&book, *n) else { continue };
                    let token: Option<AcceptToken> = token.map(|t| t.to_string().parse().unwrap());
                    book.accept(&me(), &entry.id, token.as_ref(), &lease("l"), at(now)).map(|(f, _)| f)
                }
                Request::Beat(n, node) => {
                    let Some(entry) = nth(&book, *n) else { continue };
                    let nodes = vec![NodeResult::new(format!("n{node}").parse().unwrap(), NodeStatus::Running)];
                    let beat = StateUpdate { lease: the_lease(&entry), nodes, ..StateUpdate::in_progress(at(now + 60)) };
                    book.update(&me(), &entry.id, &beat, at(now)).map(|(f, _)| f)
                }
                Request::Done(n, good) => {
                    let Some(entry) = nth(&book, *n) else { continue };
                    let outcome = if *good { Outcome::Finished } else { Outcome::Failed };
                    let done = StateUpdate { lease: the_lease(&entry), ..StateUpdate::complete(outcome) };
                    book.update(&me(), &entry.id, &done, at(now)).map(|(f, _)| f)
                }
                Request::Cancel(n) => {
                    let Some(entry) = nth(&book, *n) else { continue };
                    book.cancel(&me().connection, &entry.id, at(now)).map(|(f, _)| f)
                }
                Request::Decide(n, yes) => {
                    let Some(entry) = nth(&book, *n) else { continue };
                    let choice = if *yes { Choice::Approve } else { Choice::Deny };
                    book.decide(&book.decider(&me()), &entry.id, choice, None, at(now)).map(|(f, _)| f)
                }
                Request::Look => {
                    let mut facts = book.overdue(&Rules::default(), at(now));
                    facts.extend(book.gates(at(now)));
                    facts.extend(book.outlived(&Retention { runs: 3, events: 2, ..Retention::default() }, at(now)));
                    Ok(facts)
                }
                Request::Event(n) => {
                    let event: NewEvent = serde_json::from_value(json!({"data": {}, "key": n.to_string()})).unwrap();
                    asked += 1;
                    book.take_event(&me(), event, id(asked), at(now)).map(|(f, _)| f)
                }
            };
            let Ok(facts) = facts else { continue };
            if !facts.is_empty() {
                log.push(serde_json::to_string(&facts).unwrap());
                book.apply(log.len() as u64, facts);
            }
            if at_request == cut {
                snapshot = Some((log.len(), serde_json::to_string(&book).unwrap()));
            }
            let mut busy = HashMap::new();
            for entry in book.runs.values().filter(|entry| entry.life.is_under_way()) {
                for node in entry.named() {
                    prop_assert_eq!(busy.insert((entry.connection.clone(), node.clone()), entry.id.clone()), None);
                }
            }
            prop_assert_eq!(&busy, &book.busy);
        }
        let seen = |book: &Book| serde_json::to_value(book).unwrap();
        let (from, mut again) = match &snapshot {
            Some((from, text)) => (*from, serde_json::from_str(text).unwrap()),
            None => (0, Book::default()),
        };
        for (at, facts) in log.iter().enumerate().skip(from) {
            again.apply(at as u64 + 1, serde_json::from_str(facts).unwrap());
        }
        prop_assert_eq!(seen(&again), seen(&book));
        prop_assert_eq!(again.busy, book.busy);
        prop_assert_eq!(again.run_keys, book.run_keys);
        prop_assert_eq!(again.event_keys, book.event_keys);
    }
}

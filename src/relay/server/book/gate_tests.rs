//! Runs that somebody has to approve.

use serde_json::json;

use super::tests::{accept, at, caller, id, ids, me, offered, on, take, update};
use super::*;
use crate::relay::api::{
    ApprovalStatus, Change, ChangeStatus, Changes, NodeStatus, Outcome, StateUpdate, Status, Token, Verdict,
};

/// Asks for a run with these terms.
fn gated(book: &mut Book, number: u8, nodes: &[&str], terms: serde_json::Value) -> Run {
    let mut request = on(nodes);
    request.approval = Some(serde_json::from_value(terms).unwrap());
    let decision = book.ask(&Rules::default(), &me(), request, None, ids(number), at(0));
    take(book, decision).unwrap()
}

fn decide(book: &mut Book, by: &str, number: u8, choice: Choice, seconds: i64) -> Result<Run, Refusal> {
    let decider = book.decider(&caller(by, "default"));
    let decision = book.decide(&decider, &id(number), choice, Some("why".into()), at(seconds));
    take(book, decision)
}

fn look(book: &mut Book, seconds: i64) {
    let facts = book.gates(at(seconds));
    let _ = take(book, Ok((facts, ())));
}

fn status(book: &Book, number: u8) -> ApprovalStatus {
    book.run(&me().connection, &id(number)).unwrap().view().approval.unwrap().status
}

fn change(to: &str, status: ChangeStatus) -> Changes {
    let mut changes = Changes::default();
    changes.add(Change {
        resource: "Service[x]".into(),
        property: Some("ensure".into()),
        from: Some("stopped".into()),
        to: Some(to.into()),
        status,
        corrective: false,
    });
    changes
}

fn node(name: &str, status: NodeStatus, changes: Option<Changes>) -> NodeResult {
    let report_hash = Some("ab".parse().unwrap());
    NodeResult { changes, report_hash, ..NodeResult::new(name.parse().unwrap(), status) }
}

/// Carries a run out with these results.
fn carry_out(book: &mut Book, number: u8, outcome: Outcome, nodes: Vec<NodeResult>) {
    accept(book, number).unwrap();
    update(book, number, &StateUpdate { nodes, ..StateUpdate::complete(outcome) }).unwrap();
}

#[test]
fn nobody_may_take_it_before() {
    let mut book = Book::default();
    let run = gated(&mut book, 1, &["a"], json!({"within_seconds": 60}));
    assert_eq!(run.approval.unwrap().expires_at, Some(at(60)));
    assert_eq!(offered(&book), []);
    assert_eq!(accept(&mut book, 1).unwrap_err().code, "not_approved");
    assert!(book.overdue(&Rules::default(), at(1_000_000)).is_empty(), "it does not wait for a bridge");
    let run = decide(&mut book, "00000002", 1, Choice::Approve, 59).unwrap();
    assert_eq!(run.approval.unwrap().status, ApprovalStatus::Approved);
    assert_eq!(offered(&book), [id(1)]);
    assert!(decide(&mut book, "00000002", 1, Choice::Approve, 61).is_ok(), "said again");
    assert_eq!(decide(&mut book, "00000002", 1, Choice::Deny, 61).unwrap_err().code, "not_waiting");
    assert!(book.overdue(&Rules::default(), at(59 + 3599)).is_empty());
    assert!(!book.overdue(&Rules::default(), at(59 + 3600)).is_empty(), "from then on it does");
    assert!(accept(&mut book, 1).is_ok());
}

#[test]
fn denied_or_too_late() {
    let mut book = Book::default();
    gated(&mut book, 1, &["a"], json!({"within_seconds": 60}));
    gated(&mut book, 2, &["a"], json!({"within_seconds": 60}));
    let denied = decide(&mut book, "00000002", 1, Choice::Deny, 1).unwrap();
    assert_eq!(denied.state.outcome, Some(Outcome::Denied));
    assert_eq!(decide(&mut book, "00000002", 2, Choice::Approve, 60).unwrap_err().code, "approval_expired");
    look(&mut book, 60);
    let late = book.run(&me().connection, &id(2)).unwrap();
    assert_eq!((late.state().outcome.as_ref(), status(&book, 2)), (Some(&Outcome::Expired), ApprovalStatus::Expired));
    assert_eq!(offered(&book), []);
}

#[test]
fn not_by_who_asked_not_even_with_the_token_that_replaced_theirs() {
    let mut book = Book::default();
    let token = |n: u8| Token::from_random([n; 20]);
    let new =
        serde_json::from_value(json!({"connection": "default", "name": "ci", "scopes": ["run", "approve"]})).unwrap();
    let made = book.make_token(new, "00000001".parse().unwrap(), &token(1), at(0));
    take(&mut book, made).unwrap();
    let rotated = book.rotate_token(&"00000001".parse().unwrap(), "00000003".parse().unwrap(), &token(3), at(0));
    take(&mut book, rotated).unwrap();
    gated(&mut book, 1, &["a"], json!({"not_by_requester": true}));
    for by in ["00000001", "00000003"] {
        assert_eq!(decide(&mut book, by, 1, Choice::Approve, 1).unwrap_err().code, "requester_may_not_approve");
    }
    assert!(decide(&mut book, "00000002", 1, Choice::Approve, 1).is_ok());
    gated(&mut book, 2, &["a"], json!({"not_by_requester": true}));
    assert!(decide(&mut book, "00000003", 2, Choice::Deny, 1).is_ok(), "they may think better of it");
}

#[test]
fn what_a_preview_found_is_approved_and_compared() {
    let mut book = Book::default();
    let run = gated(&mut book, 1, &["a", "b", "c"], json!({"preview": true}));
    assert_eq!(run.approval.unwrap().preview, Some(id(129)));
    assert_eq!(offered(&book), [id(129)], "the noop run, and not the real one");
    let preview = book.run(&me().connection, &id(129)).unwrap().view();
    assert!(preview.noop && preview.approval.is_none());
    assert_eq!(preview.preview_of, Some(id(1)));
    assert_eq!(decide(&mut book, "00000002", 1, Choice::Approve, 1).unwrap_err().code, "not_waiting");
    look(&mut book, 1);
    assert_eq!(status(&book, 1), ApprovalStatus::Previewing);
    let pending = Some(change("running", ChangeStatus::Pending));
    let found = vec![
        node("a", NodeStatus::WouldChange, pending.clone()),
        node("b", NodeStatus::WouldChange, pending),
        node("c", NodeStatus::Failed, None),
    ];
    carry_out(&mut book, 129, Outcome::Failed, found);
    look(&mut book, 10);
    let waiting = book.run(&me().connection, &id(1)).unwrap().view();
    let approval = waiting.approval.unwrap();
    assert_eq!((approval.status, approval.left_out), (ApprovalStatus::Waiting, 1));
    assert_eq!(approval.expires_at, Some(at(10 + 86_400)), "the time runs from when there is something to decide");
    assert_eq!(waiting.scope.nodes().unwrap().len(), 2, "frozen");
    decide(&mut book, "00000002", 1, Choice::Approve, 11).unwrap();
    assert_eq!(offered(&book), [id(1)]);
    accept(&mut book, 1).unwrap();
    let stranger =
        StateUpdate { nodes: vec![node("c", NodeStatus::Changed, None)], ..StateUpdate::in_progress(at(99)) };
    assert_eq!(update(&mut book, 1, &stranger).unwrap_err().code, "other_node");
    let done = vec![
        node("a", NodeStatus::Changed, Some(change("running", ChangeStatus::Done))),
        node("b", NodeStatus::Changed, Some(change("absent", ChangeStatus::Done))),
    ];
    update(&mut book, 1, &StateUpdate { nodes: done, ..StateUpdate::complete(Outcome::Finished) }).unwrap();
    let ended = book.run(&me().connection, &id(1)).unwrap().view();
    assert_eq!((ended.state.outcome, ended.approval.unwrap().drifted), (Some(Outcome::Finished), Some(1)));
    let comparison = book.comparison(&me().connection, &id(1), 0, 10).unwrap();
    let verdicts: Vec<Verdict> = comparison.nodes.iter().map(|node| node.verdict).collect();
    assert_eq!((verdicts, comparison.drifted), (vec![Verdict::AsApproved, Verdict::Drift], 1));
    let again: Book = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
    assert_eq!(again.comparison(&me().connection, &id(1), 0, 10).unwrap(), comparison);
    let keep = Retention { runs: 0, ..Retention::default() };
    let forgotten = |book: &Book| match book.outlived(&keep, at(99)).first() {
        Some(Fact::RunsForgotten { ids }) => ids.clone(),
        _ => Vec::new(),
    };
    assert_eq!(forgotten(&book), [id(1)], "the preview is kept as long as what it is the preview of");
    let facts = book.outlived(&keep, at(99));
    take(&mut book, Ok((facts, ()))).unwrap();
    assert_eq!(forgotten(&book), [id(129)]);
}

#[test]
fn what_a_preview_can_come_to() {
    let unchanged = || vec![node("a", NodeStatus::Unchanged, Some(Changes::default()))];
    let unsure = vec![NodeResult::new("a".parse().unwrap(), NodeStatus::Unchanged)];
    let failed = vec![node("a", NodeStatus::Failed, None)];
    for (outcome, nodes, approval, ended) in [
        (Outcome::Finished, unchanged(), ApprovalStatus::NotNeeded, Some(Outcome::Finished)),
        (Outcome::Finished, unsure, ApprovalStatus::Waiting, None),
        (Outcome::Failed, failed, ApprovalStatus::Void, Some(Outcome::Error)),
        (Outcome::Error, Vec::new(), ApprovalStatus::Void, Some(Outcome::Error)),
        (Outcome::Cancelled, unchanged(), ApprovalStatus::Void, Some(Outcome::Cancelled)),
    ] {
        let mut book = Book::default();
        gated(&mut book, 1, &["a"], json!({"preview": true}));
        carry_out(&mut book, 129, outcome.clone(), nodes);
        look(&mut book, 9);
        let run = book.run(&me().connection, &id(1)).unwrap();
        assert_eq!((status(&book, 1), run.state().outcome.clone()), (approval, ended), "{outcome}");
    }
}

#[test]
fn cancelling_takes_the_preview_along() {
    let mut book = Book::default();
    gated(&mut book, 1, &["a"], json!({"preview": true}));
    let decision = book.cancel(&me().connection, &id(1), at(1));
    take(&mut book, decision).unwrap();
    for number in [1, 129] {
        assert_eq!(book.run(&me().connection, &id(number)).unwrap().state().status, Status::Complete);
    }
    look(&mut book, 2);
    assert_eq!(status(&book, 1), ApprovalStatus::Void);
    let noop =
        NewRun { noop: true, approval: Some(serde_json::from_value(json!({"preview": true})).unwrap()), ..on(&["a"]) };
    let refusal = book.ask(&Rules::default(), &me(), noop, None, ids(2), at(0)).unwrap_err();
    assert_eq!(refusal.status, 422);
}

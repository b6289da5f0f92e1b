//! The rules of a run's life. Pure: what happens and when it happens come in, the next state or a refusal comes out.
//!
//! ```text
//!            accept                in-progress             complete
//! pending ------------> pending -------------> in-progress ---------> complete
//!    |                (accepted)                 |   ^
//!    | expire, cancel     |  complete, lose      |   | in-progress (a sign of life)
//!    +--> complete <------+                      +---+--> complete (lose)
//! ```
//!
//! Where the original API is silent:
//! - A run is accepted once; the same accept token accepts it again, and gives the same lease.
//! - A state update before that, or without the lease of who accepted, is a conflict.
//! - The same completion can be said twice. Another one is a conflict, with one exception: who was given up (`lost`) and
//!   comes back may still say how it really ended.
//! - Cancelling what nobody accepted ends it. Otherwise the bridge is asked to stop, and says itself how it ended.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::heartbeat;
use super::names::{AcceptToken, Lease};
use super::state::{Outcome, State, StateUpdate, Status};

/// Who accepted a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// When.
    pub at: Timestamp,
    /// With what token, and what it was given for it. The original bridge has neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<(AcceptToken, Lease)>,
}

/// A run's state, and what only the server knows about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// As the API shows it.
    pub state: State,
    /// Since when it waits.
    pub since: Timestamp,
    /// Who took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance: Option<Acceptance>,
}

/// How long the server waits for bridges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For somebody to accept a run.
    pub pending: SignedDuration,
    /// For the first sign of life after that, and the promise that counts until then.
    pub first_update: SignedDuration,
    /// Signs of life that may be missed.
    pub missed: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { pending: SignedDuration::from_hours(1), first_update: SignedDuration::from_secs(60), missed: 3 }
    }
}

/// Why something cannot happen to a run now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else took it.
    #[error("the run has been accepted before")]
    Taken,
    /// It ended.
    #[error("the run is complete")]
    Complete,
    /// It ended otherwise.
    #[error("the run is complete, with another outcome")]
    OtherOutcome,
    /// Nobody took it.
    #[error("the run has not been accepted")]
    NotAccepted,
    /// The update does not come from who accepted it.
    #[error("the lease is not the one that accepting this run gave")]
    OtherLease,
    /// `pending` cannot be set.
    #[error("a run cannot become pending again")]
    Backwards,
    /// `in-progress` without a promise.
    #[error("`next_update_before` is required with `in-progress`")]
    NoPromise,
}

impl Refused {
    /// The HTTP status that says so.
    pub fn http_status(self) -> u16 {
        match self {
            Refused::NoPromise => 422,
            _ => 409,
        }
    }

    /// A stable snake_case word.
    pub fn code(self) -> &'static str {
        match self {
            Refused::Taken => "already_accepted",
            Refused::Complete => "run_complete",
            Refused::OtherOutcome => "other_outcome",
            Refused::NotAccepted => "not_accepted",
            Refused::OtherLease => "stale_lease",
            Refused::Backwards => "backwards",
            Refused::NoPromise => "next_update_before_missing",
        }
    }
}

impl Life {
    /// Of a run that was just asked for.
    pub fn new(now: Timestamp) -> Self {
        Life { state: State::pending(now), since: now, acceptance: None }
    }

    /// What is to be told to who accepted it.
    pub fn lease(&self) -> Option<&Lease> {
        self.acceptance.as_ref()?.held.as_ref().map(|(_, lease)| lease)
    }

    /// True when a bridge may take it.
    pub fn is_free(&self) -> bool {
        self.state.status == Status::Pending && self.acceptance.is_none()
    }

    /// True when a bridge has it.
    pub fn is_under_way(&self) -> bool {
        self.state.status != Status::Complete && self.acceptance.is_some()
    }

    /// A bridge takes it. `fresh` becomes the lease of who comes first with a token.
    ///
    /// # Errors
    /// It ended, or somebody else took it.
    pub fn accept(&self, token: Option<&AcceptToken>, fresh: &Lease, now: Timestamp) -> Result<Life, Refused> {
        if self.state.status == Status::Complete {
            return Err(Refused::Complete);
        }
        if let Some(acceptance) = &self.acceptance {
            let holder = acceptance.held.as_ref().map(|(held, _)| held);
            return if token.is_some() && token == holder { Ok(self.clone()) } else { Err(Refused::Taken) };
        }
        let held = token.map(|token| (token.clone(), fresh.clone()));
        let state = State { accepted_at: Some(now), ..self.state.clone() };
        Ok(Life { state, since: self.since, acceptance: Some(Acceptance { at: now, held }) })
    }

    /// A bridge says how far it is. The nodes in it are not this file's matter.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn update(&self, update: &StateUpdate, now: Timestamp) -> Result<Life, Refused> {
        if update.status == Status::Pending {
            return Err(Refused::Backwards);
        }
        let ended = self.state.status == Status::Complete;
        if self.acceptance.is_none() {
            return Err(if ended { Refused::Complete } else { Refused::NotAccepted });
        }
        if self.lease().is_some() && self.lease() != update.lease.as_ref() {
            return Err(Refused::OtherLease);
        }
        let next_update_before = match (update.status, update.next_update_before) {
            (Status::InProgress, None) => return Err(Refused::NoPromise),
            (Status::InProgress, promise) => promise,
            (Status::Pending | Status::Complete, _) => None,
        };
        let outcome = match update.status {
            Status::Complete => Some(update.outcome.clone().unwrap_or(Outcome::Finished)),
            Status::Pending | Status::InProgress => None,
        };
        if ended && self.state.outcome != Some(Outcome::Lost) {
            return match outcome {
                None => Err(Refused::Complete),
                Some(_) if self.says_the_same(outcome.as_ref(), update) => Ok(self.clone()),
                Some(_) => Err(Refused::OtherOutcome),
            };
        }
        if ended && outcome.is_none() {
            return Err(Refused::Complete);
        }
        let before = self.state.clone();
        let state = State {
            status: update.status,
            job_id: update.job_id.clone().or(before.job_id),
            outcome,
            next_update_before,
            updated_at: Some(now),
            run_results: update.run_results.clone().or(before.run_results),
            accepted_at: before.accepted_at,
            progress: update.progress.or(before.progress),
            cancel_requested: before.cancel_requested,
        };
        Ok(Life { state, ..self.clone() })
    }

    /// Whether a completion is the one that is known already.
    fn says_the_same(&self, outcome: Option<&Outcome>, update: &StateUpdate) -> bool {
        fn fits<T: PartialEq>(said: &Option<T>, known: &Option<T>) -> bool {
            said.is_none() || said == known
        }
        let known = &self.state;
        known.outcome.as_ref() == outcome
            && fits(&update.job_id, &known.job_id)
            && fits(&update.run_results, &known.run_results)
    }

    /// Somebody wants it to stop. Asked for twice it stays as it is.
    ///
    /// # Errors
    /// It ended otherwise.
    pub fn cancel(&self, now: Timestamp) -> Result<Life, Refused> {
        match (self.state.status, &self.acceptance) {
            (Status::Complete, _) if self.state.outcome == Some(Outcome::Cancelled) => Ok(self.clone()),
            (Status::Complete, _) => Err(Refused::Complete),
            (_, None) => Ok(self.end(Outcome::Cancelled, now)),
            (_, Some(_)) => Ok(Life { state: State { cancel_requested: true, ..self.state.clone() }, ..self.clone() }),
        }
    }

    /// How the server has to end it by now, if at all.
    pub fn overdue(&self, patience: &Patience, now: Timestamp) -> Option<Outcome> {
        let (since, promise) = match (self.state.status, &self.acceptance) {
            (Status::Complete, _) => return None,
            (_, None) => {
                return (now.duration_since(self.since) >= patience.pending).then_some(Outcome::Expired);
            }
            (_, Some(acceptance)) => match (self.state.next_update_before, self.state.updated_at) {
                (Some(promise), Some(updated)) => (updated, promise),
                _ => (acceptance.at, acceptance.at.saturating_add(patience.first_update).unwrap_or(Timestamp::MAX)),
            },
        };
        (heartbeat::missed(since, promise, now) > patience.missed).then_some(Outcome::Lost)
    }

    /// The server ends it.
    pub fn end(&self, outcome: Outcome, now: Timestamp) -> Life {
        let state = State {
            status: Status::Complete,
            outcome: Some(outcome),
            next_update_before: None,
            updated_at: Some(now),
            ..self.state.clone()
        };
        Life { state, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_600_000_000 + seconds).unwrap()
    }

    fn token(name: &str) -> AcceptToken {
        name.parse().unwrap()
    }

    fn lease(name: &str) -> Lease {
        name.parse().unwrap()
    }

    fn with_lease(update: StateUpdate, name: &str) -> StateUpdate {
        StateUpdate { lease: Some(lease(name)), ..update }
    }

    #[test]
    fn accepted_once_and_again_by_the_same() {
        let life = Life::new(at(0)).accept(Some(&token("a")), &lease("1"), at(1)).unwrap();
        assert_eq!(life.accept(Some(&token("a")), &lease("2"), at(2)), Ok(life.clone()));
        assert_eq!(life.lease(), Some(&lease("1")));
        assert_eq!(life.accept(Some(&token("b")), &lease("2"), at(2)), Err(Refused::Taken));
        assert_eq!(life.accept(None, &lease("2"), at(2)), Err(Refused::Taken));
        let original = Life::new(at(0)).accept(None, &lease("1"), at(1)).unwrap();
        assert_eq!(original.lease(), None);
        assert_eq!(original.accept(None, &lease("1"), at(1)), Err(Refused::Taken), "the original has no second try");
    }

    #[test]
    fn updates_need_an_acceptance_and_its_lease() {
        let beat = StateUpdate::in_progress(at(45));
        let life = Life::new(at(0));
        assert_eq!(life.update(&beat, at(1)), Err(Refused::NotAccepted));
        let life = life.accept(Some(&token("a")), &lease("1"), at(1)).unwrap();
        assert_eq!(life.update(&beat, at(2)), Err(Refused::OtherLease));
        assert_eq!(life.update(&with_lease(beat.clone(), "2"), at(2)), Err(Refused::OtherLease));
        let life = life.update(&with_lease(beat, "1"), at(2)).unwrap();
        assert_eq!((life.state.status, life.state.updated_at), (Status::InProgress, Some(at(2))));
        let silent = StateUpdate { next_update_before: None, ..StateUpdate::in_progress(at(0)) };
        assert_eq!(life.update(&with_lease(silent, "1"), at(3)), Err(Refused::NoPromise));
    }

    #[test]
    fn a_completion_is_said_once_or_the_same_again() {
        let life = Life::new(at(0)).accept(None, &lease("1"), at(1)).unwrap();
        let job = Some("1234".parse().unwrap());
        let done = StateUpdate { job_id: job, ..StateUpdate::complete(Outcome::Finished) };
        let life = life.update(&done, at(2)).unwrap();
        assert_eq!(life.update(&done, at(3)), Ok(life.clone()));
        assert_eq!(life.update(&StateUpdate::complete(Outcome::Finished), at(3)), Ok(life.clone()));
        assert_eq!(life.update(&StateUpdate::complete(Outcome::Failed), at(3)), Err(Refused::OtherOutcome));
        assert_eq!(life.update(&StateUpdate::in_progress(at(9)), at(3)), Err(Refused::Complete));
        assert_eq!(life.cancel(at(3)), Err(Refused::Complete));
    }

    #[test]
    fn who_was_given_up_may_still_say_how_it_ended() {
        let life = Life::new(at(0)).accept(None, &lease("1"), at(1)).unwrap();
        let life = life.update(&StateUpdate::in_progress(at(12)), at(2)).unwrap();
        assert_eq!(life.overdue(&Patience::default(), at(41)), None, "three missed are allowed");
        assert_eq!(life.overdue(&Patience::default(), at(42)), Some(Outcome::Lost));
        let lost = life.end(Outcome::Lost, at(42));
        assert_eq!(lost.update(&StateUpdate::in_progress(at(99)), at(43)), Err(Refused::Complete));
        let late = lost.update(&StateUpdate::complete(Outcome::Finished), at(43)).unwrap();
        assert_eq!(late.state.outcome, Some(Outcome::Finished));
        assert_eq!(late.update(&StateUpdate::complete(Outcome::Failed), at(44)), Err(Refused::OtherOutcome));
    }

    #[test]
    fn what_nobody_takes_or_begins_ends() {
        let patience = Patience::default();
        let life = Life::new(at(0));
        assert_eq!(life.overdue(&patience, at(3599)), None);
        assert_eq!(life.overdue(&patience, at(3600)), Some(Outcome::Expired));
        let accepted = life.accept(None, &lease("1"), at(3599)).unwrap();
        assert_eq!(accepted.overdue(&patience, at(3600)), None);
        assert_eq!(accepted.overdue(&patience, at(3599 + 240)), Some(Outcome::Lost));
    }

    #[test]
    fn cancelling() {
        let free = Life::new(at(0));
        let cancelled = free.cancel(at(1)).unwrap();
        assert_eq!(cancelled.state.outcome, Some(Outcome::Cancelled));
        assert_eq!(cancelled.cancel(at(2)), Ok(cancelled.clone()), "asked for again");
        let taken = free.accept(None, &lease("1"), at(1)).unwrap();
        let asked = taken.cancel(at(2)).unwrap();
        assert!(asked.state.cancel_requested && asked.state.status == Status::Pending);
        assert_eq!(asked.cancel(at(3)), Ok(asked.clone()));
        let beat = asked.update(&StateUpdate::in_progress(at(9)), at(3)).unwrap();
        assert!(beat.state.cancel_requested, "the answer to a sign of life carries the wish");
    }

    /// What can happen to a run.
    #[derive(Debug, Clone)]
    enum Step {
        Accept(Option<u8>),
        Beat(Option<u8>, i64),
        Done(Option<u8>, bool),
        Cancel,
        Watch,
    }

    fn step() -> impl Strategy<Value = Step> {
        let who = || proptest::option::of(0_u8..3);
        prop_oneof![
            who().prop_map(Step::Accept),
            (who(), -50_i64..200).prop_map(|(who, promise)| Step::Beat(who, promise)),
            (who(), any::<bool>()).prop_map(|(who, good)| Step::Done(who, good)),
            Just(Step::Cancel),
            Just(Step::Watch),
        ]
    }

    fn rank(life: &Life) -> u8 {
        match life.state.status {
            Status::Pending => u8::from(life.acceptance.is_some()),
            Status::InProgress => 2,
            Status::Complete => 3,
        }
    }

    proptest! {
        #[test]
        fn a_life_goes_forward_and_ends_once(steps in proptest::collection::vec((step(), 0_i64..400), 1..40)) {
            let mut life = Life::new(at(0));
            let mut now = 0;
            for (step, pause) in steps {
                now += pause;
                let named = |who: Option<u8>| who.map(|who| who.to_string());
                let tried = |life: &Life| match &step {
                    Step::Accept(who) => {
                        let token = named(*who).map(|name| token(&name));
                        life.accept(token.as_ref(), &lease(&named(*who).unwrap_or("none".into())), at(now))
                    }
                    Step::Beat(who, promise) => {
                        let lease = named(*who).map(|name| lease(&name));
                        life.update(&StateUpdate { lease, ..StateUpdate::in_progress(at(now + promise)) }, at(now))
                    }
                    Step::Done(who, good) => {
                        let lease = named(*who).map(|name| lease(&name));
                        let outcome = if *good { Outcome::Finished } else { Outcome::Failed };
                        life.update(&StateUpdate { lease, ..StateUpdate::complete(outcome) }, at(now))
                    }
                    Step::Cancel => life.cancel(at(now)),
                    Step::Watch => Ok(match life.overdue(&Patience::default(), at(now)) {
                        Some(outcome) => life.end(outcome, at(now)),
                        None => life.clone(),
                    }),
                };
                let Ok(next) = tried(&life) else { continue };
                prop_assert!(rank(&next) >= rank(&life), "never backwards");
                prop_assert!(life.acceptance.is_none() || next.acceptance == life.acceptance, "accepted once");
                prop_assert_eq!(next.state.outcome.is_some(), next.state.status == Status::Complete);
                if rank(&life) == 3 && next != life {
                    prop_assert_eq!(life.state.outcome.as_ref(), Some(&Outcome::Lost), "an end is final but for a lost one");
                }
                let once_only = matches!(step, Step::Accept(None));
                prop_assert!(once_only || tried(&next) == Ok(next.clone()), "what was done can be done again");
                life = next;
            }
        }
    }
}

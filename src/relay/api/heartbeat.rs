//! How many signs of life a run has missed.
//!
//! The time between two of them is what its bridge promised: from `updated_at`, when the server heard of it, to
//! `next_update_before`. A run is given up when it has missed more than so many.

use jiff::{SignedDuration, Timestamp};

/// A promise shorter than this counts as this, so that a hasty bridge is not lost at the first hiccup.
pub const SHORTEST: SignedDuration = SignedDuration::from_secs(5);
/// A promise longer than this counts as this, so that a clock that goes wrong does not keep a dead run for ever.
pub const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// The signs of life missed by now: `floor((now - updated_at) / (next_update_before - updated_at))`.
///
/// `now` and `updated_at` are the server's clock. A client with a clock of its own takes the server's from its `Date`
/// header.
pub fn missed(updated_at: Timestamp, next_update_before: Timestamp, now: Timestamp) -> u64 {
    let promise = next_update_before.duration_since(updated_at).clamp(SHORTEST, LONGEST);
    let passed = now.duration_since(updated_at).max(SignedDuration::ZERO);
    let count = passed.as_secs() / promise.as_secs().max(1);
    u64::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_600_000_000 + seconds).unwrap()
    }

    #[test]
    fn multiples_of_the_promise() {
        let missed_after = |seconds| missed(at(0), at(45), at(seconds));
        assert_eq!([0, 44, 45, 89, 90, 180].map(missed_after), [0, 0, 1, 1, 2, 4]);
    }

    #[test]
    fn clocks_that_disagree() {
        assert_eq!(missed(at(0), at(-100), at(4)), 0, "a promise in the past is one of five seconds");
        assert_eq!(missed(at(0), at(-100), at(5)), 1);
        assert_eq!(missed(at(0), at(1_000_000), at(7_200)), 2, "one of years is one of an hour");
        assert_eq!(missed(at(0), at(45), at(-1_000)), 0, "a clock that went back misses nothing");
        assert_eq!(missed(Timestamp::MIN, Timestamp::MAX, Timestamp::MIN), 0);
    }
}

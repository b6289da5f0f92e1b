//! How soon to ask again: long polls, servers that do not know them, servers in trouble. Pure; time comes in as values.

use std::time::Duration;

/// What asking for runs came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polled {
    /// There was something new to do.
    Work,
    /// There was nothing new, after this time.
    Nothing(Duration),
    /// There was nothing but runs that we are about to take, after this time: the server offers them until it has heard so.
    Echo(Duration),
    /// No usable answer; the server may have said when to come again.
    Trouble(Option<Duration>),
    /// The token is not taken.
    Unauthorized,
}

/// How soon to ask again.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How long we ask the server to hold an answer.
    wait: Duration,
    /// How often to ask a server that answers at once.
    interval: Duration,
    /// Answers in a row that came at once though there was nothing.
    early: u32,
    /// Failures in a row.
    failures: u32,
    /// Answers in a row that told of nothing but what we are about to take.
    echoes: u32,
}

/// Echoes in a row after which a run is one that nobody takes, and not one that is being taken: five seconds.
const ECHOES: u32 = 9;

/// A server that does not know `wait` answers at once every time; one that restarts does so once.
const EARLY: u32 = 2;

/// The longest pause after failures, and what `Retry-After` can ask for.
const LONGEST: Duration = Duration::from_secs(300);

impl Pace {
    /// Asks the server to hold answers for `wait`; falls back to `interval`.
    pub fn new(wait: Duration, interval: Duration) -> Self {
        Pace { wait, interval, early: 0, failures: 0, echoes: 0 }
    }

    /// How long to ask the server to hold its answer.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// False once the server has shown that it does not hold answers.
    pub fn held(&self) -> bool {
        self.early < EARLY
    }

    /// True when the last question was answered.
    pub fn settled(&self) -> bool {
        self.failures == 0
    }

    /// The pause until the next question. `jitter` is between 0 and 1, so that bridges do not come all at once.
    pub fn after(&mut self, polled: Polled, jitter: f64) -> Duration {
        let spread = |base: Duration| base.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        let polled = match polled {
            Polled::Echo(took) if self.echoes >= ECHOES => Polled::Nothing(took),
            other => other,
        };
        match polled {
            Polled::Work => {
                (self.failures, self.echoes) = (0, 0);
                Duration::ZERO
            }
            Polled::Echo(_) => {
                self.failures = 0;
                self.echoes += 1;
                // 10, 20, 40, ... milliseconds: the next request must not wait for what is only a matter of moments.
                Duration::from_millis(5 << self.echoes)
            }
            Polled::Nothing(took) => {
                self.failures = 0;
                // Half is enough: clocks and the network take their part.
                // Who does not ask for it gets no answer that was held.
                let held = !self.wait.is_zero() && took * 2 >= self.wait;
                self.early = if held { 0 } else { self.early.saturating_add(1) };
                self.echoes = if held { 0 } else { self.echoes };
                match self.early {
                    0 => Duration::ZERO,
                    n if n < EARLY => spread(Duration::from_secs(1)),
                    _ => self.interval.mul_f64(0.9 + jitter.clamp(0.0, 1.0) / 5.0),
                }
            }
            Polled::Trouble(Some(retry_after)) => {
                self.failures = self.failures.saturating_add(1);
                let asked = retry_after.clamp(Duration::from_secs(1), LONGEST);
                asked + spread(Duration::from_secs(1))
            }
            Polled::Trouble(None) => {
                self.failures = self.failures.saturating_add(1);
                // 1, 2, 4, ... 64 seconds.
                spread(Duration::from_secs(1 << (self.failures - 1).min(6)))
            }
            Polled::Unauthorized => {
                self.failures = self.failures.saturating_add(1);
                spread(self.interval * 2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WAIT: Duration = Duration::from_secs(30);

    fn pace() -> Pace {
        Pace::new(WAIT, Duration::from_secs(30))
    }

    #[test]
    fn a_server_that_holds_answers_is_asked_again_at_once() {
        let mut pace = pace();
        for _ in 0..5 {
            assert_eq!(pace.after(Polled::Nothing(WAIT), 0.3), Duration::ZERO);
        }
        assert!(pace.held());
    }

    #[test]
    fn one_that_does_not_is_found_out_and_can_learn() {
        let mut pace = pace();
        let first = pace.after(Polled::Nothing(Duration::from_millis(3)), 0.5);
        assert!(first < Duration::from_secs(2), "one early answer may be a restart");
        let second = pace.after(Polled::Nothing(Duration::from_millis(3)), 0.5);
        assert_eq!(second, Duration::from_secs(30));
        assert!(!pace.held());
        assert_eq!(pace.after(Polled::Nothing(WAIT), 0.5), Duration::ZERO);
        assert!(pace.held());
    }

    #[test]
    fn trouble_is_met_with_patience_and_forgotten_when_it_is_over() {
        let mut pace = pace();
        let pauses: Vec<u64> = (0..9).map(|_| pace.after(Polled::Trouble(None), 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(pace.after(Polled::Work, 0.0), Duration::ZERO);
        assert_eq!(pace.after(Polled::Trouble(None), 1.0).as_secs(), 1);
        assert!(pace.after(Polled::Trouble(Some(Duration::from_secs(7))), 0.0) >= Duration::from_secs(7));
        assert!(pace.after(Polled::Trouble(Some(Duration::from_secs(1 << 40))), 0.0) < Duration::from_secs(302));
    }

    proptest! {
        #[test]
        fn only_work_and_held_answers_are_followed_at_once(
            events in proptest::collection::vec((0u8..4, 0u64..60), 1..40), jitter in 0.0f64..1.0
        ) {
            let mut pace = pace();
            for (kind, seconds) in events {
                let polled = match kind {
                    0 => Polled::Work,
                    1 => Polled::Nothing(Duration::from_secs(seconds)),
                    2 => Polled::Trouble(None),
                    _ => Polled::Unauthorized,
                };
                let pause = pace.after(polled, jitter);
                prop_assert!(pause <= LONGEST);
                if pause.is_zero() {
                    prop_assert!(matches!(polled, Polled::Work | Polled::Nothing(_)));
                }
            }
        }
    }

    #[test]
    fn without_a_long_poll_the_timer_counts() {
        let mut pace = Pace::new(Duration::ZERO, WAIT);
        let nothing = Polled::Nothing(Duration::from_millis(1));
        pace.after(nothing, 0.5);
        assert!(pace.after(nothing, 0.5) > WAIT / 2, "and not one question after the other");
    }

    #[test]
    fn what_is_being_taken_is_asked_about_soon_and_not_for_ever() {
        let mut pace = Pace::new(WAIT, WAIT);
        let echo = Polled::Echo(Duration::from_millis(1));
        assert_eq!(pace.after(Polled::Work, 0.5), Duration::ZERO);
        let pauses: Vec<Duration> = (0..ECHOES).map(|_| pace.after(echo, 0.5)).collect();
        assert_eq!(pauses[0], Duration::from_millis(10));
        assert!(pauses.iter().sum::<Duration>() < Duration::from_secs(6) && pace.held());
        pace.after(echo, 0.5);
        assert!(pace.after(echo, 0.5) > WAIT / 2, "a run that nobody takes does not keep us busy");
        pace.after(Polled::Nothing(WAIT), 0.5);
        assert_eq!(pace.after(echo, 0.5), Duration::from_millis(10), "the server holds its answers");
    }
}

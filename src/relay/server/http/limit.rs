//! How often somebody may ask: a bucket of tries that fills by itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::relay::api::TokenId;

/// Whose tries are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// The holder of a token.
    Token(TokenId),
    /// Somebody without one that opens anything.
    Stranger(IpAddr),
    /// Who is signed in to the pages.
    Visitor(String),
    /// Who looks at the pages and is not signed in.
    Guest(IpAddr),
}

impl Who {
    /// Tries that a full bucket has, and tries a second that come again.
    fn measure(&self) -> (f64, f64) {
        match self {
            Who::Token(_) => (400.0, 100.0),
            Who::Stranger(_) => (20.0, 1.0),
            Who::Visitor(_) | Who::Guest(_) => (200.0, 20.0),
        }
    }
}

/// The most buckets; when there are more, full ones go.
const BUCKETS: usize = 10_000;

/// The buckets.
#[derive(Debug, Default)]
pub struct Limiter {
    buckets: HashMap<Who, (f64, Instant)>,
}

impl Limiter {
    /// Takes one try; or says how long to wait for it.
    pub fn try_once(&mut self, who: Who, now: Instant) -> Result<(), Duration> {
        let (full, rate) = who.measure();
        if self.buckets.len() >= BUCKETS && !self.buckets.contains_key(&who) {
            self.buckets.retain(|who, (left, at)| {
                let (full, rate) = who.measure();
                *left + now.duration_since(*at).as_secs_f64() * rate < full
            });
            // All of them are strangers who try too often; one more waits with them.
            if self.buckets.len() >= BUCKETS {
                return Err(Duration::from_secs(1));
            }
        }
        let (left, at) = self.buckets.entry(who).or_insert((full, now));
        *left = (*left + now.saturating_duration_since(*at).as_secs_f64() * rate).min(full);
        *at = now;
        if *left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - *left) / rate));
        }
        *left -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        let stranger = Who::Stranger([127, 0, 0, 1].into());
        for _ in 0..20 {
            assert_eq!(limiter.try_once(stranger.clone(), start), Ok(()));
        }
        let wait = limiter.try_once(stranger.clone(), start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        assert_eq!(limiter.try_once(Who::Stranger([127, 0, 0, 2].into()), start), Ok(()), "others have their own");
        assert_eq!(limiter.try_once(stranger, start + wait), Ok(()));
    }

    #[test]
    fn there_are_not_more_and_more_buckets() {
        let mut limiter = Limiter::default();
        let start = Instant::now();
        for n in 0..30_000_u32 {
            let _ = limiter.try_once(Who::Stranger(IpAddr::from(n.to_be_bytes())), start);
        }
        assert_eq!(limiter.buckets.len(), BUCKETS);
        let later = start + Duration::from_secs(60);
        assert_eq!(limiter.try_once(Who::Stranger([9, 9, 9, 9].into()), later), Ok(()));
        assert_eq!(limiter.buckets.len(), 1);
    }
}

//! The rate of one API key: a bucket of a minute's requests that fills evenly (GCRA). Each process counts for itself.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};

/// A limit on requests a minute, or none.
#[derive(Debug)]
pub(crate) struct Limiter(Option<DefaultDirectRateLimiter>);

impl Limiter {
    /// At most this many requests a minute, all of which may come at once; 0 is no limit.
    pub(crate) fn new(requests_per_minute: u32) -> Self {
        Self(NonZeroU32::new(requests_per_minute).map(|most| DefaultDirectRateLimiter::direct(Quota::per_minute(most))))
    }

    /// Counts one request, or says how long until the next may come.
    pub(crate) fn check(&self) -> Result<(), Duration> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check().map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_limit() {
        let limiter = Limiter::new(0);
        assert!((0..10_000).all(|_| limiter.check().is_ok()));
    }

    #[test]
    fn a_minutes_worth_passes_at_once_and_no_more() {
        let limiter = Limiter::new(3);
        assert_eq!((0..10).filter(|_| limiter.check().is_ok()).count(), 3);
        assert!(limiter.check().unwrap_err() <= Duration::from_secs(20));
    }
}

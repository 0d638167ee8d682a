//! Jobs put off because their provider is full: how long until each asks again. The longer the line, the longer, so that
//! a long one costs few wake-ups and a short one leaves no place idle for long.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use schemas::timestamp::Timestamp;

/// How long a call takes before one was measured.
const UNMEASURED: Duration = Duration::from_secs(1);
/// A measured call counts as no shorter and no longer than these.
const SHORTEST_CALL: Duration = Duration::from_millis(50);
const LONGEST_CALL: Duration = Duration::from_secs(10);
/// So many jobs ask for each that can go: a place stays empty for about this part of a call.
const ASK_FOR_ONE: u32 = 4;
/// No job stays away for longer, but for its jitter: a line may become shorter than it was.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The share of the newest call in the mean.
const NEWEST: f64 = 0.2;
/// Jobs of one line that are counted at most: by then the wait has long reached its maximum.
const MOST_COUNTED: usize = 16_384;

/// A line for each provider, by its name.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<HashMap<String, Line>>);

#[derive(Debug, Default)]
struct Line {
    /// When those that were put off come back.
    back: BinaryHeap<Reverse<Timestamp>>,
    /// Mean time of a call, in seconds.
    call: Option<f64>,
}

impl Lines {
    /// One more job finds the `places` of `provider` taken: how long to put it off. `bits` are random.
    #[must_use]
    pub(super) fn join(&self, provider: &str, places: NonZeroU32, now: Timestamp, bits: u64) -> Duration {
        self.with(provider, |line| line.join(places, now, bits))
    }

    /// A call there was answered, `took` after it was sent.
    pub(super) fn answered(&self, provider: &str, took: Duration) {
        self.with(provider, |line| {
            let took = took.as_secs_f64();
            line.call = Some(line.call.map_or(took, |mean| mean + NEWEST * (took - mean)));
        });
    }

    fn with<T>(&self, provider: &str, work: impl FnOnce(&mut Line) -> T) -> T {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(lines.entry(provider.to_owned()).or_default())
    }
}

impl Line {
    fn join(&mut self, places: NonZeroU32, now: Timestamp, bits: u64) -> Duration {
        while self.back.peek().is_some_and(|Reverse(moment)| *moment <= now) {
            self.back.pop();
        }
        let seconds = self.call.unwrap_or(UNMEASURED.as_secs_f64());
        let call = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_CALL).clamp(SHORTEST_CALL, LONGEST_CALL);
        let length = u32::try_from(self.back.len()).unwrap_or(u32::MAX).saturating_add(1);
        let share = call.saturating_mul(length) / ASK_FOR_ONE / places.get();
        let wait = jittered(share.clamp(SHORTEST_CALL, LONGEST_WAIT), bits);
        if self.back.len() < MOST_COUNTED {
            self.back.push(Reverse(now.after(wait)));
        }
        wait
    }
}

/// By half in either direction.
fn jittered(wait: Duration, bits: u64) -> Duration {
    wait / 2 + wait.mul_f64((bits % 1024) as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const MIDDLE: u64 = 512;

    fn places(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn a_wait_grows_with_its_line_and_shrinks_with_the_places() {
        let lines = Lines::default();
        let waits: Vec<_> = (0..200).map(|_| lines.join("p", places(1), NOW, MIDDLE).as_millis()).collect();
        assert_eq!((waits[0], waits[1], waits[39], waits[199]), (250, 500, 10_000, 20_000));
        assert_eq!(lines.join("other", places(1), NOW, MIDDLE).as_millis(), 250, "each provider has its own");
        let lines = Lines::default();
        let wide: Vec<_> = (0..200).map(|_| lines.join("p", places(10), NOW, MIDDLE).as_millis()).collect();
        assert_eq!((wide[0], wide[39], wide[199]), (50, 1000, 5000));
    }

    #[test]
    fn who_has_come_back_is_in_line_no_longer() {
        let lines = Lines::default();
        for _ in 0..200 {
            let _ = lines.join("p", places(1), NOW, MIDDLE);
        }
        let later = NOW.after(LONGEST_WAIT * 2);
        assert_eq!(lines.join("p", places(1), later, MIDDLE).as_millis(), 250);
    }

    #[test]
    fn a_line_of_short_calls_is_short() {
        let lines = Lines::default();
        lines.answered("p", Duration::from_millis(400));
        assert_eq!(lines.join("p", places(1), NOW, MIDDLE).as_millis(), 100);
        for _ in 0..100 {
            lines.answered("p", Duration::from_secs(300));
        }
        assert_eq!(lines.join("p", places(1), NOW, MIDDLE).as_millis(), 5000);
    }

    proptest! {
        #[test]
        fn no_wait_is_without_bound(
            places in 1..=u32::MAX,
            took in prop::option::of(any::<Duration>()),
            joins in prop::collection::vec(any::<u64>(), 1..300),
        ) {
            let lines = Lines::default();
            if let Some(took) = took {
                lines.answered("p", took);
            }
            for bits in joins {
                let wait = lines.join("p", NonZeroU32::new(places).unwrap(), NOW, bits);
                prop_assert!(wait >= SHORTEST_CALL / 2 && wait <= LONGEST_WAIT * 3 / 2, "{wait:?}");
            }
        }
    }
}

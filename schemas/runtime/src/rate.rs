//! How often something happens: events a second, over the last minute.

use schemas::timestamp::Timestamp;

/// Length of the window in seconds.
const WINDOW: usize = 60;

/// Counts of the last minute, one for each second. Pure: the time is an argument, and one that runs backwards counts
/// into the newest second.
#[derive(Debug, Clone)]
pub struct RateWindow {
    counts: [u64; WINDOW],
    started: i64,
    newest: i64,
}

impl RateWindow {
    /// An empty window that begins now. Until it is a minute old, rates are taken over its age.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { counts: [0; WINDOW], started: now.as_secs(), newest: now.as_secs() }
    }

    /// `count` events happened now.
    pub fn add(&mut self, now: Timestamp, count: u64) {
        self.advance(now.as_secs());
        let current = slot(self.newest);
        self.counts[current] = self.counts[current].saturating_add(count);
    }

    /// Events of the last minute.
    #[must_use]
    pub fn total(&mut self, now: Timestamp) -> u64 {
        self.advance(now.as_secs());
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Events a second, over the last minute.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts past 2^52 a minute do not occur")]
    pub fn per_second(&mut self, now: Timestamp) -> f64 {
        let total = self.total(now);
        let age = self.newest.saturating_sub(self.started).saturating_add(1).clamp(1, WINDOW as i64);
        total as f64 / age as f64
    }

    fn advance(&mut self, second: i64) {
        let passed = usize::try_from(second.saturating_sub(self.newest)).unwrap_or(0);
        for step in 1..=passed.min(WINDOW) {
            self.counts[(slot(self.newest) + step) % WINDOW] = 0;
        }
        self.newest = self.newest.max(second);
    }
}

/// Where a second's count is kept.
fn slot(second: i64) -> usize {
    usize::try_from(second.rem_euclid(WINDOW as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn second(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_young_window_is_measured_over_its_age() {
        let mut window = RateWindow::new(second(100));
        window.add(second(100), 10);
        assert_eq!(window.per_second(second(100)), 10.0);
        assert_eq!(window.per_second(second(109)), 1.0);
        assert_eq!(window.per_second(second(159)), 10.0 / 60.0);
        assert_eq!(window.per_second(second(160)), 0.0);
    }

    #[test]
    fn a_clock_that_runs_backwards_loses_nothing() {
        let mut window = RateWindow::new(second(100));
        window.add(second(130), 3);
        window.add(second(90), 4);
        assert_eq!(window.total(second(50)), 7);
    }

    proptest! {
        #[test]
        fn it_counts_what_a_list_of_the_last_minute_counts(steps in prop::collection::vec((0i64..100, 0u64..9), 1..50)) {
            let mut window = RateWindow::new(second(0));
            let mut events = Vec::new();
            let mut now = 0;
            for (pause, count) in steps {
                now += pause;
                window.add(second(now), count);
                events.push((now, count));
                let expected: u64 = events.iter().filter(|(at, _)| now - at < 60).map(|(_, count)| count).sum();
                prop_assert_eq!(window.total(second(now)), expected);
            }
        }
    }
}

//! What happened in this worker: ends and their times since the last report, and what its calls cost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use context::CacheStats;
use schemas::stats::ProviderStats;
use schemas::timestamp::Timestamp;

/// Run times kept of one interval.
const SAMPLES: usize = 512;

/// Ends since the last report, and what was spent since the start.
#[derive(Debug)]
pub(crate) struct Totals {
    /// Since when they are counted.
    pub(crate) started_at: Timestamp,
    cost_micros: AtomicU64,
    running: AtomicU32,
    interval: Mutex<Interval>,
    count_hits: AtomicU64,
    count_misses: AtomicU64,
}

/// What happened since the last report.
#[derive(Debug, Default)]
pub(crate) struct Interval {
    /// Jobs that ended well.
    pub(crate) succeeded: u64,
    /// Jobs that ended otherwise.
    pub(crate) failed: u64,
    /// Jobs put into DEAD.
    pub(crate) dead_letters: u64,
    /// How long they ran, of some of them.
    pub(crate) durations_ms: Vec<u32>,
    /// By their configured names, which bounds them.
    pub(crate) providers: BTreeMap<String, ProviderStats>,
}

impl Totals {
    /// Nothing has happened yet.
    pub(crate) fn new(started_at: Timestamp) -> Self {
        Self {
            started_at,
            cost_micros: AtomicU64::default(),
            running: AtomicU32::default(),
            interval: Mutex::default(),
            count_hits: AtomicU64::default(),
            count_misses: AtomicU64::default(),
        }
    }

    /// A job ended after `took`.
    pub(crate) fn ended(&self, success: bool, took: Duration) {
        let mut interval = self.interval();
        let counter = if success { &mut interval.succeeded } else { &mut interval.failed };
        *counter += 1;
        if interval.durations_ms.len() < SAMPLES {
            interval.durations_ms.push(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
        }
    }

    /// A job was put into DEAD.
    pub(crate) fn died(&self) {
        self.interval().dead_letters += 1;
    }

    /// A call was paid for.
    pub(crate) fn spent(&self, cost_micros: u64) {
        self.cost_micros.fetch_add(cost_micros, Ordering::Relaxed);
    }

    /// A call of this provider was answered.
    pub(crate) fn answered(&self, provider: &str) {
        self.interval().providers.entry(provider.to_owned()).or_default().answered += 1;
    }

    /// A call of this provider failed, perhaps for its credential.
    pub(crate) fn refused(&self, provider: &str, unauthorized: bool) {
        let mut interval = self.interval();
        let calls = interval.providers.entry(provider.to_owned()).or_default();
        calls.failed += 1;
        calls.unauthorized += u64::from(unauthorized);
    }

    /// A job began to run.
    pub(crate) fn began(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// A job runs no longer.
    pub(crate) fn stopped(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Jobs that run now.
    pub(crate) fn running(&self) -> u32 {
        self.running.load(Ordering::Relaxed)
    }

    /// What was spent since the start.
    pub(crate) fn cost_micros(&self) -> u64 {
        self.cost_micros.load(Ordering::Relaxed)
    }

    /// What happened since this was last asked.
    pub(crate) fn take(&self) -> Interval {
        std::mem::take(&mut *self.interval())
    }

    /// Hits and misses of the cache of token counts since this was last asked, `stats` being those since the start.
    pub(crate) fn counted(&self, stats: CacheStats) -> [u64; 2] {
        let since = |now: u64, before: &AtomicU64| now.saturating_sub(before.swap(now, Ordering::Relaxed));
        [since(stats.hits, &self.count_hits), since(stats.misses, &self.count_misses)]
    }

    fn interval(&self) -> MutexGuard<'_, Interval> {
        self.interval.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_begins_anew_and_the_cost_goes_on() {
        let totals = Totals::new(Timestamp::from_millis(7));
        totals.ended(true, Duration::from_millis(30));
        totals.ended(false, Duration::MAX);
        totals.died();
        totals.answered("a");
        totals.refused("b", true);
        totals.refused("b", false);
        totals.spent(5);
        let interval = totals.take();
        assert_eq!((interval.succeeded, interval.failed, interval.dead_letters), (1, 1, 1));
        assert_eq!(interval.durations_ms, [30, u32::MAX]);
        assert_eq!(interval.providers["a"], ProviderStats { answered: 1, ..ProviderStats::default() });
        assert_eq!(interval.providers["b"], ProviderStats { answered: 0, failed: 2, unauthorized: 1 });
        totals.spent(6);
        assert!(totals.take().providers.is_empty());
        assert_eq!(totals.cost_micros(), 11);
    }
}

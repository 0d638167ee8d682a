//! What this worker says of itself every few seconds: slots, ends and their times, and what its calls cost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::stats::{EVERY, ProcessStats, ProviderStats};
use schemas::timestamp::Timestamp;

use crate::worker::Worker;

/// Run times kept of one interval.
const SAMPLES: usize = 512;

/// Ends since the last report, and what was spent since the start.
#[derive(Debug)]
pub(crate) struct Totals {
    started_at: Timestamp,
    cost_micros: AtomicU64,
    running: AtomicU32,
    interval: Mutex<Interval>,
    count_hits: AtomicU64,
    count_misses: AtomicU64,
}

/// What happened since the last report.
#[derive(Debug, Default)]
struct Interval {
    succeeded: u64,
    failed: u64,
    dead_letters: u64,
    durations_ms: Vec<u32>,
    /// By their configured names, which bounds them.
    providers: BTreeMap<String, ProviderStats>,
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

    fn interval(&self) -> MutexGuard<'_, Interval> {
        self.interval.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reports until it is dropped. The first report is at once, so that a new worker is seen.
pub(crate) async fn publish(worker: Arc<Worker>) {
    loop {
        send(&worker, false).await;
        tokio::time::sleep(EVERY).await;
    }
}

/// The last report: this worker takes no more work.
pub(crate) async fn leave(worker: &Worker) {
    send(worker, true).await;
}

/// Tells the metrics what the cache of token counts did since the last report.
fn observe_counts(worker: &Worker) {
    let (stats, totals) = (worker.counter.stats(), &worker.totals);
    for (word, now, before) in [("hit", stats.hits, &totals.count_hits), ("miss", stats.misses, &totals.count_misses)] {
        let since = now.saturating_sub(before.swap(now, Ordering::Relaxed));
        worker.metrics.count_cache.with_label_values(&[word]).inc_by(since);
    }
}

async fn send(worker: &Worker, leaving: bool) {
    observe_counts(worker);
    let totals = &worker.totals;
    let slots_used = totals.running.load(Ordering::Relaxed);
    let interval = std::mem::take(&mut *totals.interval());
    worker.metrics.slots.set(worker.config.worker.slots.into());
    worker.metrics.slots_used.set(slots_used.into());
    let stats = ProcessStats {
        role: "worker".to_owned(),
        instance: worker.broker.instance().to_owned(),
        at: worker.broker.now(),
        interval_ms: EVERY.as_millis() as u64,
        memory_bytes: runtime::system::resident_bytes().unwrap_or_default(),
        slots: worker.config.worker.slots,
        slots_used,
        succeeded: interval.succeeded,
        failed: interval.failed,
        durations_ms: interval.durations_ms,
        leaving,
        started_at: totals.started_at,
        cost_micros: totals.cost_micros.load(Ordering::Relaxed),
        dead_letters: interval.dead_letters,
        providers: interval.providers,
        ..ProcessStats::default()
    };
    if let Err(error) = worker.broker.publish_stats(&stats).await {
        tracing::debug!(error = %error, "statistics not published");
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
        let interval = std::mem::take(&mut *totals.interval());
        assert_eq!((interval.succeeded, interval.failed, interval.dead_letters), (1, 1, 1));
        assert_eq!(interval.durations_ms, [30, u32::MAX]);
        assert_eq!(interval.providers["a"], ProviderStats { answered: 1, ..ProviderStats::default() });
        assert_eq!(interval.providers["b"], ProviderStats { answered: 0, failed: 2, unauthorized: 1 });
        totals.spent(6);
        assert!(totals.interval().providers.is_empty());
        assert_eq!(totals.cost_micros.load(Ordering::Relaxed), 11);
    }
}

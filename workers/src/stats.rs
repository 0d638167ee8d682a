//! What this worker says of itself every few seconds: slots, ends and their times.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemas::stats::ProcessStats;

use crate::worker::Worker;

const EVERY: Duration = Duration::from_secs(5);
/// Run times kept of one interval.
const SAMPLES: usize = 512;

/// Ends since the last report.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    succeeded: AtomicU64,
    failed: AtomicU64,
    durations: Mutex<Vec<u32>>,
    running: AtomicU32,
    count_hits: AtomicU64,
    count_misses: AtomicU64,
}

impl Totals {
    /// A job ended after `took`.
    pub(crate) fn ended(&self, success: bool, took: Duration) {
        let counter = if success { &self.succeeded } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        if durations.len() < SAMPLES {
            durations.push(u32::try_from(took.as_millis()).unwrap_or(u32::MAX));
        }
    }

    /// A job began to run.
    pub(crate) fn began(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// A job runs no longer.
    pub(crate) fn stopped(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    fn take(&self) -> (u64, u64, Vec<u32>) {
        let durations = std::mem::take(&mut *self.durations.lock().unwrap_or_else(PoisonError::into_inner));
        (self.succeeded.swap(0, Ordering::Relaxed), self.failed.swap(0, Ordering::Relaxed), durations)
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
    let slots_used = worker.totals.running.load(Ordering::Relaxed);
    let (succeeded, failed, durations_ms) = worker.totals.take();
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
        accepted: 0,
        succeeded,
        failed,
        durations_ms,
        leaving,
    };
    if let Err(error) = worker.broker.publish_stats(&stats).await {
        tracing::debug!(error = %error, "statistics not published");
    }
}

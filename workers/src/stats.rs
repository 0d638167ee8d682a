//! What this worker says of itself every few seconds: slots, ends and their times, and what its calls cost.

use std::sync::Arc;

use schemas::stats::{EVERY, ProcessStats};

use crate::worker::Worker;

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
    let [hits, misses] = worker.totals.counted(worker.counter.stats());
    for (word, since) in [("hit", hits), ("miss", misses)] {
        worker.metrics.count_cache.with_label_values(&[word]).inc_by(since);
    }
}

async fn send(worker: &Worker, leaving: bool) {
    observe_counts(worker);
    let totals = &worker.totals;
    let slots_used = totals.running();
    let interval = totals.take();
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
        cost_micros: totals.cost_micros(),
        dead_letters: interval.dead_letters,
        providers: interval.providers,
        ..ProcessStats::default()
    };
    if let Err(error) = worker.broker.publish_stats(&stats).await {
        tracing::debug!(error = %error, "statistics not published");
    }
}

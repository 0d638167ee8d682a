//! The queue as a whole, as `/health/queue/status` shows it.

use prometheus::{Error, Gauge, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use runtime::metrics::registered;
use runtime::queue::{LaneCounts, QueueState, QueueStatus};

/// The queue as a whole.
#[derive(Debug, Clone)]
pub(crate) struct QueueMetrics {
    /// Jobs waiting for a worker, by `lane`.
    pub(crate) pending: IntGaugeVec,
    /// Jobs waiting for their time, by `lane`.
    pub(crate) delayed: IntGaugeVec,
    /// Jobs delivered and not ended, by `lane`.
    pub(crate) running: IntGaugeVec,
    /// Of those, delivered more than once, by `lane`.
    pub(crate) redelivered: IntGaugeVec,
    /// Age of the oldest waiting job, by `lane`.
    pub(crate) oldest_age: IntGaugeVec,
    /// Jobs that failed for good, by `lane`.
    pub(crate) dead: IntGaugeVec,
    /// 1 for the `status` that holds, 0 for the others.
    pub(crate) status: IntGaugeVec,
    /// Jobs accepted a second.
    pub(crate) arrivals: Gauge,
    /// Jobs ended a second.
    pub(crate) completions: Gauge,
    /// Workers alive.
    pub(crate) workers: IntGauge,
    /// Their slots.
    pub(crate) slots: IntGauge,
    /// Of those, in use.
    pub(crate) slots_used: IntGauge,
    /// Looks at the queue that failed.
    pub(crate) failures: IntCounter,
    /// Bytes free on the broker's disk.
    pub(crate) disk_free_bytes: IntGauge,
    /// Alerts that were to be told while the broker was away and found no room to wait.
    pub(crate) alerts_dropped: IntCounter,
}

impl QueueMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let by = |label: &str, name: &str, help: &str| {
            registered(registry, IntGaugeVec::new(Opts::new(name, help), &[label])?)
        };
        let lanes = |name: &str, help: &str| by("lane", name, help);
        let rate = |name: &str, help: &str| registered(registry, Gauge::new(name, help)?);
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        Ok(Self {
            pending: lanes("portbroker_queue_pending", "Jobs waiting for a worker")?,
            delayed: lanes("portbroker_queue_delayed", "Jobs waiting for their time")?,
            running: lanes("portbroker_queue_running", "Jobs delivered and not ended")?,
            redelivered: lanes("portbroker_queue_redelivered", "Jobs delivered more than once and not ended")?,
            oldest_age: lanes("portbroker_queue_oldest_age_seconds", "Age of the oldest waiting job")?,
            dead: lanes("portbroker_queue_dead_letters", "Jobs that failed for good and are kept")?,
            status: by("status", "portbroker_queue_status", "1 for the status that holds")?,
            arrivals: rate("portbroker_queue_arrivals_per_second", "Jobs accepted a second, over the last minute")?,
            completions: rate("portbroker_queue_completions_per_second", "Jobs ended a second, over the last minute")?,
            workers: gauge("portbroker_queue_workers", "Workers alive")?,
            slots: gauge("portbroker_queue_slots", "Slots of all workers")?,
            slots_used: gauge("portbroker_queue_slots_used", "Slots of all workers in use")?,
            failures: counter("portbroker_queue_looks_failed_total", "Looks at the queue that failed")?,
            disk_free_bytes: gauge("portbroker_disk_free_bytes", "Bytes free on the broker's disk")?,
            alerts_dropped: counter(
                "portbroker_component_alerts_dropped_total",
                "Alerts on components that waited for the broker and found no room",
            )?,
        })
    }

    /// The gauges that are told by lane.
    pub(crate) const fn per_lane(&self) -> [&IntGaugeVec; 6] {
        [&self.pending, &self.delayed, &self.running, &self.redelivered, &self.oldest_age, &self.dead]
    }

    /// Shows the queue as it was last seen.
    pub(crate) fn show(&self, status: &QueueStatus) {
        for (lane, depth) in &status.lanes {
            let lane: &'static str = lane.into();
            for (gauge, value) in self.per_lane().into_iter().zip(values(depth)) {
                gauge.with_label_values(&[lane]).set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        }
        for state in [QueueState::Healthy, QueueState::Backlogged, QueueState::Stalled] {
            let word: &'static str = state.into();
            self.status.with_label_values(&[word]).set(i64::from(state == status.status));
        }
        self.arrivals.set(status.arrivals_per_second);
        self.completions.set(status.completions_per_second);
        self.workers.set(i64::try_from(status.workers_alive).unwrap_or(i64::MAX));
        self.slots.set(i64::try_from(status.slots).unwrap_or(i64::MAX));
        self.slots_used.set(i64::try_from(status.slots_used).unwrap_or(i64::MAX));
    }
}

/// In the order of [`QueueMetrics::per_lane`].
const fn values(depth: &LaneCounts) -> [u64; 6] {
    [depth.pending, depth.delayed, depth.running, depth.redelivered, depth.oldest_age_seconds, depth.dead_letters]
}

//! What the recorder tells about itself.

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntGauge, Registry};
use runtime::metrics::registered;

/// The recorder's series. Registered once a process; clones share them.
#[derive(Debug, Clone)]
pub struct RecorderMetrics {
    /// Batches written.
    pub batches: IntCounter,
    /// Jobs' rows written.
    pub rows: IntCounter,
    /// Records that changed nothing, a newer one being there: redeliveries and renewals within a batch.
    pub superseded: IntCounter,
    /// Records that the database will never take, given up.
    pub refused: IntCounter,
    /// Tries to write that failed.
    pub failures: IntCounter,
    /// Rows deleted, their time being over.
    pub pruned: IntCounter,
    /// 1 while the last try to write succeeded.
    pub up: IntGauge,
    /// How far history is behind.
    pub lag: Gauge,
    /// How long writing a batch takes.
    pub write_duration: Histogram,
}

impl RecorderMetrics {
    /// Registers the series.
    ///
    /// # Errors
    /// When `registry` has them already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        let up = IntGauge::new("portbroker_recorder_up", "1 while the last write to SQL succeeded")?;
        let lag = Gauge::new("portbroker_recorder_lag_seconds", "Age of the oldest change in the last batch written")?;
        let writes = HistogramOpts::new("portbroker_recorder_write_duration_seconds", "Time to write one batch to SQL")
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
        Ok(Self {
            batches: counter("portbroker_recorder_batches_total", "Batches written to SQL")?,
            rows: counter("portbroker_recorder_rows_total", "Rows of jobs written to SQL")?,
            superseded: counter("portbroker_recorder_superseded_total", "Records that a newer one made needless")?,
            refused: counter("portbroker_recorder_refused_total", "Records that SQL will never take, given up")?,
            failures: counter("portbroker_recorder_failures_total", "Failed tries to write to SQL")?,
            pruned: counter("portbroker_recorder_pruned_total", "Rows deleted, their time being over")?,
            up: registered(registry, up)?,
            lag: registered(registry, lag)?,
            write_duration: registered(registry, Histogram::with_opts(writes)?)?,
        })
    }
}

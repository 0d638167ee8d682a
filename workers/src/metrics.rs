//! What a worker counts beside its providers.

use prometheus::{
    CounterVec, Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};
use runtime::metrics::registered;

use crate::waste::WasteMetrics;

/// Series of the job's way through a worker.
#[derive(Clone)]
pub(crate) struct WorkerMetrics {
    /// `portbroker_worker_slots`
    pub(crate) slots: IntGauge,
    /// `portbroker_worker_slots_used`
    pub(crate) slots_used: IntGauge,
    /// `portbroker_jobs_finished_total{status,lane}`
    pub(crate) finished: IntCounterVec,
    /// `portbroker_job_errors_total{code}`
    pub(crate) errors: IntCounterVec,
    /// `portbroker_job_queue_seconds{lane}`
    pub(crate) queue_seconds: HistogramVec,
    /// `portbroker_job_run_seconds`
    pub(crate) run_seconds: Histogram,
    /// `portbroker_job_attempts`
    pub(crate) attempts: Histogram,
    /// `portbroker_jobs_parked_total{reason}`
    pub(crate) parked: IntCounterVec,
    /// `portbroker_jobs_interrupted_total{cause}`
    pub(crate) interrupted: IntCounterVec,
    /// `portbroker_context_pruned_total`
    pub(crate) pruned: IntCounter,
    /// `portbroker_context_tokens_dropped_total`
    pub(crate) tokens_dropped: IntCounter,
    /// `portbroker_token_count_cache_total{outcome}`
    pub(crate) count_cache: IntCounterVec,
    /// `portbroker_results_discarded_total`
    pub(crate) discarded: IntCounter,
    /// `portbroker_dead_letters_total`
    pub(crate) dead: IntCounter,
    /// `portbroker_cost_dollars_total{provider,model}`
    pub(crate) cost: CounterVec,
    /// `portbroker_wasted_*`
    pub(crate) waste: WasteMetrics,
}

impl WorkerMetrics {
    /// Registers every series.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let counters =
            |name, help, labels: &[&str]| registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let counter = |name, help| registered(registry, IntCounter::new(name, help)?);
        let gauge = |name, help| registered(registry, IntGauge::new(name, help)?);
        let seconds = vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 3600.0];
        let timing = |name, help| HistogramOpts::new(name, help).buckets(seconds.clone());
        let waits = timing("portbroker_job_queue_seconds", "From acceptance to the first claim");
        let runs = timing("portbroker_job_run_seconds", "From claim to result, in one worker");
        let cost = Opts::new("portbroker_cost_dollars_total", "What provider calls cost, as far as prices are known");
        let tries = HistogramOpts::new("portbroker_job_attempts", "Provider requests of a job that ended")
            .buckets(vec![0.0, 1.0, 2.0, 3.0, 5.0, 8.0]);
        Ok(Self {
            slots: gauge("portbroker_worker_slots", "Job slots there are")?,
            slots_used: gauge("portbroker_worker_slots_used", "Job slots in use")?,
            finished: counters("portbroker_jobs_finished_total", "Jobs ended by this worker", &["status", "lane"])?,
            errors: counters("portbroker_job_errors_total", "Jobs ended with an error, by its code", &["code"])?,
            queue_seconds: registered(registry, HistogramVec::new(waits, &["lane"])?)?,
            run_seconds: registered(registry, Histogram::with_opts(runs)?)?,
            attempts: registered(registry, Histogram::with_opts(tries)?)?,
            parked: counters("portbroker_jobs_parked_total", "Jobs given back to wait", &["reason"])?,
            interrupted: counters("portbroker_jobs_interrupted_total", "Jobs dropped while they ran", &["cause"])?,
            pruned: counter("portbroker_context_pruned_total", "Jobs whose context was pruned")?,
            tokens_dropped: counter("portbroker_context_tokens_dropped_total", "Tokens that pruning dropped")?,
            count_cache: counters("portbroker_token_count_cache_total", "Token counts by cache outcome", &["outcome"])?,
            discarded: counter("portbroker_results_discarded_total", "Results that came after the job had ended")?,
            dead: counter("portbroker_dead_letters_total", "Jobs put into DEAD")?,
            cost: registered(registry, CounterVec::new(cost, &["provider", "model"])?)?,
            waste: WasteMetrics::register(registry)?,
        })
    }
}

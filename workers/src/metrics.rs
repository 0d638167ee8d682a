//! What a worker counts beside its providers.

use context::Saved;
use prometheus::{
    CounterVec, Error, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry,
};
use runtime::metrics::registered;

use crate::waste::WasteMetrics;

/// Whether a pruned request begins as the one before: it does not, it does.
const PREFIXES: [&str; 2] = ["changed", "stable"];
/// What makes room, in order.
const LAYERS: [&str; 2] = ["clear_tool_results", "drop_turns"];

/// Series of what pruning does.
#[derive(Clone)]
pub(crate) struct ContextMetrics {
    /// `portbroker_context_pruned_total{prefix}`
    pruned: IntCounterVec,
    /// `portbroker_context_tokens_saved_total{layer}`
    saved: IntCounterVec,
    /// `portbroker_context_tokens_added_total`
    summaries: IntCounter,
}

impl ContextMetrics {
    fn register(registry: &Registry) -> Result<Self, Error> {
        let counters =
            |name, help, label: &str| registered(registry, IntCounterVec::new(Opts::new(name, help), &[label])?);
        let pruned = "Requests pruned, by whether they still begin as the one before: a provider's prompt cache hits";
        let saved = "Input tokens that pruning saved, by layer";
        let summaries = "Input tokens of summaries in place of what was dropped";
        let metrics = Self {
            pruned: counters("portbroker_context_pruned_total", pruned, "prefix")?,
            saved: counters("portbroker_context_tokens_saved_total", saved, "layer")?,
            summaries: registered(registry, IntCounter::new("portbroker_context_tokens_added_total", summaries)?)?,
        };
        // Rates of what has not happened yet are zero, not absent.
        PREFIXES.iter().for_each(|prefix| drop(metrics.pruned.with_label_values(&[prefix])));
        LAYERS.iter().for_each(|layer| drop(metrics.saved.with_label_values(&[layer])));
        Ok(metrics)
    }

    /// Counts a request of which something was left out.
    pub(crate) fn pruned(&self, saved: Saved, is_stable: bool) {
        self.pruned.with_label_values(&[PREFIXES[usize::from(is_stable)]]).inc();
        for (layer, tokens) in LAYERS.iter().zip([saved.cleared, saved.dropped]) {
            self.saved.with_label_values(&[layer]).inc_by(tokens);
        }
        self.summaries.inc_by(saved.summary);
    }
}

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
    /// `portbroker_context_*`
    pub(crate) context: ContextMetrics,
    /// `portbroker_token_count_cache_total{outcome}`
    pub(crate) count_cache: IntCounterVec,
    /// `portbroker_token_estimate_ratio{provider,model}`
    pub(crate) estimate_ratio: GaugeVec,
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
        let ratios = Opts::new(
            "portbroker_token_estimate_ratio",
            "What token estimates are multiplied by, from what the provider reported of earlier ones",
        );
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
            context: ContextMetrics::register(registry)?,
            count_cache: counters("portbroker_token_count_cache_total", "Token counts by cache outcome", &["outcome"])?,
            estimate_ratio: registered(registry, GaugeVec::new(ratios, &["provider", "model"])?)?,
            discarded: counter("portbroker_results_discarded_total", "Results that came after the job had ended")?,
            dead: counter("portbroker_dead_letters_total", "Jobs put into DEAD")?,
            cost: registered(registry, CounterVec::new(cost, &["provider", "model"])?)?,
            waste: WasteMetrics::register(registry)?,
        })
    }
}

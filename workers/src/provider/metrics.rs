//! What is measured of providers. Labels are names from the providers file; a breaker is labelled with the model's name at
//! its provider, or with the pattern that serves it.

use prometheus::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use runtime::metrics::{ChatMetrics, DURATION_BUCKETS, registered};

/// The series of `workers::provider`. Clones share them.
#[derive(Debug, Clone)]
pub struct ProviderMetrics {
    /// Requests that ended, by `provider`, `model` and `outcome`: `ok`, or the code of the failure.
    pub requests: IntCounterVec,
    /// How long they took, by `provider`.
    pub duration: HistogramVec,
    /// How long the first piece of a streamed answer took, by `provider`.
    pub first_delta: HistogramVec,
    /// Requests on their way, by `provider`.
    pub in_flight: IntGaugeVec,
    /// Bytes of answers, by `provider`.
    pub answer_bytes: IntCounterVec,
    /// Requests held back, by `provider` and `limit`: `concurrency`, `requests_per_minute`, `retry_after`, `breaker`.
    pub held_back: IntCounterVec,
    /// Fields that a request lost because the provider has no word for them, by `provider`.
    pub warnings: IntCounterVec,
    /// Breakers that changed, by `provider`, `model` and `state`, as decided by this process.
    pub breaker_transitions: IntCounterVec,
    /// Breaker changes that another process made first.
    pub breaker_conflicts: IntCounter,
    /// Breaker changes made alone because the broker did not answer.
    pub breaker_local: IntCounter,
    /// The breakers' states.
    pub circuit_breaker: IntGaugeVec,
    /// How long Redis took, failures included.
    pub redis_duration: Histogram,
    /// Redis commands that failed, their work being done without Redis.
    pub redis_failures: IntCounter,
    /// Whether Redis answered last time.
    pub redis_up: IntGauge,
}

impl ProviderMetrics {
    /// Registers all of them, once a process.
    ///
    /// # Errors
    /// When the registry has one of the names already.
    pub fn register(registry: &Registry, chat: &ChatMetrics) -> Result<Self, Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(format!("portbroker_provider_{name}"), help), labels)?)
        };
        let seconds = |name: &str, help: &str| {
            let options = HistogramOpts::new(format!("portbroker_provider_{name}_seconds"), help)
                .buckets(DURATION_BUCKETS.to_vec());
            registered(registry, HistogramVec::new(options, &["provider"])?)
        };
        let single =
            |name: &str, help: &str| registered(registry, IntCounter::new(format!("portbroker_{name}"), help)?);
        let in_flight = Opts::new("portbroker_provider_requests_in_flight", "Provider requests on their way");
        let redis = HistogramOpts::new("portbroker_redis_duration_seconds", "How long Redis took")
            .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0]);
        Ok(Self {
            requests: counter("requests_total", "Provider requests that ended", &["provider", "model", "outcome"])?,
            duration: seconds("request_duration", "How long provider requests took")?,
            first_delta: seconds("first_delta", "How long the first piece of a streamed answer took")?,
            in_flight: registered(registry, IntGaugeVec::new(in_flight, &["provider"])?)?,
            answer_bytes: counter("answer_bytes_total", "Bytes of provider answers", &["provider"])?,
            held_back: counter("held_back_total", "Requests held back before they were sent", &["provider", "limit"])?,
            warnings: counter("warnings_total", "Request fields that a provider has no word for", &["provider"])?,
            breaker_transitions: counter(
                "breaker_transitions_total",
                "Breakers changed by this process",
                &["provider", "model", "state"],
            )?,
            breaker_conflicts: single(
                "provider_breaker_conflicts_total",
                "Breaker changes another process made first",
            )?,
            breaker_local: single("provider_breaker_local_total", "Breaker changes made without the broker")?,
            circuit_breaker: chat.circuit_breaker.clone(),
            redis_duration: registered(registry, Histogram::with_opts(redis)?)?,
            redis_failures: single("redis_failures_total", "Redis commands that failed")?,
            redis_up: registered(registry, IntGauge::new("portbroker_redis_up", "Whether Redis answered last time")?)?,
        })
    }
}

//! The metrics registry of a process, the five series that dashboards are built on, and what the process says of itself.

use prometheus::core::Collector;
use prometheus::{
    Error, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Seconds. From a cache's answer to the longest provider call, with a boundary at the 5 s that alerts look at.
pub const DURATION_BUCKETS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// The registry of one process. Clones share it. Each part registers a struct of its own on it, once a process.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Where every part registers its own.
    pub registry: Registry,
    /// The five named series.
    pub chat: ChatMetrics,
}

/// The five series that dashboards are built on. A label is never an id, a key or a user.
#[derive(Debug, Clone)]
pub struct ChatMetrics {
    /// Chat requests that ended, by `status`: `success` or `error`.
    pub requests_total: IntCounterVec,
    /// How long an `operation` took, in seconds.
    pub request_duration_seconds: HistogramVec,
    /// State of the breaker of a `provider` and `model`: 0 closed, 1 open, 2 half-open.
    pub circuit_breaker: IntGaugeVec,
    /// Tokens by `model` and `type`: `input`, `output`, `cached`, `reasoning`.
    pub tokens_total: IntCounterVec,
    /// Chat requests being served at this moment.
    pub concurrent_sessions: IntGauge,
}

impl Metrics {
    /// A fresh registry with the five series, the process's own, and the build.
    ///
    /// # Errors
    /// Only when two series here had one name.
    pub fn new() -> Result<Self, Error> {
        let registry = Registry::new();
        let chat = ChatMetrics::register(&registry)?;
        let build = Opts::new("portbroker_build_info", "Always 1; the label tells the version")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        registered(&registry, IntGauge::with_opts(build)?)?.set(1);
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Self { registry, chat })
    }

    /// Everything in Prometheus's text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "metrics could not be written");
            String::new()
        })
    }
}

impl ChatMetrics {
    fn register(registry: &Registry) -> Result<Self, Error> {
        let requests_total = IntCounterVec::new(
            Opts::new("chat_orchestrator_requests_total", "Chat requests that ended, by status"),
            &["status"],
        )?;
        // Both are there from the start, so that a rate over them never lacks one.
        for status in ["success", "error"] {
            requests_total.with_label_values(&[status]);
        }
        let durations = HistogramOpts::new("chat_orchestrator_request_duration_seconds", "How long an operation took")
            .buckets(DURATION_BUCKETS.to_vec());
        let breaker = Opts::new("chat_orchestrator_circuit_breaker", "0 closed, 1 open, 2 half-open");
        let tokens = Opts::new("chat_orchestrator_tokens_total", "Tokens by model and type");
        Ok(Self {
            requests_total: registered(registry, requests_total)?,
            request_duration_seconds: registered(registry, HistogramVec::new(durations, &["operation"])?)?,
            circuit_breaker: registered(registry, IntGaugeVec::new(breaker, &["provider", "model"])?)?,
            tokens_total: registered(registry, IntCounterVec::new(tokens, &["model", "type"])?)?,
            concurrent_sessions: registered(
                registry,
                IntGauge::new("chat_orchestrator_concurrent_sessions", "Chat requests being served")?,
            )?,
        })
    }
}

/// `series`, once `registry` knows it: `registered(&registry, IntCounter::new(name, help)?)?`.
///
/// # Errors
/// When the registry has another series of that name.
pub fn registered<C: Collector + Clone + 'static>(registry: &Registry, series: C) -> Result<C, Error> {
    registry.register(Box::new(series.clone()))?;
    Ok(series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_every_named_series() {
        let metrics = Metrics::new().unwrap();
        metrics.chat.requests_total.with_label_values(&["success"]).inc();
        metrics.chat.request_duration_seconds.with_label_values(&["call"]).observe(4.9);
        metrics.chat.circuit_breaker.with_label_values(&["openai", "gpt"]).set(2);
        metrics.chat.tokens_total.with_label_values(&["gpt", "input"]).inc_by(7);
        metrics.chat.concurrent_sessions.inc();
        let text = metrics.render();
        for line in [
            "chat_orchestrator_requests_total{status=\"error\"} 0",
            "chat_orchestrator_requests_total{status=\"success\"} 1",
            "chat_orchestrator_request_duration_seconds_bucket{operation=\"call\",le=\"2.5\"} 0",
            "chat_orchestrator_request_duration_seconds_bucket{operation=\"call\",le=\"5\"} 1",
            "chat_orchestrator_circuit_breaker{model=\"gpt\",provider=\"openai\"} 2",
            "chat_orchestrator_tokens_total{model=\"gpt\",type=\"input\"} 7",
            "chat_orchestrator_concurrent_sessions 1",
            "portbroker_build_info{version=\"0.1.0\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes"));
    }

    #[test]
    fn one_registry_takes_a_name_once() {
        let metrics = Metrics::new().unwrap();
        let again = IntGauge::new("chat_orchestrator_concurrent_sessions", "another").unwrap();
        assert!(registered(&metrics.registry, again).is_err());
    }
}

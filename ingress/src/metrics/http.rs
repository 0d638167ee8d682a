//! Connections, requests and their bodies.

use prometheus::{Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use runtime::metrics::{DURATION_BUCKETS, registered};

use crate::error::ApiError;

/// Bytes: from one message to the largest body that is allowed by default.
const BODY_BUCKETS: [f64; 8] = [1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 8_388_608.0, 33_554_432.0];

/// Connections, requests and their bodies.
#[derive(Debug, Clone)]
pub(crate) struct HttpMetrics {
    /// Requests answered, by `route`, `method` and `status`.
    pub(crate) requests: IntCounterVec,
    /// Time to an answer's headers, by `route`.
    pub(crate) request_seconds: HistogramVec,
    /// Requests being answered.
    pub(crate) in_flight: IntGauge,
    /// Clients that left before their answer.
    pub(crate) departed: IntCounter,
    /// Handlers that panicked.
    pub(crate) panics: IntCounter,
    /// Open connections.
    pub(crate) connections: IntGauge,
    /// Connections accepted.
    pub(crate) accepted_connections: IntCounter,
    /// Connections that ended with an error of the protocol or of the network.
    pub(crate) failed_connections: IntCounter,
    /// Requests not let in, by `reason`.
    pub(crate) denied: IntCounterVec,
    /// Size of the bodies that were read whole.
    pub(crate) body_bytes: Histogram,
    /// Bodies refused, by `status`.
    pub(crate) refused_bodies: IntCounterVec,
    /// Bytes of refused bodies that were read and thrown away.
    pub(crate) discarded_bytes: IntCounter,
    /// Memory set aside for bodies.
    pub(crate) body_memory_bytes: IntGauge,
}

impl HttpMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        let gauge = |name: &str, help: &str| registered(registry, IntGauge::new(name, help)?);
        let counters = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let seconds =
            HistogramOpts::new("portbroker_http_request_duration_seconds", "Time to an answer's headers, by route")
                .buckets(DURATION_BUCKETS.to_vec());
        let bytes = HistogramOpts::new("portbroker_http_body_bytes", "Size of request bodies that were read whole")
            .buckets(BODY_BUCKETS.to_vec());
        Ok(Self {
            requests: counters(
                "portbroker_http_requests_total",
                "Requests answered, by route, method and status",
                &["route", "method", "status"],
            )?,
            request_seconds: registered(registry, HistogramVec::new(seconds, &["route"])?)?,
            in_flight: gauge("portbroker_http_requests_in_flight", "Requests being answered")?,
            departed: counter("portbroker_http_departed_total", "Clients that left before their answer")?,
            panics: counter("portbroker_http_panics_total", "Handlers that panicked")?,
            connections: gauge("portbroker_http_connections", "Open connections")?,
            accepted_connections: counter("portbroker_http_connections_total", "Connections accepted")?,
            failed_connections: counter(
                "portbroker_http_connections_failed_total",
                "Connections that ended with an error of the protocol or of the network",
            )?,
            denied: counters("portbroker_http_denied_total", "Requests not let in, by reason", &["reason"])?,
            body_bytes: registered(registry, Histogram::with_opts(bytes)?)?,
            refused_bodies: counters(
                "portbroker_http_bodies_refused_total",
                "Request bodies refused before they were parsed, by status",
                &["status"],
            )?,
            discarded_bytes: counter(
                "portbroker_http_discarded_bytes_total",
                "Bytes of refused bodies that were read and thrown away",
            )?,
            body_memory_bytes: gauge("portbroker_http_body_memory_bytes", "Memory set aside for request bodies")?,
        })
    }

    /// A body was refused.
    pub(crate) fn body_refused(&self, error: &ApiError) {
        let status = error.status();
        self.refused_bodies.with_label_values(&[status.as_str()]).inc();
    }
}

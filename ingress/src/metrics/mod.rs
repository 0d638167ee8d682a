//! Ingress's own series, registered once a process. A label is never an id, a key or a user.

mod http;
mod queue;
mod submit;

use prometheus::{Error, Registry};

pub(crate) use self::http::HttpMetrics;
pub(crate) use self::queue::QueueMetrics;
pub(crate) use self::submit::{ClientMetrics, SubmitMetrics};

/// Every series of this crate but the recorder's.
#[derive(Debug, Clone)]
pub(crate) struct IngressMetrics {
    /// Connections, requests, bodies.
    pub(crate) http: HttpMetrics,
    /// Submits.
    pub(crate) submit: SubmitMetrics,
    /// Clients that wait, and streams.
    pub(crate) clients: ClientMetrics,
    /// The queue as a whole.
    pub(crate) queue: QueueMetrics,
}

impl IngressMetrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// When one of the names is taken: ingress runs once a process.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            http: HttpMetrics::register(registry)?,
            submit: SubmitMetrics::register(registry)?,
            clients: ClientMetrics::register(registry)?,
            queue: QueueMetrics::register(registry)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_has_its_own_name_and_help() {
        let registry = Registry::new();
        let metrics = IngressMetrics::register(&registry).unwrap();
        metrics.http.requests.with_label_values(&["/v1/jobs", "POST", "202"]).inc();
        metrics.http.request_seconds.with_label_values(&["/v1/jobs"]).observe(0.1);
        metrics.http.denied.with_label_values(&["no_key"]).inc();
        metrics.http.refused_bodies.with_label_values(&["413"]).inc();
        metrics.submit.submits.with_label_values(&["normal", "accepted"]).inc();
        metrics.clients.waiting.with_label_values(&["wait"]).inc();
        metrics.clients.broken.with_label_values(&["noted"]).inc();
        metrics.clients.streams.with_label_values(&["whole"]).inc();
        for gauge in metrics.queue.per_lane() {
            gauge.with_label_values(&["high"]).set(1);
        }
        let families = registry.gather();
        assert!(families.len() >= 30, "{} series", families.len());
        assert!(families.iter().all(|family| family.name().starts_with("portbroker_") && !family.help().is_empty()));
        assert!(IngressMetrics::register(&registry).is_err());
    }
}

//! Submits, and the clients that wait for what comes of them.

use prometheus::{Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use runtime::metrics::{DURATION_BUCKETS, registered};

/// Submits.
#[derive(Debug, Clone)]
pub(crate) struct SubmitMetrics {
    /// By `lane` and `outcome`: accepted, replayed, or the error's code.
    pub(crate) submits: IntCounterVec,
    /// From a decoded request to a durable job or a refusal.
    pub(crate) duration: Histogram,
    /// Requests that went to the object store.
    pub(crate) stored_bodies: IntCounter,
}

impl SubmitMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let submits = Opts::new("portbroker_submits_total", "Submits, by lane and outcome");
        let duration = HistogramOpts::new(
            "portbroker_submit_duration_seconds",
            "Time from a decoded request to a durable job or a refusal",
        );
        let stored =
            IntCounter::new("portbroker_submit_stored_bodies_total", "Requests that went to the object store")?;
        Ok(Self {
            submits: registered(registry, IntCounterVec::new(submits, &["lane", "outcome"])?)?,
            duration: registered(registry, Histogram::with_opts(duration.buckets(DURATION_BUCKETS.to_vec()))?)?,
            stored_bodies: registered(registry, stored)?,
        })
    }
}

/// Clients that wait for jobs.
#[derive(Debug, Clone)]
pub(crate) struct ClientMetrics {
    /// Clients that wait, by `kind`: wait, events, chat, chat_stream.
    pub(crate) waiting: IntGaugeVec,
    /// Synchronous jobs cancelled because their clients left.
    pub(crate) abandoned: IntCounter,
    /// Synchronous calls whose client lost its connection, by `outcome`: noted (a retry may join), joined (one did), lost
    /// (not noted in time).
    pub(crate) broken: IntCounterVec,
    /// Streams of chat answers that ended, by `outcome`: whole, failed (before its first piece), broken (behind it).
    pub(crate) streams: IntCounterVec,
    /// Pieces of answers sent on while they were made.
    pub(crate) frames: IntCounter,
    /// Pieces of answers that were missing at the end and made up from the record.
    pub(crate) made_up: IntCounter,
}

impl ClientMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, Error> {
        let counter = |name: &str, help: &str| registered(registry, IntCounter::new(name, help)?);
        let waiting = Opts::new("portbroker_clients_waiting", "Clients that wait for a job, by kind");
        let broken = Opts::new(
            "portbroker_broken_calls_total",
            "Synchronous calls whose client lost its connection: noted for a retry to join, joined by one, or lost",
        );
        let streams = Opts::new("portbroker_streams_total", "Streams of chat answers that ended, by outcome");
        Ok(Self {
            waiting: registered(registry, IntGaugeVec::new(waiting, &["kind"])?)?,
            abandoned: counter(
                "portbroker_jobs_abandoned_total",
                "Synchronous jobs cancelled because their clients left",
            )?,
            broken: registered(registry, IntCounterVec::new(broken, &["outcome"])?)?,
            streams: registered(registry, IntCounterVec::new(streams, &["outcome"])?)?,
            frames: counter("portbroker_stream_frames_total", "Pieces of answers sent on while they were made")?,
            made_up: counter(
                "portbroker_stream_made_up_total",
                "Pieces of answers that were missing at the end and made up from the record",
            )?,
        })
    }
}

//! What the broker counts.

use prometheus::{Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use runtime::metrics::registered;

/// Series of publishes, the protocol and the connection.
#[derive(Clone)]
pub(crate) struct BrokerMetrics {
    /// `portbroker_publishes_total{form,outcome}`
    pub(crate) publishes: IntCounterVec,
    /// `portbroker_publish_batch_messages`
    pub(crate) batch_sizes: Histogram,
    /// `portbroker_claims_total{outcome}`
    pub(crate) claims: IntCounterVec,
    /// `portbroker_state_writes_total{operation,outcome}`
    pub(crate) writes: IntCounterVec,
    /// `portbroker_state_write_seconds{operation}`
    pub(crate) write_seconds: HistogramVec,
    /// `portbroker_state_reads_total`
    pub(crate) reads: IntCounter,
    /// `portbroker_leases_lost_total`
    pub(crate) leases_lost: IntCounter,
    /// `portbroker_parks_total{reason}`
    pub(crate) parks: IntCounterVec,
    /// `portbroker_purged_messages_total`
    pub(crate) purged: IntCounter,
    /// `portbroker_lost_jobs_total`
    pub(crate) lost: IntCounter,
    /// `portbroker_forgotten_jobs_total`
    pub(crate) forgotten: IntCounter,
    /// `portbroker_session_turns_total`
    pub(crate) turns: IntCounter,
    /// `portbroker_session_turns_dropped_total`
    pub(crate) turns_dropped: IntCounter,
    /// `portbroker_session_summaries_total{outcome}`
    pub(crate) summaries: IntCounterVec,
    /// `portbroker_nats_connected`
    pub(crate) connected: IntGauge,
    /// `portbroker_nats_events_total{event}`
    pub(crate) events: IntCounterVec,
    /// `portbroker_nats_clock_offset_seconds`
    pub(crate) clock_offset: Gauge,
}

impl BrokerMetrics {
    /// Registers every series.
    ///
    /// # Errors
    /// When `registry` has one of these names already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
        let sizes = vec![1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        let counters =
            |name, help, labels: &[&str]| registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?);
        let counter = |name, help| registered(registry, IntCounter::new(name, help)?);
        let batches =
            HistogramOpts::new("portbroker_publish_batch_messages", "Messages of an atomic batch").buckets(sizes);
        let writes = HistogramOpts::new("portbroker_state_write_seconds", "Time of a write to STATE").buckets(seconds);
        let offset = Gauge::new("portbroker_nats_clock_offset_seconds", "The server's clock minus ours")?;
        let connected = IntGauge::new("portbroker_nats_connected", "1 while connected to NATS")?;
        Ok(Self {
            publishes: counters("portbroker_publishes_total", "Publishes by form and outcome", &["form", "outcome"])?,
            batch_sizes: registered(registry, Histogram::with_opts(batches)?)?,
            claims: counters("portbroker_claims_total", "Deliveries by what claiming them came to", &["outcome"])?,
            writes: counters("portbroker_state_writes_total", "Writes to STATE", &["operation", "outcome"])?,
            write_seconds: registered(registry, HistogramVec::new(writes, &["operation"])?)?,
            reads: counter("portbroker_state_reads_total", "Reads of STATE from its leader")?,
            leases_lost: counter("portbroker_leases_lost_total", "Leases lost while their job ran")?,
            parks: counters("portbroker_parks_total", "Jobs parked, by reason", &["reason"])?,
            purged: counter("portbroker_purged_messages_total", "Finished jobs purged from the lanes")?,
            lost: counter("portbroker_lost_jobs_total", "Jobs failed because their message was lost")?,
            forgotten: counter("portbroker_forgotten_jobs_total", "Jobs whose message the broker stopped delivering")?,
            turns: counter("portbroker_session_turns_total", "Turns added to sessions")?,
            turns_dropped: counter("portbroker_session_turns_dropped_total", "Oldest turns that full sessions let go")?,
            summaries: counters(
                "portbroker_session_summaries_total",
                "Summaries of sessions: asked for, taken in, outdated when they came, or failed",
                &["outcome"],
            )?,
            connected: registered(registry, connected)?,
            events: counters("portbroker_nats_events_total", "Events of the NATS connection", &["event"])?,
            clock_offset: registered(registry, offset)?,
        })
    }
}

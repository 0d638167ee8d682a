//! Workers, and how they call providers.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One worker process.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerConfig {
    /// Its name; empty takes host and process id.
    pub name: String,
    /// Jobs it runs at once.
    pub slots: u32,
    /// Its share for the high lane when all lanes are full.
    pub weight_high: u32,
    /// Its share for the normal lane.
    pub weight_normal: u32,
    /// Its share for the low lane.
    pub weight_low: u32,
    /// How long a claim holds without renewal, and the broker's redelivery time.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How often a claim is renewed; a third of the lease.
    #[serde(with = "humantime_serde")]
    pub renew_every: Duration,
    /// What clocks may be wrong by, ours against the server's and servers against each other.
    #[serde(with = "humantime_serde")]
    pub clock_margin: Duration,
    /// Attempts that died with their worker before a job counts as poison and goes to DEAD.
    pub max_unresolved: u32,
    /// Parks up to this long are NAKs; longer ones go through DELAYED.
    #[serde(with = "humantime_serde")]
    pub short_park: Duration,
    /// How long a connection to a provider may take to open.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a provider may take for a whole answer.
    #[serde(with = "humantime_serde")]
    pub call_timeout: Duration,
    /// How long a provider may be silent within a stream.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Most bytes of a provider's answer.
    pub max_answer_bytes: usize,
    /// Text deltas are gathered for this long; the first one never.
    #[serde(with = "humantime_serde")]
    pub coalesce: Duration,
}

/// Retries of provider calls.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RetryConfig {
    /// Failed rounds over all candidates before a job fails for good. Parks for rate limits and open breakers do not count.
    pub max_attempts: u32,
    /// Failed requests before a job fails for good, rate limits among them: its ledger grows no longer.
    pub max_requests: u32,
    /// First wait; it doubles.
    #[serde(with = "humantime_serde")]
    pub initial: Duration,
    /// Longest wait.
    #[serde(with = "humantime_serde")]
    pub max: Duration,
    /// Waits up to this long are slept in the slot; longer ones park the job.
    #[serde(with = "humantime_serde")]
    pub inline_max: Duration,
}

/// Circuit breakers, one for each provider and model.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one probe may pass.
    #[serde(with = "humantime_serde")]
    pub open_for: Duration,
    /// How long a probe may take before another is sent.
    #[serde(with = "humantime_serde")]
    pub probe_timeout: Duration,
}

/// Where the providers are listed.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProvidersConfig {
    /// A TOML file of `[[provider]]` tables; empty is the built-in echo alone.
    pub file: PathBuf,
}

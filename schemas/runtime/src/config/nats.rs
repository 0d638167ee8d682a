//! The broker, its streams, and how publishes are batched.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// How to reach NATS.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NatsConfig {
    /// One or more addresses, comma separated. Empty under `all`: a server of our own is started. It may hold a
    /// password or a token, so nothing prints it but masked.
    #[serde(serialize_with = "super::show::servers")]
    pub url: String,
    /// User name; empty for none.
    pub user: String,
    /// Its password.
    #[serde(serialize_with = "super::show::secret")]
    pub password: SecretString,
    /// A token instead of a user.
    #[serde(serialize_with = "super::show::secret")]
    pub token: SecretString,
    /// A credentials file (JWT and nkey); empty for none.
    pub credentials_file: PathBuf,
    /// A file with an nkey seed; empty for none.
    pub nkey_seed_file: PathBuf,
    /// Refuse a connection without TLS.
    pub require_tls: bool,
    /// Certificates to trust beside the system's; empty for none.
    pub ca_file: PathBuf,
    /// Our client certificate; empty for none.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// How long one request to the server may take.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long to try to connect at start before giving up.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// The nats-server program that `all` starts; found on PATH.
    pub server_program: String,
    /// Its configuration file; empty uses the embedded one.
    pub server_config: PathBuf,
}

/// As [`Config::shown`](super::Config::shown) has it: an address may hold a password.
impl fmt::Debug for NatsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NatsConfig ")?;
        fmt::Debug::fmt(&serde_json::to_value(self).map_err(|_| fmt::Error)?, f)
    }
}

/// Limits and lifetimes of the streams.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StreamsConfig {
    /// Copies of each stream: 1, or 3 in a cluster.
    pub replicas: usize,
    /// Most bytes of one lane's waiting jobs; beyond it submits answer 503.
    pub jobs_max_bytes: i64,
    /// How long a job's record and result are kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Farthest `not_before` and `deadline` from now; must be shorter than the retention.
    #[serde(with = "humantime_serde")]
    pub max_delay: Duration,
    /// How long a failed job stays replayable.
    #[serde(with = "humantime_serde")]
    pub dead_max_age: Duration,
    /// Most bytes of failed jobs, and as many of their large bodies; the oldest failed jobs go first.
    pub dead_max_bytes: i64,
    /// How long alert events are kept.
    #[serde(with = "humantime_serde")]
    pub alerts_max_age: Duration,
    /// How long tokens of running jobs are kept.
    #[serde(with = "humantime_serde")]
    pub deltas_max_age: Duration,
    /// Most bytes of tokens in memory; the oldest go first.
    pub deltas_max_bytes: i64,
    /// How often finished jobs are purged from the lanes.
    #[serde(with = "humantime_serde")]
    pub purge_interval: Duration,
    /// How often lost work is looked for.
    #[serde(with = "humantime_serde")]
    pub sweep_interval: Duration,
    /// How long past its lease or park a job is left alone before its message is looked for.
    #[serde(with = "humantime_serde")]
    pub sweep_patience: Duration,
    /// Delivered messages of a lane above its ack floor beyond which those of ended jobs are deleted one by one.
    pub largest_floor_lag: u64,
    /// Most deliveries that may be unacknowledged per lane, parked ones included.
    pub max_ack_pending: i64,
}

/// Adaptive group commit of publishes to one stream.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PublisherConfig {
    /// Publishes go out singly while fewer than this many wait, as one atomic batch when more do.
    pub batch_threshold: usize,
    /// Most messages of a batch; the server allows 1000.
    pub batch_max: usize,
    /// Most bytes of a batch.
    pub batch_max_bytes: usize,
    /// Batches on their way at once.
    pub batches_in_flight: usize,
    /// Most publishes that may wait; beyond it callers wait.
    pub queue: usize,
}

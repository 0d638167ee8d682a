//! SQL, Redis and the disk: none of them stands between a client and its 202.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// History in SQL.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://…` or `sqlite:…`; empty is SQLite under the data folder. Secret: it may hold a password.
    #[serde(serialize_with = "super::show::address")]
    pub url: SecretString,
    /// Most connections.
    pub max_connections: u32,
    /// How long to wait for a free connection.
    #[serde(with = "humantime_serde")]
    pub acquire_timeout: Duration,
    /// How long one read or one transaction may take, its wait for a connection included.
    #[serde(with = "humantime_serde")]
    pub query_timeout: Duration,
    /// How many records are written in one transaction.
    pub batch: usize,
    /// How long a job's record is kept after its last change; longer than `streams.retention`, or history is of no use.
    #[serde(with = "humantime_serde")]
    pub history: Duration,
    /// How often records older than that are deleted, batch by batch.
    #[serde(with = "humantime_serde")]
    pub prune_interval: Duration,
}

/// Redis, when there is one.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://…` or `rediss://…`; empty for none. Secret: it may hold a password.
    #[serde(serialize_with = "super::show::address")]
    pub url: SecretString,
    /// How long one command may take before we go on without Redis.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// When the disk counts as full.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// The folder whose file system is watched: JetStream's. Empty is the data folder.
    pub path: PathBuf,
    /// With fewer bytes free than this, submits answer 503 and an alert goes out.
    pub min_free_bytes: u64,
}

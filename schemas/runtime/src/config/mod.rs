//! Configuration: one file a concern. Every field has its default and its explanation in `default.toml`, which is
//! embedded in the binary and is the reference manual.

pub mod alerting;
pub mod ingress;
pub mod nats;
pub mod storage;
pub mod worker;

use std::path::PathBuf;

use serde::Deserialize;

pub use alerting::{AlertsConfig, TelegramConfig};
pub use ingress::{ApiKey, IngressConfig, QueueConfig};
pub use nats::{NatsConfig, PublisherConfig, StreamsConfig};
pub use storage::{DatabaseConfig, DiskConfig, RedisConfig};
pub use worker::{BreakerConfig, ProvidersConfig, RetryConfig, WorkerConfig};

/// Everything there is to set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where files of ours live: JetStream's and SQLite's when we run them.
    pub data_dir: PathBuf,
    /// The broker.
    pub nats: NatsConfig,
    /// Streams' limits and lifetimes.
    pub streams: StreamsConfig,
    /// Batching of publishes.
    pub publisher: PublisherConfig,
    /// History.
    pub database: DatabaseConfig,
    /// Shared limits and the recently-seen check.
    pub redis: RedisConfig,
    /// The disk watermark.
    pub disk: DiskConfig,
    /// The HTTP service.
    pub ingress: IngressConfig,
    /// When the queue counts as backlogged.
    pub queue: QueueConfig,
    /// Workers.
    pub worker: WorkerConfig,
    /// Retries of provider calls.
    pub retry: RetryConfig,
    /// Circuit breakers.
    pub breaker: BreakerConfig,
    /// Where the providers are listed.
    pub providers: ProvidersConfig,
    /// Where alerts go.
    pub telegram: TelegramConfig,
    /// When alerts are raised.
    pub alerts: AlertsConfig,
    /// Health and metrics of worker and alerting.
    pub ops: OpsConfig,
    /// Logs.
    pub log: LogConfig,
    /// How to stop.
    pub shutdown: ShutdownConfig,
}

/// Health and metrics of the roles without an API of their own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpsConfig {
    /// Address to serve `/health/*` and `/metrics` on; empty serves none.
    pub listen: String,
}

/// Logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A tracing filter, for example `info` or `info,workers=debug`.
    pub level: String,
    /// `json` or `text`.
    pub format: String,
}

/// How to stop.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long running work may take to finish before it is parked.
    #[serde(with = "humantime_serde")]
    pub grace: std::time::Duration,
}

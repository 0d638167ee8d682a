//! Configuration: one file a concern. Every field has its default and its explanation in `default.toml`, which is
//! embedded in the binary and is the reference manual.

pub mod alerting;
mod environment;
mod error;
mod file;
pub mod hours;
pub mod ingress;
mod load;
pub mod nats;
pub mod operations;
pub mod rules;
pub mod sessions;
mod show;
mod spelling;
pub mod storage;
mod tree;
mod validate;
pub mod worker;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use alerting::{AlertsConfig, HeartbeatConfig, InhibitionConfig, RouteConfig, TelegramConfig, WebhookConfig};
pub use error::{ConfigError, ConfigErrors};
pub use ingress::{ApiKey, IngressConfig, QueueConfig};
pub use load::{Source, load};
pub use nats::{NatsConfig, PublisherConfig, StreamsConfig};
pub use operations::{HealthConfig, LogConfig, OpsConfig, ShutdownConfig};
pub use sessions::SessionsConfig;
pub use storage::{DatabaseConfig, DiskConfig, RedisConfig};
pub use tree::DEFAULT;
pub use worker::{BreakerConfig, ProvidersConfig, RetryConfig, WorkerConfig};

/// Everything there is to set.
#[derive(Debug, Clone, Deserialize, Serialize)]
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
    /// Conversations that are kept.
    pub sessions: SessionsConfig,
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
    /// Where alerts go beside Telegram.
    pub webhook: WebhookConfig,
    /// The signal that alerting works.
    pub heartbeat: HeartbeatConfig,
    /// When alerts are raised.
    pub alerts: AlertsConfig,
    /// Health and metrics of worker and alerting.
    pub ops: OpsConfig,
    /// How components are checked.
    pub health: HealthConfig,
    /// Logs.
    pub log: LogConfig,
    /// How to stop.
    pub shutdown: ShutdownConfig,
}

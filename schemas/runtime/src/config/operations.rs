//! What an operator looks at: health, metrics, logs, and how a process stops.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Health and metrics of the roles without an API of their own.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OpsConfig {
    /// Address to serve `/health/*` and `/metrics` on; empty serves none.
    pub listen: String,
}

/// How components are checked.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    /// How long an answer is kept, and how often components are checked unasked.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How long one component may take before it counts as down.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// Logs.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A tracing filter, for example `info` or `info,workers=debug`.
    pub level: String,
    /// `json` or `text`.
    pub format: String,
}

/// How to stop.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long running work may take to finish before it is parked.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

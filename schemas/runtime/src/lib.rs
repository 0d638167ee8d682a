//! What every role stands on: configuration, logs, the metrics registry, the health and metrics server, shutdown; and
//! what several of them show, the queue's status.

pub mod cipher;
pub mod clock;
pub mod config;
pub mod health;
pub mod metrics;
pub mod ops;
pub mod queue;
pub mod rate;
pub mod secret;
pub mod shutdown;
pub mod system;
pub mod telemetry;

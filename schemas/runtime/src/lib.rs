//! What every role stands on: configuration, logs, the metrics registry, the health and metrics server, shutdown.

pub mod config;

//! Alerting: reads ALERTS durably, folds events into incidents, tells people on Telegram; and raises the alerts that need
//! the whole picture. Of several replicas one leads.

mod beside;
mod button;
mod chart;
mod chats;
mod daily;
mod desk;
mod errand;
mod error;
mod health;
mod heartbeat;
mod http;
mod incidents;
mod leader;
mod metrics;
mod operator;
mod order;
mod outbox;
mod pace;
mod pages;
mod plan;
mod replies;
mod rich;
mod routes;
mod rules;
mod scrub;
mod store;
mod task;
mod telegram;
mod term;
mod text;
mod webhook;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod storm;

use std::sync::Arc;

use broker::Broker;
use runtime::config::{Config, Source};
use runtime::metrics::Metrics;
use runtime::telemetry::Scrubber;
use tokio_util::sync::CancellationToken;

pub use error::AlertingError;
pub use health::checks;
pub use rules::replay;

/// Runs the role until `shutdown`. Its rules are read again from `source` when that changes.
///
/// # Errors
/// [`AlertingError`] when it cannot start.
pub async fn run(
    config: Arc<Config>,
    source: Source,
    broker: Broker,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), AlertingError> {
    let metrics = metrics::AlertMetrics::register(&metrics.registry)?;
    let outlet = Arc::new(telegram::Outlet::new(&config.telegram)?);
    let listener = telegram::Listener::of(&config.telegram)?.map(Arc::new);
    let scrubber = Scrubber::new(&config.secrets())?;
    let candidate = term::Candidate { config, broker, outlet, listener, scrubber, metrics };
    candidate.run(source, &shutdown).await?;
    Ok(())
}

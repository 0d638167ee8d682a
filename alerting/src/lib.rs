//! Alerting: reads ALERTS durably, folds events into incidents, tells people on Telegram; and raises the alerts that need
//! the whole picture. Of several replicas one leads.

mod calls;
mod chart;
mod chats;
mod daily;
mod desk;
mod fold;
mod health;
mod incident;
mod inhibit;
mod leader;
mod metrics;
mod operate;
mod operator;
mod order;
mod outbox;
mod pace;
mod plan;
mod replies;
mod review;
mod rich;
mod routes;
mod rules;
mod scrub;
mod settle;
mod silence;
mod store;
mod surface;
mod telegram;
mod term;
mod text;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod storm;

use std::sync::Arc;

use broker::Broker;
use runtime::config::Config;
use runtime::metrics::Metrics;
use runtime::telemetry::{Scrubber, TelemetryError};
use tokio_util::sync::CancellationToken;

pub use health::checks;

/// Why alerting cannot start. Once it has started it goes on until shutdown, whatever is away.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// A series is registered twice.
    #[error("the metrics of alerting cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// `telegram.api_url` is no URL.
    #[error("telegram.api_url is not a URL")]
    ApiUrl(#[source] url::ParseError),
    /// The configured secrets make too large a pattern to look for.
    #[error("the secrets to keep out of alerts cannot be looked for")]
    Secrets(#[from] TelemetryError),
    /// No HTTP client can be made, as without certificates to trust.
    #[error("no HTTP client for Telegram can be made")]
    Client(#[source] reqwest::Error),
}

/// Runs the role until `shutdown`.
///
/// # Errors
/// [`AlertingError`] when it cannot start.
pub async fn run(
    config: Arc<Config>,
    broker: Broker,
    metrics: Metrics,
    shutdown: CancellationToken,
) -> Result<(), AlertingError> {
    let metrics = metrics::AlertMetrics::register(&metrics.registry)?;
    let outlet = Arc::new(telegram::Outlet::new(&config.telegram)?);
    let listener = telegram::Listener::of(&config.telegram)?.map(Arc::new);
    let scrubber = Scrubber::new(&config.secrets())?;
    let candidate = term::Candidate { config, broker, outlet, listener, scrubber, metrics };
    candidate.run(&shutdown).await;
    Ok(())
}

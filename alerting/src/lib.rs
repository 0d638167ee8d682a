//! Alerting: reads ALERTS durably, folds events into incidents, tells people on Telegram; and raises the alerts that need
//! the whole picture. Of several replicas one leads.

mod button;
mod calls;
mod chart;
mod chats;
mod daily;
mod desk;
mod errand;
mod health;
mod heartbeat;
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
mod surface;
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
use std::time::Duration;

use broker::Broker;
use runtime::config::{Config, Source};
use runtime::metrics::Metrics;
use runtime::telemetry::{Scrubber, TelemetryError};
use tokio_util::sync::CancellationToken;

pub use health::checks;
pub use rules::replay;

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
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
    /// `webhook.url` is no URL.
    #[error("webhook.url is not a URL")]
    WebhookUrl(#[source] url::ParseError),
    /// `webhook.secret` is no key.
    #[error("webhook.secret is not a key")]
    WebhookKey,
    /// `heartbeat.url` is no URL.
    #[error("heartbeat.url is not a URL")]
    HeartbeatUrl(#[source] url::ParseError),
}

/// A client for calls to what others run: bounded in time, and never led elsewhere.
fn outward(timeout: Duration) -> Result<reqwest::Client, AlertingError> {
    let client = reqwest::Client::builder().timeout(timeout).connect_timeout(timeout).tcp_nodelay(true);
    let client = client.redirect(reqwest::redirect::Policy::none()).build();
    client.map_err(|error| AlertingError::Client(error.without_url()))
}

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

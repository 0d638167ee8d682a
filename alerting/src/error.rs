//! What keeps alerting from starting.

use runtime::telemetry::TelemetryError;

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

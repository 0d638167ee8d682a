//! Opening the connection: addresses, credentials, TLS, and what its events mean to us.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::connection::State;
use async_nats::{Client, ConnectOptions, Event};
use runtime::config::NatsConfig;
use secrecy::ExposeSecret;

use crate::error::BrokerError;
use crate::metrics::BrokerMetrics;

/// Oldest server with everything we use: message schedules and atomic batch publish.
const NEEDED: (&str, [u64; 2]) = ("2.12", [2, 12]);

/// Connects, waiting up to `connect_timeout` for a server to answer, and makes sure that it is new enough.
pub(crate) async fn connect(
    config: &NatsConfig,
    name: &str,
    metrics: &BrokerMetrics,
    connects: &Arc<AtomicU64>,
) -> Result<Client, BrokerError> {
    let urls: Vec<_> = config.url.split(',').map(str::trim).filter(|url| !url.is_empty()).collect();
    let options = options(config, name, metrics.clone(), Arc::clone(connects)).await?;
    let attempt = options.connect(urls);
    let client = tokio::time::timeout(config.connect_timeout, attempt)
        .await
        .map_err(|_| BrokerError::TimedOut)?
        .map_err(|error| BrokerError::Away(error.into()))?;
    metrics.connected.set(1);
    let info = client.server_info();
    check_server(&info.version, info.jetstream)?;
    Ok(client)
}

async fn options(
    config: &NatsConfig,
    name: &str,
    metrics: BrokerMetrics,
    connects: Arc<AtomicU64>,
) -> Result<ConnectOptions, BrokerError> {
    let mut options = ConnectOptions::new()
        .name(name)
        .request_timeout(Some(config.request_timeout))
        .require_tls(config.require_tls)
        .client_capacity(16_384)
        .subscription_capacity(65_536)
        .event_callback(move |event| {
            observe(&metrics, &event);
            if matches!(event, Event::Connected) {
                connects.fetch_add(1, Ordering::Relaxed);
            }
            std::future::ready(())
        });
    if !config.user.is_empty() {
        options = options.user_and_password(config.user.clone(), config.password.expose_secret().to_owned());
    }
    if !config.token.expose_secret().is_empty() {
        options = options.token(config.token.expose_secret().to_owned());
    }
    if !config.ca_file.as_os_str().is_empty() {
        options = options.add_root_certificates(config.ca_file.clone());
    }
    if !config.cert_file.as_os_str().is_empty() {
        options = options.add_client_certificate(config.cert_file.clone(), config.key_file.clone());
    }
    with_files(options, config).await
}

async fn with_files(mut options: ConnectOptions, config: &NatsConfig) -> Result<ConnectOptions, BrokerError> {
    if !config.nkey_seed_file.as_os_str().is_empty() {
        let seed = tokio::fs::read_to_string(&config.nkey_seed_file)
            .await
            .map_err(|error| BrokerError::Settings(format!("nats.nkey_seed_file cannot be read: {error}")))?;
        options = options.nkey(seed.trim().to_owned());
    }
    if !config.credentials_file.as_os_str().is_empty() {
        options = options
            .credentials_file(&config.credentials_file)
            .await
            .map_err(|error| BrokerError::Settings(format!("nats.credentials_file cannot be read: {error}")))?;
    }
    Ok(options)
}

fn observe(metrics: &BrokerMetrics, event: &Event) {
    let label = match event {
        Event::Connected => "connected",
        Event::Disconnected => "disconnected",
        Event::LameDuckMode => "lame_duck",
        Event::SlowConsumer(_) => "slow_consumer",
        Event::Draining | Event::Closed => "closed",
        Event::ServerError(_) => "server_error",
        Event::ClientError(_) => "client_error",
    };
    metrics.events.with_label_values(&[label]).inc();
    match event {
        Event::Connected => metrics.connected.set(1),
        Event::Disconnected | Event::Closed => metrics.connected.set(0),
        _ => {}
    }
    match event {
        Event::Connected => tracing::info!(nats.event = label, "nats connection"),
        _ => tracing::warn!(nats.event = label, "nats connection"),
    }
}

fn check_server(version: &str, jetstream: bool) -> Result<(), BrokerError> {
    let mut found = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let found = [found.next().unwrap_or(0), found.next().unwrap_or(0)];
    if found < NEEDED.1 {
        return Err(BrokerError::TooOld { found: version.to_owned(), needed: NEEDED.0 });
    }
    if jetstream { Ok(()) } else { Err(BrokerError::NoJetStream) }
}

/// Whether the connection stands right now.
pub(crate) fn is_up(client: &Client) -> bool {
    client.connection_state() == State::Connected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_refused_by_name() {
        for (version, jetstream, refused) in [
            ("2.9.10", true, Some("nats-server 2.9.10 is too old: PortBroker needs 2.12 or newer")),
            ("2.11.99-beta.1", true, Some("nats-server 2.11.99-beta.1 is too old")),
            ("", true, Some("nats-server  is too old")),
            ("2.12.0", false, Some("nats-server runs without JetStream")),
            ("2.12.0", true, None),
            ("2.15.1-RC.1", true, None),
            ("3.0.0", true, None),
        ] {
            let error = check_server(version, jetstream).err().map(|error| error.to_string());
            match refused {
                Some(text) => assert!(error.unwrap().starts_with(text), "{version}"),
                None => assert_eq!(error, None, "{version}"),
            }
        }
    }
}

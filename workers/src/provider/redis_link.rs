//! Redis as a convenience: every command is short, bounded in time, and may fail without harm. An outage is logged once,
//! and not every command of it waits for its timeout.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, RedisResult};
use runtime::config::RedisConfig;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::metrics::ProviderMetrics;

/// After a failure Redis is left alone for this long.
const LEAVE_ALONE: Duration = Duration::from_secs(1);

/// One connection that comes back by itself.
#[derive(Debug)]
pub struct RedisLink {
    manager: ConnectionManager,
    timeout: Duration,
    /// While it is down: when it may be tried again.
    down_until: Mutex<Option<Instant>>,
    metrics: ProviderMetrics,
}

impl RedisLink {
    /// A link to the configured Redis; `None` when there is none. Connects with its first command, and needs a runtime.
    ///
    /// # Errors
    /// When the URL is no Redis URL.
    pub fn new(config: &RedisConfig, metrics: ProviderMetrics) -> Result<Option<Self>, RedisError> {
        let url = config.url.expose_secret();
        if url.is_empty() {
            return Ok(None);
        }
        let options = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(config.timeout))
            .set_response_timeout(Some(config.timeout));
        let manager = ConnectionManager::new_lazy_with_config(Client::open(url)?, options)?;
        Ok(Some(Self { manager, timeout: config.timeout, down_until: Mutex::default(), metrics }))
    }

    /// Does `work`, or gives `None` when Redis is down or slow: the caller then goes on without it.
    pub async fn run<T, F>(&self, work: impl FnOnce(ConnectionManager) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        if self.down().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let started = Instant::now();
        let outcome = tokio::time::timeout(self.timeout, work(self.manager.clone())).await;
        self.metrics.redis_duration.observe(started.elapsed().as_secs_f64());
        match outcome {
            Ok(Ok(value)) => {
                self.recovered();
                Some(value)
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("timed out"),
        }
    }

    fn recovered(&self) {
        self.metrics.redis_up.set(1);
        if self.set_down(None).is_some() {
            tracing::info!("redis answers again: limits are shared");
        }
    }

    fn failed<T>(&self, error: &str) -> Option<T> {
        self.metrics.redis_up.set(0);
        self.metrics.redis_failures.inc();
        if self.set_down(Some(Instant::now() + LEAVE_ALONE)).is_none() {
            tracing::warn!(error, "redis does not answer: limits are those of each worker");
        }
        None
    }

    fn down(&self) -> Option<Instant> {
        *self.down_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives what it was before.
    fn set_down(&self, until: Option<Instant>) -> Option<Instant> {
        std::mem::replace(&mut *self.down_until.lock().unwrap_or_else(PoisonError::into_inner), until)
    }
}

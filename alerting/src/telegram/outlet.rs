//! Where messages go: to Telegram, or to the log when no token is configured.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use runtime::config::TelegramConfig;
use secrecy::ExposeSecret;
use tokio::time::Instant;

use super::client::Client;
use super::refusal::Refusal;
use crate::error::AlertingError;
use crate::task::{Action, Task};

/// The name of the only chat there is without a token.
pub(crate) const LOG: &str = "log";

/// Takes messages.
#[derive(Debug)]
pub(crate) enum Outlet {
    /// The Bot API.
    Telegram(Client),
    /// A line in the log tells what would be sent. The number counts messages.
    Log(AtomicI32),
}

/// A call that has ended.
pub(crate) struct Ended {
    pub(crate) task: Task,
    pub(crate) outcome: Result<i32, Refusal>,
    pub(crate) took: Duration,
}

/// Makes the call of `task`.
pub(crate) async fn call(outlet: Arc<Outlet>, task: Task) -> Ended {
    let started = Instant::now();
    let outcome = outlet.call(&task).await;
    Ended { task, outcome, took: started.elapsed() }
}

impl Outlet {
    /// Telegram when a token is configured, else the log.
    pub(crate) fn new(config: &TelegramConfig) -> Result<Self, AlertingError> {
        if config.token.expose_secret().is_empty() {
            return Ok(Self::Log(AtomicI32::new(1)));
        }
        Client::new(config).map(Self::Telegram)
    }

    /// The bot's name.
    pub(crate) async fn name(&self) -> Result<String, Refusal> {
        match self {
            Self::Telegram(client) => client.name().await,
            Self::Log(_) => Ok(LOG.to_owned()),
        }
    }

    /// Makes the call of `task`; returns the number of the message that it made or changed.
    async fn call(&self, task: &Task) -> Result<i32, Refusal> {
        match self {
            Self::Telegram(client) => client.call(task).await,
            Self::Log(count) => Ok(would_send(task, count)),
        }
    }
}

fn would_send(task: &Task, count: &AtomicI32) -> i32 {
    let (operation, message) = match task.action {
        Action::Edit { message } => ("edit", message),
        Action::Send => ("send", count.fetch_add(1, Ordering::Relaxed)),
        Action::Notice { .. } => ("notice", count.fetch_add(1, Ordering::Relaxed)),
    };
    tracing::info!(
        event = "alert.would_send",
        alert.operation = operation,
        alert.severity = %task.severity,
        alert.text = task.text.plain(),
        "no telegram token configured, alert not sent"
    );
    message
}

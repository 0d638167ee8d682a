//! Whether Telegram answers, for the health page. Asked rarely: the answer is kept, longer when it is good.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use runtime::config::TelegramConfig;
use runtime::health::{Finding, Health};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::AlertingError;
use crate::telegram::{Client, Refusal};

/// How long a good answer is kept.
const GOOD: Duration = Duration::from_secs(60);
/// How long a bad one is.
const BAD: Duration = Duration::from_secs(15);

/// What Telegram last said, and until when that is kept.
type Last = Mutex<Option<(Instant, Finding)>>;

/// Registers the component `telegram`, which no role needs to work. Without a token it is up and says so.
///
/// # Errors
/// When the configured URL cannot be used, or no HTTP client be made.
pub fn checks(health: &Health, config: &TelegramConfig) -> Result<(), AlertingError> {
    if config.token.expose_secret().is_empty() {
        health.register("telegram", false, || std::future::ready(Ok("not configured".to_owned())).boxed());
        return Ok(());
    }
    let client = Arc::new(Client::new(config)?);
    let last: Arc<Last> = Arc::default();
    health.register("telegram", false, move || ask(client.clone(), last.clone()));
    Ok(())
}

fn ask(client: Arc<Client>, last: Arc<Last>) -> BoxFuture<'static, Finding> {
    async move {
        let mut last = last.lock().await;
        if let Some((until, finding)) = last.as_ref()
            && Instant::now() < *until
        {
            return finding.clone();
        }
        let (keep, finding) = judge(client.name().await);
        *last = Some((Instant::now() + keep, finding.clone()));
        finding
    }
    .boxed()
}

fn judge(answer: Result<String, Refusal>) -> (Duration, Finding) {
    match answer {
        Ok(name) => (GOOD, Ok(format!("bot {name}"))),
        Err(refusal @ Refusal::Throttled(retry_after)) => (retry_after.max(BAD), Err(refusal.to_string())),
        Err(refusal) => (BAD, Err(refusal.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_429_is_obeyed() {
        let (keep, finding) = judge(Err(Refusal::Throttled(Duration::from_secs(90))));
        assert_eq!(keep, Duration::from_secs(90));
        assert_eq!(finding, Err("too many calls, retry after 90 s".to_owned()));
    }

    #[tokio::test]
    async fn without_a_token_it_is_up() {
        let health = Health::new(GOOD, BAD);
        checks(&health, &crate::fixture::telegram()).unwrap();
        let component = &health.report().await.components["telegram"];
        assert!(component.up && !component.required);
        assert_eq!(component.detail, "not configured");
    }
}

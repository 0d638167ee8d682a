//! Redis, which workers use when it is configured. Ingress only looks whether it answers.

use std::time::Duration;

use ::redis::Client;
use futures::FutureExt;
use futures::future::BoxFuture;
use runtime::config::Config;
use runtime::health::Finding;
use secrecy::ExposeSecret;
use tokio::time::timeout;

/// The check, when Redis is configured.
pub(super) fn check(config: &Config) -> Option<impl Fn() -> BoxFuture<'static, Finding> + Send + Sync + use<>> {
    let url = config.redis.url.expose_secret();
    if url.is_empty() {
        return None;
    }
    // The address was validated with the configuration; one that Redis cannot use counts as down.
    let client = Client::open(url).ok();
    // A connection is opened for each look, which a command's time alone would not allow.
    let patience = config.redis.timeout.max(Duration::from_secs(1));
    Some(move || ping(client.clone(), patience).boxed())
}

async fn ping(client: Option<Client>, patience: Duration) -> Finding {
    let away = || "Redis does not answer; limits count for each worker alone".to_owned();
    let client = client.ok_or_else(|| "redis.url cannot be used".to_owned())?;
    let look = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        ::redis::cmd("PING").query_async::<String>(&mut connection).await
    };
    match timeout(patience, look).await {
        Ok(Ok(_)) => Ok("answers".to_owned()),
        // The error may name the host and its user.
        Ok(Err(_)) | Err(_) => Err(away()),
    }
}

//! A webhook beside Telegram: the leader reads ALERTS from where the last one left off and posts what is there, in order,
//! for as long as it takes.

mod cursor;
mod message;
mod retry;
mod told;

use std::time::Duration;

use async_nats::jetstream::kv::Store;
use broker::Broker;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, Url};
use ring::hmac;
use runtime::clock;
use runtime::config::WebhookConfig;
use runtime::telemetry::Scrubber;
use schemas::timestamp::Timestamp;
use secrecy::ExposeSecret;

use crate::error::AlertingError;
use crate::http;
use crate::metrics::AlertMetrics;
use cursor::{Cursor, CursorError};
use message::Post;
use retry::{Answer, Next, next};
use told::Told;

/// Most events read at once; repeats among them share a post.
const BATCH: usize = 256;
/// How long to wait when there was nothing new.
const IDLE: Duration = Duration::from_secs(1);

/// Where alerts are posted. Without `Debug`: it holds secrets.
pub(crate) struct Webhook {
    config: WebhookConfig,
    url: Url,
    key: hmac::Key,
    client: Client,
    scrubber: Scrubber,
    metrics: AlertMetrics,
}

impl Webhook {
    /// The configured one, if there is one.
    pub(crate) fn new(
        config: &WebhookConfig,
        scrubber: Scrubber,
        metrics: AlertMetrics,
    ) -> Result<Option<Self>, AlertingError> {
        if !config.is_set() {
            return Ok(None);
        }
        let url = Url::parse(config.url.expose_secret()).map_err(AlertingError::WebhookUrl)?;
        let key = runtime::secret::webhook_key(&config.secret).ok_or(AlertingError::WebhookKey)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let client = http::client(config.timeout, config.timeout)?;
        Ok(Some(Self { config: config.clone(), url, key, client, scrubber, metrics }))
    }

    /// Posts what comes, until dropped, or until its place cannot be kept.
    pub(crate) async fn run(&self, broker: &Broker, bucket: Store) -> Result<(), CursorError> {
        let (mut cursor, mut told) = (Cursor::load(broker, bucket).await?, Told::default());
        loop {
            let mut alerts = broker.alerts_after(cursor.seq(), BATCH).await?;
            if let Some((last, _)) = cursor.interrupted() {
                alerts.retain(|alert| alert.seq <= last);
                if alerts.is_empty() {
                    // The stream has forgotten it.
                    cursor.end(last).await?;
                    continue;
                }
            }
            let Some(last) = alerts.last().map(|alert| alert.seq) else {
                self.metrics.webhook_oldest_seconds.set(0);
                tokio::time::sleep(IDLE).await;
                continue;
            };
            let posts = message::posts(&alerts, &self.scrubber, &mut told, self.config.repeat_interval, broker.now());
            self.tell(&posts, last, broker, &mut cursor).await?;
        }
    }

    /// Posts a batch, or what a crash left of it.
    async fn tell(&self, posts: &[Post], last: u64, broker: &Broker, cursor: &mut Cursor) -> Result<(), CursorError> {
        let told = match cursor.interrupted() {
            Some((_, runs)) => runs,
            None => {
                cursor.begin(last).await?;
                0
            }
        };
        for post in posts.iter().filter(|post| post.run >= told) {
            self.deliver(post, broker).await;
            cursor.told(post.run + 1).await?;
        }
        cursor.end(last).await
    }

    async fn deliver(&self, post: &Post, broker: &Broker) {
        let (mut tries, mut refusals) = (0_u32, 0_u32);
        loop {
            let age = broker.now().since(post.stored_at);
            self.metrics.webhook_oldest_seconds.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
            let answer = self.attempt(post, clock::now()).await;
            tries = tries.saturating_add(1);
            refusals += u32::from(matches!(answer, Answer::Refused(_)));
            let (word, wait) = match next(answer, tries, refusals, age, &self.config) {
                Next::Told => ("told", None),
                Next::Refused => ("left_out_refused", None),
                Next::Expired => ("left_out_expired", None),
                Next::Again(wait) => ("failed", Some(wait)),
            };
            self.metrics.webhook_posts.with_label_values(&[word]).inc();
            match (wait, answer) {
                (None, Answer::Taken) => return,
                (None, _) => return tracing::error!(webhook.id = post.id, outcome = word, "an alert is not posted"),
                (Some(wait), _) => {
                    tracing::warn!(webhook.id = post.id, tries, wait_ms = wait.as_millis() as u64, "post failed");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One try, signed with its own time. An error is told without its text, which holds the address.
    async fn attempt(&self, post: &Post, now: Timestamp) -> Answer {
        let seconds = now.as_secs();
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &post.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", message::sign(&self.key, &post.id, seconds, &post.body))
            .body(post.body.clone());
        match request.send().await {
            Ok(response) => Answer::of(response.status().as_u16(), retry_after(&response)),
            Err(_) => Answer::Away(None),
        }
    }
}

/// What the receiver asks for, in seconds; a date is left to our own waits.
fn retry_after(response: &Response) -> Option<Duration> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

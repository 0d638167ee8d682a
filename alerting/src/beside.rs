//! What works beside the desk: the rules, the intake of events, the webhook, the heartbeat, and what this process says of
//! itself.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::Store;
use broker::{AlertDelivery, Broker, BrokerError};
use runtime::clock;
use runtime::config::{Config, Source};
use runtime::system::resident_bytes;
use runtime::telemetry::Scrubber;
use schemas::stats::{EVERY, ProcessStats};
use schemas::subject;
use schemas::timestamp::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::error::AlertingError;
use crate::heartbeat::Heartbeat;
use crate::metrics::AlertMetrics;
use crate::rules::reload::{self, Reloaded};
use crate::rules::{Rules, Term};
use crate::webhook::Webhook;

/// Most events read, folded and kept at once.
const BATCH: usize = 256;
/// How long a failed intake or rule run waits before it begins again.
const RETRY: Duration = Duration::from_secs(1);

/// What works beside the desk while we lead.
pub(crate) struct Beside {
    pub(crate) terms: watch::Sender<Option<Term>>,
    webhook: Option<Arc<Webhook>>,
    heartbeat: Option<Arc<Heartbeat>>,
}

impl Beside {
    /// Starts what listens whether we lead or not, and prepares what works while we do.
    pub(crate) fn new(
        config: &Config,
        broker: &Broker,
        metrics: &AlertMetrics,
        scrubber: &Scrubber,
        source: Source,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, AlertingError> {
        let (terms, term) = watch::channel(None);
        let (state, reloaded) = watch::channel(Reloaded { config: Arc::new(config.alerts.clone()), error: None });
        tasks.spawn(reload::follow(source, state, metrics.reloads.clone()));
        let mut rules = Rules::new(config, broker.clone(), term, reloaded, metrics.clone());
        let heartbeat = Heartbeat::new(config, rules.pulse(), metrics.clone())?.map(Arc::new);
        let webhook = Webhook::new(&config.webhook, scrubber.clone(), metrics.clone())?.map(Arc::new);
        tasks.spawn(again("rules not evaluated", async move || rules.run().await));
        Ok(Self { terms, webhook, heartbeat })
    }

    /// Starts what works while we lead; `events` go to the desk.
    pub(crate) fn start(
        &self,
        broker: &Broker,
        bucket: &Store,
        events: mpsc::Sender<Vec<AlertDelivery>>,
        tasks: &mut JoinSet<()>,
    ) {
        let feed = broker.clone();
        tasks.spawn(again("alert events not fetched", async move || fetch(&feed, &events).await));
        if let Some(heartbeat) = self.heartbeat.clone() {
            let (broker, bucket) = (broker.clone(), bucket.clone());
            tasks.spawn(async move { heartbeat.run(&broker, &bucket).await });
        }
        if let Some(webhook) = self.webhook.clone() {
            let (broker, bucket) = (broker.clone(), bucket.clone());
            let post = async move || webhook.run(&broker, bucket.clone()).await;
            tasks.spawn(again("alert events not posted", post));
        }
    }
}

/// Fetches events, one batch ahead of the desk. What is in hand when the term ends is delivered again.
async fn fetch(broker: &Broker, events: &mpsc::Sender<Vec<AlertDelivery>>) -> Result<(), BrokerError> {
    let mut feed = broker.alerts().await?;
    loop {
        let batch = feed.next_batch(BATCH).await?;
        if !batch.is_empty() && events.send(batch).await.is_err() {
            return Ok(());
        }
    }
}

/// Begins anew whenever it ends.
async fn again<E: Error + 'static>(failed: &str, mut run: impl AsyncFnMut() -> Result<(), E>) {
    loop {
        if let Err(error) = run().await {
            tracing::warn!(error = &error as &dyn Error, "{failed}, tried again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Says every few seconds that we are alive and what we use.
pub(crate) async fn report(broker: Broker, started_at: Timestamp) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        say(&broker, started_at, false).await;
    }
}

/// Says it once.
pub(crate) async fn say(broker: &Broker, started_at: Timestamp, leaving: bool) {
    let stats = ProcessStats {
        role: subject::ALERTING.to_owned(),
        instance: broker.instance().to_owned(),
        at: clock::now(),
        interval_ms: u64::try_from(EVERY.as_millis()).unwrap_or_default(),
        memory_bytes: resident_bytes().unwrap_or_default(),
        leaving,
        started_at,
        ..ProcessStats::default()
    };
    if let Err(error) = broker.publish_stats(&stats).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "statistics not published");
    }
}

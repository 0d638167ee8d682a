//! From candidate to leader and back: a replica waits until it leads, then reads what is kept and works at the desk, with
//! the intake of events and the rules beside it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::kv::Store;
use broker::{AlertDelivery, Broker, BrokerError};
use runtime::clock;
use runtime::config::Config;
use runtime::system::resident_bytes;
use schemas::stats::ProcessStats;
use schemas::subject;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::chats::Chats;
use crate::desk::{Desk, Work};
use crate::fold::{Book, Policy};
use crate::leader::{LeaderError, Leadership, RENEW};
use crate::metrics::AlertMetrics;
use crate::pace::Pacer;
use crate::rules::Rules;
use crate::store::{Incidents, StoreError};
use crate::telegram::{LOG, Outlet};

/// Most events read, folded and kept at once.
const BATCH: usize = 256;
/// How long a failed intake or rule run waits before it begins again.
const RETRY: Duration = Duration::from_secs(1);
/// How often we say of ourselves what every process says.
const STATS: Duration = Duration::from_secs(5);

/// One replica.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) config: Arc<Config>,
    pub(crate) broker: Broker,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) metrics: AlertMetrics,
}

/// Why a term did not begin, or ended.
#[derive(Debug, thiserror::Error)]
enum TermError {
    /// The bucket cannot be reached.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The lead cannot be taken.
    #[error(transparent)]
    Leader(#[from] LeaderError),
    /// Incidents cannot be read, or another leads.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Candidate {
    /// Tries to lead, leads, and tries again, until shutdown.
    pub(crate) async fn run(self, shutdown: &CancellationToken) {
        let mut tasks = JoinSet::new();
        tasks.spawn(report(self.broker.clone()));
        while !shutdown.is_cancelled() {
            if let Err(error) = self.contend(shutdown).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "alerting does not lead");
            }
            self.metrics.leader.set(0);
            shutdown.run_until_cancelled(tokio::time::sleep(RENEW)).await;
        }
        tasks.shutdown().await;
    }

    async fn contend(&self, shutdown: &CancellationToken) -> Result<(), TermError> {
        let bucket = self.broker.kv(subject::INCIDENTS).await?;
        let Some(leadership) = Leadership::contend(&self.broker, bucket.clone()).await? else { return Ok(()) };
        tracing::info!(instance = self.broker.instance(), "alerting leads");
        self.metrics.leader.set(1);
        let (firing, known) = watch::channel(Vec::new());
        let desk = self.desk(bucket, leadership, firing).await?;
        let (events, inbox) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(take_in(self.broker.clone(), events));
        tasks.spawn(rule(self.clone(), known));
        let ended = Box::pin(desk.run(inbox, shutdown)).await;
        tasks.shutdown().await;
        Ok(ended?)
    }

    async fn desk(
        &self,
        bucket: Store,
        leadership: Leadership,
        firing: watch::Sender<Vec<crate::rules::Concern>>,
    ) -> Result<Desk, StoreError> {
        let telegram = &self.config.telegram;
        let mut chats = match &*self.outlet {
            Outlet::Telegram(_) => Chats::new(telegram),
            Outlet::Log(_) => Chats::only(LOG),
        };
        let (store, incidents) = Incidents::load(bucket, &mut chats).await?;
        let policy = Policy {
            cooldown: telegram.cooldown,
            group_wait: telegram.group_wait,
            max_age: self.config.streams.alerts_max_age,
        };
        let mut book = Book::new(policy, incidents);
        let mut work = Work::default();
        if matches!(&*self.outlet, Outlet::Telegram(_)) {
            // What was told to the log alone, before there was a token, nobody has read in a chat.
            work.unsaved.extend(book.leave(LOG));
        }
        let pacer = Pacer::new(telegram.messages_per_minute);
        let (outlet, metrics) = (self.outlet.clone(), self.metrics.clone());
        Ok(Desk { book, chats, pacer, store, leadership, outlet, metrics, firing, work })
    }
}

/// Fetches events, one batch ahead of the desk. What is in hand when the term ends is delivered again.
async fn take_in(broker: Broker, events: mpsc::Sender<Vec<AlertDelivery>>) {
    loop {
        if let Err(error) = fetch(&broker, &events).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "alert events not fetched, tried again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn fetch(broker: &Broker, events: &mpsc::Sender<Vec<AlertDelivery>>) -> Result<(), BrokerError> {
    let mut feed = broker.alerts().await?;
    loop {
        let batch = feed.next_batch(BATCH).await?;
        if !batch.is_empty() && events.send(batch).await.is_err() {
            return Ok(());
        }
    }
}

async fn rule(candidate: Candidate, firing: watch::Receiver<Vec<crate::rules::Concern>>) {
    loop {
        let Candidate { config, broker, metrics, .. } = candidate.clone();
        let rules = Rules::new(&config, broker, firing.clone(), metrics);
        if let Err(error) = rules.run().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "rules not evaluated, tried again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Says every few seconds that we are alive and what we use.
async fn report(broker: Broker) {
    let mut tick = tokio::time::interval(STATS);
    loop {
        tick.tick().await;
        let stats = ProcessStats {
            role: subject::ALERTING.to_owned(),
            instance: broker.instance().to_owned(),
            at: clock::now(),
            interval_ms: u64::try_from(STATS.as_millis()).unwrap_or_default(),
            memory_bytes: resident_bytes().unwrap_or_default(),
            ..ProcessStats::default()
        };
        if let Err(error) = broker.publish_stats(&stats).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "statistics not published");
        }
    }
}

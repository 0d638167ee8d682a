//! From candidate to leader and back: a replica waits until it leads, then reads what is kept and works at the desk, with
//! the intake of events and the rules beside it.

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
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::chats::Chats;
use crate::desk::{Desk, Surface, Work};
use crate::errand::{Errand, Known};
use crate::error::AlertingError;
use crate::heartbeat::Heartbeat;
use crate::incidents::{Book, Inhibition, Policy};
use crate::leader::{LeaderError, Leadership, renew_every};
use crate::metrics::AlertMetrics;
use crate::operator::{Inquiry, Operators, Reach};
use crate::order::Orders;
use crate::pace::Pacer;
use crate::rules::reload::{self, Reloaded};
use crate::rules::{Rules, Term};
use crate::store::{Contents, Incidents, OUTBOX, StoreError};
use crate::telegram::{LOG, Listener, Outlet};
use crate::webhook::Webhook;

/// Errands of operators waiting for the desk.
const ERRANDS: usize = 16;
/// Most events read, folded and kept at once.
const BATCH: usize = 256;
/// How long a failed intake or rule run waits before it begins again.
const RETRY: Duration = Duration::from_secs(1);

/// One replica.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) config: Arc<Config>,
    pub(crate) broker: Broker,
    pub(crate) outlet: Arc<Outlet>,
    /// What people press and write; nothing when nobody may.
    pub(crate) listener: Option<Arc<Listener>>,
    pub(crate) scrubber: Scrubber,
    pub(crate) metrics: AlertMetrics,
}

/// What works beside the desk while we lead.
struct Beside {
    terms: watch::Sender<Option<Term>>,
    webhook: Option<Arc<Webhook>>,
    heartbeat: Option<Arc<Heartbeat>>,
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
    pub(crate) async fn run(self, source: Source, shutdown: &CancellationToken) -> Result<(), AlertingError> {
        let (mut tasks, started_at) = (JoinSet::new(), clock::now());
        let beside = self.beside(source, &mut tasks)?;
        tasks.spawn(report(self.broker.clone(), started_at));
        while !shutdown.is_cancelled() {
            if let Err(error) = Box::pin(self.contend(&beside, shutdown)).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "alerting does not lead");
            }
            beside.terms.send_replace(None);
            self.metrics.leader.set(0);
            let pause = renew_every(self.config.alerts.lease);
            shutdown.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        tasks.shutdown().await;
        say(&self.broker, started_at, true).await;
        Ok(())
    }

    /// Starts what listens whether we lead or not, and prepares what works while we do.
    fn beside(&self, source: Source, tasks: &mut JoinSet<()>) -> Result<Beside, AlertingError> {
        let (metrics, config) = (&self.metrics, &self.config);
        let (terms, term) = watch::channel(None);
        let (state, reloaded) = watch::channel(Reloaded { config: Arc::new(config.alerts.clone()), error: None });
        tasks.spawn(reload::follow(source, state, metrics.reloads.clone()));
        let rules = Rules::new(config, self.broker.clone(), term, reloaded, metrics.clone());
        let heartbeat = Heartbeat::new(config, rules.pulse(), metrics.clone())?.map(Arc::new);
        let webhook = Webhook::new(&config.webhook, metrics.clone())?.map(Arc::new);
        tasks.spawn(rule(rules));
        Ok(Beside { terms, webhook, heartbeat })
    }

    async fn contend(&self, beside: &Beside, shutdown: &CancellationToken) -> Result<(), TermError> {
        let bucket = self.broker.kv(subject::INCIDENTS).await?;
        let lease = self.config.alerts.lease;
        let Some(leadership) = Leadership::contend(&self.broker, bucket.clone(), lease).await? else { return Ok(()) };
        tracing::info!(instance = self.broker.instance(), "alerting leads");
        self.metrics.leader.set(1);
        let (firing, known) = watch::channel(Vec::new());
        let (errands, received) = mpsc::channel(ERRANDS);
        let (knowledge, ours) = watch::channel(Known::default());
        let surface = Surface::new(received, knowledge, self.scrubber.clone(), &self.config.telegram);
        let desk = self.desk(bucket.clone(), leadership, firing, surface).await?;
        let (events, inbox) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(take_in(self.broker.clone(), events));
        beside.terms.send_replace(Some(Term { firing: known, bucket: bucket.clone(), since: Instant::now() }));
        beside.start(&self.broker, &bucket, &mut tasks);
        let (orders, ordered) = Orders::new();
        desk.publish_known(Instant::now());
        self.listen(&mut tasks, orders, errands, ours);
        let ended = Box::pin(desk.run(inbox, ordered, shutdown)).await;
        tasks.shutdown().await;
        Ok(ended?)
    }

    /// Has somebody take up what operators press and write, if anybody may.
    fn listen(
        &self,
        tasks: &mut JoinSet<()>,
        orders: Orders,
        errands: mpsc::Sender<Errand>,
        known: watch::Receiver<Known>,
    ) {
        let Some(listener) = self.listener.clone() else { return };
        let inquiry = Inquiry::new(self.config.clone(), self.broker.clone());
        tasks.spawn(inquiry.clone().listen());
        let reach = Reach {
            listener,
            outlet: self.outlet.clone(),
            orders,
            errands,
            known,
            inquiry,
            scrubber: self.scrubber.clone(),
            metrics: self.metrics.clone(),
        };
        tasks.spawn(Operators::new(reach, &self.config.telegram.allowed_users).run());
    }

    async fn desk(
        &self,
        bucket: Store,
        leadership: Leadership,
        firing: watch::Sender<Vec<crate::rules::Concern>>,
        surface: Surface,
    ) -> Result<Desk, StoreError> {
        let telegram = &self.config.telegram;
        let mut chats = match &*self.outlet {
            Outlet::Telegram(_) => Chats::new(telegram),
            Outlet::Log(_) => Chats::only(LOG),
        };
        let (store, contents) = Incidents::load(bucket, &mut chats).await?;
        let Contents { incidents, silences, mut outbox } = contents;
        let mut book = Book::new(self.policy(), incidents);
        book.silences = silences;
        book.inhibitions = self.inhibitions();
        let mut work = Work::default();
        if surface.calendar.is_off() {
            work.unsaved.extend(book.forget_days());
        }
        work.unsaved.extend(outbox.recover(&mut book));
        // Written first of all: it fences whoever led before.
        work.unsaved.insert(OUTBOX.to_owned());
        if matches!(&*self.outlet, Outlet::Telegram(_)) {
            // What was told to the log alone, before there was a token, nobody has read in a chat.
            work.unsaved.extend(book.leave(LOG));
        }
        let mut pacer = Pacer::new(telegram.messages_per_minute);
        pacer.resume(&outbox.paced, Instant::now(), clock::now());
        let (outlet, metrics) = (self.outlet.clone(), self.metrics.clone());
        Ok(Desk { book, chats, pacer, outbox, store, leadership, outlet, metrics, firing, surface, work })
    }

    fn policy(&self) -> Policy {
        let Config { telegram, alerts, streams, .. } = &*self.config;
        Policy {
            cooldown: telegram.cooldown,
            group_wait: telegram.group_wait,
            group_interval: telegram.group_interval,
            repeat_interval: telegram.repeat_interval,
            acknowledge_timeout: telegram.acknowledge_timeout,
            max_age: streams.alerts_max_age,
            max_silences: alerts.max_silences,
            longest_silence: alerts.longest_silence,
        }
    }

    /// The configuration was validated: what is wrong with one here would be a mistake of ours, and keeps nothing quiet.
    fn inhibitions(&self) -> Vec<Inhibition> {
        let read = |(index, config)| {
            let inhibition = Inhibition::new(config);
            inhibition.inspect_err(|error| tracing::error!(%error, index, "inhibition left out")).ok()
        };
        self.config.alerts.inhibitions.iter().enumerate().filter_map(read).collect()
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

impl Beside {
    fn start(&self, broker: &Broker, bucket: &Store, tasks: &mut JoinSet<()>) {
        if let Some(heartbeat) = self.heartbeat.clone() {
            let (broker, bucket) = (broker.clone(), bucket.clone());
            tasks.spawn(async move { heartbeat.run(&broker, &bucket).await });
        }
        if let Some(webhook) = self.webhook.clone() {
            tasks.spawn(post(webhook, broker.clone(), bucket.clone()));
        }
    }
}

async fn post(webhook: Arc<Webhook>, broker: Broker, bucket: Store) {
    loop {
        if let Err(error) = webhook.run(&broker, bucket.clone()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "alert events not posted, tried again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn rule(mut rules: Rules) {
    loop {
        if let Err(error) = rules.run().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "rules not evaluated, tried again");
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Says every few seconds that we are alive and what we use.
async fn report(broker: Broker, started_at: Timestamp) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        say(&broker, started_at, false).await;
    }
}

async fn say(broker: &Broker, started_at: Timestamp, leaving: bool) {
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

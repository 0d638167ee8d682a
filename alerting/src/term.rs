//! From candidate to leader and back: a replica waits until it leads, then reads what is kept and works at the desk, with
//! the intake of events and the rules beside it.

use std::sync::Arc;

use async_nats::jetstream::kv::Store;
use broker::{Broker, BrokerError};
use runtime::clock;
use runtime::config::{Config, Source};
use runtime::telemetry::Scrubber;
use schemas::subject;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::beside::{Beside, report, say};
use crate::chats::Chats;
use crate::desk::{Desk, Surface, Work};
use crate::errand::{Errand, Known};
use crate::error::AlertingError;
use crate::incidents::{Book, Inhibition, Policy};
use crate::leader::{LeaderError, Leadership, renew_every};
use crate::metrics::AlertMetrics;
use crate::operator::{Inquiry, Operators, Reach};
use crate::order::Orders;
use crate::pace::Pacer;
use crate::rules::Term;
use crate::store::{Contents, Incidents, OUTBOX, StoreError};
use crate::telegram::{LOG, Listener, Outlet};

/// Errands of operators waiting for the desk.
const ERRANDS: usize = 16;
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
        let beside = Beside::new(&self.config, &self.broker, &self.metrics, &self.scrubber, source, &mut tasks)?;
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
        beside.terms.send_replace(Some(Term { firing: known, bucket: bucket.clone(), since: Instant::now() }));
        beside.start(&self.broker, &bucket, events, &mut tasks);
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
            work.unsaved.extend(book.leave(LOG, clock::now()));
        }
        let mut pacer = Pacer::new(telegram.messages_per_minute);
        pacer.resume(&outbox.paced, Instant::now(), self.broker.now());
        let (broker, outlet, metrics) = (self.broker.clone(), self.outlet.clone(), self.metrics.clone());
        Ok(Desk { book, chats, pacer, outbox, store, broker, leadership, outlet, metrics, firing, surface, work })
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

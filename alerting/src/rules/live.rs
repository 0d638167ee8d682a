//! The rules over what really happens: every replica listens, so that a new leader knows what the last one knew; the
//! leader looks, judges and publishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_nats::jetstream::kv::Store;
use broker::{Broker, BrokerError, StatsFeed};
use runtime::clock;
use runtime::config::Config;
use schemas::alert::AlertState;
use schemas::stats::ProcessStats;
use schemas::timestamp::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::engine::{Engine, Judged};
use super::ledger::Ledger;
use super::look::Lookout;
use super::reading::{Concern, Reading};
use super::reload::Reloaded;
use crate::metrics::AlertMetrics;

/// While we lead: which alerts of rules are known to fire, and where things are kept. That memory is durable and outlives
/// the process, so that what one replica raised another resolves.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) firing: watch::Receiver<Vec<Concern>>,
    pub(crate) bucket: Store,
    pub(crate) since: Instant,
}

/// How long a new leader waits for its desk to tell what fires.
const SETTLE: Duration = Duration::from_secs(1);

/// When the rules were last evaluated over a queue that could be looked at.
#[derive(Debug, Default)]
pub(crate) struct Pulse(AtomicI64);

impl Pulse {
    /// They were evaluated.
    pub(crate) fn beat(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::Relaxed);
    }

    /// When that was, by our clock.
    pub(crate) fn last(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// The rules and what they look at.
pub(crate) struct Rules {
    broker: Broker,
    engine: Engine,
    lookout: Lookout,
    ledger: Option<Ledger>,
    terms: watch::Receiver<Option<Term>>,
    reloaded: watch::Receiver<Reloaded>,
    pulse: Arc<Pulse>,
    metrics: AlertMetrics,
}

impl Rules {
    /// Nothing heard yet. They are evaluated during each of `terms`.
    pub(crate) fn new(
        config: &Config,
        broker: Broker,
        terms: watch::Receiver<Option<Term>>,
        reloaded: watch::Receiver<Reloaded>,
        metrics: AlertMetrics,
    ) -> Self {
        let mut waiting = vec![("telegram", metrics.oldest_unsent_seconds.clone())];
        if config.webhook.is_set() {
            waiting.push(("webhook", metrics.webhook_oldest_seconds.clone()));
        }
        let lookout = Lookout::new(broker.clone(), config, waiting);
        let engine = Engine::new(Arc::new(config.alerts.clone()), clock::now());
        Self { broker, engine, lookout, ledger: None, terms, reloaded, pulse: Arc::default(), metrics }
    }

    /// Tells when they were last evaluated.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Listens, and evaluates every interval while we lead, until dropped or until nothing can be heard.
    pub(crate) async fn run(&mut self) -> Result<(), BrokerError> {
        let mut stats = self.broker.stats().await?;
        let mut tick = self.tick();
        loop {
            tokio::select! {
                heard = stats.next() => self.hear(heard, &mut stats).await?,
                Ok(()) = self.reloaded.changed() => {
                    let config = Arc::clone(&self.reloaded.borrow_and_update().config);
                    self.engine.configure(config);
                    tick = self.tick();
                }
                Ok(()) = self.terms.changed() => {
                    // What was kept is read again: another may have written it since.
                    self.ledger = None;
                    self.engine.set_costs(None);
                }
                _ = tick.tick() => self.evaluate().await,
            }
        }
    }

    fn tick(&self) -> Interval {
        let mut tick = interval(self.engine.config().interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tick
    }

    async fn hear(&mut self, heard: Option<ProcessStats>, feed: &mut StatsFeed) -> Result<(), BrokerError> {
        match heard {
            Some(stats) => {
                if self.engine.hear(stats, clock::now())
                    && let Some(ledger) = &mut self.ledger
                {
                    ledger.spent();
                }
            }
            None => *feed = self.broker.stats().await?,
        }
        Ok(())
    }

    async fn evaluate(&mut self) {
        let Some(term) = self.terms.borrow().clone().filter(|term| term.since.elapsed() >= SETTLE) else { return };
        self.load_costs(&term).await;
        let mut facts = self.lookout.look().await;
        facts.config_error.clone_from(&self.reloaded.borrow().error);
        let (firing, now) = (term.firing.borrow().clone(), clock::now());
        let Judged { readings, news } = self.engine.judge(&facts, &firing, now);
        self.metrics.processes.set(i64::try_from(self.engine.processes(now)).unwrap_or(i64::MAX));
        for reading in &readings {
            let labels = [<&str>::from(reading.kind), <&str>::from(reading.result)];
            self.metrics.evaluations.with_label_values(&labels).inc();
        }
        for (reading, state) in news.into_iter().filter_map(|(index, state)| Some((readings.get(index)?, state))) {
            self.publish(reading, state, now).await;
        }
        if facts.depth.is_some() {
            self.pulse.beat(now);
        }
        self.save_costs().await;
    }

    async fn publish(&mut self, reading: &Reading, state: AlertState, now: Timestamp) {
        let event = reading.event(state, self.broker.instance(), now);
        match self.broker.alert(&event).await {
            Ok(()) => {
                self.engine.told(reading, state, now);
                let labels = [<&str>::from(event.kind), <&str>::from(event.state)];
                self.metrics.raised.with_label_values(&labels).inc();
                tracing::info!(alert.kind = %event.kind, alert.state = %event.state, "rule raised an alert event");
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, alert.kind = %event.kind, "alert event not published, tried again");
            }
        }
    }

    async fn load_costs(&mut self, term: &Term) {
        if self.ledger.is_some() {
            return;
        }
        match Ledger::load(term.bucket.clone()).await {
            Ok((ledger, costs)) => {
                self.ledger = Some(ledger);
                self.engine.set_costs(Some(costs));
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "costs not known, tried again"),
        }
    }

    async fn save_costs(&mut self) {
        let (Some(ledger), Some(costs)) = (&mut self.ledger, self.engine.costs()) else { return };
        if let Err(error) = ledger.save(costs).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "costs not kept, read again");
            self.ledger = None;
            self.engine.set_costs(None);
        }
    }
}

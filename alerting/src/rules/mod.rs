//! The alerts that need the whole picture: what every process says of itself and how deep the queue is, looked at every
//! few seconds by the leader, and published as events like anybody else's.

mod evaluate;
mod hold;
mod window;

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::{Broker, BrokerError, StatsFeed};
use runtime::clock;
use runtime::config::Config;
use schemas::alert::{AlertEvent, AlertKind};
use schemas::stats::ProcessStats;
use schemas::timestamp::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

pub(crate) use evaluate::KINDS;

use crate::metrics::AlertMetrics;
use evaluate::{Limits, Reading, evaluate};
use hold::{Holds, Verdict};
use window::Window;

/// What an alert of a rule is about.
pub(crate) type Concern = (AlertKind, BTreeMap<String, String>);

/// The rules and what they look at.
pub(crate) struct Rules {
    broker: Broker,
    limits: Limits,
    window: Window,
    holds: Holds,
    firing: watch::Receiver<Vec<Concern>>,
    metrics: AlertMetrics,
    interval: std::time::Duration,
}

impl Rules {
    /// Nothing seen yet. `firing` tells which alerts of [`KINDS`] are known to fire: that memory is durable and outlives
    /// the process, so that what one replica raised another resolves.
    pub(crate) fn new(
        config: &Arc<Config>,
        broker: Broker,
        firing: watch::Receiver<Vec<Concern>>,
        metrics: AlertMetrics,
    ) -> Self {
        Self {
            broker,
            limits: Limits::new(config),
            window: Window::new(config.alerts.window.max(config.queue.stalled_after), clock::now()),
            holds: Holds::new(config.alerts.hold),
            firing,
            metrics,
            interval: config.alerts.interval,
        }
    }

    /// Evaluates every interval, until dropped.
    pub(crate) async fn run(mut self) -> Result<(), BrokerError> {
        let mut stats = self.broker.stats().await?;
        let mut tick = tokio::time::interval(self.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                heard = stats.next() => self.hear(heard, &mut stats).await?,
                _ = tick.tick() => self.evaluate(clock::now()).await,
            }
        }
    }

    async fn hear(&mut self, heard: Option<ProcessStats>, feed: &mut StatsFeed) -> Result<(), BrokerError> {
        match heard {
            Some(stats) => self.window.add(stats, clock::now()),
            None => *feed = self.broker.stats().await?,
        }
        Ok(())
    }

    async fn evaluate(&mut self, now: Timestamp) {
        let depth = self.broker.depth().await;
        if let Err(error) = &depth {
            tracing::debug!(error = error as &dyn std::error::Error, "queue depth unknown to the rules");
        }
        let firing = self.firing.borrow().clone();
        let readings = evaluate(&self.window, depth.ok().as_ref(), &self.limits, &firing, now);
        for reading in readings {
            let labels = [<&str>::from(reading.kind), <&str>::from(reading.result)];
            self.metrics.evaluations.with_label_values(&labels).inc();
            let fires = firing.iter().any(|(kind, labels)| *kind == reading.kind && *labels == reading.labels);
            match self.holds.judge(&reading, fires, Instant::now()) {
                Verdict::Nothing => {}
                Verdict::Tell(state) => {
                    let event = reading.into_event(state, self.broker.instance(), now);
                    self.publish(&event).await;
                }
            }
        }
        self.holds.forget_unseen();
    }

    async fn publish(&mut self, event: &AlertEvent) {
        match self.broker.alert(event).await {
            Ok(()) => {
                self.holds.told(event.kind, &event.labels, event.state, Instant::now());
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
}

impl Reading {
    fn into_event(self, state: schemas::alert::AlertState, source: &str, at: Timestamp) -> AlertEvent {
        AlertEvent {
            kind: self.kind,
            severity: self.severity,
            state,
            labels: self.labels,
            summary: self.summary,
            value: self.value,
            threshold: self.threshold,
            at,
            source: source.to_owned(),
        }
    }
}

//! Alerts that a worker raises: handed over without waiting, published one after the other, retried while NATS is away.

use std::collections::BTreeMap;
use std::time::Duration;

use broker::Broker;
use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use tokio::sync::mpsc;

/// Alerts waiting to be published; beyond it new ones are dropped and logged.
const QUEUE: usize = 1024;
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A handle for raising alerts.
#[derive(Clone)]
pub(crate) struct Alarm {
    queue: mpsc::Sender<AlertEvent>,
    source: String,
    broker: Broker,
}

impl Alarm {
    /// The handle, and the loop that somebody must run.
    pub(crate) fn new(broker: Broker) -> (Self, impl Future<Output = ()> + Send) {
        let (queue, events) = mpsc::channel(QUEUE);
        let alarm = Self { queue, source: broker.instance().to_owned(), broker: broker.clone() };
        (alarm, publish(broker, events))
    }

    /// Raises an alert as it is.
    pub(crate) fn raise(&self, event: AlertEvent) {
        tracing::warn!(alert.kind = %event.kind, alert.state = %event.state, "{}", event.summary);
        if self.queue.try_send(event).is_err() {
            tracing::error!("too many alerts wait to be published: one was dropped");
        }
    }

    /// A provider refuses our credential.
    pub(crate) fn provider_auth(&self, provider: &str) {
        let summary = format!("provider {provider} refuses our credential: check its key");
        self.raise(self.event(AlertKind::ProviderAuth, Severity::Critical, [("provider", provider)], summary));
    }

    /// A job went to DEAD.
    pub(crate) fn dead_letter(&self, model: &str, code: &str) {
        let summary = format!("a job for {model} failed for good ({code}) and lies in DEAD");
        self.raise(self.event(AlertKind::DeadLetter, Severity::Warning, [("model", model), ("code", code)], summary));
    }

    fn event<const N: usize>(
        &self,
        kind: AlertKind,
        severity: Severity,
        labels: [(&str, &str); N],
        summary: String,
    ) -> AlertEvent {
        let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        AlertEvent {
            kind,
            severity,
            state: AlertState::Firing,
            labels: labels.collect::<BTreeMap<_, _>>(),
            summary,
            value: None,
            threshold: None,
            at: self.broker.now(),
            source: self.source.clone(),
        }
    }
}

async fn publish(broker: Broker, mut events: mpsc::Receiver<AlertEvent>) {
    while let Some(event) = events.recv().await {
        while let Err(error) = broker.alert(&event).await {
            tracing::debug!(error = %error, "alert not published yet");
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

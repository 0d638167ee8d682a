//! Alert events, in and out; and what processes say of themselves.

use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::{HeaderMap, Subscriber};
use futures::StreamExt;
use schemas::alert::AlertEvent;
use schemas::stats::ProcessStats;
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::frames;
use crate::publisher::{Outgoing, Published};
use crate::settle::Ticket;

/// Every pull ends by itself: see `recorder`. No heartbeats: see `intake`.
const POLL: Duration = Duration::from_secs(5);
/// Every alert.
const ALL: &str = "alerts.>";

/// Alert events, each until it is acknowledged, over restarts too.
pub struct AlertFeed {
    consumer: Consumer<pull::Config>,
}

/// One event where it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAlert {
    /// Its sequence in ALERTS.
    pub seq: u64,
    /// When it was stored, by the server's clock.
    pub stored_at: Timestamp,
    /// What happened; nothing when it cannot be read.
    pub event: Option<AlertEvent>,
}

/// One event in hand.
pub struct AlertDelivery {
    /// What happened.
    pub event: AlertEvent,
    /// Its sequence in ALERTS: a redelivery has the same.
    pub seq: u64,
    ticket: Ticket,
}

impl AlertDelivery {
    /// It is taken in: do not deliver it again.
    pub async fn ack(self) {
        self.ticket.ack().await;
    }
}

impl Broker {
    /// Makes an alert event durable.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker does not take it; the caller may try again.
    pub async fn alert(&self, event: &AlertEvent) -> Result<(), BrokerError> {
        let subject = subject::alert(event.severity, event.kind);
        let message = Outgoing { subject, headers: HeaderMap::new(), payload: envelope::encode(event)? };
        match self.0.plain.publish(message).await {
            Published::Stored { .. } => Ok(()),
            Published::Refused { code, description } => Err(BrokerError::Refused { code, description }),
            Published::Unknown => Err(BrokerError::TimedOut),
        }
    }

    /// The alert events that nobody has acknowledged yet, and those to come.
    ///
    /// # Errors
    /// [`BrokerError`] when the consumer cannot be reached.
    pub async fn alerts(&self) -> Result<AlertFeed, BrokerError> {
        let consumer = self.0.js.get_consumer_from_stream(subject::ALERTING, subject::ALERTS).await;
        let consumer = consumer.map_err(BrokerError::other("the alerts' consumer cannot be reached"))?;
        Ok(AlertFeed { consumer })
    }

    /// The alert events behind the sequence `after`, oldest first, at most `most`, whoever has acknowledged them. Asked of
    /// the stream's leader: a copy may not have the newest ones yet.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn alerts_after(&self, after: u64, most: usize) -> Result<Vec<StoredAlert>, BrokerError> {
        let stream = self.stream(subject::ALERTS).await?;
        let (mut seq, mut found) = (after, Vec::new());
        while found.len() < most {
            let next = stream.get_first_raw_message_by_subject(ALL, seq.saturating_add(1)).await;
            let message = match next {
                Ok(message) => message,
                Err(error) if frames::is_absent(&error) => break,
                Err(error) => return Err(BrokerError::Away(error.into())),
            };
            seq = message.sequence;
            let event = envelope::decode(&message.payload)
                .inspect_err(|error| tracing::error!(error = %error, nats.seq = seq, "an alert cannot be read"))
                .ok();
            found.push(StoredAlert { seq, stored_at: message.time.into(), event });
        }
        Ok(found)
    }

    /// The highest sequence in ALERTS.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked.
    pub async fn last_alert(&self) -> Result<u64, BrokerError> {
        let stream = self.stream(subject::ALERTS).await?;
        let info = stream.get_info().await.map_err(BrokerError::other("the alerts' stream cannot be asked"))?;
        Ok(info.state.last_sequence)
    }

    /// Tells everyone what this process has done lately. Not acknowledged.
    ///
    /// # Errors
    /// [`BrokerError`] when it cannot be encoded or the connection takes no more.
    pub async fn publish_stats(&self, stats: &ProcessStats) -> Result<(), BrokerError> {
        let payload = envelope::encode(stats)?;
        let sent = self.0.client.publish(subject::stats(&stats.role, &stats.instance), payload).await;
        sent.map_err(BrokerError::other("statistics cannot be published"))
    }

    /// What all processes say of themselves.
    ///
    /// # Errors
    /// [`BrokerError`] when the subscription cannot be made.
    pub async fn stats(&self) -> Result<StatsFeed, BrokerError> {
        let incoming = self.0.client.subscribe(subject::STATS).await;
        incoming.map(StatsFeed).map_err(BrokerError::other("statistics cannot be subscribed to"))
    }
}

impl AlertFeed {
    /// Up to `most` events; waits for the first. Empty when nothing came for a while.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker cannot be asked: wait and call again.
    pub async fn next_batch(&mut self, most: usize) -> Result<Vec<AlertDelivery>, BrokerError> {
        let failed = || BrokerError::other::<async_nats::Error>("alerts cannot be fetched");
        let mut deliveries = Vec::new();
        let fetch = self.consumer.fetch().max_messages(most).expires(POLL).messages().await;
        Self::take(fetch.map_err(|error| failed()(error.into()))?, &mut deliveries).await.map_err(failed())?;
        if deliveries.is_empty() {
            let poll = self.consumer.batch().max_messages(1).expires(POLL).messages().await;
            Self::take(poll.map_err(|error| failed()(error.into()))?, &mut deliveries).await.map_err(failed())?;
        }
        Ok(deliveries)
    }

    async fn take(mut batch: pull::Batch, into: &mut Vec<AlertDelivery>) -> Result<(), async_nats::Error> {
        while let Some(message) = batch.next().await {
            let message = message?;
            let seq = message.info()?.stream_sequence;
            let (message, acker) = message.split();
            let ticket = Ticket::new(acker);
            match envelope::decode(&message.payload) {
                Ok(event) => into.push(AlertDelivery { event, seq, ticket }),
                Err(error) => {
                    tracing::error!(error = %error, nats.seq = seq, "an alert cannot be read: dropped");
                    ticket.ack().await;
                }
            }
        }
        Ok(())
    }
}

/// A subscription to all processes' statistics.
pub struct StatsFeed(Subscriber);

impl StatsFeed {
    /// The next report; `None` when the connection is closed.
    pub async fn next(&mut self) -> Option<ProcessStats> {
        loop {
            let message = self.0.next().await?;
            if let Ok(stats) = envelope::decode(&message.payload) {
                return Some(stats);
            }
        }
    }
}

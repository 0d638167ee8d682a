//! One delivered job, from its message to a lease (C1-C5), or to whatever else the claim comes to.

use async_nats::jetstream::Message;
use async_nats::jetstream::message::StreamMessage;
use schemas::job::Job;
use schemas::state::{Carrier, Nonce};
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};

use tokio::time::Instant;

use crate::broker::Broker;
use crate::drive::{Hands, InHand, On};
use crate::error::BrokerError;
use crate::lease::Lease;
use crate::protocol::claim::{Claim, Delivered};
use crate::protocol::claiming::{self, Claiming};
use crate::protocol::ledger::Plan;
use crate::settle::Ticket;

/// A job in hand, not yet claimed.
pub struct Delivery {
    broker: Broker,
    /// The job.
    pub job: Job,
    delivered: Delivered,
    nonce: Nonce,
    ticket: Ticket,
}

/// What claiming came to.
pub enum Claimed {
    /// The job is ours: run it.
    Won(Box<Lease>),
    /// Nothing to do; the message is settled. The word says why, for the logs.
    Settled(&'static str),
}

impl Delivery {
    /// Reads a message. One that cannot be read is put off, for a newer release may know it.
    pub(crate) async fn read(broker: &Broker, message: Message) -> Option<Self> {
        let delivered_from = message.info().map(|info| (info.stream.to_owned(), Timestamp::from(info.published)));
        let (message, acker) = message.split();
        let ticket = Ticket::new(acker);
        let parts = envelope::decode::<Job>(&message.payload).ok().zip(delivered_from.ok());
        let Some((job, (stream, stored_at))) = parts else {
            tracing::error!(nats.subject = %message.subject, "a queued job cannot be read: put off");
            ticket.nak(crate::protocol::claim::STRAY_DELAY).await;
            return None;
        };
        let carrier = match subject::due_nonce(&message.subject) {
            Some(nonce) => Carrier::Due(nonce),
            None => Carrier::Stream(stream),
        };
        let delivered = Delivered { head: job.head.clone(), carrier, stored_at };
        Some(Self { broker: broker.clone(), job, delivered, nonce: Broker::nonce(), ticket })
    }

    /// A message as it lies in `stream`, which no consumer delivers any more: to be claimed like any other.
    pub(crate) fn found(broker: &Broker, stream: &str, message: &StreamMessage) -> Result<Self, BrokerError> {
        let job: Job = envelope::decode(&message.payload)?;
        let carrier = match subject::due_nonce(&message.subject) {
            Some(nonce) => Carrier::Due(nonce),
            None => Carrier::Stream(stream.to_owned()),
        };
        let delivered = Delivered { head: job.head.clone(), carrier, stored_at: message.time.into() };
        Ok(Self { broker: broker.clone(), job, delivered, nonce: Broker::nonce(), ticket: Ticket::empty() })
    }

    /// Claims the job for a call of `plan`, or, without one, in order to park it. `repeated` is a hint that somebody had
    /// this job before, so that STATE is better read than guessed.
    ///
    /// # Errors
    /// [`BrokerError`] when STATE cannot be read for another reason than NATS being away, which is waited for.
    pub async fn claim(self, plan: Option<&Plan>, repeated: bool) -> Result<Claimed, BrokerError> {
        let Self { broker, job, delivered, nonce, ticket } = self;
        let claim = Claim {
            delivered,
            nonce: nonce.clone(),
            holder: broker.instance().to_owned(),
            plan: plan.cloned(),
            policy: broker.0.policy,
        };
        let began = Instant::now();
        let (on, message) = (On::Job(&job, &nonce), InHand::Given(Some(Box::new(ticket))));
        let mut hands = Hands { broker: &broker, id: job.id, name: "claim", on, message };
        let claimed = hands.run(Claiming::start(claim, repeated, broker.now())).await?;
        let (claims, message) = (broker.0.metrics.claims.clone(), hands.message);
        match (claimed, message) {
            (claiming::Claimed::Won(record), InHand::Given(Some(ticket))) => {
                claims.with_label_values(&["won"]).inc();
                Ok(Claimed::Won(Box::new(Lease::new(broker, job, *ticket, record, began))))
            }
            (claiming::Claimed::Settled(outcome), _) => {
                claims.with_label_values(&[outcome]).inc();
                Ok(Claimed::Settled(outcome))
            }
            (claiming::Claimed::Won(_), _) => Ok(Claimed::Settled("held")),
        }
    }

    /// Puts the message off without claiming it.
    pub async fn put_off(self, delay: std::time::Duration) {
        self.ticket.nak(delay).await;
    }
}

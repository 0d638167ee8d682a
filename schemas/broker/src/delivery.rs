//! One delivered job, from its message to a lease (C1-C5), or to whatever else the claim comes to.

use async_nats::jetstream::Message;
use schemas::error::{ErrorCode, Failure};
use schemas::job::Job;
use schemas::state::{Carrier, JobResult, JobState, Nonce};
use schemas::timestamp::Timestamp;
use schemas::{envelope, subject};

use tokio::time::Instant;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::lease::Lease;
use crate::protocol::cas::Ended;
use crate::protocol::claim::{Claim, Delivered, Unclaimed};
use crate::protocol::finish::{Bury, MovedOn};
use crate::protocol::ledger::Plan;
use crate::protocol::{Record, ledger};
use crate::settle::Ticket;
use crate::store::From;

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

    /// Claims the job for a call of `plan`, or, without one, in order to park it. `repeated` is a hint that somebody had
    /// this job before, so that STATE is better read than guessed.
    ///
    /// # Errors
    /// [`BrokerError`] when STATE cannot be read for another reason than NATS being away, which is waited for.
    pub async fn claim(self, plan: Option<&Plan>, repeated: bool) -> Result<Claimed, BrokerError> {
        let broker = self.broker.clone();
        let policy = broker.0.policy;
        let fresh = !repeated
            && matches!(self.delivered.carrier, Carrier::Stream(_))
            && broker.now().since(self.delivered.stored_at) < policy.retention;
        loop {
            let from = if fresh { From::Assuming(None) } else { From::Reading };
            let claim = Claim {
                delivered: &self.delivered,
                nonce: &self.nonce,
                holder: broker.instance(),
                plan,
                policy: &policy,
            };
            let sent = Instant::now();
            let ended = broker.run(self.job.id, "claim", claim, from).await?;
            if let Ended::Settled(Unclaimed::Poison(record)) = &ended
                && !self.bury(record).await?
            {
                continue;
            }
            return Ok(self.settled(ended, sent).await);
        }
    }

    async fn settled(self, ended: Ended<Unclaimed>, sent: Instant) -> Claimed {
        let id = self.job.id;
        let outcome = match ended {
            Ended::Stored(seq, state) if !state.phase.is_terminal() => return self.won("won", seq, state, sent),
            Ended::Settled(Unclaimed::Mine(record)) => return self.won("won", record.seq, record.state, sent),
            Ended::Stored(..) | Ended::Settled(Unclaimed::Finished(_) | Unclaimed::Poison(_)) => {
                self.broker.hint(subject::done(id)).await;
                self.ticket.ack().await;
                "finished"
            }
            Ended::Settled(Unclaimed::Superseded) => {
                self.ticket.ack().await;
                "superseded"
            }
            Ended::Settled(Unclaimed::Held(delay)) => {
                self.ticket.nak(delay).await;
                "held"
            }
        };
        self.broker.0.metrics.claims.with_label_values(&[outcome]).inc();
        Claimed::Settled(outcome)
    }

    fn won(self, outcome: &str, seq: u64, state: Box<JobState>, sent: Instant) -> Claimed {
        self.broker.0.metrics.claims.with_label_values(&[outcome]).inc();
        Claimed::Won(Box::new(Lease::new(self.broker, self.job, self.nonce, self.ticket, (seq, state), sent)))
    }

    /// D1: to DEAD first, then failed, both for the very record that was judged. False when it moved on.
    async fn bury(&self, judged: &Record) -> Result<bool, BrokerError> {
        let unresolved = ledger::unresolved(&judged.state.attempts);
        let message = format!("{unresolved} workers were lost while they ran this job");
        let failure = Failure::new(ErrorCode::Ambiguous, message);
        let result = JobResult { error: Some(failure), dead: true, ..JobResult::default() };
        self.broker.publish_dead(&self.job, &judged.state, &result).await?;
        let bury = Bury { judged, result: &result };
        let ended = self.broker.run(self.job.id, "bury", bury, From::Assuming(Some(judged))).await?;
        Ok(!matches!(ended, Ended::Settled(MovedOn)))
    }

    /// Puts the message off without claiming it.
    pub async fn put_off(self, delay: std::time::Duration) {
        self.ticket.nak(delay).await;
    }
}

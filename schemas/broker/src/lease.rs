//! A claimed job: the lease is renewed while it runs, every call is in the ledger before it is sent, and it ends in
//! exactly one of finish, park, release or loss (H1-H3, E1, E2, K1, K2).

use std::time::Duration;

use schemas::job::Job;
use schemas::state::{Attempt, JobResult, Nonce, Outcome, Phase};
use schemas::timestamp::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::drive::{Hands, InHand, On};
use crate::error::BrokerError;
use crate::hints::Hint;
use crate::protocol::Record;
use crate::protocol::finish::Finish;
use crate::protocol::finishing::{Closing, Finishing};
use crate::protocol::holding::{Gone, Held, Parking, Updating};
use crate::protocol::ledger::{self, Plan, Resolution};
use crate::protocol::machine::Next;
use crate::settle::Ticket;

/// The right to run one job.
pub struct Lease {
    pub(crate) broker: Broker,
    /// The job.
    pub job: Job,
    nonce: Nonce,
    ticket: Ticket,
    /// My record, and my own clock: what it counts from.
    held: Mutex<Held>,
    origin: Instant,
    cancelled: Mutex<Hint>,
}

impl Lease {
    /// A lease whose claim was sent no earlier than `began`.
    pub(crate) fn new(broker: Broker, job: Job, ticket: Ticket, record: Record, began: Instant) -> Self {
        let cancelled = Mutex::new(broker.0.cancels.listen(job.id));
        let nonce = record.state.nonce.clone();
        let held = Mutex::new(Held::stored(record, Duration::ZERO, &broker.0.policy));
        Self { broker, job, nonce, ticket, held, origin: began, cancelled }
    }

    /// The attempts so far, with `ends` as the ends of those that stand open.
    pub async fn ledger(&self, ends: &[Resolution]) -> Vec<Attempt> {
        let held = self.held.lock().await;
        ledger::resolved(&held.record.state.attempts, &self.nonce, ends, self.broker.now())
    }

    /// Closes the attempts that ran, if any did, and records the next, before it is sent.
    ///
    /// # Errors
    /// [`Gone`] when the job is no longer ours: send nothing.
    pub async fn attempt(&self, plan: &Plan, ends: &[Resolution]) -> Result<(), Gone> {
        let now = self.broker.now();
        self.update("attempt", |held| Updating::change(held, held.attempting(plan, ends, now), now)).await
    }

    /// Records one more attempt beside the one that runs, before it is sent. Await it to its end: what it records is known
    /// only then.
    ///
    /// # Errors
    /// [`Gone`] when the job is no longer ours: send nothing.
    pub async fn hedge(&self, plan: &Plan) -> Result<(), Gone> {
        let now = self.broker.now();
        self.update("hedge", |held| Updating::change(held, held.hedging(plan, now), now)).await
    }

    /// Closes the attempts that ran, before a wait: should this worker be lost in it, their failure is known all the same.
    ///
    /// # Errors
    /// [`Gone`] when the job is no longer ours.
    pub async fn resolve(&self, ends: &[Resolution]) -> Result<(), Gone> {
        let now = self.broker.now();
        self.update("resolve", |held| Updating::change(held, held.resolved(ends, now), now)).await
    }

    /// Makes sure, right before a call, that nobody else can hold the job by now.
    ///
    /// # Errors
    /// [`Gone`] when the job is no longer ours: send nothing.
    pub async fn before_call(&self) -> Result<(), Gone> {
        let safe = self.held.lock().await.is_safe(self.origin.elapsed());
        if safe { Ok(()) } else { self.renew().await }
    }

    /// Keeps the lease while the job runs: renews it, and looks when a cancel is heard. Returns when it is gone; drop it
    /// when the call is done.
    pub async fn keep(&self) -> Gone {
        let every = self.broker.0.config.worker.renew_every;
        let mut cancelled = self.cancelled.lock().await;
        let mut next = Instant::now() + every;
        loop {
            let checked = tokio::select! {
                () = tokio::time::sleep_until(next) => {
                    next += every;
                    self.renew().await
                }
                () = cancelled.heard() => self.check_ended().await,
            };
            if let Err(gone) = checked {
                return gone;
            }
        }
    }

    async fn renew(&self) -> Result<(), Gone> {
        let now = self.broker.now();
        self.update("renew", |held| Updating::renew(held, now)).await
    }

    async fn check_ended(&self) -> Result<(), Gone> {
        match self.broker.state(self.job.id).await {
            Ok(Some(record)) if record.state.phase.is_terminal() => Err(Gone::Finished),
            _ => Ok(()),
        }
    }

    /// Writes over my own record. One write at a time: the lock is held until its outcome is known, or the lease over.
    async fn update(
        &self,
        name: &'static str,
        start: impl FnOnce(&Held) -> (Updating, Next<Result<Record, Gone>>),
    ) -> Result<(), Gone> {
        let mut held = self.held.lock().await;
        let sent = self.origin.elapsed();
        let mut hands = self.hands(name, InHand::Kept(&self.ticket));
        let run = hands.run(start(&held));
        let limit = limit(&held, sent, &self.broker);
        match tokio::time::timeout_at(self.origin + limit, run).await {
            Ok(Ok(Ok(record))) => *held = Held::stored(record, sent, &self.broker.0.policy),
            Ok(Ok(Err(Gone::Finished))) => return Err(Gone::Finished),
            Ok(Ok(Err(Gone::Lost)) | Err(_)) | Err(_) => {
                self.broker.0.metrics.leases_lost.inc();
                return Err(Gone::Lost);
            }
        }
        Ok(())
    }

    fn hands<'a>(&'a self, name: &'static str, message: InHand<'a>) -> Hands<'a> {
        Hands { broker: &self.broker, id: self.job.id, name, on: On::Job(&self.job, &self.nonce), message }
    }

    /// Writes the result and tells whoever waits. Keeps trying while NATS is away: the result is held, not lost. `dead`
    /// results go to DEAD first, replayable. Returns whether this result is the job's.
    ///
    /// # Errors
    /// [`BrokerError`] when it cannot be encoded or stored at all; the job is then run again after its lease.
    pub async fn finish(self, phase: Phase, mut result: JobResult, ends: &[Resolution]) -> Result<bool, BrokerError> {
        result.kept = self.broker.keep_request(&self.job, phase).await?;
        self.broker.make_room(self.job.id, &self.nonce, &mut result).await?;
        let Self { broker, job, nonce, ticket, held, .. } = self;
        let (held, now) = (held.into_inner(), broker.now());
        let mine = Box::new(held.resolved(ends, now));
        let finish = Finish { mine, phase, result: Box::new(result) };
        let (on, message) = (On::Job(&job, &nonce), InHand::Given(Some(Box::new(ticket))));
        let mut hands = Hands { broker: &broker, id: job.id, name: "finish", on, message };
        hands.run(Finishing::start(finish, held.record, now)).await
    }

    /// The job was found ended: tell whoever waits, acknowledge.
    pub async fn finished_elsewhere(self) {
        let Self { broker, job, ticket, .. } = self;
        let message = InHand::Given(Some(Box::new(ticket)));
        let mut hands = Hands { broker: &broker, id: job.id, name: "close", on: On::Id, message };
        if let Err(error) = hands.run(Closing::start()).await {
            tracing::debug!(error = %error, "an ended job's message not settled");
        }
    }

    /// Gives the job back until `until`, for `reason`. Short parks are NAKs; longer ones wait in DELAYED, so that they
    /// hold no ack floor back.
    ///
    /// # Errors
    /// [`BrokerError`] when the copy for DELAYED cannot be stored.
    pub async fn park(self, until: Timestamp, reason: &str, ends: &[Resolution]) -> Result<(), BrokerError> {
        let short = self.broker.0.config.worker.short_park;
        // A long park first writes to another stream, which may be away for longer than the lease: what is known of the
        // attempts must not be lost with it.
        if until.since(self.broker.now()) > short && !ends.is_empty() {
            match self.resolve(ends).await {
                Ok(()) => {}
                Err(Gone::Finished) => {
                    self.finished_elsewhere().await;
                    return Ok(());
                }
                Err(Gone::Lost) => return Ok(()),
            }
        }
        let Self { broker, job, nonce, ticket, held, origin, .. } = self;
        let (held, now) = (held.into_inner(), broker.now());
        let limit = limit(&held, origin.elapsed(), &broker);
        broker.0.metrics.parks.with_label_values(&[reason]).inc();
        let parking = Parking::start(&held, (until, reason), ends, short, now);
        let (on, message) = (On::Job(&job, &nonce), InHand::Given(Some(Box::new(ticket))));
        let mut hands = Hands { broker: &broker, id: job.id, name: "park", on, message };
        match tokio::time::timeout_at(origin + limit, hands.run(parking)).await {
            Ok(Ok(Ok(()) | Err(Gone::Finished))) => Ok(()),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Err(Gone::Lost))) | Err(_) => {
                broker.0.metrics.leases_lost.inc();
                Ok(())
            }
        }
    }

    /// Gives the job back at once, its call never sent.
    ///
    /// # Errors
    /// As [`Lease::park`].
    pub async fn release(self) -> Result<(), BrokerError> {
        let aborted = Resolution::bare(Outcome::Aborted);
        let now = self.broker.now();
        self.park(now, "worker_stopping", &[aborted]).await
    }
}

/// Until when a write over my own record is tried, on my own clock: to the end of the lease, and once at least.
fn limit(held: &Held, sent: Duration, broker: &Broker) -> Duration {
    held.safe_until.max(sent + broker.0.config.nats.request_timeout)
}

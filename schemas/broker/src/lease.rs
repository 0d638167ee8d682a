//! A claimed job: the lease is renewed while it runs, every call is in the ledger before it is sent, and it ends in
//! exactly one of finish, park, release or loss (H1-H3, E1, E2, K1, K2).

use std::time::Duration;

use schemas::chat::Usage;
use schemas::error::Failure;
use schemas::job::Job;
use schemas::state::{Attempt, Carrier, JobResult, JobState, Nonce, Outcome, Phase};
use schemas::subject;
use schemas::timestamp::Timestamp;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::broker::Broker;
use crate::error::BrokerError;
use crate::hints::Hint;
use crate::protocol::Record;
use crate::protocol::cas::Ended;
use crate::protocol::finish::{AlreadyEnded, Finish};
use crate::protocol::hold::{NotMine, Update};
use crate::protocol::ledger::{self, Plan};
use crate::settle::Ticket;
use crate::store::From;

/// The right to run one job.
pub struct Lease {
    pub(crate) broker: Broker,
    /// The job.
    pub job: Job,
    pub(crate) nonce: Nonce,
    pub(crate) ticket: Ticket,
    held: Mutex<Held>,
    cancelled: Mutex<Hint>,
}

/// My own record as last stored.
struct Held {
    record: Record,
    /// Until then nobody else can hold the job, by any clock within the margin.
    safe_until: Instant,
}

/// How a call went, for the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolution {
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub error: Option<Failure>,
    /// Tokens it cost.
    pub usage: Option<Usage>,
}

/// The job is no longer ours to run: drop the call.
#[derive(Debug, Clone, PartialEq)]
pub enum Gone {
    /// It has ended: cancelled, most likely.
    Finished,
    /// Somebody else may hold it.
    Lost,
}

impl Lease {
    pub(crate) fn new(
        broker: Broker,
        job: Job,
        nonce: Nonce,
        ticket: Ticket,
        (seq, state): (u64, Box<JobState>),
        sent: Instant,
    ) -> Self {
        let cancelled = Mutex::new(broker.0.cancels.listen(job.id));
        let record = Record { seq, state, written_at: broker.now() };
        let safe_until = sent + safe_for(&broker);
        Self { broker, job, nonce, ticket, held: Mutex::new(Held { record, safe_until }), cancelled }
    }

    /// The attempts so far, with `last` as the end of the one that stands open.
    pub async fn ledger(&self, last: Option<&Resolution>) -> Vec<Attempt> {
        resolved(&self.held.lock().await.record.state, &self.nonce, last, self.broker.now())
    }

    /// Closes the attempt that ran, if one did, and records the next, before it is sent.
    ///
    /// # Errors
    /// [`Gone`] when the job is no longer ours: send nothing.
    pub async fn attempt(&self, plan: &Plan, last: Option<&Resolution>) -> Result<(), Gone> {
        let now = self.broker.now();
        self.update("attempt", |state| {
            let attempts = resolved(state, &self.nonce, last, now);
            let attempts = ledger::opened(attempts, &self.nonce, plan, now);
            JobState { attempts, started_at: state.started_at.or(Some(now)), ..state.clone() }
        })
        .await
    }

    /// Makes sure, right before a call, that nobody else can hold the job by now.
    ///
    /// # Errors
    /// [`Gone`] when the job is no longer ours: send nothing.
    pub async fn before_call(&self) -> Result<(), Gone> {
        let safe = Instant::now() < self.held.lock().await.safe_until;
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
        self.update("renew", JobState::clone).await?;
        self.ticket.progress().await;
        Ok(())
    }

    async fn check_ended(&self) -> Result<(), Gone> {
        match self.broker.state(self.job.id).await {
            Ok(Some(record)) if record.state.phase.is_terminal() => Err(Gone::Finished),
            _ => Ok(()),
        }
    }

    /// Writes over my own record. One write at a time: the lock is held until its outcome is known, or the lease over.
    async fn update(&self, name: &'static str, change: impl FnOnce(&JobState) -> JobState) -> Result<(), Gone> {
        let mut held = self.held.lock().await;
        let sent = Instant::now();
        let intended = change(&held.record.state);
        let renewal = intended == *held.record.state;
        let update = Update { nonce: &self.nonce, intended: &intended, renewal };
        let run = self.broker.run(self.job.id, name, update, From::Assuming(Some(&held.record)));
        let limit = held.safe_until.max(sent + self.broker.0.config.nats.request_timeout);
        let seq = match tokio::time::timeout_at(limit, run).await {
            Ok(Ok(Ended::Stored(seq, _))) => seq,
            Ok(Ok(Ended::Settled(NotMine::Landed(record)))) => record.seq,
            Ok(Ok(Ended::Settled(NotMine::Finished(_)))) => return Err(Gone::Finished),
            Ok(Ok(Ended::Settled(NotMine::Lost)) | Err(_)) | Err(_) => {
                self.broker.0.metrics.leases_lost.inc();
                return Err(Gone::Lost);
            }
        };
        let record = Record { seq, state: Box::new(intended), written_at: self.broker.now() };
        *held = Held { record, safe_until: sent + safe_for(&self.broker) };
        Ok(())
    }

    /// Writes the result and tells whoever waits. Keeps trying while NATS is away: the result is held, not lost. `dead`
    /// results go to DEAD first, replayable. Returns whether this result is the job's.
    ///
    /// # Errors
    /// [`BrokerError`] when it cannot be encoded or stored at all; the job is then run again after its lease.
    pub async fn finish(
        self,
        phase: Phase,
        mut result: JobResult,
        last: Option<&Resolution>,
    ) -> Result<bool, BrokerError> {
        let now = self.broker.now();
        let held = self.held.into_inner();
        let mut mine = (*held.record.state).clone();
        mine.attempts = resolved(&mine, &self.nonce, last, now);
        self.broker.store_large_output(self.job.id, &mut result).await?;
        if result.dead {
            self.broker.publish_dead(&self.job, &mine, &result).await?;
        }
        let finish = Finish { mine: &mine, phase, result: &result };
        let ended = self.broker.run(self.job.id, "finish", finish, From::Assuming(Some(&held.record))).await?;
        let ours = match &ended {
            Ended::Stored(..) => true,
            Ended::Settled(AlreadyEnded(record)) => record.state.nonce == self.nonce,
        };
        self.broker.hint(subject::done(self.job.id)).await;
        self.ticket.ack().await;
        Ok(ours)
    }

    /// The job was found ended: tell whoever waits, acknowledge.
    pub async fn finished_elsewhere(self) {
        self.broker.hint(subject::done(self.job.id)).await;
        self.ticket.ack().await;
    }

    /// Gives the job back until `until`, for `reason`. Short parks are NAKs; longer ones wait in DELAYED, so that they
    /// hold no ack floor back.
    ///
    /// # Errors
    /// [`BrokerError`] when the copy for DELAYED cannot be stored.
    pub async fn park(self, until: Timestamp, reason: &str, last: Option<&Resolution>) -> Result<(), BrokerError> {
        let now = self.broker.now();
        let delay = until.since(now);
        let long = delay > self.broker.0.config.worker.short_park;
        if long {
            self.broker.schedule(&self.job, &self.nonce, until).await?;
        }
        self.broker.0.metrics.parks.with_label_values(&[reason]).inc();
        let parked = self.update("park", |state| {
            let mut parked = state.clone();
            parked.phase = Phase::Parked;
            parked.attempts = resolved(state, &self.nonce, last, now);
            (parked.until, parked.reason) = (Some(until), Some(reason.to_owned()));
            if long {
                parked.carrier = Carrier::Due(self.nonce.clone());
            }
            parked
        });
        match parked.await {
            Ok(()) if long => self.ticket.ack().await,
            Ok(()) => self.ticket.nak(delay).await,
            Err(Gone::Finished) => self.finished_elsewhere().await,
            Err(Gone::Lost) => {}
        }
        Ok(())
    }

    /// Gives the job back at once, its call never sent.
    ///
    /// # Errors
    /// As [`Lease::park`].
    pub async fn release(self) -> Result<(), BrokerError> {
        let aborted = Resolution { outcome: Outcome::Aborted, error: None, usage: None };
        let now = self.broker.now();
        self.park(now, "worker_stopping", Some(&aborted)).await
    }
}

/// How long after sending a write that got stored nobody else can claim.
fn safe_for(broker: &Broker) -> Duration {
    broker.0.policy.lease.saturating_sub(broker.0.policy.margin)
}

/// The ledger with my open attempt closed.
fn resolved(state: &JobState, nonce: &Nonce, last: Option<&Resolution>, now: Timestamp) -> Vec<Attempt> {
    let mut attempts = state.attempts.clone();
    let open = attempts.iter_mut().rev().find(|attempt| attempt.nonce == *nonce && attempt.outcome.is_none());
    if let Some((attempt, resolution)) = open.zip(last) {
        attempt.outcome = Some(resolution.outcome);
        attempt.ended_at = Some(now);
        attempt.error.clone_from(&resolution.error);
        attempt.usage = resolution.usage;
    }
    attempts
}

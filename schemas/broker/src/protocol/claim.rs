//! Claiming a delivered message (C1-C5): the one write that is claim, dedupe and ledger at once.

use std::time::Duration;

use schemas::error::{ErrorCode, Failure};
use schemas::job::{JobHead, OnAmbiguous};
use schemas::state::{Carrier, JobResult, JobState, Nonce, Outcome, Phase};
use schemas::timestamp::Timestamp;

use super::cas::{Decision, Operation};
use super::ledger::{self, Plan};
use super::{Policy, Record, blank};

/// How long a due message that does not carry its job is put off; it is acknowledged once the job has ended.
pub const STRAY_DELAY: Duration = Duration::from_secs(300);

/// A message as it was delivered.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// What the job is.
    pub head: JobHead,
    /// What this message would be as a carrier.
    pub carrier: Carrier,
    /// When the server stored the message, by its own clock.
    pub stored_at: Timestamp,
}

/// A worker's wish to run a delivered job.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The message.
    pub delivered: Delivered,
    /// Drawn for this delivery.
    pub nonce: Nonce,
    /// The worker's name.
    pub holder: String,
    /// The first call; `None` when no candidate is free, so that the job is parked instead of claimed for a call.
    pub plan: Option<Plan>,
    /// Times and limits.
    pub policy: Policy,
}

/// Why a message was not claimed.
#[derive(Debug, Clone, PartialEq)]
pub enum Unclaimed {
    /// My own claim stands already: an unknown write that landed.
    Mine(Record),
    /// The job has ended: tell whoever waits, and acknowledge.
    Finished(Record),
    /// Another message carries the job: acknowledge.
    Superseded,
    /// Not this message's turn: NAK with this delay.
    Held(Duration),
    /// It killed too many workers: to DEAD, then failed.
    Poison(Record),
}

impl Operation for Claim {
    type Outcome = Unclaimed;

    fn decide(&self, record: Option<&Record>, now: Timestamp) -> Decision<Unclaimed> {
        let Some(record) = record else { return self.decide_fresh(now) };
        let state = &record.state;
        if state.phase.is_terminal() {
            return Decision::Settled(Unclaimed::Finished(record.clone()));
        }
        if state.phase == Phase::Running && state.nonce == self.nonce {
            return Decision::Settled(Unclaimed::Mine(record.clone()));
        }
        if state.carrier != self.delivered.carrier {
            return Decision::Settled(self.not_the_carrier());
        }
        match self.held_for(record, now) {
            Some(remaining) => Decision::Settled(Unclaimed::Held(remaining)),
            None => self.take_over(record, now),
        }
    }
}

impl Claim {
    fn decide_fresh(&self, now: Timestamp) -> Decision<Unclaimed> {
        let head = self.delivered.head.clone();
        let state = blank(head, Phase::Running, self.nonce.clone(), &self.holder, self.delivered.carrier.clone());
        let outlived = now.since(self.delivered.stored_at) >= self.policy.retention;
        if outlived || self.past_deadline(now) {
            return Decision::write(0, expired(state, now));
        }
        Decision::write(0, self.running(state, now))
    }

    fn running(&self, mut state: JobState, now: Timestamp) -> JobState {
        state.phase = Phase::Running;
        state.nonce = self.nonce.clone();
        self.holder.clone_into(&mut state.holder);
        (state.until, state.reason) = (None, None);
        if let Some(plan) = &self.plan {
            state.attempts = ledger::opened(state.attempts, &self.nonce, plan, now);
            state.started_at = state.started_at.or(Some(now));
        }
        state
    }

    fn not_the_carrier(&self) -> Unclaimed {
        match self.delivered.carrier {
            Carrier::Stream(_) => Unclaimed::Superseded,
            Carrier::Due(_) => Unclaimed::Held(STRAY_DELAY),
        }
    }

    /// How long the record still keeps everyone off, whatever woke us: a lease not yet over, a park not yet due.
    fn held_for(&self, record: &Record, now: Timestamp) -> Option<Duration> {
        let free_at = match record.state.phase {
            Phase::Running => record.written_at.after(self.policy.lease).after(self.policy.margin),
            _ => record.state.until?.before(self.policy.margin),
        };
        Some(free_at.since(now)).filter(|remaining| !remaining.is_zero())
    }

    fn take_over(&self, record: &Record, now: Timestamp) -> Decision<Unclaimed> {
        let mut state = (*record.state).clone();
        let left_open = state.attempts.iter().any(|attempt| attempt.outcome.is_none());
        state.attempts = ledger::closed(&state.attempts, Outcome::Ambiguous, now);
        state.nonce = self.nonce.clone();
        let state = if self.past_deadline(now) {
            expired(state, now)
        } else if left_open && state.head.on_ambiguous == OnAmbiguous::Fail {
            ambiguous(state, now)
        } else if ledger::unresolved(&state.attempts) >= self.policy.max_unresolved as usize {
            return Decision::Settled(Unclaimed::Poison(Record { state: Box::new(state), ..record.clone() }));
        } else {
            self.running(state, now)
        };
        Decision::write(record.seq, state)
    }

    fn past_deadline(&self, now: Timestamp) -> bool {
        self.delivered.head.deadline.is_some_and(|deadline| deadline <= now)
    }
}

fn expired(state: JobState, now: Timestamp) -> JobState {
    let failure = Failure::new(ErrorCode::Expired, "the job's deadline passed before it could be completed");
    ended(state, Phase::Expired, failure, now)
}

fn ambiguous(state: JobState, now: Timestamp) -> JobState {
    let message = "a worker was lost while it called the provider, and on_ambiguous is \"fail\"";
    ended(state, Phase::Failed, Failure::new(ErrorCode::Ambiguous, message), now)
}

fn ended(state: JobState, phase: Phase, failure: Failure, now: Timestamp) -> JobState {
    let result = JobResult { error: Some(failure), ..JobResult::default() };
    JobState { phase, finished_at: Some(now), until: None, reason: None, result: Some(Box::new(result)), ..state }
}

//! A holder's ways with its own record, step by step: renew it (H2), add an attempt (H1), give it back (K1, K2).

use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use schemas::state::{Carrier, JobState, Nonce, Phase};
use schemas::timestamp::Timestamp;

use super::cas::{Cas, Ended};
use super::finishing::Closing;
use super::hold::{NotMine, Update};
use super::ledger::{self, Plan, Resolution};
use super::machine::{Action, Event, Machine, Next, Published};
use super::{Policy, Record};

/// The job is no longer ours to run: drop the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It has ended: cancelled, most likely.
    Finished,
    /// Somebody else may hold it.
    Lost,
}

/// My own record as last stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The record.
    pub record: Record,
    /// Until then nobody else can hold the job, by any clock within the margin. On my own monotonic clock.
    pub safe_until: Duration,
}

impl Held {
    /// After a write that was sent at `sent` and got stored as `record`.
    #[must_use]
    pub fn stored(record: Record, sent: Duration, policy: &Policy) -> Self {
        Self { record, safe_until: sent + policy.lease.saturating_sub(policy.margin) }
    }

    /// H1: whether a call may be sent at `now`.
    #[must_use]
    pub fn is_safe(&self, now: Duration) -> bool {
        now < self.safe_until
    }

    /// The ledger, my open attempts closed by `ends`.
    #[must_use]
    pub fn resolved(&self, ends: &[Resolution], now: Timestamp) -> JobState {
        let state = &self.record.state;
        JobState { attempts: ledger::resolved(&state.attempts, &state.nonce, ends, now), ..(**state).clone() }
    }

    /// The record with one more attempt, those before closed by `ends`.
    #[must_use]
    pub fn attempting(&self, plan: &Plan, ends: &[Resolution], now: Timestamp) -> JobState {
        let state = self.resolved(ends, now);
        let attempts = ledger::opened(state.attempts, &state.nonce, plan, now);
        JobState { attempts, started_at: state.started_at.or(Some(now)), ..state }
    }

    /// The record with one more attempt beside the one that runs, which stays open.
    #[must_use]
    pub fn hedging(&self, plan: &Plan, now: Timestamp) -> JobState {
        let state = (*self.record.state).clone();
        JobState { attempts: ledger::hedged(state.attempts, &state.nonce, plan, now), ..state }
    }
}

/// One write over my own record; a renewal then restarts the message's redelivery clock too.
#[derive(Debug, Clone)]
pub struct Updating {
    pub(super) cas: Cas<Update>,
    pub(super) stored: Option<Record>,
}

impl Updating {
    /// H2: writes the record again as it is.
    pub fn renew(held: &Held, now: Timestamp) -> (Self, Next<Result<Record, Gone>>) {
        Self::start(held, held.record.state.clone(), true, now)
    }

    /// Writes `intended` over it.
    pub fn change(held: &Held, intended: JobState, now: Timestamp) -> (Self, Next<Result<Record, Gone>>) {
        Self::start(held, Box::new(intended), false, now)
    }

    fn start(
        held: &Held,
        intended: Box<JobState>,
        renewal: bool,
        now: Timestamp,
    ) -> (Self, Next<Result<Record, Gone>>) {
        let update = Update { nonce: held.record.state.nonce.clone(), intended, renewal };
        let (cas, next) = Cas::assuming(update, Some(&held.record), now);
        let mut updating = Self { cas, stored: None };
        let next = updating.updated(next, now);
        (updating, next)
    }

    fn updated(&mut self, next: Next<Ended<NotMine>>, now: Timestamp) -> Next<Result<Record, Gone>> {
        let ended = match next {
            Continue(action) => return Continue(action),
            Break(ended) => ended,
        };
        let record = match landed(ended, now) {
            Ok(record) => record,
            Err(gone) => return Break(Err(gone)),
        };
        if !self.cas.operation.renewal {
            return Break(Ok(record));
        }
        self.stored = Some(record);
        Continue(Action::Progress)
    }
}

impl Machine for Updating {
    type Outcome = Result<Record, Gone>;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<Self::Outcome> {
        if let Some(record) = self.stored.take() {
            return Break(Ok(record));
        }
        let next = self.cas.step(event, now);
        self.updated(next, now)
    }
}

fn landed(ended: Ended<NotMine>, now: Timestamp) -> Result<Record, Gone> {
    match ended {
        Ended::Stored(seq, state) => Ok(Record { seq, state, written_at: now }),
        Ended::Settled(NotMine::Landed(record)) => Ok(record),
        Ended::Settled(NotMine::Finished(_)) => Err(Gone::Finished),
        Ended::Settled(NotMine::Lost) => Err(Gone::Lost),
    }
}

/// Giving the job back until a moment. Short parks are NAKs; long ones wait in DELAYED and hold no ack floor back.
#[derive(Debug, Clone)]
pub struct Parking {
    pub(super) until: Timestamp,
    /// How long the message is put off; `None` for a long park.
    pub(super) delay: Option<Duration>,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// The copy that wakes the job comes first (K2).
    Schedule(Box<(Update, Record)>),
    Write(Cas<Update>),
    /// The job has ended meanwhile.
    Close(Closing),
    /// The message's acknowledgement or refusal is on its way.
    Settled,
}

impl Parking {
    /// Begins. Parks beyond `short` go through DELAYED, under the nonce of this delivery.
    pub fn start(
        held: &Held,
        (until, reason): (Timestamp, &str),
        ends: &[Resolution],
        short: Duration,
        now: Timestamp,
    ) -> (Self, Next<Result<(), Gone>>) {
        let delay = Some(until.since(now)).filter(|delay| *delay <= short);
        let mut parked = held.resolved(ends, now);
        (parked.phase, parked.until, parked.reason) = (Phase::Parked, Some(until), Some(reason.to_owned()));
        let nonce: Nonce = parked.nonce.clone();
        if delay.is_none() {
            parked.carrier = Carrier::Due(nonce.clone());
        }
        let update = Update { nonce, intended: Box::new(parked), renewal: false };
        if delay.is_none() {
            let stage = Stage::Schedule(Box::new((update, held.record.clone())));
            return (Self { until, delay, stage }, Continue(Action::Schedule(until)));
        }
        let (cas, next) = Cas::assuming(update, Some(&held.record), now);
        let mut parking = Self { until, delay, stage: Stage::Write(cas) };
        let next = parking.written(next, now);
        (parking, next)
    }

    fn written(&mut self, next: Next<Ended<NotMine>>, now: Timestamp) -> Next<Result<(), Gone>> {
        let ended = match next {
            Continue(action) => return Continue(action),
            Break(ended) => ended,
        };
        match landed(ended, now) {
            Ok(_) => {
                self.stage = Stage::Settled;
                Continue(self.delay.map_or(Action::Ack, Action::Nak))
            }
            Err(Gone::Finished) => {
                let (closing, next) = Closing::start();
                self.stage = Stage::Close(closing);
                next.map_break(Ok)
            }
            Err(Gone::Lost) => Break(Err(Gone::Lost)),
        }
    }
}

impl Machine for Parking {
    type Outcome = Result<(), Gone>;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<Self::Outcome> {
        match &mut self.stage {
            Stage::Schedule(update) if matches!(event, Event::Published(Published::Stored | Published::There)) => {
                let (cas, next) = Cas::assuming(update.0.clone(), Some(&update.1), now);
                self.stage = Stage::Write(cas);
                self.written(next, now)
            }
            Stage::Schedule(_) => Continue(Action::Schedule(self.until)),
            Stage::Write(cas) => {
                let next = cas.step(event, now);
                self.written(next, now)
            }
            Stage::Close(closing) => closing.step(event, now).map_break(Ok),
            Stage::Settled => Break(Ok(())),
        }
    }
}

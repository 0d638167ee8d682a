//! Work that no consumer will ever deliver (J3), and messages whose job has ended behind a lagging ack floor (J2).

use std::ops::ControlFlow::{Break, Continue};
use std::time::Duration;

use schemas::error::{ErrorCode, Failure};
use schemas::state::{Carrier, JobResult, Phase};
use schemas::timestamp::Timestamp;

use super::cas::{Cas, Ended};
use super::finish::{Bury, MovedOn};
use super::machine::{Action, Event, Hint, Machine, Next, Place};
use super::{Policy, Record};

/// J3: how long a record may still be left alone, `patience` beyond its lease or its park; zero when it is overdue, `None`
/// once it has ended.
#[must_use]
pub fn rest_of_patience(record: &Record, policy: &Policy, patience: Duration, now: Timestamp) -> Option<Duration> {
    let free_at = match record.state.phase {
        Phase::Running => record.written_at.after(policy.lease),
        Phase::Parked => record.state.until.map_or(record.written_at, |until| until.max(record.written_at)),
        _ => return None,
    };
    Some(free_at.after(policy.margin).after(patience).since(now))
}

/// J2: whether a job's message may be deleted wherever the ack floor is. Only an end is for ever.
#[must_use]
pub fn is_deletable(record: Option<&Record>) -> bool {
    record.is_some_and(|record| record.state.phase.is_terminal())
}

/// J3 for one overdue record: its carrier looked for, and only where there is none, failed.
#[derive(Debug, Clone)]
pub struct Sweeping {
    pub(super) judged: Record,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Look(Place),
    Bury(Cas<Bury>),
    Tell,
}

impl Sweeping {
    /// Begins with the record as it was read; a newer one refuses whatever comes of it. The outcome is whether the job
    /// was lost.
    pub fn start(judged: Record) -> (Self, Next<bool>) {
        let first = match judged.state.carrier {
            Carrier::Stream(_) => Place::Lane,
            Carrier::Due(_) => Place::Delayed,
        };
        (Self { judged, stage: Stage::Look(first) }, Continue(Action::Look(first)))
    }

    /// A schedule that fires leaves `delayed` only once it stands in `due`: looked for in this order it is not missed.
    fn absent(&mut self, place: Place, now: Timestamp) -> Next<bool> {
        if place == Place::Delayed {
            self.stage = Stage::Look(Place::Due);
            return Continue(Action::Look(Place::Due));
        }
        let failure = Failure::new(ErrorCode::Internal, "the job's message was lost before the job had ended");
        let result = Box::new(JobResult { error: Some(failure), ..JobResult::default() });
        let bury = Bury { judged: self.judged.clone(), result };
        let (cas, next) = Cas::assuming(bury, Some(&self.judged), now);
        self.stage = Stage::Bury(cas);
        self.buried(next)
    }

    fn buried(&mut self, next: Next<Ended<MovedOn>>) -> Next<bool> {
        match next {
            Continue(action) => Continue(action),
            Break(Ended::Stored(..)) => {
                self.stage = Stage::Tell;
                Continue(Action::Tell(Hint::Done))
            }
            Break(Ended::Settled(MovedOn)) => Break(false),
        }
    }
}

impl Machine for Sweeping {
    type Outcome = bool;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<bool> {
        match (&mut self.stage, event) {
            (Stage::Look(_), Event::Seen(Some(_))) => Break(false),
            (Stage::Look(place), Event::Seen(None)) => {
                let place = *place;
                self.absent(place, now)
            }
            (Stage::Look(place), _) => Continue(Action::Look(*place)),
            (Stage::Bury(cas), event) => {
                let next = cas.step(event, now);
                self.buried(next)
            }
            (Stage::Tell, _) => Break(true),
        }
    }
}

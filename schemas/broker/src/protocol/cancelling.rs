//! Cancelling a job (X1, X2): its record first, then its message, then its record once more, and never a terminal one.

use std::ops::ControlFlow::{Break, Continue};

use schemas::timestamp::Timestamp;

use super::Record;
use super::cancel::{Cancel, NotCancelled};
use super::cas::{Cas, Ended};
use super::machine::{Action, Event, Hint, Machine, Next};

/// What cancelling came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// The job is cancelled, by this call.
    Now(Record),
    /// It had ended already: this is how.
    Already(Record),
    /// There is no such job, or its record is past retention.
    Absent,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Cancelling {
    pub(super) cas: Cas<Cancel>,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Reading and writing; `looked` once its message was looked for.
    Write { looked: bool },
    /// Looking for its message.
    Find,
    /// Telling whoever waits, then whoever runs it.
    Tell(Record, Hint),
}

impl Cancelling {
    /// Begins.
    pub fn start(cancel: Cancel) -> (Self, Next<Cancelled>) {
        let (cas, next) = Cas::reading(cancel);
        let stage = Stage::Write { looked: false };
        (Self { cas, stage }, next.map_break(|_| Cancelled::Absent))
    }

    fn written(&mut self, next: Next<Ended<NotCancelled>>, looked: bool, now: Timestamp) -> Next<Cancelled> {
        let ended = match next {
            Continue(action) => return Continue(action),
            Break(ended) => ended,
        };
        match ended {
            Ended::Stored(seq, state) => self.tell(Record { seq, state, written_at: now }),
            Ended::Settled(NotCancelled::Ended(record)) if record.state.nonce == self.cas.operation.nonce => {
                self.tell(record)
            }
            Ended::Settled(NotCancelled::Ended(record)) => Break(Cancelled::Already(record)),
            Ended::Settled(NotCancelled::NoRecord) if looked => Break(Cancelled::Absent),
            Ended::Settled(NotCancelled::NoRecord) => {
                self.stage = Stage::Find;
                Continue(Action::Find)
            }
        }
    }

    fn tell(&mut self, record: Record) -> Next<Cancelled> {
        self.stage = Stage::Tell(record, Hint::Done);
        Continue(Action::Tell(Hint::Done))
    }
}

impl Machine for Cancelling {
    type Outcome = Cancelled;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<Cancelled> {
        match (&mut self.stage, event) {
            (Stage::Write { looked }, event) => {
                let (looked, next) = (*looked, self.cas.step(event, now));
                self.written(next, looked, now)
            }
            (Stage::Find, Event::Found(waiting)) => {
                self.cas.operation.waiting = waiting;
                self.stage = Stage::Write { looked: true };
                Continue(Action::Read)
            }
            (Stage::Find, _) => Continue(Action::Find),
            (Stage::Tell(_, hint @ Hint::Done), _) => {
                *hint = Hint::Cancelled;
                Continue(Action::Tell(Hint::Cancelled))
            }
            (Stage::Tell(record, Hint::Cancelled), _) => Break(Cancelled::Now(record.clone())),
        }
    }
}

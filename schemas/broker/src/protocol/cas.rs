//! The loop every write to STATE goes through (W, R): write, and on anything but `stored` read and decide again.

use std::ops::ControlFlow;

use schemas::state::JobState;
use schemas::timestamp::Timestamp;

use super::machine::{Action, Event, Machine, Next};
use super::{Record, Write, Written};

/// What an operation makes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision<T> {
    /// Write this; stored, the operation has succeeded.
    Write(Write),
    /// There is nothing to write.
    Settled(T),
}

impl<T> Decision<T> {
    /// Replace the record of sequence `expect`, 0 for none, by `state`.
    #[must_use]
    pub fn write(expect: u64, state: JobState) -> Self {
        Self::Write(Write { expect, state: Box::new(state) })
    }
}

/// One decision of the protocol: claim, renew, park, finish, cancel, ...
pub trait Operation {
    /// What it may come to without a write of its own.
    type Outcome;

    /// Decides on the record that STATE holds. `now` is the server's clock.
    fn decide(&self, record: Option<&Record>, now: Timestamp) -> Decision<Self::Outcome>;
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended<T> {
    /// Its write is stored under this sequence.
    Stored(u64, Box<JobState>),
    /// It settled on what it read.
    Settled(T),
}

/// Runs one operation.
#[derive(Debug, Clone)]
pub struct Cas<O> {
    pub(super) operation: O,
    /// The newest sequence seen: an older record is a stale answer.
    pub(super) not_before: u64,
    pending: Option<Box<JobState>>,
}

impl<O: Operation> Cas<O> {
    /// Begins by reading.
    pub fn reading(operation: O) -> (Self, Next<Ended<O::Outcome>>) {
        (Self { operation, not_before: 0, pending: None }, ControlFlow::Continue(Action::Read))
    }

    /// Begins from a record that is known, or from the guess that there is none: a wrong guess is refused and read.
    pub fn assuming(operation: O, record: Option<&Record>, now: Timestamp) -> (Self, Next<Ended<O::Outcome>>) {
        let mut cas = Self { operation, not_before: 0, pending: None };
        let next = cas.read(record, now);
        (cas, next)
    }

    fn read(&mut self, record: Option<&Record>, now: Timestamp) -> Next<Ended<O::Outcome>> {
        let seq = record.map_or(0, |record| record.seq);
        if seq < self.not_before {
            return ControlFlow::Continue(Action::Read);
        }
        self.not_before = seq;
        match self.operation.decide(record, now) {
            Decision::Settled(outcome) => ControlFlow::Break(Ended::Settled(outcome)),
            Decision::Write(write) => {
                self.pending = Some(write.state.clone());
                ControlFlow::Continue(Action::Write(write))
            }
        }
    }

    fn written(&mut self, written: Written) -> Next<Ended<O::Outcome>> {
        match (written, self.pending.take()) {
            (Written::Stored(seq), Some(state)) => ControlFlow::Break(Ended::Stored(seq, state)),
            _ => ControlFlow::Continue(Action::Read),
        }
    }
}

impl<O: Operation> Machine for Cas<O> {
    type Outcome = Ended<O::Outcome>;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<Self::Outcome> {
        match event {
            Event::Record(record) => self.read(record.as_ref(), now),
            Event::Written(written) => self.written(written),
            _ => ControlFlow::Continue(Action::Read),
        }
    }
}

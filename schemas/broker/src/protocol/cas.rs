//! The loop every write to STATE goes through: write, and on anything but `stored` read and decide again.

use schemas::state::JobState;
use schemas::timestamp::Timestamp;

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

/// One operation of the protocol: claim, renew, park, finish, cancel, ...
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

/// What the driver has to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T> {
    /// Read STATE from the leader; a record older than this sequence is stale and must be read again.
    Read {
        /// One's own last stored sequence.
        not_before: u64,
    },
    /// Write this, and say what it came to.
    Write(Write),
    /// Done.
    Ended(Ended<T>),
}

/// Runs one operation without doing any I/O.
#[derive(Debug)]
pub struct Cas<O> {
    operation: O,
    not_before: u64,
    pending: Option<Write>,
}

impl<O: Operation> Cas<O> {
    /// Begins by reading.
    pub fn reading(operation: O) -> (Self, Step<O::Outcome>) {
        let cas = Self { operation, not_before: 0, pending: None };
        (cas, Step::Read { not_before: 0 })
    }

    /// Begins from a record that is known, or from the guess that there is none: a wrong guess is refused and read.
    pub fn assuming(operation: O, record: Option<&Record>, now: Timestamp) -> (Self, Step<O::Outcome>) {
        let not_before = record.map_or(0, |record| record.seq);
        let mut cas = Self { operation, not_before, pending: None };
        let step = cas.read(record, now);
        (cas, step)
    }

    /// Takes in what a read gave.
    pub fn read(&mut self, record: Option<&Record>, now: Timestamp) -> Step<O::Outcome> {
        if record.map_or(0, |record| record.seq) < self.not_before {
            return Step::Read { not_before: self.not_before };
        }
        match self.operation.decide(record, now) {
            Decision::Settled(outcome) => Step::Ended(Ended::Settled(outcome)),
            Decision::Write(write) => {
                self.pending = Some(write.clone());
                Step::Write(write)
            }
        }
    }

    /// Takes in what a write came to.
    pub fn written(&mut self, written: Written) -> Step<O::Outcome> {
        match (written, self.pending.take()) {
            (Written::Stored(seq), Some(write)) => Step::Ended(Ended::Stored(seq, write.state)),
            _ => Step::Read { not_before: self.not_before },
        }
    }
}

//! The form of every operation: a step takes in what became of the last action and gives the next one. Nothing here
//! does I/O, so the order of effects that runs on NATS is the very one under exhaustive test.

use std::ops::ControlFlow;
use std::time::Duration;

use schemas::job::JobHead;
use schemas::state::{Carrier, JobResult, JobState};
use schemas::timestamp::Timestamp;

use super::{Record, Write, Written};

/// What to do now, or the outcome.
pub type Next<T> = ControlFlow<T, Action>;

/// One effect. The driver carries it out and answers with the event it names.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Read STATE from its leader: [`Event::Record`].
    Read,
    /// Write STATE: [`Event::Written`].
    Write(Write),
    /// Publish the job's message, once: [`Event::Published`].
    Publish,
    /// Publish the copy that wakes the job at this moment, once: [`Event::Published`].
    Schedule(Timestamp),
    /// Publish to DEAD, once: [`Event::Published`].
    PublishDead(Box<Dead>),
    /// Find the job's message, whichever stream it waits in: [`Event::Found`].
    Find,
    /// Look for one message of the job: [`Event::Seen`].
    Look(Place),
    /// Delete the job's message of this sequence from its lane: [`Event::Sent`].
    Delete(u64),
    /// Tell whoever listens: [`Event::Sent`].
    Tell(Hint),
    /// Acknowledge the message in hand: [`Event::Sent`].
    Ack,
    /// Put the message in hand off: [`Event::Sent`].
    Nak(Duration),
    /// Restart the redelivery clock of the message in hand: [`Event::Sent`].
    Progress,
}

/// What an action came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// What STATE holds.
    Record(Option<Record>),
    /// How a write went.
    Written(Written),
    /// How a publish that may happen once went.
    Published(Published),
    /// The job's message, if there is one.
    Found(Option<Waiting>),
    /// The message at a place, if there is one.
    Seen(Option<Message>),
    /// It is on its way; nobody answers.
    Sent,
}

/// How a publish that may happen once went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// Stored.
    Stored,
    /// Not stored: it is there already, or its id was seen lately.
    There,
    /// Not stored: the stream is full.
    Full,
    /// Not stored: larger than a message may be.
    TooLarge,
    /// Nobody knows.
    Unknown,
}

/// A job that waits in a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// What it is.
    pub head: Box<JobHead>,
    /// What its message would be as a carrier.
    pub carrier: Carrier,
}

/// A stored message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Its sequence.
    pub seq: u64,
    /// When the server stored it, by its own clock.
    pub stored_at: Timestamp,
}

/// Where a message of a job may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In its lane.
    Lane,
    /// In DELAYED, waiting for its time.
    Delayed,
    /// In DELAYED, its time come.
    Due,
}

/// A hint on a subject that no stream captures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hint {
    /// The record is terminal.
    Done,
    /// The record says cancelled.
    Cancelled,
}

/// What DEAD is told of a job, beside the job itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Dead {
    /// Its last record, with every attempt.
    pub state: JobState,
    /// How it failed.
    pub result: JobResult,
}

/// One operation, from its first action to its outcome.
pub trait Machine {
    /// What it comes to.
    type Outcome;

    /// Takes in what the last action came to. `now` is the server's clock. An event that does not answer the last action
    /// never harms: the machine reads STATE, or asks again.
    fn step(&mut self, event: Event, now: Timestamp) -> Next<Self::Outcome>;
}

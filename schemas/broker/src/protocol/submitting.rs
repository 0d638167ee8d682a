//! Making a job durable (S1-S4): one id is one job, and an answer that may have been lost is asked for again.

use std::ops::ControlFlow::{Break, Continue};

use schemas::job::JobHead;
use schemas::timestamp::Timestamp;

use super::Policy;
use super::machine::{Action, Event, Machine, Message, Next, Place, Published, Waiting};

/// What submitting came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// The job is durable.
    New,
    /// This id had been accepted before with the same body: the head as it was then.
    Before(Box<JobHead>),
    /// The same id came with another body.
    Conflict,
    /// The lane is full.
    Full,
    /// It is larger than a message may be.
    TooLarge,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Submitting {
    pub(super) body_hash: String,
    pub(super) policy: Policy,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Looking the id up: record, message, record again; `taken` when the stream says that the id is in use.
    Read {
        taken: bool,
    },
    Find {
        taken: bool,
    },
    ReadAgain {
        taken: bool,
    },
    /// S4: no record, yet the subject is taken. Is its message older than any record can be?
    Age,
    Delete,
    Publish,
}

impl Submitting {
    /// Begins: with a look for an earlier job when the id is not drawn for this submit.
    pub fn start(body_hash: String, keyed: bool, policy: Policy) -> (Self, Next<Submitted>) {
        let (stage, action) = match keyed {
            true => (Stage::Read { taken: false }, Action::Read),
            false => (Stage::Publish, Action::Publish),
        };
        (Self { body_hash, policy, stage }, Continue(action))
    }

    fn go(&mut self, stage: Stage) -> Next<Submitted> {
        self.stage = stage;
        Continue(match stage {
            Stage::Read { .. } | Stage::ReadAgain { .. } => Action::Read,
            Stage::Find { .. } => Action::Find,
            Stage::Age => Action::Look(Place::Lane),
            Stage::Delete | Stage::Publish => Action::Publish,
        })
    }

    fn earlier(&self, head: JobHead) -> Next<Submitted> {
        match head.body_hash == self.body_hash {
            true => Break(Submitted::Before(Box::new(head))),
            false => Break(Submitted::Conflict),
        }
    }

    fn published(&mut self, published: Published) -> Next<Submitted> {
        match published {
            Published::Stored => Break(Submitted::New),
            Published::Full => Break(Submitted::Full),
            Published::TooLarge => Break(Submitted::TooLarge),
            Published::There => self.go(Stage::Read { taken: true }),
            Published::Unknown => self.go(Stage::Publish),
        }
    }

    /// A message that outlived its record will never run: it makes way.
    fn aged(&mut self, message: Option<Message>, now: Timestamp) -> Next<Submitted> {
        match message {
            Some(message) if now.since(message.stored_at) >= self.policy.retention => {
                self.stage = Stage::Delete;
                Continue(Action::Delete(message.seq))
            }
            _ => self.go(Stage::Find { taken: false }),
        }
    }
}

impl Machine for Submitting {
    type Outcome = Submitted;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<Submitted> {
        match (self.stage, event) {
            (Stage::Read { .. } | Stage::ReadAgain { .. }, Event::Record(Some(record))) => {
                self.earlier(record.state.head)
            }
            (Stage::Read { taken: true }, Event::Record(None)) => self.go(Stage::Age),
            (Stage::Read { taken }, Event::Record(None)) => self.go(Stage::Find { taken }),
            (Stage::Find { .. }, Event::Found(Some(Waiting { head, .. }))) => self.earlier(*head),
            (Stage::Find { taken }, Event::Found(None)) => self.go(Stage::ReadAgain { taken }),
            (Stage::Age, Event::Seen(message)) => self.aged(message, now),
            (Stage::Publish, Event::Published(published)) => self.published(published),
            (Stage::ReadAgain { .. } | Stage::Delete, _) => self.go(Stage::Publish),
            (stage, _) => self.go(stage),
        }
    }
}

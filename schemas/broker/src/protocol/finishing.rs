//! Ending a job (E1, E2): DEAD where it belongs there, the result, whoever waits, and only then the message.

use std::ops::ControlFlow::{Break, Continue};

use schemas::state::Nonce;
use schemas::timestamp::Timestamp;

use super::Record;
use super::cas::{Cas, Ended};
use super::finish::{AlreadyEnded, Finish};
use super::machine::{Action, Dead, Event, Hint, Machine, Next, Published};

/// E2: the record is terminal. Tell whoever waits, then acknowledge: a crash between is a redelivery that does both.
#[derive(Debug, Clone)]
pub struct Closing {
    pub(super) told: bool,
}

impl Closing {
    /// Begins.
    pub const fn start() -> (Self, Next<()>) {
        (Self { told: false }, Continue(Action::Tell(Hint::Done)))
    }
}

impl Machine for Closing {
    type Outcome = ();

    fn step(&mut self, _event: Event, _now: Timestamp) -> Next<()> {
        if std::mem::replace(&mut self.told, true) { Break(()) } else { Continue(Action::Ack) }
    }
}

/// E1, then E2. The outcome is whether this result is the job's.
#[derive(Debug, Clone)]
pub struct Finishing {
    pub(super) stage: Stage,
    nonce: Nonce,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// What failed for good goes to DEAD first.
    Dead(Box<Finish>, Box<Record>),
    Write(Cas<Finish>),
    Close {
        ours: bool,
        closing: Closing,
    },
}

impl Finishing {
    /// Begins from the holder's own record as it was last stored.
    pub fn start(finish: Finish, held: Record, now: Timestamp) -> (Self, Next<bool>) {
        let nonce = finish.mine.nonce.clone();
        if finish.result.dead {
            let action = publish_dead(&finish);
            return (Self { stage: Stage::Dead(Box::new(finish), Box::new(held)), nonce }, Continue(action));
        }
        let (cas, next) = Cas::assuming(finish, Some(&held), now);
        let mut finishing = Self { stage: Stage::Write(cas), nonce };
        let next = finishing.written(next);
        (finishing, next)
    }

    fn written(&mut self, next: Next<Ended<AlreadyEnded>>) -> Next<bool> {
        let ours = match next {
            Continue(action) => return Continue(action),
            Break(Ended::Stored(..)) => true,
            Break(Ended::Settled(AlreadyEnded(record))) => record.state.nonce == self.nonce,
        };
        let (closing, next) = Closing::start();
        self.stage = Stage::Close { ours, closing };
        next.map_break(|()| ours)
    }
}

impl Machine for Finishing {
    type Outcome = bool;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<bool> {
        match &mut self.stage {
            Stage::Dead(finish, held) if matches!(event, Event::Published(Published::Stored | Published::There)) => {
                let (cas, next) = Cas::assuming((**finish).clone(), Some(held), now);
                self.stage = Stage::Write(cas);
                self.written(next)
            }
            Stage::Dead(finish, _) => Continue(publish_dead(finish)),
            Stage::Write(cas) => {
                let next = cas.step(event, now);
                self.written(next)
            }
            Stage::Close { ours, closing } => closing.step(event, now).map_break(|()| *ours),
        }
    }
}

fn publish_dead(finish: &Finish) -> Action {
    Action::PublishDead(Box::new(Dead { state: (*finish.mine).clone(), result: (*finish.result).clone() }))
}

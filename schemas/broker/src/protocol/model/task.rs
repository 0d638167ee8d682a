//! One machine of the protocol in somebody's hands, with the action it waits for.

use std::ops::ControlFlow::{self, Break, Continue};

use schemas::timestamp::Timestamp;

use super::super::Record;
use super::super::cancelling::{Cancelled, Cancelling};
use super::super::claiming::{Claimed, Claiming};
use super::super::finishing::{Closing, Finishing};
use super::super::holding::{Gone, Parking, Updating};
use super::super::machine::{Action, Event, Machine, Next};
use super::super::submitting::{Submitted, Submitting};
use super::super::sweeping::Sweeping;

#[derive(Clone)]
pub(super) enum Run {
    Claim(Box<Claiming>),
    Update(Updating),
    Park(Parking),
    Finish(Finishing),
    Close(Closing),
    Cancel(Cancelling),
    Sweep(Sweeping),
    Submit(Submitting),
}

#[derive(Clone)]
pub(super) enum Outcome {
    Claimed(Claimed),
    Updated(Result<Record, Gone>),
    /// Parked, finished or closed: nothing is left to do.
    Over,
    Cancelled(Cancelled),
    Swept,
    Submitted(Submitted),
}

#[derive(Clone)]
pub(super) struct Task {
    pub(super) run: Run,
    pub(super) pending: Action,
    /// When it began: no write of it was sent earlier.
    pub(super) began: i64,
}

impl Task {
    /// A machine that was just started. No machine ends before its first action.
    pub(super) fn new<M, T>((machine, next): (M, Next<T>), wrap: impl FnOnce(M) -> Run, began: i64) -> Self {
        let Continue(pending) = next else { panic!("a machine ended before its first action") };
        Self { run: wrap(machine), pending, began }
    }

    pub(super) fn step(&mut self, event: Event, now: Timestamp) -> ControlFlow<Outcome> {
        let next = match &mut self.run {
            Run::Claim(machine) => machine.step(event, now).map_break(Outcome::Claimed),
            Run::Update(machine) => machine.step(event, now).map_break(Outcome::Updated),
            Run::Park(machine) => machine.step(event, now).map_break(|_| Outcome::Over),
            Run::Finish(machine) => machine.step(event, now).map_break(|_| Outcome::Over),
            Run::Close(machine) => machine.step(event, now).map_break(|()| Outcome::Over),
            Run::Cancel(machine) => machine.step(event, now).map_break(Outcome::Cancelled),
            Run::Sweep(machine) => machine.step(event, now).map_break(|_| Outcome::Swept),
            Run::Submit(machine) => machine.step(event, now).map_break(Outcome::Submitted),
        };
        match next {
            Break(outcome) => Break(outcome),
            Continue(action) => {
                self.pending = action;
                Continue(())
            }
        }
    }
}

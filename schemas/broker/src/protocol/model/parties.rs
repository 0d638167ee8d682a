//! Who takes part, and what each of them has in hand.

use std::rc::Rc;

use schemas::state::{Nonce, Phase};

use super::super::Record;
use super::super::holding::Held;
use super::task::Task;
use super::{LEASE, MARGIN, Scenario, second};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    Worker(usize),
    Cancel,
    Sweep,
    Submit,
}

/// The next call of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ready {
    /// On record, not sent.
    Recorded,
    /// Being recorded.
    Recording,
    /// Sent.
    Sent,
}

#[derive(Clone)]
pub(super) enum Stage {
    Idle,
    Claiming,
    Holding(Box<Held>, Ready),
    /// The lease is no longer renewed: how long it lasts.
    Settling(i64),
}

#[derive(Clone)]
pub(super) struct Worker {
    pub(super) stage: Stage,
    pub(super) task: Option<Task>,
    pub(super) job: usize,
    pub(super) message: u64,
    pub(super) nonce: Nonce,
    pub(super) heard: bool,
}

impl Worker {
    pub(super) fn idle() -> Rc<Self> {
        let nonce = Nonce::from("");
        Rc::new(Self { stage: Stage::Idle, task: None, job: 0, message: 0, nonce, heard: false })
    }

    /// Until when nobody else may hold its job, if it holds one.
    pub(super) fn safe_until(&self, record: Option<&Record>) -> Option<i64> {
        match &self.stage {
            Stage::Idle => None,
            Stage::Holding(held, _) => Some(whole(held)),
            Stage::Settling(safe_until) => Some(*safe_until),
            Stage::Claiming => record
                .filter(|record| record.state.phase == Phase::Running && record.state.nonce == self.nonce)
                .map(|record| second(record.written_at) + LEASE - MARGIN),
        }
    }
}

/// Until when nobody else may hold what is held.
pub(super) fn whole(held: &Held) -> i64 {
    i64::try_from(held.safe_until.as_secs()).unwrap_or(i64::MAX)
}

#[derive(Clone, Default)]
pub(super) struct Clients {
    pub(super) cancel: Option<Task>,
    pub(super) sweep: Option<Task>,
    pub(super) submit: Option<Task>,
    /// Cancels, sweeps and submits that may still begin.
    pub(super) cancels: u8,
    pub(super) submits: u8,
    pub(super) sweeps: bool,
    /// The job was accepted before the cancel began.
    pub(super) cancel_knew: bool,
    /// The waiter has seen the end, or there is none.
    pub(super) seen: bool,
    pub(super) hinted: bool,
}

impl Clients {
    pub(super) fn new(s: &Scenario) -> Self {
        let submits = if s.submitter { 2 } else { 0 };
        Self { cancels: u8::from(s.cancel), submits, sweeps: s.sweeper, seen: !s.waiter, ..Self::default() }
    }
}

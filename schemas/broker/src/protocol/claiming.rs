//! A delivered message's way to a lease, or to being settled (C2-C5, D1, E2).

use std::ops::ControlFlow::{Break, Continue};

use schemas::error::{ErrorCode, Failure};
use schemas::state::{Carrier, JobResult};
use schemas::timestamp::Timestamp;

use super::cas::{Cas, Ended};
use super::claim::{Claim, Unclaimed};
use super::finish::{Bury, MovedOn};
use super::finishing::Closing;
use super::machine::{Action, Dead, Event, Machine, Next, Published};
use super::{Record, ledger};

/// What claiming came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// The job is ours: this is our record.
    Won(Record),
    /// Nothing to do; the message is settled. The word says why, for logs and metrics.
    Settled(&'static str),
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Claiming {
    pub(super) claim: Claim,
    pub(super) stage: Stage,
}

/// How far it is.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Claim(Box<Cas<Claim>>),
    /// Poison goes to DEAD first.
    Dead(Box<Bury>),
    Bury(Cas<Bury>),
    Close(Closing),
    /// The message's acknowledgement or refusal is on its way.
    Settled(&'static str),
}

impl Claiming {
    /// Begins. A message that nobody is known to have had is claimed on the guess that there is no record; a wrong guess
    /// is refused.
    pub fn start(claim: Claim, seen_before: bool, now: Timestamp) -> (Self, Next<Claimed>) {
        let fresh = !seen_before
            && matches!(claim.delivered.carrier, Carrier::Stream(_))
            && now.since(claim.delivered.stored_at) < claim.policy.retention;
        let (cas, next) = match fresh {
            true => Cas::assuming(claim.clone(), None, now),
            false => Cas::reading(claim.clone()),
        };
        let mut claiming = Self { claim, stage: Stage::Claim(Box::new(cas)) };
        let next = claiming.claimed(next, now);
        (claiming, next)
    }

    fn claimed(&mut self, next: Next<Ended<Unclaimed>>, now: Timestamp) -> Next<Claimed> {
        let ended = match next {
            Continue(action) => return Continue(action),
            Break(ended) => ended,
        };
        match ended {
            Ended::Stored(seq, state) if !state.phase.is_terminal() => {
                Break(Claimed::Won(Record { seq, state, written_at: now }))
            }
            Ended::Settled(Unclaimed::Mine(record)) => Break(Claimed::Won(record)),
            Ended::Stored(..) | Ended::Settled(Unclaimed::Finished(_)) => self.close(),
            Ended::Settled(Unclaimed::Superseded) => self.settle("superseded", Action::Ack),
            Ended::Settled(Unclaimed::Held(delay)) => self.settle("held", Action::Nak(delay)),
            Ended::Settled(Unclaimed::Poison(judged)) => self.condemn(judged),
        }
    }

    fn settle(&mut self, word: &'static str, action: Action) -> Next<Claimed> {
        self.stage = Stage::Settled(word);
        Continue(action)
    }

    fn close(&mut self) -> Next<Claimed> {
        let (closing, next) = Closing::start();
        self.stage = Stage::Close(closing);
        next.map_break(|()| Claimed::Settled("finished"))
    }

    fn condemn(&mut self, judged: Record) -> Next<Claimed> {
        let unresolved = ledger::unresolved(&judged.state.attempts);
        let message = format!("{unresolved} workers were lost while they ran this job");
        let failure = Failure::new(ErrorCode::Ambiguous, message);
        let result = Box::new(JobResult { error: Some(failure), dead: true, ..JobResult::default() });
        let bury = Box::new(Bury { judged, result });
        let action = publish_dead(&bury);
        self.stage = Stage::Dead(bury);
        Continue(action)
    }

    fn buried(&mut self, next: Next<Ended<MovedOn>>) -> Next<Claimed> {
        match next {
            Continue(action) => Continue(action),
            Break(Ended::Stored(..)) => self.close(),
            Break(Ended::Settled(MovedOn)) => {
                let (cas, next) = Cas::reading(self.claim.clone());
                self.stage = Stage::Claim(Box::new(cas));
                next.map_break(|_| Claimed::Settled("held"))
            }
        }
    }
}

impl Machine for Claiming {
    type Outcome = Claimed;

    fn step(&mut self, event: Event, now: Timestamp) -> Next<Claimed> {
        match &mut self.stage {
            Stage::Claim(cas) => {
                let next = cas.step(event, now);
                self.claimed(next, now)
            }
            Stage::Dead(bury) if matches!(event, Event::Published(Published::Stored | Published::There)) => {
                let (cas, next) = Cas::assuming((**bury).clone(), Some(&bury.judged), now);
                self.stage = Stage::Bury(cas);
                self.buried(next)
            }
            Stage::Dead(bury) => Continue(publish_dead(bury)),
            Stage::Bury(cas) => {
                let next = cas.step(event, now);
                self.buried(next)
            }
            Stage::Close(closing) => closing.step(event, now).map_break(|()| Claimed::Settled("finished")),
            Stage::Settled(word) => Break(Claimed::Settled(word)),
        }
    }
}

fn publish_dead(bury: &Bury) -> Action {
    Action::PublishDead(Box::new(Dead { state: (*bury.judged.state).clone(), result: (*bury.result).clone() }))
}

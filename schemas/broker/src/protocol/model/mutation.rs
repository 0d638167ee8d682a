//! Decisions broken on purpose, by changing what a machine is told or what it asks for. Each must be caught.

use std::ops::ControlFlow;

use schemas::state::{Carrier, Phase};
use strum::EnumIter;

use super::super::claim::STRAY_DELAY;
use super::super::holding::Gone;
use super::super::machine::{Action, Event, Place, Published};
use super::super::{Write, Written, claiming};
use super::task::{Outcome, Run, Task};

/// A planted fault of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter)]
pub(super) enum Mutation {
    AckBeforeResult,
    AckOfAStrayDueMessage,
    AckBeforeParked,
    CarrierNotMoved,
    RefusedIsAVerdict,
    HolderKnownByName,
    ParkNotObserved,
    LeaseNotObserved,
    NoMarginInClaim,
    NoMarginInHold,
    CallBeforeItsLedger,
    CallWithoutLeaseCheck,
    StaleReadBelieved,
    CancelOverAnEnd,
    CancelWithoutLooking,
    TakeOverForgetsLedger,
    ResultForgetsLedger,
    CancelForgetsLedger,
    SweepDueBeforeDelayed,
    SweepOverANewerRecord,
    RetentionIgnored,
    WaiterNeverReadsAgain,
    UnknownIsAccepted,
    PurgeOfUndoneWork,
}

impl Mutation {
    /// Changes what a task is told. `Break` ends it at once.
    pub(super) fn told(self, task: &mut Task, event: &mut Event) -> ControlFlow<Outcome> {
        match (self, &mut task.run, event) {
            (Self::RefusedIsAVerdict, Run::Update(_), Event::Written(Written::Refused | Written::Unknown)) => {
                return ControlFlow::Break(Outcome::Updated(Err(Gone::Lost)));
            }
            (Self::HolderKnownByName, Run::Claim(claiming), Event::Record(Some(record)))
                if record.state.holder == claiming.claim.holder =>
            {
                record.state.nonce = claiming.claim.nonce.clone();
            }
            (Self::ParkNotObserved, Run::Claim(_), Event::Record(Some(record))) => record.state.until = None,
            (Self::StaleReadBelieved, run, Event::Record(_)) => forget_what_was_seen(run),
            (Self::CancelOverAnEnd, Run::Cancel(_), Event::Record(Some(record))) => record.state.phase = Phase::Running,
            (Self::CancelWithoutLooking, Run::Cancel(_), Event::Found(found)) => *found = None,
            (Self::UnknownIsAccepted, Run::Submit(_), Event::Published(published @ Published::Unknown)) => {
                *published = Published::Stored;
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Changes what a task asks for; `seq` is what STATE holds.
    pub(super) fn asks(self, run: &Run, action: &mut Action, seq: u64) {
        match (self, run, action) {
            (Self::AckOfAStrayDueMessage, _, action) if *action == Action::Nak(STRAY_DELAY) => *action = Action::Ack,
            (Self::TakeOverForgetsLedger, Run::Claim(_), Action::Write(write))
            | (Self::ResultForgetsLedger, Run::Finish(_), Action::Write(write)) => forget_others(write),
            (Self::CancelForgetsLedger, Run::Cancel(_), Action::Write(write)) => write.state.attempts.clear(),
            (Self::CarrierNotMoved, Run::Park(_), Action::Write(write)) => {
                write.state.carrier = Carrier::Stream("JOBS_NORMAL".to_owned());
            }
            (Self::SweepOverANewerRecord, Run::Sweep(_), Action::Write(write)) => write.expect = seq,
            (Self::SweepDueBeforeDelayed, Run::Sweep(_), Action::Look(place)) => {
                *place = if *place == Place::Due { Place::Delayed } else { Place::Due };
            }
            _ => {}
        }
    }
}

fn forget_others(write: &mut Write) {
    let nonce = write.state.nonce.clone();
    write.state.attempts.retain(|attempt| attempt.nonce == nonce);
}

fn forget_what_was_seen(run: &mut Run) {
    match run {
        Run::Update(updating) => updating.cas.not_before = 0,
        Run::Cancel(cancelling) => cancelling.cas.not_before = 0,
        Run::Claim(claiming) => {
            if let claiming::Stage::Claim(cas) = &mut claiming.stage {
                cas.not_before = 0;
            }
        }
        _ => {}
    }
}

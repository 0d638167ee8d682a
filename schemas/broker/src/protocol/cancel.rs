//! Cancelling (X1, X2): `cancelled` over whatever non-terminal record there is; a terminal one is the answer.

use schemas::error::{ErrorCode, Failure};
use schemas::state::{JobResult, JobState, Nonce, Outcome, Phase};
use schemas::timestamp::Timestamp;

use super::cas::{Decision, Operation};
use super::machine::Waiting;
use super::{Record, blank, ledger};

/// A client's wish to end its job.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The job's waiting message, once one was found: there may be no record yet.
    pub waiting: Option<Waiting>,
    /// Drawn for this cancel.
    pub nonce: Nonce,
    /// The process that cancels.
    pub holder: String,
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq)]
pub enum NotCancelled {
    /// The job has ended: this is how.
    Ended(Record),
    /// No record, and no message was shown: look for one.
    NoRecord,
}

impl Operation for Cancel {
    type Outcome = NotCancelled;

    fn decide(&self, record: Option<&Record>, now: Timestamp) -> Decision<NotCancelled> {
        match (record, &self.waiting) {
            (Some(record), _) if record.state.phase.is_terminal() => {
                Decision::Settled(NotCancelled::Ended(record.clone()))
            }
            (Some(record), _) => Decision::write(record.seq, self.cancelled((*record.state).clone(), now)),
            (None, Some(Waiting { head, carrier })) => {
                let state =
                    blank((**head).clone(), Phase::Cancelled, self.nonce.clone(), &self.holder, carrier.clone());
                Decision::write(0, self.cancelled(state, now))
            }
            (None, None) => Decision::Settled(NotCancelled::NoRecord),
        }
    }
}

impl Cancel {
    fn cancelled(&self, state: JobState, now: Timestamp) -> JobState {
        let failure = Failure::new(ErrorCode::Cancelled, "the job was cancelled");
        let result = JobResult { error: Some(failure), ..JobResult::default() };
        JobState {
            phase: Phase::Cancelled,
            nonce: self.nonce.clone(),
            holder: self.holder.clone(),
            attempts: ledger::closed(&state.attempts, Outcome::Cancelled, now),
            until: None,
            reason: None,
            finished_at: Some(now),
            result: Some(Box::new(result)),
            ..state
        }
    }
}

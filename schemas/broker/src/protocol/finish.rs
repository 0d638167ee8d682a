//! Writing the result (E1): over one's own record, or over whatever non-terminal record stands there by then.

use schemas::state::{JobResult, JobState, Outcome, Phase};
use schemas::timestamp::Timestamp;

use super::cas::{Decision, Operation};
use super::{Record, ledger};

/// A holder's wish to end its job.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The holder's own record, its attempts as it saw them end.
    pub mine: Box<JobState>,
    /// How the job ends.
    pub phase: Phase,
    /// The result.
    pub result: Box<JobResult>,
}

/// The job had ended already; whether it was this very result is told by its nonce.
#[derive(Debug, Clone, PartialEq)]
pub struct AlreadyEnded(pub Record);

impl Operation for Finish {
    type Outcome = AlreadyEnded;

    fn decide(&self, record: Option<&Record>, now: Timestamp) -> Decision<AlreadyEnded> {
        match record {
            Some(record) if record.state.phase.is_terminal() => Decision::Settled(AlreadyEnded(record.clone())),
            Some(record) => Decision::write(record.seq, self.over(&record.state, now)),
            None => Decision::write(0, self.over(&self.mine, now)),
        }
    }
}

impl Finish {
    fn over(&self, theirs: &JobState, now: Timestamp) -> JobState {
        JobState {
            phase: self.phase,
            nonce: self.mine.nonce.clone(),
            holder: self.mine.holder.clone(),
            attempts: ledger::merged(&theirs.attempts, &self.mine.attempts, &self.mine.nonce, now),
            carrier: theirs.carrier.clone(),
            until: None,
            reason: None,
            head: self.mine.head.clone(),
            started_at: self.mine.started_at.or(theirs.started_at),
            finished_at: Some(now),
            result: Some(self.result.clone()),
        }
    }
}

/// Ends a job that nobody holds: poison, or lost. Expects the very record that was judged.
#[derive(Debug, Clone)]
pub struct Bury {
    /// What was judged.
    pub judged: Record,
    /// The result, an error.
    pub result: Box<JobResult>,
}

/// The record is another by now: leave it to whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedOn;

impl Operation for Bury {
    type Outcome = MovedOn;

    fn decide(&self, record: Option<&Record>, now: Timestamp) -> Decision<MovedOn> {
        if record.is_none_or(|record| record.seq != self.judged.seq) {
            return Decision::Settled(MovedOn);
        }
        let state = JobState {
            phase: Phase::Failed,
            attempts: ledger::closed(&self.judged.state.attempts, Outcome::Ambiguous, now),
            until: None,
            reason: None,
            finished_at: Some(now),
            result: Some(self.result.clone()),
            ..(*self.judged.state).clone()
        };
        Decision::write(self.judged.seq, state)
    }
}

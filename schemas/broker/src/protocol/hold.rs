//! What a holder does to its own record: renew it, add an attempt to its ledger, park it (H1, H2, K1, K2).

use schemas::state::{JobState, Nonce, Phase};
use schemas::timestamp::Timestamp;

use super::Record;
use super::cas::{Decision, Operation};

/// A change to one's own `running` record. Nobody else writes under my nonce, and I write one change at a time.
#[derive(Debug, Clone)]
pub struct Update {
    /// Under which the record is mine.
    pub nonce: Nonce,
    /// What the record shall be.
    pub intended: Box<JobState>,
    /// It changes nothing but the time of the record: written again rather than recognised.
    pub renewal: bool,
}

/// Why an update was not written.
#[derive(Debug, Clone, PartialEq)]
pub enum NotMine {
    /// An unknown write of mine landed: this is it.
    Landed(Record),
    /// The job has ended: drop the call, tell whoever waits, acknowledge.
    Finished(Record),
    /// Somebody else holds it: no ack, no NAK, no call; only a result may still be written.
    Lost,
}

impl Operation for Update {
    type Outcome = NotMine;

    fn decide(&self, record: Option<&Record>, _now: Timestamp) -> Decision<NotMine> {
        let Some(record) = record else { return Decision::Settled(NotMine::Lost) };
        let state = &record.state;
        if state.phase.is_terminal() {
            return Decision::Settled(NotMine::Finished(record.clone()));
        }
        if state.nonce != self.nonce {
            return Decision::Settled(NotMine::Lost);
        }
        if !self.renewal && *state == self.intended {
            return Decision::Settled(NotMine::Landed(record.clone()));
        }
        match state.phase {
            Phase::Running => Decision::write(record.seq, (*self.intended).clone()),
            _ => Decision::Settled(NotMine::Lost),
        }
    }
}

//! The checker: holds a history against the invariants and names everything that breaks one. Pure, so that its own tests
//! can plant each violation and see it named.

mod ambiguous;
mod calls;
mod dossier;
mod ends;
mod promises;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::id::JobId;

use crate::history::History;
pub(crate) use dossier::Dossier;

/// What clocks of one machine may differ by when a moment was estimated over the network.
const ESTIMATE: Duration = Duration::from_secs(1);

/// The promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, strum::Display, strum::EnumIter)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Rule {
    /// An accepted job has no record.
    Lost,
    /// A job has not ended.
    Stuck,
    /// A job was given up because its message was gone, and nobody had deleted it.
    MessageLost,
    /// An accepted id was answered with 404 or 410.
    Vanished,
    /// Two reads saw two different ends.
    EndChanged,
    /// A terminal record was written over.
    EndReplaced,
    /// Two reads saw two different outputs.
    TwoResults,
    /// A version's ledger had an attempt that the last one lacks.
    LedgerShrank,
    /// A job has ended with an attempt that stands open.
    AttemptLeftOpen,
    /// A job failed for good and is not in DEAD.
    DeadMissing,
    /// SQL tells another end, or none.
    HistoryDiffers,
    /// A call is in no ledger.
    UnrecordedCall,
    /// A call came before its attempt was on record.
    CallBeforeRecord,
    /// A call came from a worker that held no attempt.
    WrongHolder,
    /// A call came after its attempt had ended, and nothing held it back.
    CallOutsideAttempt,
    /// Two calls, one attempt.
    TwoCallsOneAttempt,
    /// An attempt says that nothing was sent, and something was.
    AbortedWasSent,
    /// Another attempt after one that succeeded.
    SecondCallWithoutCause,
    /// Another call after an ambiguous one, against the client's wish.
    CalledAgainAgainstWish,
    /// An ambiguous attempt that no fault explains.
    UnexplainedAmbiguity,
    /// One key, two jobs.
    KeyDoubled,
    /// Two clients, one job.
    IdShared,
    /// A client was told "cancelled", and the job ended otherwise.
    CancelIgnored,
    /// A job was cancelled, and its call went on.
    CallOutlivedCancel,
    /// A job completed with what no call of it had answered in whole.
    TruncatedCompleted,
    /// A stream's deltas do not add up to the job's output.
    StreamDiffers,
    /// A chat call ended in good order with something else than the job's output.
    ChatDiffers,
    /// An answered turn is not in its session's history.
    TurnLost,
    /// A turn is in its session's history more than once.
    TurnDoubled,
    /// A turn that was not answered is in its session's history.
    TurnUnanswered,
    /// A session has other words of a turn than were said.
    TurnDiffers,
    /// The numbers of a session's turns have a gap, or are not those that their jobs were told.
    TurnMisnumbered,
    /// A turn came before one that stood ahead of it.
    TurnOutOfOrder,
    /// A turn was claimed or called before the one before it had ended.
    TurnsInterleaved,
    /// A turn's call was not told all that was said before it, once, in order, and nothing else.
    PromptDiffers,
    /// A version of a history does not go on from the one before it.
    SessionRewritten,
    /// A session's line was not left.
    LineLeft,
    /// A process ended by itself, or did not stop as it should.
    Mishap,
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Which.
    pub(crate) rule: Rule,
    /// About which job.
    pub(crate) job: Option<JobId>,
    /// In words.
    pub(crate) detail: String,
}

/// Everything that is wrong with `history`.
pub(crate) fn check(history: &History) -> Vec<Violation> {
    let mut found = Found::default();
    let dossiers = Dossier::all(history);
    for (id, dossier) in &dossiers {
        ends::check(history, *id, dossier, &mut found);
        calls::check(history, *id, dossier, &mut found);
        ambiguous::check(history, *id, dossier, &mut found);
        promises::check(history, *id, dossier, &mut found);
    }
    sessions::check(history, &dossiers, &mut found);
    promises::check_identities(history, &mut found);
    for call in history.calls.iter().filter(|call| call.id.is_none()) {
        found.add(Rule::UnrecordedCall, None, format!("a call for {} names no job", call.marker));
    }
    for mishap in &history.mishaps {
        found.add(Rule::Mishap, None, format!("{} at {}: {}", mishap.victim, mishap.at, mishap.what));
    }
    found.0.into_iter().collect()
}

/// What was found so far, each thing once.
#[derive(Debug, Default)]
struct Found(BTreeSet<Violation>);

impl Found {
    fn add(&mut self, rule: Rule, job: impl Into<Option<JobId>>, detail: impl Into<String>) {
        self.0.insert(Violation { rule, job: job.into(), detail: detail.into() });
    }
}

//! Whether an entry in DEAD counts (D1). It is published before the job's end is written, so that no end loses its entry;
//! somebody else may still end the job otherwise.

use schemas::state::{JobState, Phase};
use schemas::timestamp::Timestamp;
use schemas::view::{JobView, Status};

use super::{Policy, Record};

/// What an entry in DEAD is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its job failed for good: it is shown, and can be replayed.
    Counts,
    /// Its job has not ended: its end may be on its way. Neither shown nor purged.
    Early,
    /// Its job ended otherwise: whoever sees it purges it.
    Stray,
    /// Its job's record is past retention: history may know, see [`outlived`].
    Forgotten,
}

/// Judges the entry stored at `stored_at` by the record of its job.
#[must_use]
pub fn standing(stored_at: Timestamp, record: Option<&Record>, policy: &Policy) -> Standing {
    match record {
        Some(record) if is_earlier(record.state.head.created_at, stored_at, policy) => of_state(&record.state),
        _ => Standing::Forgotten,
    }
}

/// Judges an entry whose record is forgotten by what history says. Where that tells nothing the entry counts: a true one
/// must not be lost. History may have missed the end, and does not tell one failure from another.
#[must_use]
pub fn outlived(stored_at: Timestamp, history: Option<&JobView>, policy: &Policy) -> Standing {
    match history {
        Some(view) if is_earlier(view.created_at, stored_at, policy) => match view.status {
            Status::Queued | Status::Running | Status::Failed => Standing::Counts,
            Status::Completed | Status::Cancelled | Status::Expired | Status::Incomplete => Standing::Stray,
        },
        _ => Standing::Counts,
    }
}

/// A key may be used again once its job is past retention: the id then names a later job, which tells nothing.
fn is_earlier(created_at: Timestamp, stored_at: Timestamp, policy: &Policy) -> bool {
    created_at <= stored_at.after(policy.margin)
}

fn of_state(state: &JobState) -> Standing {
    match state.phase {
        Phase::Running | Phase::Parked => Standing::Early,
        Phase::Failed if state.result.as_ref().is_some_and(|result| result.dead) => Standing::Counts,
        _ => Standing::Stray,
    }
}

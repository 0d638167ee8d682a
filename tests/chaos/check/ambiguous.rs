//! An attempt may be ambiguous only where a fault hit its holder while the call ran: whoever sees no fault knows the end.

use std::time::Duration;

use schemas::id::JobId;
use schemas::state::{Attempt, Outcome};
use schemas::timestamp::Timestamp;

use super::dossier::disturbance;
use super::{Dossier, Found, Rule};
use crate::history::History;

/// How long after the provider's last byte a result may take to be stored, on a busy machine.
const SETTLING: Duration = Duration::from_millis(1500);

pub(super) fn check(history: &History, id: JobId, dossier: &Dossier<'_>, found: &mut Found) {
    for attempt in dossier.attempts().iter().filter(|attempt| attempt.outcome == Some(Outcome::Ambiguous)) {
        if !explained(history, dossier, attempt) {
            let holder = dossier.holder(&attempt.nonce).unwrap_or("an unseen holder");
            let detail = format!("attempt {} of {holder}: no fault hit it while the call ran", attempt.number);
            found.add(Rule::UnexplainedAmbiguity, id, detail);
        }
    }
}

fn explained(history: &History, dossier: &Dossier<'_>, attempt: &Attempt) -> bool {
    let (from, to) = exposed(dossier, attempt);
    disturbance(&history.faults, dossier.holder(&attempt.nonce), from, to).is_some()
        || overtaken(history, dossier, attempt)
}

/// While its end could be lost: from its record until the answer was surely stored.
fn exposed(dossier: &Dossier<'_>, attempt: &Attempt) -> (Timestamp, Timestamp) {
    let answered = dossier.call_of(attempt).and_then(|call| call.ended).map(|ended| ended.after(SETTLING));
    let from = dossier.recorded(attempt).unwrap_or(attempt.started_at);
    (from, answered.or(attempt.ended_at).unwrap_or(from).max(from))
}

/// An earlier holder, taken for dead, came back with its answer and ended the job over this attempt.
fn overtaken(history: &History, dossier: &Dossier<'_>, attempt: &Attempt) -> bool {
    let Some(record) = dossier.record.filter(|record| record.nonce != attempt.nonce) else { return false };
    let winner = dossier.attempts().iter().find(|one| one.nonce == record.nonce && one.number < attempt.number);
    winner.is_some_and(|winner| {
        disturbance(&history.faults, Some(&record.holder), winner.started_at, record.written).is_some()
    })
}

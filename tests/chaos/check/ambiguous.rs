//! An attempt may be ambiguous only where a fault reached its holder at the very time at which its end was lost: whoever
//! saw no fault knows the end.

use schemas::id::JobId;
use schemas::state::{Attempt, Outcome};
use schemas::timestamp::Timestamp;

use super::dossier::disturbance;
use super::{Dossier, Found, Rule};
use crate::history::{Call, Fault, History};

pub(super) fn check(history: &History, id: JobId, dossier: &Dossier<'_>, found: &mut Found) {
    for attempt in dossier.attempts().iter().filter(|attempt| attempt.outcome == Some(Outcome::Ambiguous)) {
        let (from, to) = exposed(history, dossier, attempt);
        let holder = dossier.maker(attempt);
        if disturbance(&history.faults, holder, from, to).is_none() && !overtaken(history, dossier, attempt) {
            let holder = holder.unwrap_or("an unseen holder");
            let detail = format!("attempt {} of {holder}: no fault reached it from {from} to {to}", attempt.number);
            found.add(Rule::UnexplainedAmbiguity, id, detail);
        }
    }
}

/// While its end could be lost. Not before its call came to the provider, and not before its holder's last write, for
/// until then it was well. Not after its answer or its next renewal must have been stored, nor after others took over.
fn exposed(history: &History, dossier: &Dossier<'_>, attempt: &Attempt) -> (Timestamp, Timestamp) {
    let recorded = dossier.recorded(attempt).unwrap_or(attempt.started_at);
    let sign = dossier.last_sign(attempt);
    let call = dossier.call_of(attempt).filter(|call| !held_back(history, call, recorded));
    let began = call.map_or(recorded, |call| call.started);
    let from = sign.map_or(began, |sign| sign.at.max(began));
    let answered = call.and_then(|call| call.ended).map(|ended| ended.after(history.settling()));
    let surely = sign.filter(|sign| sign.surely_last);
    let renewed = surely.map(|sign| sign.at.after(history.renewal() + history.settling()));
    let taken = sign.map_or(attempt.ended_at, |sign| sign.taken);
    // A write that came later than it should is a sign of life all the same: a bound before it says nothing.
    let to = [answered, renewed, taken].into_iter().flatten().filter(|bound| *bound >= from).min();
    (from, to.unwrap_or(from))
}

/// Whether the call came later than it was sent: its holder may be gone by then.
pub(super) fn held_back(history: &History, call: &Call, since: Timestamp) -> bool {
    let delays = |fault: &&Fault| fault.delays_calls_of(&call.holder);
    history.faults.iter().filter(delays).any(|fault| fault.overlaps(since, call.started))
}

/// An earlier holder, taken for dead, came back with its answer and ended the job over this attempt.
fn overtaken(history: &History, dossier: &Dossier<'_>, attempt: &Attempt) -> bool {
    let Some(record) = dossier.record.filter(|record| record.nonce != attempt.nonce) else { return false };
    let winner = dossier.attempts().iter().find(|one| one.nonce == record.nonce && one.number < attempt.number);
    winner.is_some_and(|winner| {
        disturbance(&history.faults, Some(&record.holder), winner.started_at, attempt.started_at).is_some()
    })
}

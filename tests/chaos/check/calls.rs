//! Every call that reached the provider is one attempt of one ledger, on record before it was sent; another attempt
//! follows only a failure, or an end that nobody can know.

use schemas::id::JobId;
use schemas::job::OnAmbiguous;
use schemas::state::{Attempt, Outcome};

use super::ambiguous::held_back;
use super::dossier::{Match, disturbance};
use super::{Dossier, ESTIMATE, Found, Rule};
use crate::history::{Call, History};

pub(super) fn check(history: &History, id: JobId, dossier: &Dossier<'_>, found: &mut Found) {
    for (call, matched) in dossier.calls.iter().zip(&dossier.matches) {
        match matched {
            Match::Attempt(attempt) => covered(history, id, attempt, call, found),
            Match::Taken(attempt) => {
                let detail = format!("attempt {} was called again at {}", attempt.number, call.started);
                found.add(Rule::TwoCallsOneAttempt, id, detail);
            }
            Match::Nothing => {
                found.add(uncovered(dossier, call), id, format!("the call of {} at {}", call.holder, call.started));
            }
        }
    }
    sequence(history, id, dossier, found);
}

/// What is wrong with a call that no attempt covers.
fn uncovered(dossier: &Dossier<'_>, call: &Call) -> Rule {
    let holders: Vec<_> = dossier.attempts().iter().map(|attempt| dossier.holder(&attempt.nonce)).collect();
    if holders.is_empty() {
        Rule::UnrecordedCall
    } else if holders.iter().any(|holder| holder.is_none_or(|holder| holder == call.holder)) {
        Rule::CallBeforeRecord
    } else {
        Rule::WrongHolder
    }
}

fn covered(history: &History, id: JobId, attempt: &Attempt, call: &Call, found: &mut Found) {
    if attempt.outcome == Some(Outcome::Aborted) {
        found.add(Rule::AbortedWasSent, id, format!("attempt {} was called at {}", attempt.number, call.started));
    }
    let Some(ended) = attempt.ended_at.filter(|ended| ended.after(ESTIMATE) < call.started) else { return };
    // What a frozen process or link had sent, or was about to, arrives when it thaws: nobody can call it back.
    if !held_back(history, call, attempt.started_at) {
        let detail = format!("attempt {} ended at {ended}, its call came at {}", attempt.number, call.started);
        found.add(Rule::CallOutsideAttempt, id, detail);
    }
}

/// Why each attempt but the first was made.
fn sequence(history: &History, id: JobId, dossier: &Dossier<'_>, found: &mut Found) {
    let wish = dossier.record.map_or(OnAmbiguous::Retry, |record| record.on_ambiguous);
    for (earlier, later) in successions(dossier.attempts()) {
        match earlier.outcome {
            Some(Outcome::Ambiguous) if wish == OnAmbiguous::Fail => {
                let detail = format!("attempt {} followed an ambiguous one", later.number);
                found.add(Rule::CalledAgainAgainstWish, id, detail);
            }
            Some(Outcome::Ok | Outcome::Cancelled) if !outlived(history, dossier, earlier, later) => {
                let detail = format!("attempt {} followed one that was {:?}", later.number, earlier.outcome);
                found.add(Rule::SecondCallWithoutCause, id, detail);
            }
            _ => {}
        }
    }
}

/// Each attempt with those that it followed. A hedge runs beside the one before it, and needs no other cause; whatever
/// comes after the two follows both.
fn successions(ledger: &[Attempt]) -> impl Iterator<Item = (&Attempt, &Attempt)> {
    let beside = |index: usize| {
        let (earlier, hedge) = (&ledger[index - 1], &ledger[index]);
        hedge.hedge && !earlier.hedge && hedge.nonce == earlier.nonce
    };
    (1..ledger.len()).filter(move |index| !beside(*index)).flat_map(move |index| {
        let pair = index >= 2 && beside(index - 1);
        ledger[index - 1 - usize::from(pair)..index].iter().map(move |earlier| (earlier, &ledger[index]))
    })
}

/// The earlier holder was taken for dead, and came back with its answer later.
fn outlived(history: &History, dossier: &Dossier<'_>, earlier: &Attempt, later: &Attempt) -> bool {
    earlier.nonce != later.nonce
        && disturbance(&history.faults, dossier.holder(&earlier.nonce), earlier.started_at, later.started_at).is_some()
}

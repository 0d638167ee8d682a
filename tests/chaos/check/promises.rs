//! What single clients were told: one key is one job, cancelled is cancelled, and no half answer is ever a whole one.

use std::collections::BTreeMap;

use schemas::id::JobId;
use schemas::state::{Outcome, Phase};
use schemas::view::Status;

use super::{Dossier, Found, Rule};
use crate::history::{Call, Ending, Fault, History, Record, Seen};

pub(super) fn check(history: &History, id: JobId, dossier: &Dossier<'_>, found: &mut Found) {
    let Some(record) = dossier.record else { return };
    cancelled(id, dossier, record, found);
    dropped(history, id, dossier, record, found);
    if record.phase == Phase::Completed {
        completed(id, dossier, record, found);
    }
    streamed(history, id, dossier, record, found);
    chatted(id, dossier, record, found);
}

/// Each key one job, each client one job, and no job two clients'.
pub(super) fn check_identities(history: &History, found: &mut Found) {
    let mut owners: BTreeMap<JobId, &str> = BTreeMap::new();
    for client in &history.clients {
        let ids = client.ids();
        if ids.len() > 1 {
            let key = client.key.as_deref().unwrap_or("no key");
            found.add(Rule::KeyDoubled, ids.first().copied(), format!("{}, {key}: {ids:?}", client.marker));
        }
        for id in ids {
            if let Some(other) = owners.insert(id, &client.marker) {
                found.add(Rule::IdShared, id, format!("{other} and {} were given it", client.marker));
            }
        }
    }
}

fn cancelled(id: JobId, dossier: &Dossier<'_>, record: &Record, found: &mut Found) {
    let told = dossier.clients.iter().flat_map(|client| &client.events);
    let told = told.filter_map(|event| if let Seen::CancelSaid(status) = event.what { Some(status) } else { None });
    for status in told.filter(|status| status.is_terminal()) {
        if status != Status::from(record.phase) {
            found.add(Rule::CancelIgnored, id, format!("a cancel answered {status}, it ended {}", record.phase));
        }
    }
}

/// The upstream request of a cancelled job is really dropped, unless its holder could not hear of it. A lost hint is made
/// good by the next renewal, which finds the job ended.
fn dropped(history: &History, id: JobId, dossier: &Dossier<'_>, record: &Record, found: &mut Found) {
    let latest = record.written.after(history.renewal() + history.settling());
    let went_on = |call: &&&Call| call.started < record.written && call.ended.is_none_or(|ended| ended > latest);
    for call in dossier.calls.iter().filter(went_on).filter(|_| record.phase == Phase::Cancelled) {
        let deaf = |fault: &&Fault| fault.disturbs(&call.holder) || fault.delays_calls_of(&call.holder);
        if !history.faults.iter().filter(deaf).any(|fault| fault.overlaps(call.started, latest)) {
            found.add(Rule::CallOutlivedCancel, id, format!("the call of {} at {} went on", call.holder, call.started));
        }
    }
}

/// Its output is what one of its calls answered in whole, and its ledger says so.
fn completed(id: JobId, dossier: &Dossier<'_>, record: &Record, found: &mut Found) {
    let whole = dossier.calls.iter().filter(|call| call.ending == Ending::Answered);
    let mut texts = whole.map(|call| call.text.as_str());
    let output = record.output.as_deref().unwrap_or_default();
    if !texts.any(|text| text == output) {
        found.add(Rule::TruncatedCompleted, id, "no call of it answered what it completed with");
    }
    if !record.attempts.iter().any(|attempt| attempt.outcome == Some(Outcome::Ok)) {
        found.add(Rule::TruncatedCompleted, id, "it completed and no attempt of it is ok");
    }
}

/// Deltas live in the broker's memory and are lost with it; what is there is still the beginning of the output.
fn streamed(history: &History, id: JobId, dossier: &Dossier<'_>, record: &Record, found: &mut Found) {
    for event in dossier.clients.iter().flat_map(|client| &client.events) {
        let Seen::Streamed(Status::Completed, Some(output), Some(text)) = &event.what else { continue };
        let since = dossier.attempts().first().map_or(record.written, |attempt| attempt.started_at);
        let tore =
            |fault: &&Fault| fault.is_the_brokers() || fault.disturbs(&record.holder) || fault.disturbs(&event.ingress);
        let lost = || history.faults.iter().filter(tore).any(|fault| fault.overlaps(since, event.at));
        if !output.starts_with(text.as_str()) || (output != text && !lost()) {
            found.add(Rule::StreamDiffers, id, format!("its deltas say {text:?}, its output {output:?}"));
        }
    }
}

/// A chat call that ended in good order gave the whole of the job's output.
fn chatted(id: JobId, dossier: &Dossier<'_>, record: &Record, found: &mut Found) {
    for event in dossier.clients.iter().flat_map(|client| &client.events) {
        let Seen::Chatted(text) = &event.what else { continue };
        if record.phase != Phase::Completed || record.output.as_ref() != Some(text) {
            let detail = format!("its client was told {text:?}, it ended {} with {:?}", record.phase, record.output);
            found.add(Rule::ChatDiffers, id, detail);
        }
    }
}

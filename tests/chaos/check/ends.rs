//! Every job ends, once, and stays ended: for its clients, in STATE, in DEAD and in SQL.

use schemas::id::JobId;
use schemas::state::Phase;
use schemas::view::Status;

use super::{Dossier, Found, Rule};
use crate::history::{Event, History, Record, Seen};

pub(super) fn check(history: &History, id: JobId, dossier: &Dossier<'_>, found: &mut Found) {
    reads(id, dossier, found);
    let Some(record) = dossier.record else {
        if !dossier.clients.is_empty() {
            found.add(Rule::Lost, id, "it was accepted and has no record");
        }
        return;
    };
    if !record.phase.is_terminal() {
        let whereabouts = history.whereabouts.get(&id).map(String::as_str).unwrap_or_default();
        found.add(Rule::Stuck, id, format!("it is still {} {whereabouts}", record.phase));
        return;
    }
    if record.lost {
        found.add(Rule::MessageLost, id, "its message was gone before it had ended");
    }
    versions(id, dossier, record, found);
    copies(history, id, record, found);
}

/// What clients read: one end, one output, the very ones that the record has.
fn reads(id: JobId, dossier: &Dossier<'_>, found: &mut Found) {
    let mut ends: Vec<(Status, Option<&String>)> = dossier.record.into_iter().filter_map(end_of_record).collect();
    for event in dossier.clients.iter().flat_map(|client| &client.events) {
        if let Seen::Missing(status) = event.what {
            found.add(Rule::Vanished, id, format!("it was accepted and answered with {status}"));
        }
        ends.extend(end_seen(event));
    }
    let Some(first) = ends.first() else { return };
    if let Some(other) = ends.iter().find(|end| end.0 != first.0) {
        found.add(Rule::EndChanged, id, format!("seen {} and {}", first.0, other.0));
    }
    if ends.iter().any(|end| end.0 == first.0 && end.1 != first.1) {
        found.add(Rule::TwoResults, id, "two reads saw two outputs");
    }
}

fn end_of_record(record: &Record) -> Option<(Status, Option<&String>)> {
    record.phase.is_terminal().then(|| (record.phase.into(), record.output.as_ref()))
}

fn end_seen(event: &Event) -> Option<(Status, Option<&String>)> {
    match &event.what {
        Seen::Read(status, output) | Seen::Streamed(status, output, _) if status.is_terminal() => {
            Some((*status, output.as_ref()))
        }
        _ => None,
    }
}

/// Nothing was written over an end, and nothing fell out of the ledger.
fn versions(id: JobId, dossier: &Dossier<'_>, record: &Record, found: &mut Found) {
    for version in dossier.versions {
        if version.phase.is_terminal() && version.seq != record.seq {
            let detail =
                format!("{} at {} was written over by {} at {}", version.phase, version.seq, record.phase, record.seq);
            found.add(Rule::EndReplaced, id, detail);
        }
        for (number, nonce) in &version.attempts {
            if !record.attempts.iter().any(|attempt| attempt.number == *number && attempt.nonce == *nonce) {
                found.add(Rule::LedgerShrank, id, format!("attempt {number} of {nonce} is gone"));
            }
        }
    }
    for attempt in record.attempts.iter().filter(|attempt| attempt.outcome.is_none()) {
        found.add(Rule::AttemptLeftOpen, id, format!("attempt {} has no outcome", attempt.number));
    }
}

fn copies(history: &History, id: JobId, record: &Record, found: &mut Found) {
    if record.dead && !history.dead.contains(&id) {
        found.add(Rule::DeadMissing, id, "its record says dead, DEAD has nothing");
    }
    if record.phase == Phase::Completed && record.output.is_none() {
        found.add(Rule::TruncatedCompleted, id, "it completed without output");
    }
    let Some(rows) = &history.rows else { return };
    match rows.get(&id) {
        None => found.add(Rule::HistoryDiffers, id, "SQL does not know it"),
        Some(status) if *status != record.phase.to_string() => {
            found.add(Rule::HistoryDiffers, id, format!("SQL says {status}, its record {}", record.phase));
        }
        Some(_) => {}
    }
}

//! The turns of a session come one after the other: in the order of their line, each only after the one before has ended,
//! and each with all that was said before it.

use super::{Talk, Turn};
use crate::check::{ESTIMATE, Found, Rule};
use crate::history::{Call, Jobs};

pub(super) fn check(talk: &Talk<'_>, found: &mut Found) {
    history(talk, found);
    for line in &talk.session.lines {
        in_line(talk, line, found);
    }
    let ended: Vec<_> = talk.turns.iter().filter(|turn| turn.has_ended() && turn.has_run()).collect();
    for (index, later) in ended.iter().enumerate() {
        for earlier in &ended[..index] {
            apart(earlier, later, found);
            accepted(earlier, later, found);
        }
    }
    for turn in ended {
        for call in &turn.dossier.calls {
            told(talk, turn, call, found);
        }
    }
}

/// The history has them in the order of their ends.
fn history(talk: &Talk<'_>, found: &mut Found) {
    let stands: Vec<_> = talk.session.turns.iter().filter_map(|one| talk.turn(one.id)).collect();
    for (earlier, later) in stands.iter().zip(stands.iter().skip(1)) {
        if earlier.record.seq > later.record.seq {
            let detail = format!("{} stands behind it and ended before it", later.id.job());
            found.add(Rule::TurnOutOfOrder, earlier.id, detail);
        }
    }
}

/// Nobody had its turn before those that stood ahead of it. A line may be joined once more by who had ended already: that
/// place counts for nothing.
fn in_line(talk: &Talk<'_>, line: &Jobs, found: &mut Found) {
    let stood: Vec<_> = line.jobs.iter().filter_map(|id| talk.turn(*id)).filter(|turn| turn.has_ended()).collect();
    for (place, behind) in stood.iter().enumerate() {
        if !behind.has_run() || behind.record.written <= line.written {
            continue;
        }
        for ahead in stood[..place].iter().filter(|ahead| ahead.record.seq > behind.record.seq) {
            found.add(
                Rule::TurnOutOfOrder,
                behind.id,
                format!("{} stood ahead of it and ended after it", ahead.id.job()),
            );
        }
    }
}

/// The later one neither is claimed nor calls before the earlier one has ended, whatever became of the worker of either.
fn apart(earlier: &Turn<'_>, later: &Turn<'_>, found: &mut Found) {
    let mut claims = later.dossier.versions.iter().filter(|version| !version.attempts.is_empty());
    if let Some(claim) = claims.find(|version| version.seq < earlier.record.seq) {
        let detail =
            format!("it was claimed at {}, {} ended at {}", claim.written, earlier.id.job(), earlier.record.written);
        found.add(Rule::TurnsInterleaved, later.id, detail);
    }
    if let Some(call) = later.dossier.calls.iter().find(|call| call.started < earlier.record.written) {
        let detail =
            format!("it was called at {}, {} ended at {}", call.started, earlier.id.job(), earlier.record.written);
        found.add(Rule::TurnsInterleaved, later.id, detail);
    }
}

/// Who was accepted before another was submitted comes before it, unless it was not to be started at once.
fn accepted(earlier: &Turn<'_>, later: &Turn<'_>, found: &mut Found) {
    let accepted = later.dossier.clients.iter().filter_map(|client| client.accepted()).min();
    let before = accepted.is_some_and(|at| at.after(ESTIMATE) < earlier.record.created);
    if before && !later.record.delayed {
        let detail = format!("it was accepted before {} was submitted, which ended before it", earlier.id.job());
        found.add(Rule::TurnOutOfOrder, later.id, detail);
    }
}

/// A call is told what every turn that had ended before it had added, each once, in order, and then its own words.
fn told(talk: &Talk<'_>, turn: &Turn<'_>, call: &Call, found: &mut Found) {
    let before = talk.answered().filter(|one| one.record.seq < turn.record.seq);
    let expected: Vec<_> = before.filter_map(Turn::said).flatten().chain(turn.said().map(|[asked, _]| asked)).collect();
    if call.told == expected {
        return;
    }
    let differs = call.told.iter().zip(&expected).position(|(told, expected)| told != expected);
    let place = differs.unwrap_or(call.told.len().min(expected.len()));
    let word = |text: Option<&str>| text.unwrap_or("nothing").to_owned();
    let detail = format!(
        "its call at {} was told {} messages instead of {}; at {}: {:?} instead of {:?}",
        call.started,
        call.told.len(),
        expected.len(),
        place + 1,
        word(call.told.get(place).map(String::as_str)),
        word(expected.get(place).copied()),
    );
    found.add(Rule::PromptDiffers, turn.id, detail);
}

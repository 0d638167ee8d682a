//! What stands in a session's history and line after everything has come to rest.

use std::collections::BTreeMap;

use super::Talk;
use crate::check::{Found, Rule};
use crate::history::Jobs;

pub(super) fn check(talk: &Talk<'_>, found: &mut Found) {
    answered(talk, found);
    others(talk, found);
    numbers(talk, found);
    versions(&talk.session.histories, found);
    for id in &talk.session.line {
        let phase = talk.turn(*id).map_or("unknown".to_owned(), |turn| turn.record.phase.to_string());
        found.add(Rule::LineLeft, *id, format!("it is {phase} and still stands in its session's line"));
    }
}

/// Every answered turn stands there once, with what was said.
fn answered(talk: &Talk<'_>, found: &mut Found) {
    for turn in talk.answered() {
        let stands: Vec<_> = talk.session.turns.iter().filter(|one| one.id == turn.id).collect();
        match stands[..] {
            [] => found.add(Rule::TurnLost, turn.id, "it was answered and is not in its session's history"),
            [one] if turn.said().is_some_and(|said| one.said != said) => {
                let detail = format!("its session has {:?}, said was {:?}", one.said, turn.said());
                found.add(Rule::TurnDiffers, turn.id, detail);
            }
            [_] => {}
            _ => {
                found.add(Rule::TurnDoubled, turn.id, format!("it is in its session's history {} times", stands.len()))
            }
        }
    }
}

/// And no other one does.
fn others(talk: &Talk<'_>, found: &mut Found) {
    for one in &talk.session.turns {
        let turn = talk.turn(one.id);
        if !turn.is_some_and(super::Turn::is_answered) {
            let phase = turn.map_or("no turn of it".to_owned(), |turn| turn.record.phase.to_string());
            found.add(Rule::TurnUnanswered, one.id, format!("it is in its session's history and is {phase}"));
        }
    }
}

/// Turns are numbered from 1 on without a gap, and each job was told its number.
fn numbers(talk: &Talk<'_>, found: &mut Found) {
    for (number, one) in (1..).zip(&talk.session.turns) {
        let told = talk.turn(one.id).and_then(|turn| turn.record.turn);
        if one.number != Some(number) || told != one.number {
            let detail = format!("turn {number} has the number {:?}, its result says {told:?}", one.number);
            found.add(Rule::TurnMisnumbered, one.id, detail);
        }
    }
    if talk.session.appended != talk.session.turns.len() as u64 {
        let last = talk.session.turns.last().map(|one| one.id);
        let detail = format!("{} turns are kept of {}", talk.session.turns.len(), talk.session.appended);
        found.add(Rule::TurnMisnumbered, last, detail);
    }
}

/// Every version of a history goes on from the one before it.
fn versions(histories: &[Jobs], found: &mut Found) {
    for (earlier, later) in histories.iter().zip(histories.iter().skip(1)) {
        let kept: BTreeMap<_, _> = later.jobs.iter().enumerate().collect();
        if let Some((_, gone)) = earlier.jobs.iter().enumerate().find(|(place, id)| kept.get(place) != Some(id)) {
            found.add(Rule::SessionRewritten, *gone, format!("it was in its place until {}", later.written));
        }
    }
}

//! Sessions: every answered turn is in its session's history, once, with what was said; turns come one after the other, in
//! the order of their line; and each was told all that was said before it, and nothing else.

mod order;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use schemas::id::JobId;
use schemas::state::Phase;

use super::{Dossier, Found};
use crate::history::{History, Record, Session};

pub(super) fn check(history: &History, dossiers: &BTreeMap<JobId, Dossier<'_>>, found: &mut Found) {
    let mut turns: BTreeMap<&str, Vec<Turn<'_>>> = BTreeMap::new();
    for (id, dossier) in dossiers {
        let Some((record, key)) = dossier.record.and_then(|record| Some((record, record.session.as_deref()?))) else {
            continue;
        };
        turns.entry(key).or_default().push(Turn { id: *id, record, dossier });
    }
    let keys: BTreeSet<_> = turns.keys().copied().chain(history.sessions.keys().map(String::as_str)).collect();
    let unseen = Session::default();
    for key in keys {
        let mut turns = turns.remove(key).unwrap_or_default();
        turns.sort_by_key(|turn| turn.record.seq);
        let talk = Talk { session: history.sessions.get(key).unwrap_or(&unseen), turns };
        standing::check(&talk, found);
        order::check(&talk, found);
    }
}

/// All that is known of one session.
struct Talk<'a> {
    session: &'a Session,
    /// Its jobs, in the order of their last records.
    turns: Vec<Turn<'a>>,
}

/// One job of it.
struct Turn<'a> {
    id: JobId,
    record: &'a Record,
    dossier: &'a Dossier<'a>,
}

impl<'a> Talk<'a> {
    fn turn(&self, id: JobId) -> Option<&Turn<'a>> {
        self.turns.iter().find(|turn| turn.id == id)
    }

    /// Those that were answered, in the order of their ends: what its history is to be.
    fn answered(&self) -> impl Iterator<Item = &Turn<'a>> {
        self.turns.iter().filter(|turn| turn.is_answered())
    }
}

impl Turn<'_> {
    /// A turn that failed, was cancelled or expired adds nothing to its session.
    fn is_answered(&self) -> bool {
        matches!(self.record.phase, Phase::Completed | Phase::Incomplete)
    }

    fn has_ended(&self) -> bool {
        self.record.phase.is_terminal()
    }

    /// Whether it had its turn. One that is cancelled or expires in the line does not wait for it.
    fn has_run(&self) -> bool {
        !self.record.attempts.is_empty() || !self.dossier.calls.is_empty()
    }

    /// What it adds to its session, by what its calls were told and what its record answers; `None` without any call.
    fn said(&self) -> Option<[&str; 2]> {
        let asked = self.dossier.calls.first()?.told.last()?;
        Some([asked, self.record.output.as_deref().unwrap_or_default()])
    }
}

//! What operators did and tried to do, for the record: lines of the target `audit`.

use crate::telegram::{Person, Spot};

/// Something that was done, or refused by what it was to change.
pub(super) struct Entry<'a> {
    pub(super) person: &'a Person,
    pub(super) spot: &'a Spot,
    pub(super) action: &'a str,
    pub(super) about: &'a [String],
    pub(super) outcome: &'a str,
}

/// Writes down what somebody did.
pub(super) fn acted(entry: &Entry<'_>) {
    let Entry { person, spot, action, about, outcome } = entry;
    let about = about.join(",");
    tracing::info!(
        target: "audit",
        { user.id = person.id, user.name = person.name, chat.id = spot.chat, action, incident = about, outcome },
        "operator acted"
    );
}

/// Writes down that somebody was turned away; `unsaid` others were since the last such line, and are not written down.
pub(super) fn refused(person: Option<&Person>, spot: Option<&Spot>, verdict: &str, unsaid: u64) {
    tracing::warn!(
        target: "audit",
        {
            user.id = person.map(|person| person.id),
            chat.id = spot.map(|spot| spot.chat),
            outcome = verdict,
            unsaid,
        },
        "operator refused"
    );
}

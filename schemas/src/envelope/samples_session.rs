//! Fixed values of sessions, and of a record whose job was a turn of one.

use std::collections::BTreeMap;

use super::samples::{at, state as plain_state};
use crate::chat::{ChatRequest, Message, Role};
use crate::id::JobId;
use crate::job::{Kept, Payload};
use crate::session::{History, Summary, Turn, TurnQueue};
use crate::state::{JobResult, JobState};

fn id(number: u128) -> JobId {
    JobId::new(at(0), number)
}

/// A history with one of everything.
pub(super) fn history() -> History {
    let turn = |number: u32| Turn {
        id: id(number.into()),
        number: Some(number.into()),
        messages: vec![Message::text(Role::User, "a"), Message::text(Role::Assistant, "b")],
        tokens: 10,
        bytes: 200,
        at: at(i64::from(number)),
    };
    let summary = Summary { text: "s".to_owned(), covers_turns: 5, made_at: at(7) };
    History {
        turns: vec![turn(6), Turn { number: None, ..turn(7) }],
        appended: 6,
        recent: vec![id(5), id(6)],
        summary: Some(summary),
        metadata: BTreeMap::from([("topic".to_owned(), "t".to_owned())]),
        updated_at: at(8),
        deleted: true,
        ..History::new("s-1", at(0))
    }
}

/// A line of two.
pub(super) fn queue() -> TurnQueue {
    TurnQueue { waiting: vec![id(7), id(8)] }
}

/// A record of a turn.
pub(super) fn state() -> JobState {
    let messages = vec![Message::text(Role::User, "a")];
    let request = Payload::Inline(Box::new(ChatRequest { messages, ..ChatRequest::default() }));
    let kept = Kept { surface: None, request: Some(request) };
    let result = JobResult { turn: Some(6), kept: Some(Box::new(kept)), ..JobResult::default() };
    JobState { result: Some(Box::new(result)), ..plain_state() }
}

//! Fixed values of sessions, and of a record whose job was a turn of one.

use std::collections::BTreeMap;

use super::samples::{at, job, state as plain_state};
use crate::chat::{ChatRequest, Message, Role};
use crate::id::JobId;
use crate::job::{Job, JobHead, Kept, Payload};
use crate::session::{Asked, History, Summary, SummaryRange, Turn, TurnQueue};
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

/// A history with everything that summaries added.
pub(super) fn summed_up() -> History {
    let cut_summary = Summary { text: "r".to_owned(), covers_turns: 4, made_at: at(6) };
    let asked = Asked { up_to: 6, at: at(8), before: 1 };
    let (cut_summary, asked) = (Some(cut_summary), Some(asked));
    History { cut_summary, asked, unsummarized: true, cleared_turns: 3, ..history() }
}

/// A job that sums up.
pub(super) fn summary_job() -> Job {
    let range = SummaryRange { session: "s-1".to_owned(), began: at(0), after: 5, up_to: 6 };
    let plain = job();
    let head = JobHead { session: None, summarizes: Some(Box::new(range)), ..plain.head };
    Job { head, request: Payload::Inline(Box::default()), ..plain }
}

/// A record of a turn that was told a summary.
pub(super) fn told_state() -> JobState {
    let kept = Kept { surface: None, request: None, summarize: Some(false) };
    let result = JobResult { summary_turns: Some(4), kept: Some(Box::new(kept)), ..JobResult::default() };
    JobState { result: Some(Box::new(result)), ..plain_state() }
}

/// A line of two.
pub(super) fn queue() -> TurnQueue {
    TurnQueue { waiting: vec![id(7), id(8)] }
}

/// A record of a turn.
pub(super) fn state() -> JobState {
    let messages = vec![Message::text(Role::User, "a")];
    let request = Payload::Inline(Box::new(ChatRequest { messages, ..ChatRequest::default() }));
    let kept = Kept { surface: None, request: Some(request), summarize: None };
    let result = JobResult { turn: Some(6), kept: Some(Box::new(kept)), ..JobResult::default() };
    JobState { result: Some(Box::new(result)), ..plain_state() }
}

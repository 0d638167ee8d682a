//! Deltas, to a client's stream of numbered events.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::output::Output;
use super::output_item::Event;
use super::response::{self, End};
use super::{Reply, Status};
use crate::chat::{Extra, FinishReason, Usage};
use crate::delta::Delta;
use crate::error::{ErrorCode, Failure};

/// Numbers of events that one run of a job has. More events than this no answer within its size limit makes.
const GENERATION: u64 = 1_000_000;

/// Deltas to a client's stream. Every method gives bytes to send, possibly none. The same calls give the same events
/// with the same numbers, so that a resumed stream is the whole stream written again less what was seen.
#[derive(Debug)]
pub struct StreamEncoder {
    reply: Reply,
    /// The number of the last event that the client has seen.
    seen: Option<u64>,
    /// The number of the first event.
    first: u64,
    /// The number of the next event.
    next: u64,
    progress: Progress,
    output: Output,
    finish: Option<(FinishReason, Extra)>,
    usage: Option<Usage>,
}

/// How far the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was sent.
    New,
    /// The response was begun.
    Open,
    /// All items are done.
    Finished,
    /// The end or an error was sent.
    Closed,
}

impl StreamEncoder {
    /// An encoder of one answer that leaves out the events up to the number `starting_after`.
    #[must_use]
    pub fn new(reply: Reply, starting_after: Option<u64>) -> Self {
        let output = Output::new(&reply);
        let progress = Progress::New;
        Self { reply, seen: starting_after, first: 0, next: 0, progress, output, finish: None, usage: None }
    }

    /// The number that the next event will have.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// The pieces from here on are those of a run after `generation` others that may have been heard of, each of which has
    /// a million numbers of its own. A stream that has begun and said nothing yet begins again: the jump in the numbers
    /// tells a client that what it saw before is void.
    pub fn generation(&mut self, generation: u32) {
        let first = u64::from(generation) * GENERATION;
        let silent = self.progress == Progress::New || (self.progress == Progress::Open && self.output.is_empty());
        if first > self.first && silent {
            (self.first, self.next, self.progress) = (first, first, Progress::New);
        }
    }

    /// The events that begin every stream, to be sent before the first delta is there; later calls give nothing.
    pub fn open(&mut self) -> Bytes {
        let mut out = Vec::new();
        self.begin(&mut out);
        out.into()
    }

    /// The next piece. Usage is kept for [`Self::end`]; nothing is said after a finish.
    pub fn encode(&mut self, delta: &Delta) -> Bytes {
        if let Delta::Usage { usage } = delta {
            self.usage = Some(*usage);
        }
        if matches!(self.progress, Progress::Finished | Progress::Closed) || matches!(delta, Delta::Usage { .. }) {
            return Bytes::new();
        }
        let (mut out, mut events) = (Vec::new(), Vec::new());
        self.begin(&mut out);
        self.output.push(delta, &mut events);
        events.into_iter().for_each(|event| self.send(&mut out, event));
        if let Delta::Finish { reason, extra } = delta {
            self.progress = Progress::Finished;
            self.finish = Some((*reason, extra.clone()));
        }
        out.into()
    }

    /// The clean end: the event with the whole response. Without a finish before it, a failure; where the client has seen
    /// events of a later run than the one that is told, the end of this stream alone.
    pub fn end(&mut self) -> Bytes {
        let Some((finish, extra)) = self.finish.take() else {
            return self.error(&Failure::new(ErrorCode::Internal, "the answer broke off before its end"));
        };
        if self.progress == Progress::Closed {
            return Bytes::new();
        }
        if self.seen.is_some_and(|seen| seen / GENERATION > self.first / GENERATION) {
            let message = "an earlier run of the response is its result: read it from its start";
            return self.abort(&Failure::new(ErrorCode::ProviderInvalidResponse, message));
        }
        let end = End { finish, usage: self.usage, extra };
        let cut = matches!(finish, FinishReason::Length | FinishReason::ContentFilter);
        let kind = if cut { "response.incomplete" } else { "response.completed" };
        let mut out = Vec::new();
        self.conclude(&mut out, kind, &Status::Completed, Some(&end));
        out.into()
    }

    /// The end by an error: the response itself failed, or was cancelled. Nothing may follow it, and no later call gives
    /// bytes. What was said before is not kept with a failure, so that its number told anew may be one of those seen: it
    /// is told with a number behind them.
    pub fn error(&mut self, failure: &Failure) -> Bytes {
        if self.progress == Progress::Closed {
            return Bytes::new();
        }
        let mut out = Vec::new();
        self.begin(&mut out);
        self.output.cut();
        self.next = self.seen.map_or(self.next, |seen| self.next.max(seen.saturating_add(1)));
        let status = match failure.code {
            // The API has no event of its own for it.
            ErrorCode::Cancelled => Status::Cancelled,
            _ => Status::Failed(failure.clone()),
        };
        self.conclude(&mut out, "response.failed", &status, None);
        out.into()
    }

    /// The end of this stream alone: the response may still go on, or cannot be told any more. It is none of the
    /// response's events and bears the number of the last one that the client has, so that going on behind it loses none.
    pub fn abort(&mut self, failure: &Failure) -> Bytes {
        let mut out = Vec::new();
        if self.progress != Progress::Closed {
            self.progress = Progress::Closed;
            let code: &str = failure.code.into();
            let fields = json!({"code": code, "message": failure.message, "param": failure.param});
            let last = self.next.saturating_sub(1).max(self.seen.unwrap_or(0));
            write(&mut out, last, Event::new("error", fields));
        }
        out.into()
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.progress != Progress::New {
            return;
        }
        self.progress = Progress::Open;
        let response = response::body(&self.reply, &Status::InProgress, Vec::new(), None);
        for kind in ["response.created", "response.in_progress"] {
            self.send(out, Event::new(kind, json!({"response": response})));
        }
    }

    /// The last event. The moment of the end is not told: a replay could not repeat it.
    fn conclude(&mut self, out: &mut Vec<u8>, kind: &'static str, status: &Status, end: Option<&End>) {
        self.progress = Progress::Closed;
        self.reply.completed_at = None;
        let output = std::mem::replace(&mut self.output, Output::new(&self.reply));
        let output = output.into_values();
        let response = response::body(&self.reply, status, output, end);
        self.send(out, Event::new(kind, json!({"response": response})));
    }

    /// Numbers an event, and writes it unless the client has seen it.
    fn send(&mut self, out: &mut Vec<u8>, event: Event) {
        let number = self.next;
        self.next += 1;
        if self.seen.is_some_and(|seen| number <= seen) {
            return;
        }
        write(out, number, event);
    }
}

fn write(out: &mut Vec<u8>, number: u64, event: Event) {
    let Event { kind, fields } = event;
    let mut body = Map::from_iter([("type".to_owned(), json!(kind)), ("sequence_number".to_owned(), json!(number))]);
    body.extend(fields);
    out.extend_from_slice(format!("event: {kind}\ndata: {}\n\n", Value::Object(body)).as_bytes());
}

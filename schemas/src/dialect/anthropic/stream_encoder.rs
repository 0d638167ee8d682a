//! Deltas, to a client's stream of events.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::stream_calls::{Item, Scan, Waiting};
use super::usage::{self, USAGE};
use super::words::{Said, encode_stop};
use super::{NAME, Reply, blocks, citations, encode_error};
use crate::chat::{Extra, FinishReason, Reasoning, Usage};
use crate::delta::Delta;
use crate::dialect::carry::carried;
use crate::dialect::proof;
use crate::error::{ErrorCode, Failure};

/// What belongs to the whole event `message_delta` and not into its `delta`.
const OF_EVENT: [&str; 2] = ["context_management", "input_transformations"];

/// Deltas to a client's stream. Every method gives bytes to send, possibly none.
#[derive(Debug)]
pub struct StreamEncoder {
    reply: Reply,
    progress: Progress,
    /// The block that runs.
    open: Option<Open>,
    /// The index of the next block.
    next: u32,
    waiting: Waiting,
    said: Said,
    usage: Option<Usage>,
    out: Vec<u8>,
}

/// How far the stream is.
#[derive(Debug, Clone, PartialEq)]
enum Progress {
    /// Nothing was sent.
    New,
    /// `message_start` was sent.
    Open,
    /// The answer is whole. Its end waits for the usage.
    Finished(FinishReason, Extra),
    /// The end or an error was sent.
    Closed,
}

/// A block that runs.
#[derive(Debug)]
enum Open {
    Text,
    Refusal,
    Thinking,
    Call {
        index: u32,
        scan: Scan,
    },
    /// Nothing goes on with it.
    Whole,
}

impl StreamEncoder {
    /// An encoder of one answer.
    #[must_use]
    pub fn new(reply: Reply) -> Self {
        Self {
            reply,
            progress: Progress::New,
            open: None,
            next: 0,
            waiting: Waiting::default(),
            said: Said::default(),
            usage: None,
            out: Vec::new(),
        }
    }

    /// The next piece. Usage is kept for [`Self::end`]; nothing is said after a finish.
    pub fn encode(&mut self, delta: &Delta) -> Bytes {
        if let Delta::Usage { usage } = delta {
            self.usage = Some(*usage);
            return Bytes::new();
        }
        if matches!(self.progress, Progress::Finished(..) | Progress::Closed) {
            return Bytes::new();
        }
        if self.progress == Progress::New {
            self.start();
        }
        let has_room = match delta {
            Delta::Start { .. } | Delta::Logprobs { .. } | Delta::Usage { .. } => true,
            Delta::Finish { reason, extra } => {
                self.close();
                self.drain(true);
                self.progress = Progress::Finished(*reason, extra.clone());
                true
            }
            other => self.take(other),
        };
        if !has_room {
            return self.error(&Failure::new(ErrorCode::Internal, "parallel tool calls take more than can be held"));
        }
        self.flush()
    }

    /// The clean end: `message_delta` and `message_stop`. Without a finish before it, an error event.
    pub fn end(&mut self) -> Bytes {
        let Progress::Finished(reason, extra) = &self.progress else {
            return self.error(&Failure::new(ErrorCode::Internal, "the answer broke off before its end"));
        };
        let own = carried(extra, NAME);
        let mut delta = Map::from_iter(encode_stop(*reason, own, self.said));
        let mut event = Map::from_iter([("type".to_owned(), json!("message_delta"))]);
        for (name, value) in own.into_iter().flatten().filter(|(name, _)| *name != USAGE) {
            let place = if OF_EVENT.contains(&name.as_str()) { &mut event } else { &mut delta };
            place.entry(name.clone()).or_insert_with(|| value.clone());
        }
        event.insert("delta".to_owned(), Value::Object(delta));
        event.insert(USAGE.to_owned(), usage::encode(self.usage.as_ref(), own));
        self.event(&Value::Object(event));
        self.event(&json!({"type": "message_stop"}));
        self.progress = Progress::Closed;
        self.flush()
    }

    /// The end by an error. Nothing may follow it, and no later call gives bytes.
    pub fn error(&mut self, failure: &Failure) -> Bytes {
        if self.progress == Progress::Closed {
            return Bytes::new();
        }
        self.progress = Progress::Closed;
        self.event(&encode_error(failure));
        self.flush()
    }

    fn start(&mut self) {
        self.progress = Progress::Open;
        let Reply { id, model, input_tokens } = &self.reply;
        let usage = Usage { input_tokens: *input_tokens, ..Usage::default() };
        let message = json!({
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage::encode(Some(&usage), None),
        });
        self.event(&json!({"type": "message_start", "message": message}));
        self.event(&json!({"type": "ping"}));
    }

    /// Says `delta`, or lets it wait. `false` when there is no room for it.
    fn take(&mut self, delta: &Delta) -> bool {
        let Some(Open::Call { index, scan }) = &mut self.open else {
            self.say(delta);
            return true;
        };
        if let Delta::ToolCallArguments { index: of, text } = delta
            && of == index
        {
            scan.feed(text);
            self.piece(&json!({"type": "input_json_delta", "partial_json": text}));
        } else if !self.waiting.push(delta) {
            return false;
        }
        self.drain(false);
        true
    }

    /// Says what waits, as far as calls are whole; all of it when the answer is.
    fn drain(&mut self, finished: bool) {
        while !self.waiting.is_empty() {
            match &self.open {
                Some(Open::Call { scan, .. }) if !finished && !scan.is_whole() => return,
                Some(Open::Call { .. }) => self.close(),
                _ => {}
            }
            match self.waiting.pop() {
                Some(Item::Call { index, id, name, extra, arguments }) => {
                    self.start_call(index, &id, &name, &extra);
                    if !arguments.is_empty() {
                        self.say(&Delta::ToolCallArguments { index, text: arguments });
                    }
                }
                Some(Item::Other(delta)) => self.say(&delta),
                None => {}
            }
        }
        if finished {
            self.close();
        }
    }

    /// Says `delta` now.
    fn say(&mut self, delta: &Delta) {
        match delta {
            Delta::Text { text } => self.text(text, false),
            Delta::Refusal { text } => self.text(text, true),
            Delta::Reasoning { text } => {
                self.thinking();
                self.piece(&json!({"type": "thinking_delta", "thinking": text}));
            }
            Delta::ReasoningSignature { signature, dialect, id, redacted } => {
                let (signature, dialect) = (Some(signature.clone()), dialect.clone());
                let proof =
                    Reasoning { signature, dialect, id: id.clone(), redacted: *redacted, ..Reasoning::default() };
                self.proof(&proof);
            }
            Delta::Break => self.close(),
            Delta::Annotation { dialect, value } => self.citation(dialect, value),
            Delta::Opaque { dialect, value } if dialect == NAME => self.opaque(value),
            Delta::ToolCallStart { index, id, name, extra } => self.start_call(*index, id, name, extra),
            Delta::ToolCallArguments { text, .. } => {
                if let Some(Open::Call { scan, .. }) = &mut self.open {
                    scan.feed(text);
                    self.piece(&json!({"type": "input_json_delta", "partial_json": text}));
                }
            }
            Delta::Opaque { .. } | Delta::Logprobs { .. } => {}
            Delta::Start { .. } | Delta::Finish { .. } | Delta::Usage { .. } => {}
        }
    }

    fn text(&mut self, text: &str, refuses: bool) {
        let goes_on =
            if refuses { matches!(self.open, Some(Open::Refusal)) } else { matches!(self.open, Some(Open::Text)) };
        if !goes_on {
            self.said.refusal |= refuses;
            let open = if refuses { Open::Refusal } else { Open::Text };
            self.begin(&blocks::text("", &Extra::new()), open);
        }
        self.piece(&json!({"type": "text_delta", "text": text}));
    }

    /// A citation of the text that runs; one that comes later finds its block closed.
    fn citation(&mut self, dialect: &str, value: &Value) {
        let citation = citations::for_client(dialect, value).filter(|_| matches!(self.open, Some(Open::Text)));
        if let Some(citation) = citation {
            self.piece(&json!({"type": "citations_delta", "citation": citation}));
        }
    }

    fn thinking(&mut self) {
        if !matches!(self.open, Some(Open::Thinking)) {
            self.begin(&blocks::thinking("", ""), Open::Thinking);
        }
    }

    fn proof(&mut self, proof: &Reasoning) {
        let Some(slot) = proof::wrap(proof, NAME) else { return };
        if proof.redacted {
            return self.whole(&blocks::redacted(&slot));
        }
        self.thinking();
        self.piece(&json!({"type": "signature_delta", "signature": slot}));
    }

    fn start_call(&mut self, index: u32, id: &str, name: &str, extra: &Extra) {
        self.said.calls = true;
        self.begin(&blocks::tool_use(id, name, json!({}), extra), Open::Call { index, scan: Scan::default() });
    }

    /// A whole block of this dialect. Libraries add the input of a call up from pieces.
    fn opaque(&mut self, value: &Value) {
        let is_call = value.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("tool_use"));
        let input = value.get("input").filter(|_| is_call);
        let Some(input) = input else { return self.whole(value) };
        let mut start = value.clone();
        start["input"] = json!({});
        self.begin(&start, Open::Whole);
        let text = input.as_str().map_or_else(|| input.to_string(), str::to_owned);
        self.piece(&json!({"type": "input_json_delta", "partial_json": text}));
        self.close();
    }

    /// A block begins and ends.
    fn whole(&mut self, block: &Value) {
        self.begin(block, Open::Whole);
        self.close();
    }

    /// A block begins; the one that runs ends by that.
    fn begin(&mut self, block: &Value, open: Open) {
        self.close();
        self.event(&json!({"type": "content_block_start", "index": self.next, "content_block": block}));
        self.open = Some(open);
    }

    /// The block that runs, if one does, ends.
    fn close(&mut self) {
        if self.open.take().is_some() {
            self.event(&json!({"type": "content_block_stop", "index": self.next}));
            self.next = self.next.saturating_add(1);
        }
    }

    /// A piece of the block that runs.
    fn piece(&mut self, delta: &Value) {
        self.event(&json!({"type": "content_block_delta", "index": self.next, "delta": delta}));
    }

    fn event(&mut self, body: &Value) {
        let kind = body.get("type").and_then(Value::as_str).unwrap_or_default();
        self.out.extend_from_slice(format!("event: {kind}\ndata: {body}\n\n").as_bytes());
    }

    fn flush(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }
}

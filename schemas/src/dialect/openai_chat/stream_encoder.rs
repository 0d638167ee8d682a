//! Deltas, to a client's stream of chunks.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::annotations::Annotations;
use super::calls::{self, CUSTOM, is_custom};
use super::response::{CHOICE, LOGPROBS, USAGE, encode_logprobs, message_fields, of_answer};
use super::words::{encode_usage, finish_word};
use super::{NAME, Reply, encode_error};
use crate::chat::{Extra, FinishReason, ToolCall, Usage};
use crate::delta::{ANNOTATIONS, Delta};
use crate::dialect::carry::{carried, fill};
use crate::error::{ErrorCode, Failure};

/// Of what is told with the finish reason, the fields that libraries look for in the last chunk of all.
const IN_EVERY_CHUNK: [&str; 2] = ["service_tier", "system_fingerprint"];

/// Deltas to a client's stream. Every method gives bytes to send, possibly none.
#[derive(Debug)]
pub struct StreamEncoder {
    reply: Reply,
    progress: Progress,
    usage: Option<Usage>,
    /// What the end told beside its reason, for this dialect.
    own: Map<String, Value>,
    annotations: Annotations,
    /// Text that waits for its log probabilities, of a client that asked for them.
    held: Option<String>,
    /// The calls of the `custom` kind.
    custom: BTreeSet<u32>,
}

/// How far the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Nothing was sent.
    New,
    /// The role was sent.
    Open,
    /// The finish reason was sent.
    Finished,
    /// The end or an error was sent.
    Closed,
}

impl StreamEncoder {
    /// An encoder of one answer.
    #[must_use]
    pub fn new(reply: Reply) -> Self {
        Self {
            reply,
            progress: Progress::New,
            usage: None,
            own: Map::new(),
            annotations: Annotations::default(),
            held: None,
            custom: BTreeSet::new(),
        }
    }

    /// The next piece. Usage is kept for [`Self::end`]; nothing is said after a finish.
    pub fn encode(&mut self, delta: &Delta) -> Bytes {
        if let Delta::Usage { usage } = delta {
            self.usage = Some(*usage);
        }
        let mut out = Vec::new();
        if matches!(self.progress, Progress::Finished | Progress::Closed) || matches!(delta, Delta::Usage { .. }) {
            return Bytes::new();
        }
        if self.progress == Progress::New {
            self.progress = Progress::Open;
            self.chunk(&mut out, &json!({"role": "assistant", "content": "", "refusal": null}), &Value::Null);
        }
        if let Delta::Logprobs { tokens } = delta {
            let said = self.held.take().map_or_else(|| json!({}), |text| json!({"content": text}));
            self.chunk(&mut out, &said, &encode_logprobs(tokens, None));
            return out.into();
        }
        self.release(&mut out);
        match delta {
            Delta::Finish { reason, extra } => self.finish(&mut out, *reason, extra),
            other => self.piece(&mut out, other),
        }
        out.into()
    }

    /// The clean end: the usage chunk when asked for, and `[DONE]`. Without a finish before it, an error event.
    pub fn end(&mut self) -> Bytes {
        if self.progress != Progress::Finished {
            return self.error(&Failure::new(ErrorCode::Internal, "the answer broke off before its end"));
        }
        self.progress = Progress::Closed;
        let mut out = Vec::new();
        if self.reply.options.include_usage {
            let beside = carried(&self.own, USAGE);
            let usage = self.usage.as_ref().map_or(Value::Null, |usage| encode_usage(usage, beside));
            let mut more = of_answer(&self.own);
            more.retain(|name, _| IN_EVERY_CHUNK.contains(&name.as_str()));
            self.event(&mut out, &json!([]), &usage, &more);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        out.into()
    }

    /// The end by an error. Nothing may follow it, and no later call gives bytes.
    pub fn error(&mut self, failure: &Failure) -> Bytes {
        if self.progress == Progress::Closed {
            return Bytes::new();
        }
        let mut out = Vec::new();
        self.release(&mut out);
        self.progress = Progress::Closed;
        out.extend_from_slice(format!("data: {}\n\n", encode_error(failure)).as_bytes());
        out.into()
    }

    /// Sends the text that waits, without log probabilities.
    fn release(&mut self, out: &mut Vec<u8>) {
        if let Some(text) = self.held.take() {
            self.chunk(out, &json!({"content": text}), &Value::Null);
        }
    }

    fn piece(&mut self, out: &mut Vec<u8>, delta: &Delta) {
        match delta {
            Delta::Text { text } => {
                self.annotations.text(text);
                if self.reply.options.logprobs {
                    self.held = Some(text.clone());
                    return;
                }
            }
            Delta::Annotation { dialect, value } => self.annotations.add(dialect, value),
            _ => self.annotations.end_block(),
        }
        if let Some(said) = self.said(delta) {
            self.chunk(out, &said, &Value::Null);
        }
    }

    /// The chunk's delta, `None` for what this dialect cannot say, or says at the end.
    fn said(&mut self, delta: &Delta) -> Option<Value> {
        let legacy = self.reply.options.legacy_functions;
        Some(match delta {
            Delta::Text { text } => json!({"content": text}),
            Delta::Reasoning { text } => json!({"reasoning_content": text}),
            Delta::Refusal { text } => json!({"refusal": text}),
            Delta::ToolCallStart { index: 0, name, .. } if legacy => {
                json!({"function_call": {"name": name, "arguments": ""}})
            }
            Delta::ToolCallArguments { index: 0, text } if legacy => json!({"function_call": {"arguments": text}}),
            Delta::ToolCallStart { .. } | Delta::ToolCallArguments { .. } if legacy => return None,
            Delta::ToolCallStart { index, id, name, extra } => self.call(*index, id, name, extra),
            Delta::ToolCallArguments { index, text } if self.custom.contains(index) => {
                json!({"tool_calls": [{"index": index, CUSTOM: {"input": text}}]})
            }
            Delta::ToolCallArguments { index, text } => {
                json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
            }
            Delta::Opaque { dialect, value } => Value::Object(message_fields(dialect, value)?),
            Delta::Start { .. }
            | Delta::ReasoningSignature { .. }
            | Delta::Break
            | Delta::Logprobs { .. }
            | Delta::Annotation { .. }
            | Delta::Finish { .. }
            | Delta::Usage { .. } => return None,
        })
    }

    fn call(&mut self, index: u32, id: &str, name: &str, extra: &Extra) -> Value {
        if is_custom(extra) {
            self.custom.insert(index);
        }
        let call = ToolCall { id: id.to_owned(), name: name.to_owned(), ..ToolCall::default() };
        let mut body = Map::from_iter([("index".to_owned(), json!(index))]);
        if let Value::Object(call) = calls::encode_call(&call, carried(extra, NAME).unwrap_or(&Map::new())) {
            body.extend(call);
        }
        json!({"tool_calls": [body]})
    }

    /// The annotations, in one chunk: libraries do not add them up. Then the finish reason and what came with it.
    fn finish(&mut self, out: &mut Vec<u8>, reason: FinishReason, extra: &Extra) {
        let annotations = self.annotations.take();
        if !annotations.is_empty() {
            self.chunk(out, &json!({ANNOTATIONS: annotations}), &Value::Null);
        }
        self.progress = Progress::Finished;
        self.own = carried(extra, NAME).cloned().unwrap_or_default();
        let mut choice = Map::from_iter([
            ("index".to_owned(), json!(0)),
            ("delta".to_owned(), json!({})),
            ("logprobs".to_owned(), encode_logprobs(&[], carried(&self.own, LOGPROBS))),
            ("finish_reason".to_owned(), json!(finish_word(reason, self.reply.options.legacy_functions))),
        ]);
        fill(&mut choice, carried(&self.own, CHOICE).unwrap_or(&Map::new()));
        self.event(out, &json!([choice]), &Value::Null, &of_answer(&self.own));
    }

    fn chunk(&self, out: &mut Vec<u8>, delta: &Value, logprobs: &Value) {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": null}]);
        self.event(out, &choices, &Value::Null, &Map::new());
    }

    fn event(&self, out: &mut Vec<u8>, choices: &Value, usage: &Value, more: &Map<String, Value>) {
        let Reply { id, created, model, options } = &self.reply;
        let mut body = Map::from_iter([
            ("id".to_owned(), json!(id)),
            ("object".to_owned(), json!("chat.completion.chunk")),
            ("created".to_owned(), json!(created)),
            ("model".to_owned(), json!(model)),
            ("choices".to_owned(), choices.clone()),
        ]);
        if options.include_usage {
            body.insert("usage".to_owned(), usage.clone());
        }
        fill(&mut body, more);
        out.extend_from_slice(format!("data: {}\n\n", Value::Object(body)).as_bytes());
    }
}

//! Deltas, to a client's stream of chunks.

use bytes::Bytes;
use serde_json::{Value, json};

use super::words::{encode_usage, finish_word};
use super::{Reply, encode_error};
use crate::chat::Usage;
use crate::delta::Delta;
use crate::error::{ErrorCode, Failure};

/// Deltas to a client's stream. Every method gives bytes to send, possibly none.
#[derive(Debug)]
pub struct StreamEncoder {
    reply: Reply,
    progress: Progress,
    usage: Option<Usage>,
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
    pub const fn new(reply: Reply) -> Self {
        Self { reply, progress: Progress::New, usage: None }
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
            self.chunk(&mut out, &json!({"role": "assistant", "content": "", "refusal": null}), None);
        }
        match delta {
            Delta::Finish { reason, .. } => {
                self.progress = Progress::Finished;
                let word = finish_word(*reason, self.reply.options.legacy_functions);
                self.chunk(&mut out, &json!({}), Some(word));
            }
            other => {
                if let Some(said) = self.said(other) {
                    self.chunk(&mut out, &said, None);
                }
            }
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
            self.event(&mut out, &json!([]), &self.usage.as_ref().map_or(Value::Null, encode_usage));
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
        out.into()
    }

    /// The end by an error. Nothing may follow it, and no later call gives bytes.
    pub fn error(&mut self, failure: &Failure) -> Bytes {
        if self.progress == Progress::Closed {
            return Bytes::new();
        }
        self.progress = Progress::Closed;
        format!("data: {}\n\n", encode_error(failure)).into()
    }

    /// The chunk's delta, `None` for what this dialect cannot say.
    fn said(&self, delta: &Delta) -> Option<Value> {
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
            Delta::ToolCallStart { index, id, name } => json!({"tool_calls": [
                {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}},
            ]}),
            Delta::ToolCallArguments { index, text } => {
                json!({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
            }
            Delta::Start { .. }
            | Delta::ReasoningSignature { .. }
            | Delta::Break
            | Delta::Logprobs { .. }
            | Delta::Annotation { .. }
            | Delta::Opaque { .. }
            | Delta::Finish { .. }
            | Delta::Usage { .. } => return None,
        })
    }

    fn chunk(&self, out: &mut Vec<u8>, delta: &Value, finish: Option<&str>) {
        let choices = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        self.event(out, &choices, &Value::Null);
    }

    fn event(&self, out: &mut Vec<u8>, choices: &Value, usage: &Value) {
        let Reply { id, created, model, options } = &self.reply;
        let mut body = json!({
            "id": id,
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
            "choices": choices,
        });
        if options.include_usage {
            body["usage"] = usage.clone();
        }
        out.extend_from_slice(format!("data: {body}\n\n").as_bytes());
    }
}

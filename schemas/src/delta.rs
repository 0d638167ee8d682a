//! A running answer, piece by piece, and how the pieces add up to the whole.

use std::mem;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chat::{Block, ChatResponse, Extra, FinishReason, Message, Reasoning, Role, ToolCall, Usage};

/// One piece of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Delta {
    /// The answer begins. First, once.
    Start {
        /// The provider's own id of the answer.
        id: Option<String>,
        /// The model that the provider says it uses.
        model: String,
    },
    /// More text.
    Text {
        /// The piece.
        text: String,
    },
    /// More reasoning.
    Reasoning {
        /// The piece.
        text: String,
    },
    /// The proof behind the reasoning before it.
    ReasoningSignature {
        /// As the provider sent it.
        signature: String,
        /// The dialect of the provider that can read it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dialect: Option<String>,
        /// The provider's own id of the reasoning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The provider hides all of the reasoning: a block of its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        redacted: bool,
    },
    /// The next piece of text or reasoning begins a block of its own.
    Break,
    /// The log probabilities of the text pieces since the last ones.
    Logprobs {
        /// One entry a token.
        tokens: Vec<Value>,
    },
    /// Something about the last text block so far (a citation) that only `dialect` knows.
    Annotation {
        /// The dialect it came from.
        dialect: String,
        /// As it came.
        value: Value,
    },
    /// A whole block that only `dialect` knows.
    Opaque {
        /// The dialect it came from.
        dialect: String,
        /// The block as it came.
        value: Value,
    },
    /// More of a refusal.
    Refusal {
        /// The piece.
        text: String,
    },
    /// A tool call begins.
    ToolCallStart {
        /// Which call of this answer, from 0.
        index: u32,
        /// Its id.
        id: String,
        /// The tool.
        name: String,
        /// Fields outside the neutral form, as [`ToolCall::extra`] has them.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Extra,
    },
    /// More argument text of call `index`.
    ToolCallArguments {
        /// Which call of this answer.
        index: u32,
        /// The piece.
        text: String,
    },
    /// The answer ends. The only clean end there is.
    Finish {
        /// Why.
        reason: FinishReason,
        /// What else is known of the answer, as [`ChatResponse::extra`] has it.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        extra: Extra,
    },
    /// Token counts; may follow `Finish`.
    Usage {
        /// The counts.
        usage: Usage,
    },
}

/// A delta on its way from the worker to whoever listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// The attempt that made it; a higher one means that the job was run again from its start.
    pub attempt: u32,
    /// The job's own count of frames within the attempt, from 0, without gaps.
    pub index: u64,
    /// The piece.
    pub delta: Delta,
}

/// Adds deltas up to the whole answer.
#[derive(Debug, Clone, Default)]
pub struct Assembly {
    id: Option<String>,
    model: String,
    content: Vec<Block>,
    /// The next piece begins a block of its own.
    broken: bool,
    logprobs: Vec<Value>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    extra: Extra,
}

impl Assembly {
    /// Takes the next piece in.
    pub fn push(&mut self, delta: &Delta) {
        match delta {
            Delta::Start { id, model } => (self.id, self.model) = (id.clone(), model.clone()),
            Delta::Text { text } => self.push_text(text),
            Delta::Reasoning { text } => self.push_reasoning(text),
            Delta::ReasoningSignature { .. } => self.sign_reasoning(delta),
            Delta::Break => self.broken = true,
            Delta::Logprobs { tokens } => self.logprobs.extend_from_slice(tokens),
            Delta::Annotation { dialect, value } => self.annotate(dialect, value),
            Delta::Opaque { dialect, value } => {
                self.content.push(Block::Opaque { dialect: dialect.clone(), value: value.clone() });
            }
            Delta::Refusal { text } => self.push_refusal(text),
            Delta::ToolCallStart { id, name, extra, .. } => self.content.push(Block::ToolCall(ToolCall {
                id: id.clone(),
                name: name.clone(),
                arguments: String::new(),
                extra: extra.clone(),
            })),
            Delta::ToolCallArguments { index, text } => self.push_arguments(*index, text),
            Delta::Finish { reason, extra } => (self.finish, self.extra) = (Some(*reason), extra.clone()),
            Delta::Usage { usage } => self.usage = Some(*usage),
        }
    }

    /// Whether a clean end was seen.
    #[must_use]
    pub const fn finished(&self) -> bool {
        self.finish.is_some()
    }

    /// The whole answer, or `None` while no [`Delta::Finish`] was seen: a cut stream is never an answer.
    #[must_use]
    pub fn into_response(self) -> Option<ChatResponse> {
        let finish = self.finish?;
        let Self { id, model, content, logprobs, usage, extra, .. } = self;
        let message = Message { role: Role::Assistant, content, name: None, extra: Extra::new() };
        Some(ChatResponse { id, model, message, finish, usage, logprobs, extra })
    }

    fn push_text(&mut self, piece: &str) {
        match self.last() {
            Some(Block::Text { text, .. }) => text.push_str(piece),
            _ => self.content.push(Block::text(piece)),
        }
    }

    fn push_reasoning(&mut self, piece: &str) {
        match self.last() {
            Some(Block::Reasoning(reasoning)) => reasoning.text.push_str(piece),
            _ => self.content.push(Block::Reasoning(Reasoning::text(piece))),
        }
    }

    /// The block that goes on, unless a new one is to begin.
    fn last(&mut self) -> Option<&mut Block> {
        let broken = mem::take(&mut self.broken);
        self.content.last_mut().filter(|_| !broken)
    }

    fn annotate(&mut self, dialect: &str, value: &Value) {
        let last = self.content.iter_mut().rev().find(|block| matches!(block, Block::Text { .. }));
        let Some(Block::Text { extra, .. }) = last else { return };
        let own = extra.entry(dialect).or_insert_with(|| Value::Object(Map::new()));
        let Some(own) = own.as_object_mut() else { return };
        if let Value::Array(list) = own.entry(ANNOTATIONS).or_insert_with(|| Value::Array(Vec::new())) {
            list.push(value.clone());
        }
    }

    fn sign_reasoning(&mut self, proof: &Delta) {
        let Delta::ReasoningSignature { signature, dialect, id, redacted } = proof else { return };
        if !matches!(self.last(), Some(Block::Reasoning(_))) || *redacted {
            self.content.push(Block::Reasoning(Reasoning::default()));
        }
        if let Some(Block::Reasoning(reasoning)) = self.content.last_mut() {
            reasoning.signature = Some(signature.clone());
            (reasoning.dialect, reasoning.id, reasoning.redacted) = (dialect.clone(), id.clone(), *redacted);
        }
    }

    fn push_refusal(&mut self, piece: &str) {
        match self.content.last_mut() {
            Some(Block::Refusal { text }) => text.push_str(piece),
            _ => self.content.push(Block::Refusal { text: piece.to_owned() }),
        }
    }

    fn push_arguments(&mut self, index: u32, piece: &str) {
        let calls = self.content.iter_mut().filter_map(|block| match block {
            Block::ToolCall(call) => Some(call),
            _ => None,
        });
        if let Some(call) = calls.into_iter().nth(index as usize) {
            call.arguments.push_str(piece);
        }
    }
}

/// Where a text block keeps its annotations, below its dialect's name.
pub const ANNOTATIONS: &str = "annotations";

/// The deltas that [`Assembly`] adds up to `response`: one text piece a block, then the end and the usage.
#[must_use]
pub fn pieces(response: &ChatResponse) -> Vec<Delta> {
    let mut deltas = vec![Delta::Start { id: response.id.clone(), model: response.model.clone() }];
    let mut calls = 0;
    let content = &response.message.content;
    for (position, block) in content.iter().enumerate() {
        let before = position.checked_sub(1).and_then(|before| content.get(before));
        if before.is_some_and(|before| is_text(before) && mem::discriminant(before) == mem::discriminant(block)) {
            deltas.push(Delta::Break);
        }
        block_pieces(block, calls, &mut deltas);
        calls += u32::from(matches!(block, Block::ToolCall(_)));
    }
    if !response.logprobs.is_empty() {
        deltas.push(Delta::Logprobs { tokens: response.logprobs.clone() });
    }
    deltas.push(Delta::Finish { reason: response.finish, extra: response.extra.clone() });
    deltas.extend(response.usage.map(|usage| Delta::Usage { usage }));
    deltas
}

/// Whether pieces of two such neighbours would run together.
const fn is_text(block: &Block) -> bool {
    matches!(block, Block::Text { .. } | Block::Reasoning(_) | Block::Refusal { .. })
}

/// The deltas of one block, the `call`th call if it is one. What an answer never holds has none.
pub fn block_pieces(block: &Block, call: u32, deltas: &mut Vec<Delta>) {
    match block {
        Block::Text { text, extra } => {
            deltas.push(Delta::Text { text: text.clone() });
            deltas.extend(annotations(extra));
        }
        Block::Refusal { text } => deltas.push(Delta::Refusal { text: text.clone() }),
        Block::Reasoning(reasoning) => {
            if !reasoning.text.is_empty() || reasoning.signature.is_none() {
                deltas.push(Delta::Reasoning { text: reasoning.text.clone() });
            }
            deltas.extend(proof(reasoning));
        }
        Block::ToolCall(tool) => {
            let ToolCall { id, name, extra, .. } = tool.clone();
            deltas.push(Delta::ToolCallStart { index: call, id, name, extra });
            deltas.push(Delta::ToolCallArguments { index: call, text: tool.arguments.clone() });
        }
        Block::Opaque { dialect, value } => {
            deltas.push(Delta::Opaque { dialect: dialect.clone(), value: value.clone() });
        }
        Block::Image { .. } | Block::Document { .. } | Block::ToolResult(_) => {}
    }
}

/// The annotations of a text block, each as a delta.
pub fn annotations(extra: &Extra) -> impl Iterator<Item = Delta> + '_ {
    extra.iter().flat_map(|(dialect, own)| {
        let list = own.get(ANNOTATIONS).and_then(Value::as_array);
        list.into_iter().flatten().map(|value| Delta::Annotation { dialect: dialect.clone(), value: value.clone() })
    })
}

/// The proof of `reasoning`, if it has one.
#[must_use]
pub fn proof(reasoning: &Reasoning) -> Option<Delta> {
    let Reasoning { dialect, id, redacted, .. } = reasoning.clone();
    reasoning.signature.clone().map(|signature| Delta::ReasoningSignature { signature, dialect, id, redacted })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn assemble(deltas: &[Delta]) -> Option<ChatResponse> {
        let mut assembly = Assembly::default();
        deltas.iter().for_each(|delta| assembly.push(delta));
        assembly.into_response()
    }

    fn call(id: &str, arguments: &str) -> Block {
        Block::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            extra: Extra::new(),
        })
    }

    fn answer() -> ChatResponse {
        let content = vec![
            Block::Reasoning(Reasoning { signature: Some("proof".to_owned()), ..Reasoning::text("hm") }),
            Block::Reasoning(Reasoning { signature: Some("x".to_owned()), redacted: true, ..Reasoning::default() }),
            Block::text("one"),
            Block::Text {
                text: "cited".to_owned(),
                extra: Extra::from_iter([("d".to_owned(), json!({"annotations": [1]}))]),
            },
            Block::Opaque { dialect: "d".to_owned(), value: json!({"type": "search"}) },
            Block::ToolCall(ToolCall {
                id: "a".to_owned(),
                name: "f".to_owned(),
                arguments: "{}".to_owned(),
                extra: Extra::from_iter([("d".to_owned(), json!({"type": "custom"}))]),
            }),
            Block::text("two"),
            call("b", ""),
            Block::Refusal { text: "no".to_owned() },
        ];
        ChatResponse {
            id: Some("r1".to_owned()),
            model: "m".to_owned(),
            message: Message { role: Role::Assistant, content, name: None, extra: Extra::new() },
            finish: FinishReason::Length,
            usage: Some(Usage { input_tokens: 3, output_tokens: 2, cached_tokens: 1, ..Usage::default() }),
            logprobs: vec![json!({"token": "one"})],
            extra: Extra::from_iter([("d".to_owned(), json!({"stop_sequence": "x"}))]),
        }
    }

    #[test]
    fn pieces_add_up_to_the_answer() {
        assert_eq!(assemble(&pieces(&answer())), Some(answer()));
    }

    #[test]
    fn only_a_finish_makes_an_answer() {
        let deltas = pieces(&answer());
        let finish = deltas.iter().position(|delta| matches!(delta, Delta::Finish { .. })).unwrap();
        for end in 0..=finish {
            assert_eq!(assemble(&deltas[..end]), None, "{end}");
        }
        assert!(assemble(&deltas[..=finish]).is_some());
    }

    #[test]
    fn the_pieces_of_parallel_calls_find_their_own() {
        let begin = |index, id: &str| Delta::ToolCallStart {
            index,
            id: id.to_owned(),
            name: "f".to_owned(),
            extra: Extra::new(),
        };
        let more = |index, text: &str| Delta::ToolCallArguments { index, text: text.to_owned() };
        let end = Delta::Finish { reason: FinishReason::ToolCalls, extra: Extra::new() };
        let deltas = [begin(0, "a"), begin(1, "b"), more(1, "["), more(0, "{"), more(7, "lost"), more(1, "]"), end];
        assert_eq!(assemble(&deltas).unwrap().message.content, [call("a", "{"), call("b", "[]")]);
    }

    #[test]
    fn an_annotation_finds_its_text_behind_a_call() {
        let note = |value| Delta::Annotation { dialect: "d".to_owned(), value: json!(value) };
        let begin = Delta::ToolCallStart { index: 0, id: "a".to_owned(), name: "f".to_owned(), extra: Extra::new() };
        let end = Delta::Finish { reason: FinishReason::Stop, extra: Extra::new() };
        let text = Delta::Text { text: "x".to_owned() };
        let content = assemble(&[note(0), text, note(1), begin, note(2), end]).unwrap().message.content;
        let Block::Text { extra, .. } = &content[0] else { panic!("no text: {content:?}") };
        assert_eq!(extra["d"], json!({"annotations": [1, 2]}));
    }

    #[test]
    fn a_frame_reads_as_the_event_that_clients_get() {
        let frame = Frame { attempt: 1, index: 0, delta: Delta::Text { text: "hi".to_owned() } };
        let body = json!({"attempt": 1, "index": 0, "delta": {"type": "text", "text": "hi"}});
        assert_eq!(serde_json::to_value(&frame).unwrap(), body);
        assert_eq!(serde_json::from_value::<Frame>(body).unwrap(), frame);
    }
}

//! Adds the pieces of a streamed answer up to the whole.

use std::mem;

use serde_json::{Map, Value};

use super::{ANNOTATIONS, Delta};
use crate::chat::{Block, ChatResponse, Extra, FinishReason, Message, Reasoning, Role, ToolCall, Usage};

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
            Some(Block::Reasoning(reasoning)) if !reasoning.redacted => reasoning.text.push_str(piece),
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
        let goes_on = matches!(self.last(), Some(Block::Reasoning(last)) if !last.redacted);
        if !goes_on || *redacted {
            self.content.push(Block::Reasoning(Reasoning::default()));
        }
        if let Some(Block::Reasoning(reasoning)) = self.content.last_mut() {
            reasoning.signature = Some(signature.clone());
            (reasoning.dialect, reasoning.id, reasoning.redacted) = (dialect.clone(), id.clone(), *redacted);
        }
    }

    fn push_refusal(&mut self, piece: &str) {
        match self.last() {
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

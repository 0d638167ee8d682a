//! The conversation that a provider is sent: system prompt apart, turns of users and assistants alternating, the
//! results of tools first in the user's turn.

use serde_json::{Map, Value, json};

use super::{NAME, blocks, source};
use crate::chat::{Block, Message, Reasoning, Role, ToolResult};
use crate::dialect::carry::{Notes, carried, fill};

/// What a provider is sent of the messages.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    system: Vec<Value>,
    turns: Vec<Turn>,
}

/// Messages of one side, one after the other, which the API takes as one.
#[derive(Debug)]
struct Turn {
    role: &'static str,
    results: Vec<Value>,
    blocks: Vec<Value>,
    extra: Map<String, Value>,
}

/// The conversation of `messages`.
pub(super) fn encode_all(messages: &[Message], notes: &mut Notes) -> Conversation {
    let mut conversation = Conversation::default();
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        notes.foreign(&message.extra, NAME, &place);
        if message.name.is_some() {
            notes.unsupported(format!("{place}.name"), "the provider's messages have no names: not sent");
        }
        conversation.add(message, &place, notes);
    }
    conversation
}

impl Conversation {
    fn add(&mut self, message: &Message, place: &str, notes: &mut Notes) {
        let own = carried(&message.extra, NAME);
        let role = match message.role {
            Role::Assistant => "assistant",
            Role::User | Role::Tool => "user",
            // It stood among the messages of a client of this API.
            Role::System if own.is_some() => "system",
            Role::System | Role::Developer => return self.add_system(message, place, notes),
        };
        for block in &message.content {
            let Some(body) = encode(block, message.role, place, notes) else { continue };
            let turn = self.turn(role);
            if matches!(block, Block::ToolResult(_)) { turn.results.push(body) } else { turn.blocks.push(body) }
        }
        if let Some(own) = own.filter(|own| !own.is_empty()) {
            fill(&mut self.turn(role).extra, own);
        }
    }

    fn add_system(&mut self, message: &Message, place: &str, notes: &mut Notes) {
        if !self.turns.is_empty() {
            let text = "the provider takes instructions before the conversation only: moved there";
            notes.warn("moved_message", place, text);
        }
        self.system.extend(message.content.iter().filter_map(|block| encode(block, message.role, place, notes)));
    }

    /// The turn of `role` that runs.
    fn turn(&mut self, role: &'static str) -> &mut Turn {
        let last = self.turns.len();
        if self.turns.last().is_some_and(|turn| turn.role == role) {
            return &mut self.turns[last - 1];
        }
        self.turns.push(Turn { role, results: Vec::new(), blocks: Vec::new(), extra: Map::new() });
        &mut self.turns[last]
    }

    /// Whether the last assistant turn calls tools and does not begin with its thinking.
    pub(super) fn has_unsigned_calls(&self) -> bool {
        let is = |block: &Value, kinds: &[&str]| kinds.iter().any(|kind| block["type"] == *kind);
        self.turns.iter().rfind(|turn| turn.role == "assistant").is_some_and(|turn| {
            let thinks = turn.blocks.first().is_some_and(|block| is(block, &["thinking", "redacted_thinking"]));
            !thinks && turn.blocks.iter().any(|block| is(block, &["tool_use"]))
        })
    }

    /// `system`, when there is one, and `messages`.
    pub(super) fn into_values(self) -> (Option<Value>, Value) {
        let system = (!self.system.is_empty()).then(|| content(self.system));
        (system, self.turns.into_iter().map(Turn::into_value).collect())
    }
}

impl Turn {
    fn into_value(self) -> Value {
        let Self { role, mut results, blocks, extra } = self;
        results.extend(blocks);
        let mut body = Map::from_iter([("role".to_owned(), json!(role)), ("content".to_owned(), content(results))]);
        fill(&mut body, &extra);
        Value::Object(body)
    }
}

/// One plain text as such, else the list.
fn content(blocks: Vec<Value>) -> Value {
    match blocks.as_slice() {
        [Value::Object(only)] if only.len() == 2 && only.get("type").is_some_and(|kind| kind == "text") => {
            only.get("text").cloned().unwrap_or_default()
        }
        _ => Value::Array(blocks),
    }
}

/// The wire form of a block in a message of `role`; what cannot be said is noted under `place`.
fn encode(block: &Block, role: Role, place: &str, notes: &mut Notes) -> Option<Value> {
    let is_fit = match block {
        Block::Text { .. } | Block::Refusal { .. } => role != Role::Tool,
        Block::Image { .. } | Block::Document { .. } => role == Role::User,
        Block::ToolCall(_) | Block::Reasoning(_) => role == Role::Assistant,
        Block::ToolResult(_) => matches!(role, Role::User | Role::Tool),
        Block::Opaque { .. } => !role.is_system(),
    };
    if !is_fit {
        notes.unsupported(place, "the provider takes no such block in a message of this role: not sent");
        return None;
    }
    said(block, place, notes)
}

fn said(block: &Block, place: &str, notes: &mut Notes) -> Option<Value> {
    match block {
        // The API refuses blank texts, which say nothing.
        Block::Text { text, .. } | Block::Refusal { text } if text.trim().is_empty() => None,
        Block::Text { text, extra } => {
            notes.foreign(extra, NAME, place);
            Some(blocks::text(text, extra))
        }
        Block::Refusal { text } => Some(json!({"type": "text", "text": text})),
        Block::Image { source, detail, extra } => {
            notes.foreign(extra, NAME, place);
            if detail.as_ref().is_some_and(|detail| detail != "auto") {
                notes.unsupported(place, "the provider's pictures have no detail: not sent");
            }
            Some(blocks::with_own(json!({"type": "image", "source": source::encode_image(source)}), extra))
        }
        Block::Document { .. } => document(block, place, notes),
        Block::ToolCall(call) => {
            notes.foreign(&call.extra, NAME, place);
            let (input, exact) = blocks::input(&call.arguments);
            if !exact {
                notes.warn("changed_field", place, "the arguments are no JSON object: sent as the text of one field");
            }
            Some(blocks::tool_use(&blocks::wire_id(&call.id), &call.name, input, &call.extra))
        }
        Block::ToolResult(result) => Some(tool_result(result, place, notes)),
        Block::Reasoning(reasoning) => thinking(reasoning, place, notes),
        Block::Opaque { dialect, value } if dialect == NAME => Some(value.clone()),
        Block::Opaque { dialect, .. } => {
            notes.unsupported(place, format!("the provider does not speak {dialect}: the block is not sent"));
            None
        }
    }
}

fn document(block: &Block, place: &str, notes: &mut Notes) -> Option<Value> {
    let Block::Document { source, title, extra } = block else { return None };
    notes.foreign(extra, NAME, place);
    let Some(source) = source::encode_document(source) else {
        notes.unsupported(place, "the provider takes PDF and text documents only: not sent");
        return None;
    };
    let mut body = json!({"type": "document", "source": source});
    if let Some(title) = title {
        body["title"] = json!(title);
    }
    Some(blocks::with_own(body, extra))
}

fn tool_result(result: &ToolResult, place: &str, notes: &mut Notes) -> Value {
    notes.foreign(&result.extra, NAME, place);
    let mut body = json!({"type": "tool_result", "tool_use_id": blocks::wire_id(&result.tool_call_id)});
    let said = result.content.iter().filter_map(|block| encode(block, Role::User, place, notes));
    let said: Vec<_> = said.collect();
    if !said.is_empty() {
        body["content"] = content(said);
    } else if result.is_error {
        // The API refuses a failure without a word.
        body["content"] = json!("error");
    }
    if result.is_error {
        body["is_error"] = json!(true);
    }
    blocks::with_own(body, &result.extra)
}

fn thinking(reasoning: &Reasoning, place: &str, notes: &mut Notes) -> Option<Value> {
    notes.foreign(&reasoning.extra, NAME, place);
    let own = reasoning.dialect.as_deref() == Some(NAME);
    let Some(signature) = reasoning.signature.as_ref().filter(|_| own) else {
        notes.unsupported(place, "the provider takes no reasoning but its own, signed: not sent");
        return None;
    };
    let body =
        if reasoning.redacted { blocks::redacted(signature) } else { blocks::thinking(&reasoning.text, signature) };
    Some(blocks::with_own(body, &reasoning.extra))
}

//! The messages that a provider is sent.

use serde_json::{Map, Value, json};

use super::calls::{self, CALL_EXTRAS};
use super::{NAME, content};
use crate::catalog::Quirks;
use crate::chat::{Block, Message, Role, ToolResult};
use crate::dialect::carry::{Notes, carried};

/// The wire form of all messages: one each, but one for every tool result.
pub(super) fn encode_all(messages: &[Message], quirks: &Quirks, notes: &mut Notes) -> Value {
    let mut bodies = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let place = format!("messages[{index}]");
        notes.foreign(&message.extra, NAME, &place);
        let (results, said) = split(&message.content);
        let first = bodies.len();
        bodies.extend(results.iter().map(|result| tool_result(result, &place, notes)));
        if !said.is_empty() || results.is_empty() {
            bodies.extend(speech(message, &said, &place, quirks, notes));
        }
        if let Some(body) = bodies.get_mut(first) {
            finish(body, message);
        }
    }
    bodies.into_iter().map(Value::Object).collect()
}

/// The tool results of a message, and what it says besides.
fn split(blocks: &[Block]) -> (Vec<&ToolResult>, Vec<&Block>) {
    let results = blocks.iter().filter_map(|block| match block {
        Block::ToolResult(result) => Some(result),
        _ => None,
    });
    let said = blocks.iter().filter(|block| {
        matches!(
            block,
            Block::Text { .. }
                | Block::Image { .. }
                | Block::Document { .. }
                | Block::Refusal { .. }
                | Block::Opaque { .. }
        )
    });
    (results.collect(), said.collect())
}

fn tool_result(result: &ToolResult, place: &str, notes: &mut Notes) -> Map<String, Value> {
    if result.is_error {
        notes.unsupported(place, "the mark that the tool failed is not sent: its text has to tell");
    }
    Map::from_iter([
        ("role".to_owned(), json!("tool")),
        ("tool_call_id".to_owned(), json!(result.tool_call_id)),
        ("content".to_owned(), content::encode(&result.content.iter().collect::<Vec<_>>(), place, notes)),
    ])
}

/// A message that is no tool result. A tool's message without a result says nothing that can be sent.
fn speech(
    message: &Message,
    said: &[&Block],
    place: &str,
    quirks: &Quirks,
    notes: &mut Notes,
) -> Option<Map<String, Value>> {
    let role = match message.role {
        Role::System => "system",
        Role::Developer if quirks.no_developer_role => "system",
        Role::Developer => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => {
            notes.unsupported(place, "a tool's message without a tool result is not sent");
            return None;
        }
    };
    let calls = if message.role == Role::Assistant { calls::encode(message) } else { Vec::new() };
    let content = if said.is_empty() && !calls.is_empty() { Value::Null } else { content::encode(said, place, notes) };
    let mut body = Map::from_iter([("role".to_owned(), json!(role)), ("content".to_owned(), content)]);
    if message.role == Role::Assistant {
        let reasoning = reasoning(&message.content, place, quirks, notes);
        body.extend(reasoning.map(|text| ("reasoning_content".to_owned(), json!(text))));
    }
    if !calls.is_empty() {
        body.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    Some(body)
}

fn reasoning(blocks: &[Block], place: &str, quirks: &Quirks, notes: &mut Notes) -> Option<String> {
    let mut text = String::new();
    for block in blocks {
        let Block::Reasoning(piece) = block else { continue };
        text.push_str(&piece.text);
        if piece.signature.is_some() {
            notes.unsupported(place, "the signature of the reasoning is not sent");
        }
    }
    if !text.is_empty() && !quirks.reasoning_content {
        notes.unsupported(place, "the provider does not read earlier reasoning: not sent");
    }
    Some(text).filter(|text| !text.is_empty() && quirks.reasoning_content)
}

/// The name and what is carried, on the first wire message of `message`.
fn finish(body: &mut Map<String, Value>, message: &Message) {
    body.extend(message.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
    for (name, value) in carried(&message.extra, NAME).into_iter().flatten() {
        if name != CALL_EXTRAS && !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
}

//! The messages that a provider is sent.

use serde_json::{Map, Value, json};

use super::extras::take_own;
use super::response::message_fields;
use super::{NAME, calls, encode_content};
use crate::catalog::Quirks;
use crate::chat::{Block, Message, Role, ToolResult};
use crate::dialect::carry::{Notes, carried, fill};

/// What a tool result says whose whole content is sent behind it.
const BEHIND: &str = "See the content sent behind this.";

/// The wire form of all messages: one each, but one for every tool result.
pub(super) fn encode_all(messages: &[Message], quirks: &Quirks, notes: &mut Notes) -> Value {
    let mut encoder = Encoder { quirks, notes, bodies: Vec::with_capacity(messages.len()), behind: Vec::new() };
    for (index, message) in messages.iter().enumerate() {
        encoder.message(message, &format!("messages[{index}]"));
    }
    encoder.flush();
    encoder.bodies.into_iter().map(Value::Object).collect()
}

struct Encoder<'a> {
    quirks: &'a Quirks,
    notes: &'a mut Notes,
    bodies: Vec<Map<String, Value>>,
    /// What no tool's message may hold: goes into a user's message behind the last of the results.
    behind: Vec<Value>,
}

impl Encoder<'_> {
    fn message(&mut self, message: &Message, place: &str) {
        self.notes.foreign(&message.extra, NAME, place);
        let (results, said) = split(&message.content);
        let speaks = !said.is_empty() || results.is_empty();
        let speech = if speaks { self.speech(message, &said, place) } else { None };
        // What is not sent does not part the results around it.
        if results.is_empty() && speech.is_some() {
            self.flush();
        }
        let first = self.bodies.len();
        for result in &results {
            let body = self.tool_result(result, place);
            self.bodies.push(body);
        }
        if let Some(body) = speech {
            self.flush();
            self.bodies.push(body);
        }
        if let Some(body) = self.bodies.get_mut(first) {
            finish(body, message);
        }
    }

    /// Says what is to be said behind tool results.
    fn flush(&mut self) {
        if !self.behind.is_empty() {
            let parts = std::mem::take(&mut self.behind);
            let body = [("role".to_owned(), json!("user")), ("content".to_owned(), Value::Array(parts))];
            self.bodies.push(Map::from_iter(body));
        }
    }

    fn tool_result(&mut self, result: &ToolResult, place: &str) -> Map<String, Value> {
        if result.is_error {
            self.notes.unsupported(place, "the mark that the tool failed is not sent: its text has to tell");
        }
        let stays = |block: &&Block| self.quirks.rich_tool_results || !is_rich(block);
        let (content, behind): (Vec<_>, Vec<_>) = result.content.iter().partition(stays);
        let mut body = Map::from_iter([
            ("role".to_owned(), json!("tool")),
            ("tool_call_id".to_owned(), json!(result.tool_call_id)),
            ("content".to_owned(), encode_content::encode(&content, place, self.quirks, self.notes)),
        ]);
        let behind = encode_content::parts(&behind, place, self.quirks, self.notes);
        if !behind.is_empty() {
            self.notes.warn("moved_content", place, "a tool result holds text only: its other content follows it");
            let title = format!("Of the result of the tool call {}:", result.tool_call_id);
            self.behind.push(json!({"type": "text", "text": title}));
            self.behind.extend(behind);
            if content.is_empty() {
                body.insert("content".to_owned(), json!(BEHIND));
            }
        }
        fill(&mut body, &take_own(&result.extra, place, self.quirks, self.notes));
        body
    }

    /// A message that is no tool result. A tool's message without a result says nothing that can be sent.
    fn speech(&mut self, message: &Message, said: &[&Block], place: &str) -> Option<Map<String, Value>> {
        let role = match message.role {
            Role::System => "system",
            Role::Developer if self.quirks.no_developer_role => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => {
                self.notes.unsupported(place, "a tool's message without a tool result is not sent");
                return None;
            }
        };
        let is_assistant = message.role == Role::Assistant;
        let calls = if is_assistant { calls::encode(message, place, self.quirks, self.notes) } else { Vec::new() };
        let content = if said.is_empty() && !calls.is_empty() {
            Value::Null
        } else {
            encode_content::encode(said, place, self.quirks, self.notes)
        };
        let mut body = Map::from_iter([("role".to_owned(), json!(role)), ("content".to_owned(), content)]);
        if is_assistant {
            let reasoning = self.reasoning(&message.content, place);
            body.extend(reasoning.map(|text| ("reasoning_content".to_owned(), json!(text))));
        }
        if !calls.is_empty() {
            body.insert("tool_calls".to_owned(), Value::Array(calls));
        }
        for block in &message.content {
            fill(&mut body, &fields_of(block).unwrap_or_default());
        }
        Some(body)
    }

    fn reasoning(&mut self, blocks: &[Block], place: &str) -> Option<String> {
        let mut text = String::new();
        for block in blocks {
            let Block::Reasoning(piece) = block else { continue };
            text.push_str(&piece.text);
            self.notes.foreign(&piece.extra, NAME, place);
            if piece.signature.is_some() {
                self.notes.unsupported(place, "the signature of the reasoning is not sent");
            }
        }
        if !text.is_empty() && !self.quirks.reasoning_content {
            self.notes.unsupported(place, "the provider does not read earlier reasoning: not sent");
        }
        Some(text).filter(|text| !text.is_empty() && self.quirks.reasoning_content)
    }
}

/// The tool results of a message, and what it says besides.
fn split(blocks: &[Block]) -> (Vec<&ToolResult>, Vec<&Block>) {
    let results = blocks.iter().filter_map(|block| match block {
        Block::ToolResult(result) => Some(result),
        _ => None,
    });
    let elsewhere = |block: &&Block| matches!(block, Block::ToolResult(_) | Block::ToolCall(_) | Block::Reasoning(_));
    let said = blocks.iter().filter(|block| !elsewhere(block) && fields_of(block).is_none());
    (results.collect(), said.collect())
}

/// The fields of a message that `block` holds, if that is what it is for.
fn fields_of(block: &Block) -> Option<Map<String, Value>> {
    match block {
        Block::Opaque { dialect, value } => message_fields(dialect, value),
        _ => None,
    }
}

/// Whether OpenAI refuses the block in a tool's message.
const fn is_rich(block: &Block) -> bool {
    use crate::chat::DocumentSource::Text;
    matches!(block, Block::Image { .. } | Block::Document { .. })
        && !matches!(block, Block::Document { source: Text { .. }, .. })
}

/// The name and what is carried, on the first wire message of `message`.
fn finish(body: &mut Map<String, Value>, message: &Message) {
    body.extend(message.name.as_ref().map(|name| ("name".to_owned(), json!(name))));
    fill(body, carried(&message.extra, NAME).unwrap_or(&Map::new()));
}

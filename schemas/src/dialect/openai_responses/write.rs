//! Messages, written as items: for a provider, and for a client that looks at what it asked.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::item::{CUSTOM_CALL, KIND};
use super::{NAME, content, ids, reasoning, tools};
use crate::catalog::Quirks;
use crate::chat::{Block, Extra, Message, Reasoning, Role, Tool, ToolCall, ToolResult};
use crate::dialect::carry::{Notes, carried, fill};

/// Who reads the items.
#[derive(Debug, Clone, Copy)]
pub(super) enum Audience<'a> {
    /// A provider, with its quirks.
    Provider(&'a Quirks),
    /// The client, of the answer whose id has this suffix: every item gets an id and a status.
    Client(&'a str),
}

/// Writes items.
pub(super) struct Writer<'a> {
    audience: Audience<'a>,
    notes: &'a mut Notes,
    /// The tools and the calls that are of the kind with free text.
    custom_tools: BTreeSet<&'a str>,
    custom_calls: BTreeSet<&'a str>,
    items: Vec<Value>,
    /// Parts of the message that is being written, and its phase.
    parts: Vec<Value>,
    phase: Option<&'a str>,
    thoughts: Vec<&'a Reasoning>,
}

impl<'a> Writer<'a> {
    /// A writer of a conversation that has `tools`.
    pub(super) fn new(audience: Audience<'a>, tools: &'a [Tool], notes: &'a mut Notes) -> Self {
        let custom = tools.iter().filter(|tool| tools::is_custom(tool)).map(|tool| tool.name.as_str());
        Self {
            audience,
            notes,
            custom_tools: custom.collect(),
            custom_calls: BTreeSet::new(),
            items: Vec::new(),
            parts: Vec::new(),
            phase: None,
            thoughts: Vec::new(),
        }
    }

    /// All items written.
    pub(super) fn into_items(self) -> Vec<Value> {
        self.items
    }

    /// Writes message number `index`.
    pub(super) fn message(&mut self, message: &'a Message, index: usize) {
        let place = format!("messages[{index}]");
        self.notes.foreign(&message.extra, NAME, &place);
        if message.name.is_some() {
            self.notes.unsupported(format!("{place}.name"), "the provider's API has no names of speakers: not sent");
        }
        for block in &message.content {
            self.block(block, message, &place);
        }
        let said_nothing = message.content.is_empty() && !matches!(message.role, Role::Assistant | Role::Tool);
        self.end_thoughts(&place);
        self.end_message(message, said_nothing);
    }

    fn block(&mut self, block: &'a Block, message: &'a Message, place: &str) {
        if !matches!(block, Block::Reasoning(_)) {
            self.end_thoughts(place);
        }
        match block {
            Block::Reasoning(thought) => {
                self.end_message(message, false);
                self.thoughts.push(thought);
            }
            Block::ToolCall(call) => {
                self.end_message(message, false);
                self.call(call, place);
            }
            Block::ToolResult(result) => {
                self.end_message(message, false);
                self.result(result, place);
            }
            Block::Opaque { dialect, value } if dialect == NAME && !content::is_part(value) => {
                self.end_message(message, false);
                let fields = value.as_object().cloned().unwrap_or_default();
                self.push("item", fields);
            }
            said => self.part(said, message, place),
        }
    }

    fn part(&mut self, block: &'a Block, message: &Message, place: &str) {
        match message.role {
            Role::Assistant => {
                let phase = if let Block::Text { extra, .. } = block { content::annotations(extra).0 } else { None };
                if phase.is_some() || self.phase.is_some() {
                    self.end_message(message, false);
                    self.phase = phase;
                }
                self.parts.extend(content::encode_output(block, place, self.notes));
            }
            Role::Tool => self.notes.unsupported(place, "a tool's message without a tool result is not sent"),
            Role::System | Role::Developer | Role::User => {
                self.parts.extend(content::encode_input(block, place, self.notes));
            }
        }
    }

    /// Ends the message that is being written, if it says anything or `anyway`.
    fn end_message(&mut self, message: &Message, anyway: bool) {
        let phase = self.phase.take();
        if self.parts.is_empty() && !anyway {
            return;
        }
        let role = match (message.role, self.audience) {
            (Role::Developer, Audience::Provider(quirks)) if quirks.no_developer_role => "system",
            (Role::Developer, _) => "developer",
            (Role::System, _) => "system",
            (Role::User | Role::Tool, _) => "user",
            (Role::Assistant, _) => "assistant",
        };
        let parts = std::mem::take(&mut self.parts);
        let content = if matches!(self.audience, Audience::Provider(_)) { short(parts) } else { Value::Array(parts) };
        let mut fields = Map::from_iter([
            ("type".to_owned(), json!("message")),
            ("role".to_owned(), json!(role)),
            ("content".to_owned(), content),
        ]);
        fields.extend(phase.map(|phase| ("phase".to_owned(), json!(phase))));
        fill(&mut fields, carried(&message.extra, NAME).unwrap_or(&Map::new()));
        self.push("msg", fields);
    }

    fn end_thoughts(&mut self, place: &str) {
        let thoughts = std::mem::take(&mut self.thoughts);
        for group in reasoning::groups(&thoughts) {
            let item = match self.audience {
                Audience::Provider(quirks) => reasoning::encode(&group, quirks.reasoning_content, place, self.notes),
                Audience::Client(_) => Some(reasoning::show(&group)),
            };
            if let Some(Value::Object(fields)) = item {
                self.push("rs", fields);
            }
        }
    }

    fn call(&mut self, call: &'a ToolCall, place: &str) {
        self.notes.foreign(&call.extra, NAME, place);
        let custom = is_custom(&call.extra) || self.custom_tools.contains(call.name.as_str());
        let (kind, arguments, prefix) =
            if custom { (CUSTOM_CALL, "input", "ctc") } else { ("function_call", "arguments", "fc") };
        if custom {
            self.custom_calls.insert(&call.id);
        }
        let mut fields = Map::from_iter([
            ("type".to_owned(), json!(kind)),
            ("call_id".to_owned(), json!(call.id)),
            ("name".to_owned(), json!(call.name)),
            (arguments.to_owned(), json!(call.arguments)),
        ]);
        fill(&mut fields, carried(&call.extra, NAME).unwrap_or(&Map::new()));
        self.push(prefix, fields);
    }

    fn result(&mut self, result: &'a ToolResult, place: &str) {
        self.notes.foreign(&result.extra, NAME, place);
        if result.is_error && matches!(self.audience, Audience::Provider(_)) {
            self.notes.unsupported(place, "the mark that the tool failed is not sent: its text has to tell");
        }
        let custom = self.custom_calls.contains(result.tool_call_id.as_str());
        let kind = if custom { "custom_tool_call_output" } else { "function_call_output" };
        let parts = result.content.iter().filter_map(|block| content::encode_input(block, place, self.notes));
        let output = short(parts.collect());
        let mut fields = carried(&result.extra, NAME).cloned().unwrap_or_default();
        fields.entry(KIND).or_insert_with(|| json!(kind));
        fields.insert("call_id".to_owned(), json!(result.tool_call_id));
        fields.insert("output".to_owned(), output);
        self.push("fco", fields);
    }

    /// Adds an item; a client's with an id and a status.
    fn push(&mut self, prefix: &str, mut fields: Map<String, Value>) {
        if let Audience::Client(suffix) = self.audience {
            let id = ids::of_input(prefix, suffix, self.items.len());
            fields.entry("id").or_insert_with(|| json!(id));
            if prefix != "item" {
                fields.entry("status").or_insert_with(|| json!("completed"));
            }
        }
        self.items.push(Value::Object(fields));
    }
}

/// Whether a call carries that it is of the kind with free text.
pub(super) fn is_custom(extra: &Extra) -> bool {
    carried(extra, NAME).and_then(|own| own.get(KIND)).is_some_and(|kind| kind == CUSTOM_CALL)
}

/// Parts as a text, when they are one plain text or nothing.
fn short(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [] => json!(""),
        [Value::Object(part)] if is_plain(part) => part.get("text").cloned().unwrap_or_default(),
        _ => Value::Array(parts),
    }
}

/// Whether a part is a text and nothing else.
fn is_plain(part: &Map<String, Value>) -> bool {
    part.iter().all(|(name, value)| match name.as_str() {
        "type" => value == "input_text" || value == "output_text",
        "text" => value.as_str().is_some_and(|text| !text.is_empty()),
        "annotations" => value.as_array().is_some_and(Vec::is_empty),
        _ => false,
    })
}

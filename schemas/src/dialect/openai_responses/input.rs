//! The input of a client's request: items, to messages. Neighbouring items of an assistant are one message.

use serde_json::Value;

use super::NAME;
use super::content::{self, Seen};
use super::item::{self, KIND};
use crate::chat::{Block, Extra, Message, Role, ToolResult};
use crate::dialect::carry::carry;
use crate::dialect::read::{Fields, Mismatch, Path};

/// Items that a client asks with, beside messages.
const OF_USERS: [&str; 3] = ["compaction_trigger", "additional_tools", "configuration_update"];

/// Takes `input` apart: a text, or a list of items.
pub(super) fn decode(value: Value, path: &Path<'_>, seen: &mut Seen) -> Result<Vec<Message>, Mismatch> {
    match value {
        Value::String(text) => {
            let content = if text.is_empty() { Vec::new() } else { vec![Block::text(text)] };
            Ok(vec![Message { role: Role::User, content, name: None, extra: Extra::new() }])
        }
        Value::Array(items) => {
            let mut messages: Vec<Message> = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                push(&mut messages, decode_item(item, &Path::Index(path, index), seen)?);
            }
            Ok(messages)
        }
        other => Err(Mismatch::expected(path, "a string or an array of items", &other)),
    }
}

/// Adds a message, or its blocks to the assistant's before it.
fn push(messages: &mut Vec<Message>, next: Message) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant && next.role == Role::Assistant => last.content.extend(next.content),
        _ => messages.push(next),
    }
}

fn decode_item(value: Value, path: &Path<'_>, seen: &mut Seen) -> Result<Message, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let kind = match fields.string("type")? {
        Some(kind) => kind,
        None if fields.has("role") => "message".to_owned(),
        None => return Err(Mismatch::at(&fields.at("type"), "required, but absent or null")),
    };
    match kind.as_str() {
        "message" => message(fields, seen),
        "function_call_output" | "custom_tool_call_output" => output(fields, kind, seen),
        "item_reference" => {
            let remedy =
                "names an item of a provider's state, which is not kept: send the item itself, or previous_response_id";
            Err(Mismatch::at(path, remedy))
        }
        _ => {
            let content = item::decode(fields, &kind, seen)?;
            Ok(Message { role: role_of(&kind), content, name: None, extra: Extra::new() })
        }
    }
}

/// Who makes an item of `kind`. An answer to what a model asked for goes on with its turn, as any tool's does; a program
/// and its output are both the model's.
fn role_of(kind: &str) -> Role {
    match kind {
        "program_output" => Role::Assistant,
        "mcp_approval_response" => Role::Tool,
        kind if kind.ends_with("_output") => Role::Tool,
        kind if OF_USERS.contains(&kind) => Role::User,
        _ => Role::Assistant,
    }
}

fn message(mut fields: Fields<'_>, seen: &mut Seen) -> Result<Message, Mismatch> {
    let role = fields.required_text("role")?;
    let role = match role.as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => {
            let content = item::decode(fields, "message", seen)?;
            return Ok(Message { role: Role::Assistant, content, name: None, extra: Extra::new() });
        }
        _ => {
            let roles = "`system`, `developer`, `user` or `assistant`";
            return Err(Mismatch::word(&fields.at("role"), roles, &role));
        }
    };
    let content = content::decode(fields.require("content")?, &fields.at("content"), role, seen)?;
    item::forget(&mut fields, &["id", "status"]);
    Ok(Message { role, content, name: None, extra: rest(fields, &["phase"], seen) })
}

/// A tool's answer.
fn output(mut fields: Fields<'_>, kind: String, seen: &mut Seen) -> Result<Message, Mismatch> {
    let tool_call_id = fields.required_text("call_id")?;
    let content = content::decode(fields.require("output")?, &fields.at("output"), Role::Tool, seen)?;
    item::forget(&mut fields, &["id", "status"]);
    if kind != "function_call_output" {
        fields.put(KIND, kind);
    }
    let extra = rest(fields, &[KIND, "caller", "name", "namespace"], seen);
    let result = ToolResult { tool_call_id, content, is_error: false, extra };
    Ok(Message { role: Role::Tool, content: vec![Block::ToolResult(result)], name: None, extra: Extra::new() })
}

/// Carries what is left; `known` is expected.
fn rest(fields: Fields<'_>, known: &[&str], seen: &mut Seen) -> Extra {
    let path = fields.path;
    let rest = fields.rest();
    for name in rest.keys().filter(|name| !known.contains(&name.as_str())) {
        seen.notes.unknown(Path::Field(path, name));
    }
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    extra
}

//! The messages of a client's request, taken apart. Tool results, which stand in user messages on this wire, become
//! messages of their own, one each, as the neutral form has them.

use serde_json::{Map, Value};

use super::NAME;
use super::content::{self, Writer};
use crate::chat::{Block, Extra, Message, Role};
use crate::dialect::carry::{Notes, carry};
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// Takes `messages` out of a request.
pub(super) fn decode_all(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Vec<Message>, Mismatch> {
    let path = fields.at("messages");
    let items = array(fields.require("messages")?, &path)?;
    if items.is_empty() {
        return Err(Mismatch::at(&path, "expected at least one message, found none"));
    }
    let mut messages = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        decode(item, &Path::Index(&path, index), notes, &mut messages)?;
    }
    Ok(messages)
}

fn decode(value: Value, path: &Path<'_>, notes: &mut Notes, messages: &mut Vec<Message>) -> Result<(), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let word = fields.required_text("role")?;
    let role = match word.as_str() {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Mismatch::word(&fields.at("role"), "`user`, `assistant` or `system`", &word)),
    };
    let content = content::decode(fields.require("content")?, &fields.at("content"), Writer::Client(role), notes)?;
    let rest = fields.rest();
    rest.keys().for_each(|name| notes.unknown(Path::Field(path, name)));
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    if role == Role::System {
        // Marks that it stands among the messages, unlike the `system` field.
        extra.entry(NAME).or_insert_with(|| Value::Object(Map::new()));
    }
    split(role, content, extra, messages);
    Ok(())
}

/// Adds a message for each tool result and for each run of other blocks, in their order.
fn split(role: Role, content: Vec<Block>, extra: Extra, messages: &mut Vec<Message>) {
    let first = messages.len();
    let mut open = false;
    for block in content {
        let is_result = matches!(block, Block::ToolResult(_));
        match messages.last_mut().filter(|_| open && !is_result) {
            Some(last) => last.content.push(block),
            None => {
                let role = if is_result { Role::Tool } else { role };
                messages.push(Message { role, content: vec![block], name: None, extra: Extra::new() });
            }
        }
        open = !is_result;
    }
    match messages.get_mut(first) {
        Some(message) => message.extra = extra,
        None => messages.push(Message { role, content: Vec::new(), name: None, extra }),
    }
}

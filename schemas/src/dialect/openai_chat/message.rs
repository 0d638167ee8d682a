//! The messages of a client's request, taken apart.

use serde_json::Value;

use super::extras::{CACHE_MARK, mark_last};
use super::{NAME, calls, content};
use crate::chat::{Block, Extra, Message, Reasoning, Role, ToolResult};
use crate::dialect::carry::{Notes, carry};
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// Message fields that this dialect, or a server that many speak to, knows and only carries.
const CARRIED: [&str; 3] = ["annotations", "audio", CACHE_MARK];

/// Takes `messages` out of a request.
pub(super) fn decode_all(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Vec<Message>, Mismatch> {
    let path = fields.at("messages");
    let items = array(fields.require("messages")?, &path)?;
    if items.is_empty() {
        return Err(Mismatch::at(&path, "expected at least one message, found none"));
    }
    let mut last_call = None;
    let mut messages = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        messages.push(decode(item, &Path::Index(&path, index), index, &mut last_call, notes)?);
    }
    Ok(messages)
}

/// Takes one message apart. `last_call` is the id made for the last `function_call`, which had none of its own.
fn decode(
    value: Value,
    path: &Path<'_>,
    index: usize,
    last_call: &mut Option<String>,
    notes: &mut Notes,
) -> Result<Message, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let role = fields.required_text("role")?;
    let (role, legacy) = match role.as_str() {
        "system" => (Role::System, false),
        "developer" => (Role::Developer, false),
        "user" => (Role::User, false),
        "assistant" => (Role::Assistant, false),
        "tool" => (Role::Tool, false),
        "function" => (Role::Tool, true),
        _ => {
            let roles = "`system`, `developer`, `user`, `assistant` or `tool`";
            return Err(Mismatch::word(&fields.at("role"), roles, &role));
        }
    };
    let name = fields.string("name")?;
    let mut content = match role {
        Role::Tool if legacy => function_result(&mut fields, last_call.take(), notes)?,
        Role::Tool => tool_result(&mut fields, notes)?,
        Role::Assistant => assistant(&mut fields, index, last_call, notes)?,
        _ => content::decode(fields.require("content")?, &fields.at("content"), role, notes)?,
    };
    let mark = fields.take(CACHE_MARK).and_then(|mark| mark_last(&mut content, mark));
    fields.put_some(CACHE_MARK, mark);
    Ok(Message { role, content, name, extra: carry_rest(fields, notes) })
}

fn tool_result(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Vec<Block>, Mismatch> {
    let tool_call_id = fields.required_text("tool_call_id")?;
    let content = content::decode(fields.require("content")?, &fields.at("content"), Role::Tool, notes)?;
    Ok(vec![Block::ToolResult(ToolResult { tool_call_id, content, is_error: false, extra: Extra::new() })])
}

/// A message of the role `function`: it answers the `function_call` before it.
fn function_result(fields: &mut Fields<'_>, call: Option<String>, notes: &mut Notes) -> Result<Vec<Block>, Mismatch> {
    let Some(tool_call_id) = call else {
        return Err(Mismatch::at(&fields.at("role"), "a function message must answer a function_call before it"));
    };
    let content = match fields.take("content") {
        Some(value) => content::decode(value, &fields.at("content"), Role::Tool, notes)?,
        None => Vec::new(),
    };
    Ok(vec![Block::ToolResult(ToolResult { tool_call_id, content, is_error: false, extra: Extra::new() })])
}

fn assistant(
    fields: &mut Fields<'_>,
    index: usize,
    last_call: &mut Option<String>,
    notes: &mut Notes,
) -> Result<Vec<Block>, Mismatch> {
    let is_legacy = fields.has("function_call") && !fields.has("tool_calls");
    let mut blocks = said(fields, notes)?;
    let made_id = format!("call_{index}");
    let name = |_| is_legacy.then(|| made_id.clone());
    blocks.extend(calls::decode(fields, &name, notes)?);
    if is_legacy {
        *last_call = Some(made_id.clone());
    }
    Ok(blocks)
}

/// What an assistant says: reasoning, then text, then a refusal. Also that of a provider's answer.
pub(super) fn said(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Vec<Block>, Mismatch> {
    let mut blocks = Vec::new();
    if let Some(text) = reasoning(fields)? {
        blocks.push(Block::Reasoning(Reasoning::text(text)));
    }
    if let Some(value) = fields.take("content") {
        blocks.extend(content::decode(value, &fields.at("content"), Role::Assistant, notes)?);
    }
    if let Some(text) = fields.string("refusal")?.filter(|text| !text.is_empty()) {
        blocks.push(Block::Refusal { text });
    }
    Ok(blocks)
}

/// `reasoning_content` as DeepSeek and vLLM name it, or `reasoning` as OpenRouter, Groq and Ollama do; some send both.
pub(super) fn reasoning(fields: &mut Fields<'_>) -> Result<Option<String>, Mismatch> {
    let long = fields.string("reasoning_content")?.filter(|text| !text.is_empty());
    let short = fields.string("reasoning")?.filter(|text| !text.is_empty());
    Ok(long.or(short))
}

/// What is left, as the message carries it. An empty list of annotations is left out: libraries send back what they were
/// answered.
pub(super) fn carry_rest(fields: Fields<'_>, notes: &mut Notes) -> Extra {
    let path = fields.path;
    let mut rest = fields.rest();
    rest.retain(|name, value| name != "annotations" || value.as_array().is_none_or(|list| !list.is_empty()));
    for name in rest.keys().filter(|name| !CARRIED.contains(&name.as_str())) {
        notes.unknown(Path::Field(path, name));
    }
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    extra
}

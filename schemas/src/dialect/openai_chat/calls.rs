//! Tool calls of one message, in both directions: functions, the `custom` calls with free text, and the single
//! `function_call` that came before both.

use serde_json::{Map, Value, json};

use super::NAME;
use crate::chat::{Block, Extra, Message, ToolCall};
use crate::dialect::carry::{Notes, carried, fill};
use crate::dialect::read::{Fields, Mismatch, Path, array, string};

/// Where a message carries what its calls have beyond the neutral form, by call id.
pub(super) const CALL_EXTRAS: &str = "tool_calls";

/// The calls of a message, and what they have beyond the neutral form, by call id.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) blocks: Vec<Block>,
    pub(super) extras: Extra,
}

/// How to name a call that came without an id; `None` refuses it.
pub(super) type Namer<'a> = &'a dyn Fn(usize) -> Option<String>;

/// Takes `tool_calls` and `function_call` out of a message.
pub(super) fn decode(fields: &mut Fields<'_>, name: Namer<'_>, notes: &mut Notes) -> Result<Calls, Mismatch> {
    let mut calls = Calls::default();
    let path = fields.at("tool_calls");
    let items = fields.take("tool_calls").map_or(Ok(Vec::new()), |value| array(value, &path))?;
    for (index, item) in items.into_iter().enumerate() {
        let (call, extra) = call(item, &Path::Index(&path, index), index, name, notes)?;
        if !extra.is_empty() {
            calls.extras.insert(call.id.clone(), Value::Object(extra));
        }
        calls.blocks.push(Block::ToolCall(call));
    }
    let path = fields.at("function_call");
    if let Some(value) = fields.take("function_call").filter(|_| calls.blocks.is_empty()) {
        let (tool, arguments) = function(value, &path)?;
        let id = name(0).unwrap_or_default();
        calls.blocks.push(Block::ToolCall(ToolCall { id, name: tool, arguments, extra: Extra::new() }));
    }
    Ok(calls)
}

fn call(
    value: Value,
    path: &Path<'_>,
    index: usize,
    name: Namer<'_>,
    notes: &mut Notes,
) -> Result<(ToolCall, Extra), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let id = match fields.string("id")?.filter(|id| !id.is_empty()).or_else(|| name(index)) {
        Some(id) => id,
        None => return Err(Mismatch::at(&fields.at("id"), "required, but absent or empty")),
    };
    let kind = fields.string("type")?.unwrap_or_else(|| "function".to_owned());
    let (tool, arguments) = match kind.as_str() {
        "function" => function(fields.require("function")?, &fields.at("function"))?,
        "custom" => custom(fields.require("custom")?, &fields.at("custom"))?,
        _ => return Err(Mismatch::word(&fields.at("type"), "`function` or `custom`", &kind)),
    };
    let mut extra = fields.rest();
    extra.keys().for_each(|name| notes.unknown(Path::Field(path, name)));
    if kind == "custom" {
        extra.insert("type".to_owned(), Value::String(kind));
    }
    Ok((ToolCall { id, name: tool, arguments, extra: Extra::new() }, extra))
}

fn function(value: Value, path: &Path<'_>) -> Result<(String, String), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    Ok((fields.required_text("name")?, arguments(fields.take("arguments"), &fields.at("arguments"))?))
}

fn custom(value: Value, path: &Path<'_>) -> Result<(String, String), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    Ok((fields.required_text("name")?, fields.required_string("input")?))
}

/// JSON text. Some servers send it as an object, or leave it out for a function without parameters.
pub(super) fn arguments(value: Option<Value>, path: &Path<'_>) -> Result<String, Mismatch> {
    match value {
        None => Ok(String::new()),
        Some(object @ Value::Object(_)) => Ok(object.to_string()),
        Some(other) => string(other, path),
    }
}

/// The wire form of the calls of `message`.
pub(super) fn encode(message: &Message) -> Vec<Value> {
    let extras = carried(&message.extra, NAME).and_then(|own| carried(own, CALL_EXTRAS));
    let calls = message.content.iter().filter_map(|block| match block {
        Block::ToolCall(call) => Some(call),
        _ => None,
    });
    calls.map(|call| encode_call(call, extras.and_then(|extras| carried(extras, &call.id)))).collect()
}

fn encode_call(call: &ToolCall, extra: Option<&Map<String, Value>>) -> Value {
    let custom = extra.and_then(|extra| extra.get("type")).is_some_and(|kind| kind == "custom");
    let (kind, inner) = if custom {
        ("custom", json!({"name": call.name, "input": call.arguments}))
    } else {
        ("function", json!({"name": call.name, "arguments": call.arguments}))
    };
    let mut body =
        Map::from_iter([("id".to_owned(), json!(call.id)), ("type".to_owned(), json!(kind)), (kind.to_owned(), inner)]);
    if let Some(extra) = extra {
        fill(&mut body, extra);
    }
    Value::Object(body)
}

/// The first call as `function_call`, for a client that asked with `functions`.
pub(super) fn encode_legacy(message: &Message) -> Option<Value> {
    message.content.iter().find_map(|block| match block {
        Block::ToolCall(call) => Some(json!({"name": call.name, "arguments": call.arguments})),
        _ => None,
    })
}

//! Tool calls of one message, in both directions: functions, the `custom` calls with free text, and the single
//! `function_call` that came before both.

use serde_json::{Map, Value, json};

use super::NAME;
use super::extras::{carry_own, take_own};
use crate::catalog::Quirks;
use crate::chat::{Block, Extra, Message, ToolCall};
use crate::dialect::carry::{Notes, carried, fill};
use crate::dialect::read::{Fields, Mismatch, Path, array, string};

/// How to name a call that came without an id; `None` refuses it.
pub(super) type Namer<'a> = &'a dyn Fn(usize) -> Option<String>;

/// Takes `tool_calls` and `function_call` out of a message.
pub(super) fn decode(fields: &mut Fields<'_>, name: Namer<'_>, notes: &mut Notes) -> Result<Vec<Block>, Mismatch> {
    let path = fields.at("tool_calls");
    let items = fields.take("tool_calls").map_or(Ok(Vec::new()), |value| array(value, &path))?;
    let mut blocks = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        blocks.push(Block::ToolCall(call(item, &Path::Index(&path, index), index, name, notes)?));
    }
    let path = fields.at("function_call");
    if let Some(value) = fields.take("function_call").filter(|_| blocks.is_empty()) {
        let mut inner = Fields::of(value, &path)?;
        let (tool, arguments) = (inner.required_text("name")?, arguments(&mut inner)?);
        let id = name(0).unwrap_or_default();
        blocks.push(Block::ToolCall(ToolCall { id, name: tool, arguments, extra: Extra::new() }));
    }
    Ok(blocks)
}

fn call(value: Value, path: &Path<'_>, index: usize, name: Namer<'_>, notes: &mut Notes) -> Result<ToolCall, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let id = match fields.string("id")?.filter(|id| !id.is_empty()).or_else(|| name(index)) {
        Some(id) => id,
        None => return Err(Mismatch::at(&fields.at("id"), "required, but absent or empty")),
    };
    let kind = fields.string("type")?.unwrap_or_else(|| "function".to_owned());
    let at = fields.at(&kind);
    let (tool, arguments) = match kind.as_str() {
        "function" => {
            let mut inner = Fields::of(fields.require("function")?, &at)?;
            (inner.required_text("name")?, arguments(&mut inner)?)
        }
        "custom" => {
            let mut inner = Fields::of(fields.require("custom")?, &at)?;
            (inner.required_text("name")?, inner.required_string("input")?)
        }
        _ => return Err(Mismatch::word(&fields.at("type"), "`function` or `custom`", &kind)),
    };
    let rest = fields.rest();
    rest.keys().for_each(|name| notes.unknown(Path::Field(path, name)));
    Ok(ToolCall { id, name: tool, arguments, extra: call_extra(&kind, rest) })
}

/// What a call of `kind` carries: its kind unless it is a function, and `rest`.
pub(super) fn call_extra(kind: &str, mut rest: Map<String, Value>) -> Extra {
    if kind == CUSTOM {
        rest.insert("type".to_owned(), json!(kind));
    }
    let mut extra = Extra::new();
    carry_own(&mut extra, rest);
    extra
}

/// The kind of calls whose arguments are free text.
pub(super) const CUSTOM: &str = "custom";

/// Whether the call that carries `extra` is of that kind.
pub(super) fn is_custom(extra: &Extra) -> bool {
    carried(extra, NAME).and_then(|own| own.get("type")).is_some_and(|kind| kind == CUSTOM)
}

/// JSON text. Some servers send it as an object, or leave it out for a function without parameters.
pub(super) fn arguments(function: &mut Fields<'_>) -> Result<String, Mismatch> {
    match function.take("arguments") {
        None => Ok(String::new()),
        Some(object @ Value::Object(_)) => Ok(object.to_string()),
        Some(other) => string(other, &function.at("arguments")),
    }
}

/// The wire form of the calls of `message`, found at `place`.
pub(super) fn encode(message: &Message, place: &str, quirks: &Quirks, notes: &mut Notes) -> Vec<Value> {
    let calls = message.content.iter().filter_map(|block| match block {
        Block::ToolCall(call) => Some(call),
        _ => None,
    });
    calls.map(|call| encode_call(call, &take_own(&call.extra, place, quirks, notes))).collect()
}

/// The wire form of a call that carries `own`.
pub(super) fn encode_call(call: &ToolCall, own: &Map<String, Value>) -> Value {
    let (kind, inner) = if own.get("type").is_some_and(|kind| kind == CUSTOM) {
        (CUSTOM, json!({"name": call.name, "input": call.arguments}))
    } else {
        ("function", json!({"name": call.name, "arguments": call.arguments}))
    };
    let mut body =
        Map::from_iter([("id".to_owned(), json!(call.id)), ("type".to_owned(), json!(kind)), (kind.to_owned(), inner)]);
    fill(&mut body, own);
    Value::Object(body)
}

/// The first call as `function_call`, for a client that asked with `functions`.
pub(super) fn encode_legacy(message: &Message) -> Option<Value> {
    message.content.iter().find_map(|block| match block {
        Block::ToolCall(call) => Some(json!({"name": call.name, "arguments": call.arguments})),
        _ => None,
    })
}

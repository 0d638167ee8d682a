//! A client's request body, taken apart.

use serde_json::{Value, json};

use super::content::{self, Writer};
use super::reasoning::{self, Demand};
use super::tools::{self, Offer};
use super::{Decoded, NAME, context, message};
use crate::chat::{ChatRequest, Extra, Message, Role, Sampling};
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path, array, string};
use crate::error::Failure;

/// Every top-level field that this dialect knows, for routes that refuse the others and name the nearest.
pub const KNOWN_FIELDS: &[&str] = &[
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "context_management",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "thread",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Takes a client's request body apart. It is consumed, so that large texts move and are not copied.
///
/// # Errors
/// `invalid_request` whose `param` is the path of the field at fault.
pub fn decode_request(body: Value) -> Result<Decoded, Failure> {
    decode(body, true).map_err(Mismatch::of_client)
}

/// Takes the body of a request to count tokens apart: the same fields, without the need for `max_tokens`.
///
/// # Errors
/// `invalid_request` whose `param` is the path of the field at fault.
pub fn decode_count_request(body: Value) -> Result<Decoded, Failure> {
    decode(body, false).map_err(Mismatch::of_client)
}

/// The answer to a request to count tokens.
#[must_use]
pub fn encode_count(input_tokens: u64) -> Value {
    json!({"input_tokens": input_tokens})
}

fn decode(body: Value, answers: bool) -> Result<Decoded, Mismatch> {
    let mut notes = Notes::default();
    let mut fields = Fields::of(body, &Path::Root)?;
    let model = fields.required_text("model")?;
    let max_tokens = max_tokens(&mut fields, answers)?;
    let mut messages: Vec<_> = system(&mut fields, &mut notes)?.into_iter().collect();
    messages.extend(message::decode_all(&mut fields, &mut notes)?);
    let Offer { tools, choice, parallel } = tools::decode(&mut fields, &mut notes)?;
    let Demand { budget, effort, response_format } = reasoning::decode(&mut fields, &mut notes)?;
    let sampling = Sampling {
        max_tokens,
        reasoning_budget: budget,
        reasoning_effort: effort,
        stop: stop(&mut fields)?,
        temperature: fields.number("temperature", 0.0..=1.0)?,
        top_p: fields.number("top_p", 0.0..=1.0)?,
        top_k: fields.natural("top_k", 0)?,
        ..Sampling::default()
    };
    let stream = fields.boolean("stream")?.unwrap_or(false);
    let user = user(&mut fields)?;
    let context = context::decode(&mut fields, &mut notes)?;
    check_carried(&mut fields)?;
    let request = ChatRequest {
        model,
        messages,
        tools,
        tool_choice: choice,
        parallel_tool_calls: parallel,
        sampling,
        response_format,
        stream,
        user,
        extra: [(NAME.to_owned(), notes.rest(fields, KNOWN_FIELDS))].into(),
    };
    Ok(Decoded { request, context, warnings: notes.warnings, unknown: notes.unknown })
}

/// 0 asks only to fill the provider's prompt cache.
fn max_tokens(fields: &mut Fields<'_>, required: bool) -> Result<Option<u32>, Mismatch> {
    let limit = fields.natural("max_tokens", 0)?;
    if required && limit.is_none() {
        return Err(Mismatch::at(&fields.at("max_tokens"), "required, but absent or null"));
    }
    Ok(limit)
}

fn system(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Option<Message>, Mismatch> {
    let Some(value) = fields.take("system") else { return Ok(None) };
    let content = content::decode(value, &fields.at("system"), Writer::Client(Role::System), notes)?;
    let message = Message { role: Role::System, content, name: None, extra: Extra::new() };
    Ok(Some(message).filter(|message| !message.content.is_empty()))
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, Mismatch> {
    let path = fields.at("stop_sequences");
    let texts = fields.take("stop_sequences").map_or(Ok(Vec::new()), |value| array(value, &path))?;
    texts.into_iter().enumerate().map(|(index, text)| string(text, &Path::Index(&path, index))).collect()
}

fn user(fields: &mut Fields<'_>) -> Result<Option<String>, Mismatch> {
    let path = fields.at("metadata");
    let Some(value) = fields.take("metadata") else { return Ok(None) };
    let mut metadata = Fields::of(value, &path)?;
    let user = metadata.string("user_id")?;
    fields.put_rest("metadata", metadata.rest());
    Ok(user)
}

/// Checks the types of the known fields that are carried, so that a client hears of its mistake at once.
fn check_carried(fields: &mut Fields<'_>) -> Result<(), Mismatch> {
    for name in ["billing_policy", "cache_control", "compaction", "diagnostics", "thread"] {
        keep(fields, name, |value, path| Fields::of(value, path).map(Fields::into_value))?;
    }
    for name in ["inference_geo", "service_tier", "speed"] {
        keep(fields, name, |value, path| string(value, path).map(Value::from))?;
    }
    keep(fields, "mcp_servers", |value, path| array(value, path).map(Value::from))?;
    keep(fields, "container", |value, path| match value {
        Value::String(_) | Value::Object(_) => Ok(value),
        other => Err(Mismatch::expected(path, "a string or an object", &other)),
    })
}

fn keep<'p>(
    fields: &mut Fields<'p>,
    name: &'p str,
    check: impl FnOnce(Value, &Path<'_>) -> Result<Value, Mismatch>,
) -> Result<(), Mismatch> {
    let path = fields.at(name);
    let value = fields.take(name).map(|value| check(value, &path)).transpose()?;
    fields.put_some(name, value);
    Ok(())
}

//! A whole answer: a provider's taken apart, a client's put together.

use serde_json::{Map, Value, json};

use super::content::{Seen, annotations, phase_annotation};
use super::output::Output;
use super::words::{self, decode_usage, encode_usage};
use super::{NAME, Reply, Status, item};
use crate::chat::{Block, ChatResponse, Extra, FinishReason, Message, Role, Usage};
use crate::delta::{Delta, block_pieces};
use crate::dialect::carry::{carried, carry};
use crate::dialect::openai_chat::within;
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::whole;
use crate::error::Failure;

/// Fields of a provider's answer that only repeat its request, or tell of its own state.
const REPEATED: [&str; 31] = [
    "background",
    "completed_at",
    "context_management",
    "conversation",
    "created_at",
    "error",
    "image",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "object",
    "output",
    "output_text",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Fields that are carried in parts, and written in their places.
const PLACED: [&str; 2] = ["usage", "incomplete_details"];

/// Takes a provider's whole answer apart.
///
/// # Errors
/// `provider_invalid_response` on whatever is no whole answer; the provider's own error if the body is one.
pub fn decode_response(body: &[u8]) -> Result<ChatResponse, Failure> {
    whole::answer(body, within, decode)
}

fn decode(value: Value) -> Result<ChatResponse, Mismatch> {
    let mut fields = Fields::of(value, &Path::Root)?;
    let id = fields.string("id")?.filter(|id| !id.is_empty());
    let model = fields.string("model")?.unwrap_or_default();
    let (path, items) = (fields.at("output"), fields.require("output")?);
    let mut seen = Seen::default();
    let mut content = Vec::new();
    for (index, value) in array(items, &path)?.into_iter().enumerate() {
        let path = Path::Index(&path, index);
        let mut item = Fields::of(value, &path)?;
        let kind = item.required_text("type")?;
        content.extend(item::decode(item, &kind, &mut seen)?);
    }
    let has_calls = content.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let End { finish, usage, extra } = end(fields, has_calls)?;
    let message = Message { role: Role::Assistant, content, name: None, extra: Extra::new() };
    Ok(ChatResponse { id, model, message, finish, usage, logprobs: seen.logprobs, extra })
}

/// How an answer ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) finish: FinishReason,
    pub(super) usage: Option<Usage>,
    pub(super) extra: Extra,
}

/// Reads the end out of a provider's response object, which is no failed one.
pub(super) fn end(mut fields: Fields<'_>, has_calls: bool) -> Result<End, Mismatch> {
    let path = fields.at("incomplete_details");
    let details = fields.take("incomplete_details");
    let reason = match details.clone() {
        Some(details) => Fields::of(details, &path)?.string("reason")?,
        None => None,
    };
    let done = if has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
    let finish = match fields.string("status")?.as_deref() {
        Some("completed") => done,
        None if reason.is_none() => done,
        None | Some("incomplete") => words::incomplete(reason.as_deref().unwrap_or_default()),
        Some(other) => return Err(Mismatch::word(&fields.at("status"), "`completed` or `incomplete`", other)),
    };
    let path = fields.at("usage");
    let (usage, more) = fields.take("usage").map_or(Ok(Default::default()), |value| decode_usage(value, &path))?;
    for name in REPEATED {
        fields.take(name);
    }
    let mut rest = fields.rest();
    for name in ["id", "model"] {
        rest.remove(name);
    }
    if words::ended(finish).1 != reason.as_deref() {
        rest.extend(details.map(|details| ("incomplete_details".to_owned(), details)));
    }
    if !more.is_empty() {
        rest.insert("usage".to_owned(), Value::Object(more));
    }
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    Ok(End { finish, usage, extra })
}

/// The body that answers a client: an ended answer, or as much as `reply.status` says.
#[must_use]
pub fn encode_response(response: &ChatResponse, reply: &Reply) -> Value {
    let mut output = Output::new(reply);
    let mut events = Vec::new();
    for delta in pieces(response) {
        output.push(&delta, &mut events);
        events.clear();
    }
    let ended = End { finish: response.finish, usage: response.usage, extra: response.extra.clone() };
    body(reply, &reply.status, output.into_values(), Some(&ended))
}

/// The body for a client whose answer has no output: not begun, failed, cancelled.
#[must_use]
pub fn encode_without_output(reply: &Reply) -> Value {
    body(reply, &reply.status, Vec::new(), None)
}

/// The deltas of an answer as a stream brings them: a phase before its text.
pub(super) fn pieces(response: &ChatResponse) -> Vec<Delta> {
    let mut deltas = Vec::new();
    let (mut calls, mut before) = (0, None);
    for block in &response.message.content {
        // More than needed is harmless: between blocks of two kinds it changes nothing.
        if before.replace(std::mem::discriminant(block)) == Some(std::mem::discriminant(block)) {
            deltas.push(Delta::Break);
        }
        if let Block::Text { extra, .. } = block
            && let Some(phase) = annotations(extra).0
        {
            deltas.push(Delta::Text { text: String::new() });
            deltas.push(Delta::Annotation { dialect: NAME.to_owned(), value: phase_annotation(phase) });
        }
        block_pieces(block, calls, &mut deltas);
        calls += u32::from(matches!(block, Block::ToolCall(_)));
    }
    deltas.push(Delta::Logprobs { tokens: response.logprobs.clone() });
    deltas.push(Delta::Finish { reason: response.finish, extra: response.extra.clone() });
    deltas
}

/// The response object.
pub(super) fn body(reply: &Reply, status: &Status, output: Vec<Value>, end: Option<&End>) -> Value {
    let ended = end.map(|end| words::ended(end.finish));
    let (word, reason) = match status {
        Status::Queued => ("queued", None),
        Status::InProgress => ("in_progress", None),
        Status::Completed => ended.unwrap_or(("completed", None)),
        Status::Failed(_) => ("failed", None),
        Status::Cancelled => ("cancelled", None),
    };
    let own = end.and_then(|end| carried(&end.extra, NAME));
    let told = own.and_then(|own| own.get("incomplete_details")).filter(|_| word == "incomplete").cloned();
    let failure = if let Status::Failed(failure) = status { Some(words::failure(failure)) } else { None };
    let mut body = Map::from_iter([
        ("id".to_owned(), json!(reply.id)),
        ("object".to_owned(), json!("response")),
        ("created_at".to_owned(), json!(reply.created_at)),
        ("status".to_owned(), json!(word)),
    ]);
    body.extend(reply.completed_at.filter(|_| word == "completed").map(|at| ("completed_at".to_owned(), json!(at))));
    body.insert("error".to_owned(), json!(failure));
    let details = told.or_else(|| reason.map(|reason| json!({"reason": reason})));
    body.insert("incomplete_details".to_owned(), json!(details));
    body.insert("model".to_owned(), json!(reply.model));
    body.insert("output".to_owned(), Value::Array(output));
    let more = own.and_then(|own| carried(own, "usage"));
    let usage = end.and_then(|end| end.usage.as_ref()).map(|usage| encode_usage(usage, more));
    body.insert("usage".to_owned(), json!(usage));
    body.extend(reply.options.repeated());
    let own = own.into_iter().flatten().filter(|(name, _)| !PLACED.contains(&name.as_str()));
    body.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(body)
}

//! A whole answer: a provider's taken apart, a client's put together.

use serde_json::{Map, Value, json};

use super::calls::{self, CALL_EXTRAS};
use super::message::{carry_rest, said};
use super::words::{Finish, decode_usage, encode_usage, finish_word};
use super::{NAME, Reply, error};
use crate::chat::{Block, ChatResponse, Extra, FinishReason, Message, Role};
use crate::dialect::carry::{Notes, carried, carry};
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::error::{ErrorCode, Failure};

/// What is carried of the choice and not of the whole answer.
const OF_CHOICE: [&str; 2] = ["logprobs", "finish_reason"];

/// Takes a provider's whole answer apart.
///
/// # Errors
/// `provider_invalid_response` on whatever is no whole answer; the provider's own error if the body is one.
pub fn decode_response(body: &[u8]) -> Result<ChatResponse, Failure> {
    let value: Value = serde_json::from_slice(body).map_err(|fault| {
        let message = format!("the provider's answer is not JSON: line {}, column {}", fault.line(), fault.column());
        Failure::new(ErrorCode::ProviderInvalidResponse, message)
    })?;
    match error::within(&value) {
        Some(classified) => Err(classified.failure),
        None => decode(value).map_err(Mismatch::of_provider),
    }
}

fn decode(value: Value) -> Result<ChatResponse, Mismatch> {
    let mut fields = Fields::of(value, &Path::Root)?;
    let id = fields.string("id")?.filter(|id| !id.is_empty());
    let model = fields.string("model")?.unwrap_or_default();
    let path = fields.at("usage");
    let usage = fields.take("usage").map_or(Ok(None), |value| decode_usage(value, &path))?;
    let path = fields.at("choices");
    let choice = array(fields.require("choices")?, &path)?.into_iter().next();
    let choice = choice.ok_or_else(|| Mismatch::at(&path, "expected at least one choice, found none"))?;
    let path = Path::Index(&path, 0);
    let mut choice = Fields::of(choice, &path)?;
    let at = choice.at("message");
    let message = message(choice.require("message")?, &at, id.as_deref())?;
    let mut rest = Fields::rest(fields);
    // Always the same word, and the moment of one call: neither says anything of the answer.
    rest.retain(|name, _| name != "object" && name != "created");
    let finish = finish(&mut choice, &mut rest)?;
    rest.extend(choice.take("logprobs").map(|value| ("logprobs".to_owned(), value)));
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    Ok(ChatResponse { id, model, message, finish, usage, logprobs: Vec::new(), extra })
}

fn message(value: Value, path: &Path<'_>, response_id: Option<&str>) -> Result<Message, Mismatch> {
    let mut notes = Notes::default();
    let mut fields = Fields::of(value, path)?;
    fields.take("role");
    let mut content = said(&mut fields, &mut notes)?;
    let calls = calls::decode(&mut fields, &|index| Some(made_id(response_id, index)), &mut notes)?;
    content.extend(calls.blocks);
    let (mut own, mut extra) = (Extra::new(), Extra::new());
    carry(&mut own, CALL_EXTRAS, calls.extras);
    carry(&mut extra, NAME, own);
    carry_rest(fields, &mut extra, &mut notes);
    Ok(Message { role: Role::Assistant, content, name: None, extra })
}

/// The id of a call that the provider gave none: its result must be able to name it.
pub(super) fn made_id(response_id: Option<&str>, index: usize) -> String {
    response_id.map_or_else(|| format!("call_{index}"), |id| format!("call_{id}_{index}"))
}

fn finish(choice: &mut Fields<'_>, rest: &mut Map<String, Value>) -> Result<FinishReason, Mismatch> {
    let path = choice.at("finish_reason");
    let word = choice.required_text("finish_reason")?;
    match Finish::of(&word) {
        Finish::Known(reason) => Ok(reason),
        Finish::Error => Err(Mismatch::at(&path, "the provider failed half way")),
        Finish::Unknown => {
            rest.insert("finish_reason".to_owned(), Value::String(word));
            Ok(FinishReason::Stop)
        }
    }
}

/// The body that answers a client.
#[must_use]
pub fn encode_response(response: &ChatResponse, reply: &Reply) -> Value {
    let own = carried(&response.extra, NAME);
    let legacy = reply.options.legacy_functions;
    let choice = json!({
        "index": 0,
        "message": encode_message(&response.message, legacy),
        "logprobs": own.and_then(|own| own.get("logprobs")),
        "finish_reason": finish_word(response.finish, legacy),
    });
    let mut body = Map::from_iter([
        ("id".to_owned(), json!(reply.id)),
        ("object".to_owned(), json!("chat.completion")),
        ("created".to_owned(), json!(reply.created)),
        ("model".to_owned(), json!(reply.model)),
        ("choices".to_owned(), json!([choice])),
    ]);
    body.extend(response.usage.as_ref().map(|usage| ("usage".to_owned(), encode_usage(usage))));
    for (name, value) in own.into_iter().flatten() {
        if !OF_CHOICE.contains(&name.as_str()) && !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    Value::Object(body)
}

fn encode_message(message: &Message, legacy: bool) -> Value {
    let joined = |pick: fn(&Block) -> Option<&str>| {
        let pieces: Vec<_> = message.content.iter().filter_map(pick).collect();
        (!pieces.is_empty()).then(|| pieces.concat())
    };
    let refusal = joined(|block| if let Block::Refusal { text } = block { Some(text) } else { None });
    let reasoning = joined(|block| if let Block::Reasoning(own) = block { Some(&own.text) } else { None });
    let calls = calls::encode(message);
    // A client reads text or a reason why there is none; an answer cut before its first word is an empty text.
    let empty = (refusal.is_none() && calls.is_empty()).then(String::new);
    let mut body = Map::from_iter([
        ("role".to_owned(), json!("assistant")),
        ("content".to_owned(), json!(joined(Block::as_text).or(empty))),
        ("refusal".to_owned(), json!(refusal)),
    ]);
    body.extend(reasoning.map(|text| ("reasoning_content".to_owned(), json!(text))));
    if legacy {
        body.extend(calls::encode_legacy(message).map(|call| ("function_call".to_owned(), call)));
    } else if !calls.is_empty() {
        body.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    for (name, value) in carried(&message.extra, NAME).into_iter().flatten() {
        if name != CALL_EXTRAS && !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    Value::Object(body)
}

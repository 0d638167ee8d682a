//! A whole answer: a provider's taken apart, a client's put together.

use serde_json::{Map, Value, json};

use super::annotations::{attach, of_message};
use super::message::{carry_rest, said};
use super::words::{Finish, Told, decode_usage, encode_usage, finish_word};
use super::{NAME, Reply, calls, error};
use crate::catalog::Quirks;
use crate::chat::{Block, ChatResponse, Extra, FinishReason, Message, Role};
use crate::delta::ANNOTATIONS;
use crate::dialect::carry::{Notes, carried, carry, fill};
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::whole;
use crate::error::Failure;

/// Where an answer carries what its choice has beyond the neutral form.
pub(super) const CHOICE: &str = "choice";
/// Where it carries log probabilities other than those of its text.
pub(super) const LOGPROBS: &str = "logprobs";
/// Where it carries the word of its end, when that is one that nobody knows.
pub(super) const FINISH_REASON: &str = "finish_reason";
/// Where it carries counts beyond the neutral ones.
pub(super) const USAGE: &str = "usage";

/// Fields that say nothing of the answer: always the same word, the moment of one call, padding.
pub(super) const IDLE: [&str; 3] = ["object", "created", "obfuscation"];

/// Takes a provider's whole answer apart.
///
/// # Errors
/// `provider_invalid_response` on whatever is no whole answer; the provider's own error if the body is one.
pub fn decode_response(body: &[u8]) -> Result<ChatResponse, Failure> {
    whole::answer(body, error::within, decode)
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
    let (finish, word) = finish(&mut choice)?;
    let (logprobs, more_logprobs) = logprobs(&mut choice)?;
    choice.take("index");
    let mut own = fields.rest();
    IDLE.iter().for_each(|name| drop(own.remove(*name)));
    own.extend(word.map(|word| (FINISH_REASON.to_owned(), json!(word))));
    carry(&mut own, LOGPROBS, more_logprobs);
    carry(&mut own, CHOICE, choice.rest());
    let usage = usage.map(|Told { usage, beside }| {
        carry(&mut own, USAGE, beside);
        usage
    });
    let mut extra = Extra::new();
    carry(&mut extra, NAME, own);
    Ok(ChatResponse { id, model, message, finish, usage, logprobs, extra })
}

fn message(value: Value, path: &Path<'_>, response_id: Option<&str>) -> Result<Message, Mismatch> {
    let mut notes = Notes::default();
    let mut fields = Fields::of(value, path)?;
    fields.take("role");
    let mut content = said(&mut fields, &mut notes)?;
    let at = fields.at(ANNOTATIONS);
    let list = fields.take(ANNOTATIONS).map_or(Ok(Vec::new()), |value| array(value, &at))?;
    let left = if list.is_empty() { None } else { attach(list, &mut content) };
    fields.put_some(ANNOTATIONS, left);
    content.extend(calls::decode(&mut fields, &|index| Some(made_id(response_id, index)), &mut notes)?);
    Ok(Message { role: Role::Assistant, content, name: None, extra: carry_rest(fields, &mut notes) })
}

/// The id of a call that the provider gave none: its result must be able to name it.
pub(super) fn made_id(response_id: Option<&str>, index: usize) -> String {
    response_id.map_or_else(|| format!("call_{index}"), |id| format!("call_{id}_{index}"))
}

/// Why the answer ended, and the word for it if nobody knows it.
fn finish(choice: &mut Fields<'_>) -> Result<(FinishReason, Option<String>), Mismatch> {
    let word = choice.required_text("finish_reason")?;
    known_finish(word, &choice.at("finish_reason"))
}

/// What `word` means, and itself if nobody knows it.
pub(super) fn known_finish(word: String, path: &Path<'_>) -> Result<(FinishReason, Option<String>), Mismatch> {
    match Finish::of(&word) {
        Finish::Known(reason) => Ok((reason, None)),
        Finish::Error => Err(Mismatch::at(path, "the provider failed half way")),
        Finish::Unknown => Ok((FinishReason::Stop, Some(word))),
    }
}

/// The log probabilities of a choice's text, and what else they tell (those of a refusal).
pub(super) fn logprobs(choice: &mut Fields<'_>) -> Result<(Vec<Value>, Map<String, Value>), Mismatch> {
    let path = choice.at("logprobs");
    let Some(value) = choice.take("logprobs") else { return Ok((Vec::new(), Map::new())) };
    let mut fields = Fields::of(value, &path)?;
    let at = fields.at("content");
    let tokens = fields.take("content").map_or(Ok(Vec::new()), |value| array(value, &at))?;
    Ok((tokens, fields.rest()))
}

/// The body that answers a client.
#[must_use]
pub fn encode_response(response: &ChatResponse, reply: &Reply) -> Value {
    let empty = Map::new();
    let own = carried(&response.extra, NAME).unwrap_or(&empty);
    let legacy = reply.options.legacy_functions;
    let mut choice = Map::from_iter([
        ("index".to_owned(), json!(0)),
        ("message".to_owned(), encode_message(&response.message, legacy)),
        ("logprobs".to_owned(), encode_logprobs(&response.logprobs, carried(own, LOGPROBS))),
        ("finish_reason".to_owned(), json!(finish_word(response.finish, legacy))),
    ]);
    fill(&mut choice, carried(own, CHOICE).unwrap_or(&empty));
    let mut body = Map::from_iter([
        ("id".to_owned(), json!(reply.id)),
        ("object".to_owned(), json!("chat.completion")),
        ("created".to_owned(), json!(reply.created)),
        ("model".to_owned(), json!(reply.model)),
        ("choices".to_owned(), json!([choice])),
    ]);
    let usage = response.usage.as_ref().map(|usage| encode_usage(usage, carried(own, USAGE)));
    body.extend(usage.map(|usage| ("usage".to_owned(), usage)));
    fill(&mut body, &of_answer(own));
    Value::Object(body)
}

/// What `own` carries of the whole answer, and not of its choice or its counts.
pub(super) fn of_answer(own: &Map<String, Value>) -> Map<String, Value> {
    let elsewhere = [CHOICE, LOGPROBS, FINISH_REASON, USAGE];
    let whole = own.iter().filter(|(name, _)| !elsewhere.contains(&name.as_str()));
    whole.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The log probabilities of a choice: null where there are none.
pub(super) fn encode_logprobs(tokens: &[Value], more: Option<&Map<String, Value>>) -> Value {
    if tokens.is_empty() && more.is_none() {
        return Value::Null;
    }
    let content = (!tokens.is_empty()).then_some(tokens);
    let mut body = Map::from_iter([("content".to_owned(), json!(content)), ("refusal".to_owned(), Value::Null)]);
    body.extend(more.cloned().unwrap_or_default());
    Value::Object(body)
}

fn encode_message(message: &Message, legacy: bool) -> Value {
    let joined = |pick: fn(&Block) -> Option<&str>| {
        let pieces: Vec<_> = message.content.iter().filter_map(pick).collect();
        (!pieces.is_empty()).then(|| pieces.concat())
    };
    let refusal = joined(|block| if let Block::Refusal { text } = block { Some(text) } else { None });
    let reasoning = joined(|block| if let Block::Reasoning(own) = block { Some(&own.text) } else { None });
    let reasoning = reasoning.filter(|text| !text.is_empty());
    let calls = encode_calls(message);
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
    let annotations = of_message(&message.content);
    if !annotations.is_empty() {
        body.insert(ANNOTATIONS.to_owned(), Value::Array(annotations));
    }
    for block in &message.content {
        if let Block::Opaque { dialect, value } = block
            && let Some(fields) = message_fields(dialect, value)
        {
            fill(&mut body, &fields);
        }
    }
    fill(&mut body, carried(&message.extra, NAME).unwrap_or(&Map::new()));
    Value::Object(body)
}

/// No warning reaches a client with its answer: what other dialects know of a call is left out, as the table says.
fn encode_calls(message: &Message) -> Vec<Value> {
    calls::encode(message, "", &Quirks::default(), &mut Notes::default())
}

/// The type of the opaque block that holds fields of a message, where a stream told them.
const MESSAGE: &str = "message";

/// The block of an answer that holds `fields` of its message.
pub(super) fn message_block(mut fields: Map<String, Value>) -> Option<Value> {
    (!fields.is_empty()).then(|| {
        fields.insert("type".to_owned(), json!(MESSAGE));
        Value::Object(fields)
    })
}

/// The fields of the message that an opaque block holds, if it is such a block.
pub(super) fn message_fields(dialect: &str, value: &Value) -> Option<Map<String, Value>> {
    let mut fields = value
        .as_object()
        .filter(|fields| dialect == NAME && fields.get("type").is_some_and(|kind| kind == MESSAGE))?
        .clone();
    fields.retain(|name, _| !OWN.contains(&name.as_str()));
    Some(fields)
}

/// Fields of a message that are never told from such a block.
const OWN: [&str; 8] =
    ["type", "role", "content", "refusal", "reasoning_content", "tool_calls", "function_call", ANNOTATIONS];

//! A whole answer: a provider's taken apart, a client's put together.

use serde_json::{Map, Value, json};

use super::content::{self, Writer};
use super::usage::{self, USAGE};
use super::words::{Said, decode_stop, encode_stop};
use super::{NAME, Reply, blocks, citations, error};
use crate::chat::{Block, ChatResponse, Extra, Message, Reasoning, Role};
use crate::delta::{Delta, annotations};
use crate::dialect::carry::{Notes, carried, carry};
use crate::dialect::proof;
use crate::dialect::read::{Fields, Mismatch, Path};
use crate::dialect::whole;
use crate::error::Failure;

/// Takes a provider's whole answer apart.
///
/// # Errors
/// `provider_invalid_response` on whatever is no whole answer; the provider's own error if the body is one.
pub fn decode_response(body: &[u8]) -> Result<ChatResponse, Failure> {
    whole::answer(body, error::within, decode)
}

fn decode(value: Value) -> Result<ChatResponse, Mismatch> {
    let mut fields = Fields::of(value, &Path::Root)?;
    let head = Head::take(&mut fields)?;
    let path = fields.at("content");
    let content = content::decode(fields.require("content")?, &path, Writer::Provider, &mut Notes::default())?;
    let word = fields.required_text("stop_reason")?;
    let path = fields.at(USAGE);
    let counts = fields.take(USAGE);
    let mut own = fields.rest();
    let usage = counts.map_or(Ok(None), |value| usage::decode(value, &path, &mut own))?;
    let finish = decode_stop(word, &mut own);
    let message = Message { role: Role::Assistant, content, name: None, extra: Extra::new() };
    let mut extra = Extra::new();
    carry(&mut extra, NAME, own);
    Ok(ChatResponse { id: head.id, model: head.model, message, finish, usage, logprobs: Vec::new(), extra })
}

/// What names an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) id: Option<String>,
    pub(super) model: String,
}

impl Head {
    /// Takes the names out of an answer, and the words that are always the same.
    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Self, Mismatch> {
        for name in ["type", "role"] {
            fields.take(name);
        }
        let id = fields.string("id")?.filter(|id| !id.is_empty());
        Ok(Self { id, model: fields.string("model")?.unwrap_or_default() })
    }
}

/// The body that answers a client.
#[must_use]
pub fn encode_response(response: &ChatResponse, reply: &Reply) -> Value {
    let own = carried(&response.extra, NAME);
    let content = &response.message.content;
    let said = Said {
        calls: content.iter().any(|block| matches!(block, Block::ToolCall(_))),
        refusal: content.iter().any(|block| matches!(block, Block::Refusal { .. })),
    };
    let mut body = Map::from_iter([
        ("id".to_owned(), json!(reply.id)),
        ("type".to_owned(), json!("message")),
        ("role".to_owned(), json!("assistant")),
        ("model".to_owned(), json!(reply.model)),
        ("content".to_owned(), content.iter().filter_map(encode_block).collect()),
    ]);
    body.extend(encode_stop(response.finish, own, said));
    body.insert(USAGE.to_owned(), usage::encode(response.usage.as_ref(), own));
    for (name, value) in own.into_iter().flatten() {
        if !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    Value::Object(body)
}

/// A block as a client of this API reads it. `None` for another dialect's, and for what no answer holds.
fn encode_block(block: &Block) -> Option<Value> {
    match block {
        Block::Text { text, extra } => Some(self::text(text, extra)),
        Block::Refusal { text } => Some(blocks::text(text, &Extra::new())),
        Block::ToolCall(call) => {
            Some(blocks::tool_use(&call.id, &call.name, blocks::input(&call.arguments).0, &call.extra))
        }
        Block::Reasoning(reasoning) => thinking(reasoning),
        Block::Opaque { dialect, value } => Some(value.clone()).filter(|_| dialect == NAME),
        Block::Image { .. } | Block::Document { .. } | Block::ToolResult(_) => None,
    }
}

fn text(text: &str, extra: &Extra) -> Value {
    let mut body = blocks::text(text, extra);
    let told = annotations(extra).filter_map(|delta| match delta {
        Delta::Annotation { dialect, value } => citations::for_client(&dialect, &value),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    if !told.is_empty() {
        body["citations"] = Value::Array(told);
    }
    body
}

fn thinking(reasoning: &Reasoning) -> Option<Value> {
    let slot = proof::wrap(reasoning, NAME);
    let body = if reasoning.redacted {
        blocks::redacted(&slot?)
    } else {
        blocks::thinking(&reasoning.text, &slot.unwrap_or_default())
    };
    Some(blocks::with_own(body, &reasoning.extra))
}

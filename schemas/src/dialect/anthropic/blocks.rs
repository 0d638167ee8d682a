//! The wire form of blocks, for clients and providers alike.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::NAME;
use crate::chat::Extra;
use crate::delta::ANNOTATIONS;
use crate::dialect::carry::{carried, fill};

/// Where arguments that are no JSON object are put, for the API takes nothing else.
const TEXT_ARGUMENTS: &str = "arguments";

/// `body` with what this dialect carries in `extra`.
pub(super) fn with_own(mut body: Value, extra: &Extra) -> Value {
    if let (Some(body), Some(own)) = (body.as_object_mut(), carried(extra, NAME)) {
        fill(body, own);
    }
    body
}

/// A text and its citations.
pub(super) fn text(text: &str, extra: &Extra) -> Value {
    let mut body = Map::from_iter([("type".to_owned(), json!("text")), ("text".to_owned(), json!(text))]);
    for (name, value) in carried(extra, NAME).into_iter().flatten() {
        let name = if name == ANNOTATIONS { "citations" } else { name };
        body.entry(name).or_insert_with(|| value.clone());
    }
    Value::Object(body)
}

/// A tool call. A provider takes no other ids than [`wire_id`] gives.
pub(super) fn tool_use(id: &str, name: &str, input: Value, extra: &Extra) -> Value {
    with_own(json!({"type": "tool_use", "id": id, "name": name, "input": input}), extra)
}

/// Thinking and its proof.
pub(super) fn thinking(text: &str, signature: &str) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": signature})
}

/// Thinking of which the proof is all there is.
pub(super) fn redacted(data: &str) -> Value {
    json!({"type": "redacted_thinking", "data": data})
}

/// Arguments as the object that the API takes, and whether they were one. None at all are an empty one.
pub(super) fn input(arguments: &str) -> (Value, bool) {
    if arguments.trim().is_empty() {
        return (json!({}), true);
    }
    match serde_json::from_str(arguments) {
        Ok(object @ Value::Object(_)) => (object, true),
        _ => (json!({TEXT_ARGUMENTS: arguments}), false),
    }
}

/// An id that the API takes: letters, digits, `_` and `-`. The same for a call and its result.
pub(super) fn wire_id(id: &str) -> Cow<'_, str> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !id.is_empty() && id.chars().all(is_fit) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("toolu_{}", id.replace(|c| !is_fit(c), "_")))
}

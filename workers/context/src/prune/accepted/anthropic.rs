//! Whether Anthropic would take a request's conversation: its API reference, its pages on tool use, extended thinking and
//! prompt caching, and the errors that its API answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::openai::is_name;

/// Marks of the prompt cache in one request.
const MOST_MARKS: usize = 4;

/// The first thing wrong with the body's conversation.
pub(super) fn complaint(body: &Value) -> Option<String> {
    check(body).err()
}

type Verdict = Result<(), String>;

fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(complaint()) }
}

fn check(body: &Value) -> Verdict {
    ensure(body["max_tokens"].as_u64().is_some_and(|limit| limit > 0), || "max_tokens: field required".to_owned())?;
    if !body["system"].is_null() {
        blocks(&body["system"], &["text"]).map_err(|complaint| format!("system: {complaint}"))?;
    }
    let list =
        body["messages"].as_array().filter(|list| !list.is_empty()).ok_or("messages: at least one is required")?;
    conversation(list)?;
    thinks(body, list)?;
    let marks = marks(body);
    ensure(marks <= MOST_MARKS, || format!("a maximum of 4 blocks with cache_control may be provided, found {marks}"))
}

/// A user's turn first, then turn about; every call is answered at the head of the next turn, and nothing else is.
fn conversation(list: &[Value]) -> Verdict {
    let (mut waiting, mut all) = (BTreeSet::new(), BTreeSet::new());
    for (index, message) in list.iter().enumerate() {
        let at = |complaint: String| format!("messages.{index}: {complaint}");
        let role = if index % 2 == 0 { "user" } else { "assistant" };
        ensure(message["role"] == role, || at(format!("roles must alternate: expected {role}")))?;
        let names = message.as_object().into_iter().flat_map(|fields| fields.keys());
        ensure(names.eq(["role", "content"]), || at("extra inputs are not permitted".to_owned()))?;
        let kinds: &[&str] = if role == "user" {
            &["text", "image", "document", "search_result", "tool_result"]
        } else {
            &["text", "tool_use", "thinking", "redacted_thinking"]
        };
        blocks(&message["content"], kinds).map_err(at)?;
        answers(&message["content"], &waiting).map_err(at)?;
        waiting = calls(&message["content"], &mut all).map_err(at)?;
    }
    ensure(waiting.is_empty(), || format!("`tool_use` ids without `tool_result` blocks immediately after: {waiting:?}"))
}

fn list(content: &Value) -> &[Value] {
    content.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn blocks(content: &Value, kinds: &[&str]) -> Verdict {
    match content {
        Value::String(text) => ensure(!text.trim().is_empty(), || "text must contain non-whitespace text".to_owned()),
        Value::Array(blocks) if !blocks.is_empty() => blocks.iter().try_for_each(|block| self::block(block, kinds)),
        _ => Err("content must not be empty".to_owned()),
    }
}

fn block(block: &Value, kinds: &[&str]) -> Verdict {
    let kind = block["type"].as_str().unwrap_or_default();
    ensure(kinds.contains(&kind), || format!("a block of type {kind:?} is not allowed here"))?;
    match kind {
        "text" => blocks(&block["text"], &[]),
        "image" | "document" => ensure(block["source"]["type"].is_string(), || format!("{kind}: source required")),
        "thinking" => {
            let is_signed = block["signature"].as_str().is_some_and(|proof| !proof.is_empty());
            ensure(is_signed && block["thinking"].is_string(), || "thinking: signature required".to_owned())?;
            ensure(block["cache_control"].is_null(), || "thinking: cache_control is not permitted".to_owned())
        }
        "redacted_thinking" => ensure(block["data"].is_string(), || "redacted_thinking: data required".to_owned()),
        "tool_use" => {
            let is_whole =
                is_name(&block["name"], 128) && is_name(&block["id"], usize::MAX) && block["input"].is_object();
            ensure(is_whole, || format!("tool_use {}", block["id"]))
        }
        "tool_result" => {
            ensure(is_name(&block["tool_use_id"], usize::MAX), || "tool_result: tool_use_id required".to_owned())?;
            let content = &block["content"];
            if content.is_null() || *content == "" {
                return ensure(block["is_error"] != true, || "content cannot be empty if is_error is true".to_owned());
            }
            blocks(content, &["text", "image", "document", "search_result"])
        }
        _ => Ok(()),
    }
}

/// Results come first in a message, one for each call of the message before.
fn answers(content: &Value, waiting: &BTreeSet<&str>) -> Verdict {
    let blocks = list(content);
    let is_result = |block: &&Value| block["type"] == "tool_result";
    let results = blocks.iter().take_while(is_result).count();
    let late = blocks.iter().skip(results).any(|block| is_result(&block));
    ensure(!late, || "`tool_result` blocks must come before other content".to_owned())?;
    let ids: Vec<_> = blocks.iter().take(results).filter_map(|block| block["tool_use_id"].as_str()).collect();
    let answered: BTreeSet<_> = ids.iter().copied().collect();
    ensure(ids.len() == answered.len(), || "each tool_use must have a single result".to_owned())?;
    ensure(answered == *waiting, || format!("`tool_use` ids {waiting:?} are answered by {answered:?}"))
}

/// Ids of the calls of one message, unlike all before. Thinking stands before them.
fn calls<'a>(content: &'a Value, all: &mut BTreeSet<&'a str>) -> Result<BTreeSet<&'a str>, String> {
    let mut ids = BTreeSet::new();
    for block in list(content) {
        let thinks = matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking"));
        ensure(!thinks || ids.is_empty(), || "thinking must come before tool_use".to_owned())?;
        if let Some(id) = block["id"].as_str().filter(|_| block["type"] == "tool_use") {
            ensure(all.insert(id), || format!("`tool_use` ids must be unique: {id}"))?;
            ids.insert(id);
        }
    }
    Ok(ids)
}

/// With thinking enabled, the assistant's turn that a tool loop goes on from begins with it.
fn thinks(body: &Value, messages: &[Value]) -> Verdict {
    let goes_on =
        messages.last().is_some_and(|last| list(&last["content"]).iter().any(|it| it["type"] == "tool_result"));
    if body["thinking"]["type"] != "enabled" || !goes_on {
        return Ok(());
    }
    let first =
        messages.iter().rfind(|message| message["role"] == "assistant").map(|message| &message["content"][0]["type"]);
    let thinks = first.is_some_and(|kind| *kind == "thinking" || *kind == "redacted_thinking");
    ensure(thinks, || format!("expected `thinking` or `redacted_thinking`, but found {first:?}"))
}

/// Marks anywhere in the body, the automatic one among them.
fn marks(value: &Value) -> usize {
    match value {
        Value::Object(fields) => {
            let own = usize::from(fields.get("cache_control").is_some_and(|mark| !mark.is_null()));
            own + fields.values().map(marks).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(marks).sum(),
        _ => 0,
    }
}

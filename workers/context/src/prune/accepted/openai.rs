//! Whether OpenAI would take the messages of a chat completion: its API reference, and the errors that its API answers.

use std::collections::BTreeSet;

use serde_json::Value;

/// The first thing wrong with the body's messages.
pub(super) fn complaint(body: &Value) -> Option<String> {
    messages(&body["messages"]).err()
}

type Verdict = Result<(), String>;

fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(complaint()) }
}

fn messages(value: &Value) -> Verdict {
    let list = value.as_array().filter(|list| !list.is_empty()).ok_or("[] is too short - 'messages'")?;
    let mut waiting: BTreeSet<&str> = BTreeSet::new();
    for (index, message) in list.iter().enumerate() {
        let at = |complaint: String| format!("messages[{index}]: {complaint}");
        let role = message["role"].as_str().unwrap_or_default();
        fields(message, role).map_err(at)?;
        content(message, role).map_err(at)?;
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            ensure(waiting.remove(id), || {
                format!("messages[{index}]: 'tool' must be a response to a preceding message with 'tool_calls': {id}")
            })?;
            continue;
        }
        ensure(waiting.is_empty(), || {
            format!("messages[{index}]: 'tool_calls' must be followed by tool messages: {waiting:?}")
        })?;
        waiting = calls(message, role).map_err(at)?;
    }
    ensure(waiting.is_empty(), || format!("'tool_calls' must be followed by tool messages: {waiting:?}"))
}

fn fields(message: &Value, role: &str) -> Verdict {
    let known: &[&str] = match role {
        "system" | "developer" | "user" => &["role", "content", "name"],
        "assistant" => &["role", "content", "name", "refusal", "audio", "tool_calls"],
        "tool" => &["role", "content", "tool_call_id"],
        _ => return Err(format!("invalid role {role:?}")),
    };
    let names = message.as_object().into_iter().flat_map(|fields| fields.keys());
    let unknown: Vec<_> = names.filter(|name| !known.contains(&name.as_str())).collect();
    ensure(unknown.is_empty(), || format!("unrecognized {unknown:?}"))
}

fn content(message: &Value, role: &str) -> Verdict {
    let kinds: &[&str] = match role {
        "user" => &["text", "image_url", "input_audio", "file"],
        "assistant" => &["text", "refusal"],
        _ => &["text"],
    };
    match &message["content"] {
        Value::String(_) => Ok(()),
        Value::Null => {
            let speaks = ["tool_calls", "refusal", "audio"].iter().any(|field| !message[*field].is_null());
            ensure(role == "assistant" && speaks, || "expected a string, got null - 'content'".to_owned())
        }
        Value::Array(parts) => {
            ensure(!parts.is_empty(), || "[] is too short - 'content'".to_owned())?;
            parts.iter().try_for_each(|part| self::part(part, kinds))
        }
        other => Err(format!("invalid 'content': {other}")),
    }
}

fn part(part: &Value, kinds: &[&str]) -> Verdict {
    let kind = part["type"].as_str().unwrap_or_default();
    let is_whole = match kind {
        "text" | "refusal" => part[kind].is_string(),
        "image_url" => part["image_url"]["url"].is_string(),
        _ => part[kind].is_object(),
    };
    ensure(kinds.contains(&kind) && is_whole, || format!("invalid part of type {kind:?}"))
}

/// The ids that wait for an answer.
fn calls<'a>(message: &'a Value, role: &str) -> Result<BTreeSet<&'a str>, String> {
    let mut ids = BTreeSet::new();
    let calls = &message["tool_calls"];
    if calls.is_null() {
        return Ok(ids);
    }
    let list = calls.as_array().filter(|list| role == "assistant" && !list.is_empty());
    for call in list.ok_or("invalid 'tool_calls'")? {
        let function = &call["function"];
        let is_whole =
            call["type"] == "function" && function["arguments"].is_string() && is_name(&function["name"], 64);
        ensure(is_whole, || format!("invalid tool call {}", call["id"]))?;
        let id = call["id"].as_str().filter(|id| !id.is_empty()).ok_or("a tool call has no id")?;
        ensure(ids.insert(id), || format!("duplicate value for 'tool_call_id': {id}"))?;
    }
    Ok(ids)
}

/// Letters, digits, `_` and `-`.
pub(super) fn is_name(value: &Value, longest: usize) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    value.as_str().is_some_and(|name| (1..=longest).contains(&name.len()) && name.bytes().all(fits))
}

//! Whether a conversation is one that every provider accepts: roles, contents, and each tool call answered at once.

use std::collections::BTreeSet;

use serde_json::Value;

use super::complaint::{Complaint, ensure, is_name};

pub(super) fn check(messages: &Value) -> Result<(), Complaint> {
    let messages = messages.as_array().ok_or("Invalid type for 'messages': expected an array")?;
    ensure(!messages.is_empty(), || "Invalid 'messages': empty array".to_owned())?;
    for (position, message) in messages.iter().enumerate() {
        one(message).map_err(|complaint| format!("messages[{position}]: {complaint}"))?;
    }
    begins_with_a_user(messages)?;
    tools_are_paired(messages)
}

fn one(message: &Value) -> Result<(), Complaint> {
    let role = message["role"].as_str().unwrap_or_default();
    let (fields, parts): (&[&str], &[&str]) = match role {
        "system" | "developer" => (&["role", "content", "name"], &["text"]),
        "user" => (&["role", "content", "name"], &["text", "image_url", "input_audio", "file"]),
        "assistant" => {
            (&["role", "content", "name", "refusal", "tool_calls", "function_call", "audio"], &["text", "refusal"])
        }
        "tool" => (&["role", "content", "tool_call_id"], &["text"]),
        other => return Err(format!("Invalid value: '{other}' as role")),
    };
    let object = message.as_object().ok_or("no object")?;
    if let Some(unknown) = object.keys().find(|name| !fields.contains(&name.as_str())) {
        return Err(format!("Additional properties are not allowed: '{unknown}'"));
    }
    if let Some(name) = object.get("name") {
        ensure(name.as_str().is_some_and(is_name), || format!("Invalid 'name': {name}"))?;
    }
    let may_be_empty = role == "assistant" && (object.contains_key("tool_calls") || object.contains_key("refusal"));
    content(&message["content"], parts, may_be_empty)?;
    match role {
        "assistant" => tool_calls(&message["tool_calls"]),
        "tool" => ensure(message["tool_call_id"].is_string(), || "Missing parameter 'tool_call_id'".to_owned()),
        _ => Ok(()),
    }
}

fn content(content: &Value, parts: &[&str], may_be_empty: bool) -> Result<(), Complaint> {
    match content {
        Value::String(_) => Ok(()),
        Value::Null if may_be_empty => Ok(()),
        Value::Array(list) if !list.is_empty() => list.iter().try_for_each(|part| {
            let kind = part["type"].as_str().unwrap_or_default();
            ensure(parts.contains(&kind), || format!("Invalid value: '{kind}' as part"))?;
            match kind {
                "image_url" => image(&part["image_url"]),
                _ => ensure(part[kind].is_string() || part[kind].is_object(), || format!("Missing '{kind}'")),
            }
        }),
        other => Err(format!("Invalid 'content': {other}")),
    }
}

fn image(image: &Value) -> Result<(), Complaint> {
    let url = image["url"].as_str().unwrap_or_default();
    let known = ["https://", "http://", "data:image/"].iter().any(|start| url.starts_with(start));
    ensure(known, || "Invalid image URL".to_owned())?;
    let detail = &image["detail"];
    ensure(detail.is_null() || ["low", "high", "auto"].iter().any(|word| detail == word), || {
        format!("Invalid 'detail': {detail}")
    })
}

fn tool_calls(calls: &Value) -> Result<(), Complaint> {
    if calls.is_null() {
        return Ok(());
    }
    let calls = calls.as_array().filter(|calls| !calls.is_empty()).ok_or("Invalid 'tool_calls'")?;
    calls.iter().try_for_each(|call| {
        let whole = call["type"] == "function"
            && call["id"].is_string()
            && call["function"]["arguments"].is_string()
            && call["function"]["name"].as_str().is_some_and(is_name);
        ensure(whole, || format!("Invalid tool call: {call}"))
    })
}

/// OpenAI is lenient here; Anthropic and the chat templates of many open models are not.
fn begins_with_a_user(messages: &[Value]) -> Result<(), Complaint> {
    let standing = |message: &&Value| message["role"] == "system" || message["role"] == "developer";
    let first = messages.iter().find(|message| !standing(message));
    ensure(first.is_some_and(|message| message["role"] == "user"), || {
        "the first message that is not a system's must be a user's".to_owned()
    })
}

fn tools_are_paired(messages: &[Value]) -> Result<(), Complaint> {
    let mut waiting: BTreeSet<&str> = BTreeSet::new();
    for message in messages {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            ensure(waiting.remove(id), || {
                format!("messages with role 'tool' must be a response to a preceding message with 'tool_calls': '{id}'")
            })?;
            continue;
        }
        ensure(waiting.is_empty(), || format!("tool_call_ids did not have response messages: {waiting:?}"))?;
        let calls = message["tool_calls"].as_array().into_iter().flatten();
        waiting = calls.filter_map(|call| call["id"].as_str()).collect();
    }
    ensure(waiting.is_empty(), || format!("tool_call_ids did not have response messages: {waiting:?}"))
}

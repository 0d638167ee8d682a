//! Whether Anthropic would accept a request.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use serde_json::Value;

use super::complaint::{Complaint, ensure, is_name, known};

const KNOWN: [&str; 16] = [
    "cache_control",
    "container",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_p",
];

pub(super) fn request(headers: &HeaderMap, body: &Value) -> Result<(), Complaint> {
    ensure(headers.contains_key("anthropic-version"), || "anthropic-version: header is required".to_owned())?;
    known(body, &KNOWN)?;
    ensure(body["max_tokens"].as_u64().is_some_and(|limit| limit > 0), || "max_tokens: Field required".to_owned())?;
    let temperature = &body["temperature"];
    let fits = temperature.as_f64().map_or(temperature.is_null(), |number| (0.0..=1.0).contains(&number));
    ensure(fits, || format!("temperature: {temperature}"))?;
    if !body["system"].is_null() {
        blocks(&body["system"], &["text"])?;
    }
    let format = &body["output_config"]["format"];
    if !format.is_null() {
        known(format, &["type", "schema"])?;
        ensure(format["type"] == "json_schema" && format["schema"].is_object(), || format!("format: {format}"))?;
    }
    tools(body)?;
    conversation(&body["messages"])
}

fn tools(body: &Value) -> Result<(), Complaint> {
    for tool in body["tools"].as_array().into_iter().flatten() {
        let whole = tool["name"].as_str().is_some_and(is_name) && tool["input_schema"]["type"] == "object";
        ensure(whole, || format!("tools: {tool}"))?;
        known(tool, &["name", "description", "input_schema", "cache_control", "type", "strict"])?;
    }
    let choice = &body["tool_choice"];
    let fits = match choice["type"].as_str() {
        Some("tool") => choice["name"].is_string(),
        Some("auto" | "any" | "none") => true,
        _ => choice.is_null(),
    };
    ensure(fits && (choice.is_null() || body["tools"].is_array()), || format!("tool_choice: {choice}"))
}

/// Turns of a user and of the model, the first a user's; every call is answered at the head of the next turn.
fn conversation(messages: &Value) -> Result<(), Complaint> {
    let messages = messages.as_array().filter(|list| !list.is_empty()).ok_or("messages: at least one is required")?;
    ensure(messages[0]["role"] == "user", || "messages: first message must use the user role".to_owned())?;
    let mut waiting = BTreeSet::new();
    for message in messages {
        known(message, &["role", "content"])?;
        let kinds: &[&str] = match message["role"].as_str() {
            Some("user") => &["text", "image", "document", "tool_result"],
            Some("assistant") => &["text", "tool_use", "thinking", "redacted_thinking"],
            _ => return Err(format!("messages: role {}", message["role"])),
        };
        blocks(&message["content"], kinds)?;
        let of = |kind: &'static str, id: &'static str| {
            let blocks = message["content"].as_array().into_iter().flatten();
            blocks.filter(move |block| block["type"] == kind).filter_map(move |block| block[id].as_str())
        };
        let answered: BTreeSet<_> = of("tool_result", "tool_use_id").collect();
        ensure(answered == waiting, || format!("tool_use ids {waiting:?} were answered by {answered:?}"))?;
        waiting = of("tool_use", "id").collect();
    }
    ensure(waiting.is_empty(), || format!("tool_use ids without tool_result blocks: {waiting:?}"))
}

fn blocks(content: &Value, kinds: &[&str]) -> Result<(), Complaint> {
    let list = match content {
        Value::String(text) => return ensure(!text.is_empty(), || "text content must be non-empty".to_owned()),
        Value::Array(list) if !list.is_empty() => list,
        other => return Err(format!("content: {other}")),
    };
    list.iter().try_for_each(|block| {
        let kind = block["type"].as_str().unwrap_or_default();
        let whole = kinds.contains(&kind)
            && match kind {
                "text" => block["text"].as_str().is_some_and(|text| !text.trim().is_empty()),
                "image" => is_source(&block["source"]),
                "tool_use" => block["id"].is_string() && block["name"].is_string() && block["input"].is_object(),
                "tool_result" => block["tool_use_id"].is_string(),
                _ => true,
            };
        ensure(whole, || format!("content: {block}"))
    })
}

fn is_source(source: &Value) -> bool {
    match source["type"].as_str() {
        Some("base64") => source["media_type"].is_string() && source["data"].is_string(),
        Some("url") => source["url"].is_string(),
        _ => false,
    }
}

//! Whether OpenAI's Responses API would accept a request, and whether it keeps what we promise of one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::complaint::{Complaint, ensure, is_name, known};

const KNOWN: [&str; 24] = [
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

pub(super) fn request(body: &Value) -> Result<(), Complaint> {
    known(body, &KNOWN)?;
    ensure(body["store"] == false, || "what the provider keeps, nobody would ever ask for".to_owned())?;
    let limit = &body["max_output_tokens"];
    ensure(limit.is_null() || limit.as_u64().is_some_and(|limit| limit > 0), || format!("max_output_tokens: {limit}"))?;
    let format = &body["text"]["format"];
    if format["type"] == "json_schema" {
        known(format, &["type", "name", "description", "schema", "strict"])?;
        let whole = format["name"].as_str().is_some_and(is_name) && format["schema"].is_object();
        ensure(whole, || format!("text.format: {format}"))?;
    }
    tools(body)?;
    input(&body["input"])
}

fn tools(body: &Value) -> Result<(), Complaint> {
    for tool in body["tools"].as_array().into_iter().flatten() {
        known(tool, &["type", "name", "description", "parameters", "strict"])?;
        let whole = tool["type"] == "function" && tool["name"].as_str().is_some_and(is_name);
        ensure(whole && tool["parameters"].is_object(), || format!("tools: {tool}"))?;
    }
    let choice = &body["tool_choice"];
    let word = matches!(choice.as_str(), Some("auto" | "none" | "required"));
    let named = choice["type"] == "function" && choice["name"].is_string();
    ensure(choice.is_null() || word || named, || format!("tool_choice: {choice}"))
}

/// Items of known types; every output has its call before it, and every call its output.
fn input(input: &Value) -> Result<(), Complaint> {
    let items = input.as_array().filter(|items| !items.is_empty()).ok_or("input: expected items")?;
    let mut waiting = BTreeSet::new();
    for item in items {
        let call = item["call_id"].as_str().unwrap_or_default();
        let whole = match item["type"].as_str() {
            Some("message") | None => message(item),
            Some("function_call") => waiting.insert(call) && item["name"].is_string() && item["arguments"].is_string(),
            Some("function_call_output") => waiting.remove(call) && !item["output"].is_null(),
            Some("reasoning") => item["summary"].is_array(),
            Some(_) => false,
        };
        ensure(whole, || format!("input: {item}"))?;
    }
    ensure(waiting.is_empty(), || format!("No tool output found for function calls {waiting:?}"))
}

fn message(item: &Value) -> bool {
    let kinds: &[&str] = match item["role"].as_str() {
        Some("user") => &["input_text", "input_image", "input_file"],
        Some("system" | "developer") => &["input_text"],
        Some("assistant") => &["output_text", "refusal"],
        _ => return false,
    };
    match &item["content"] {
        Value::String(_) => true,
        Value::Array(parts) => {
            !parts.is_empty()
                && parts.iter().all(|part| {
                    let picture = part["image_url"].is_string() || part["file_id"].is_string();
                    kinds.iter().any(|kind| part["type"] == *kind) && (part["type"] != "input_image" || picture)
                })
        }
        _ => false,
    }
}

//! Whether OpenAI would accept a request: fields, types and ranges. The conversation itself is `messages`.

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use super::complaint::{Complaint, ensure, is_name, known};
use super::messages;

const KNOWN: [&str; 36] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
    "moderation",
];

/// What every API asks of a request.
pub(super) fn head(headers: &HeaderMap, body: &Value) -> Result<(), Complaint> {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    ensure(content_type.starts_with("application/json"), || format!("content-type {content_type:?}"))?;
    ensure(body.is_object(), || "the body is no JSON object".to_owned())?;
    ensure(body["model"].as_str().is_some_and(|model| !model.is_empty()), || "you must provide a model".to_owned())
}

pub(super) fn request(body: &Value) -> Result<(), Complaint> {
    known(body, &KNOWN)?;
    let object = body.as_object().ok_or("the body is no JSON object")?;
    if let Some(null) =
        ["messages", "model", "tools", "stop_sequences"].iter().find(|name| object.get(**name) == Some(&Value::Null))
    {
        return Err(format!("'{null}' is null"));
    }
    numbers(object)?;
    streaming(object)?;
    tools(object)?;
    stop(object)?;
    response_format(object)?;
    messages::check(object.get("messages").unwrap_or(&Value::Null))
}

fn numbers(object: &Map<String, Value>) -> Result<(), Complaint> {
    for (name, low, high) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
    ] {
        if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
            let fits = value.as_f64().is_some_and(|number| (low..=high).contains(&number));
            ensure(fits, || format!("Invalid '{name}': expected a number from {low} to {high}, got {value}"))?;
        }
    }
    for name in ["max_tokens", "max_completion_tokens", "n"] {
        if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
            ensure(value.as_u64().is_some_and(|number| number > 0), || format!("Invalid '{name}': {value}"))?;
        }
    }
    let both = object.contains_key("max_tokens") && object.contains_key("max_completion_tokens");
    ensure(!both, || "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported".to_owned())
}

fn streaming(object: &Map<String, Value>) -> Result<(), Complaint> {
    let stream = object.get("stream").is_some_and(|value| value == true);
    ensure(object.get("stream").is_none_or(|value| value.is_boolean() || value.is_null()), || {
        "Invalid 'stream'".to_owned()
    })?;
    match object.get("stream_options").filter(|value| !value.is_null()) {
        None => Ok(()),
        Some(options) => {
            ensure(stream, || "The 'stream_options' parameter is only allowed when 'stream' is enabled.".to_owned())?;
            let known = options.as_object().is_some_and(|options| {
                options.keys().all(|name| ["include_usage", "include_obfuscation"].contains(&name.as_str()))
            });
            ensure(known, || format!("Invalid 'stream_options': {options}"))
        }
    }
}

fn tools(object: &Map<String, Value>) -> Result<(), Complaint> {
    let empty = Vec::new();
    let tools = match object.get("tools") {
        None => &empty,
        Some(value) => value.as_array().ok_or("Invalid 'tools': expected an array")?,
    };
    ensure(object.get("tools").is_none() || !tools.is_empty(), || "Invalid 'tools': empty array".to_owned())?;
    for tool in tools {
        let name = tool["function"]["name"].as_str().unwrap_or_default();
        ensure(tool["type"] == "function" && is_name(name), || format!("Invalid tool: {tool}"))?;
        let parameters = &tool["function"]["parameters"];
        ensure(parameters.is_null() || parameters.is_object(), || format!("Invalid schema for function '{name}'"))?;
    }
    let Some(choice) = object.get("tool_choice").filter(|value| !value.is_null()) else { return Ok(()) };
    ensure(!tools.is_empty(), || "'tool_choice' is only allowed when 'tools' are specified.".to_owned())?;
    let word = matches!(choice.as_str(), Some("auto" | "none" | "required"));
    let named = tools.iter().any(|tool| tool["function"]["name"] == choice["function"]["name"]);
    ensure(word || (choice["type"] == "function" && named), || format!("Invalid 'tool_choice': {choice}"))
}

fn stop(object: &Map<String, Value>) -> Result<(), Complaint> {
    match object.get("stop") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(texts)) if (1..=4).contains(&texts.len()) && texts.iter().all(Value::is_string) => Ok(()),
        Some(other) => Err(format!("Invalid 'stop': {other}")),
    }
}

fn response_format(object: &Map<String, Value>) -> Result<(), Complaint> {
    let Some(format) = object.get("response_format").filter(|value| !value.is_null()) else { return Ok(()) };
    let schema = &format["json_schema"];
    let known = ["name", "description", "schema", "strict"];
    let whole = || {
        let fields = schema.as_object().is_some_and(|fields| fields.keys().all(|name| known.contains(&name.as_str())));
        fields && schema["name"].as_str().is_some_and(is_name) && schema["schema"].is_object()
    };
    let fits = match format["type"].as_str() {
        Some("text" | "json_object") => schema.is_null(),
        Some("json_schema") => whole(),
        _ => false,
    };
    ensure(fits, || format!("Invalid 'response_format': {format}"))
}

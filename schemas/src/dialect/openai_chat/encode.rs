//! The body that asks a provider.

use serde_json::{Map, Value, json};

use super::request::MAX_STOPS;
use super::{NAME, encode_message, tools};
use crate::catalog::Quirks;
use crate::chat::{ChatRequest, Extra, ResponseFormat, Sampling};
use crate::dialect::carry::{Notes, fill};
use crate::state::Warning;

/// What a stream's deltas do not bring back.
const NOT_STREAMED: [&str; 2] = ["audio", "logprobs"];

/// The body that asks a provider for `request` under its own name of the model, and what the provider will not see.
#[must_use]
pub fn encode_request(request: &ChatRequest, upstream_model: &str, quirks: &Quirks) -> (Value, Vec<Warning>) {
    let mut notes = Notes::default();
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    put("model", Some(json!(upstream_model)));
    put("messages", Some(encode_message::encode_all(&request.messages, quirks, &mut notes)));
    if !request.tools.is_empty() {
        put("tools", Some(request.tools.iter().map(|tool| tools::encode(tool, &mut notes)).collect()));
        put("tool_choice", request.tool_choice.as_ref().map(tools::encode_choice));
        put("parallel_tool_calls", request.parallel_tool_calls.map(Value::from));
    }
    put("response_format", request.response_format.as_ref().map(response_format));
    for (name, value) in sampling(&request.sampling, quirks, &mut notes) {
        put(name, value);
    }
    if request.stream {
        put("stream", Some(Value::Bool(true)));
        put("stream_options", (!quirks.no_stream_options).then(|| json!({"include_usage": true})));
    }
    carried(request, &mut body, &mut notes);
    (Value::Object(body), notes.warnings)
}

fn sampling(sampling: &Sampling, quirks: &Quirks, notes: &mut Notes) -> [(&'static str, Option<Value>); 8] {
    let max_tokens = if quirks.legacy_max_tokens { "max_tokens" } else { "max_completion_tokens" };
    if sampling.stop.len() > MAX_STOPS {
        notes.unsupported("stop", format!("the provider takes {MAX_STOPS} stop texts: the others are not sent"));
    }
    let stop: Vec<_> = sampling.stop.iter().take(MAX_STOPS).collect();
    [
        (max_tokens, sampling.max_tokens.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("stop", (!stop.is_empty()).then(|| json!(stop))),
        ("seed", sampling.seed.map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("reasoning_effort", sampling.reasoning_effort.as_ref().map(|word| json!(word))),
    ]
}

fn response_format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            let mut inner = Map::from_iter([("name".to_owned(), json!(name))]);
            inner.extend(description.as_ref().map(|text| ("description".to_owned(), json!(text))));
            inner.insert("schema".to_owned(), schema.clone());
            inner.extend(strict.map(|strict| ("strict".to_owned(), Value::Bool(strict))));
            json!({"type": "json_schema", "json_schema": inner})
        }
    }
}

/// Adds what this dialect carries, and warns of what others do.
fn carried(request: &ChatRequest, body: &mut Map<String, Value>, notes: &mut Notes) {
    for (dialect, fields) in &request.extra {
        if dialect == NAME {
            fill(body, fields);
        } else {
            notes.foreign(&Extra::from_iter([(dialect.clone(), Value::Object(fields.clone()))]), NAME, "");
        }
    }
    let asked = |name: &&&str| body.get(**name).is_some_and(|value| *value != Value::Bool(false));
    for name in NOT_STREAMED.iter().filter(|name| request.stream && asked(name)) {
        notes.unsupported(*name, "a streamed answer does not bring it back");
    }
}

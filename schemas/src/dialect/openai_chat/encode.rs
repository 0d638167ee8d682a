//! The body that asks a provider.

use serde_json::{Map, Value, json};

use super::request::MAX_STOPS;
use super::{NAME, encode_message, tools};
use crate::catalog::Quirks;
use crate::chat::{ChatRequest, Extra, ResponseFormat, Sampling};
use crate::dialect::bounds;
use crate::dialect::carry::{Notes, fill};
use crate::warning::Warning;

/// Most tokens to reason with, and the effort that stands for them where only an effort can be asked for.
const EFFORTS: [(u32, &str); 3] = [(4095, "low"), (16383, "medium"), (u32::MAX, "high")];

/// The body that asks a provider for `request` under its own name of the model, and what the provider will not see.
#[must_use]
pub fn encode_request(request: &ChatRequest, upstream_model: &str, quirks: &Quirks) -> (Value, Vec<Warning>) {
    let mut notes = Notes::default();
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    put("model", Some(json!(upstream_model)));
    put("messages", Some(encode_message::encode_all(&request.messages, quirks, &mut notes)));
    if !request.tools.is_empty() {
        put("tools", Some(request.tools.iter().map(|tool| tools::encode(tool, quirks, &mut notes)).collect()));
        put("tool_choice", request.tool_choice.as_ref().map(tools::encode_choice));
        put("parallel_tool_calls", request.parallel_tool_calls.map(Value::from));
    }
    put("response_format", request.response_format.as_ref().map(response_format));
    for (name, value) in sampling(&request.sampling, quirks, &mut notes) {
        put(name, value);
    }
    put("user", request.user.as_ref().map(|user| json!(user)));
    if request.stream {
        put("stream", Some(Value::Bool(true)));
        put("stream_options", (!quirks.no_stream_options).then(|| json!({"include_usage": true})));
    }
    carried(request, &mut body, &mut notes);
    (Value::Object(body), notes.warnings)
}

fn sampling(sampling: &Sampling, quirks: &Quirks, notes: &mut Notes) -> [(&'static str, Option<Value>); 11] {
    let max_tokens = if quirks.legacy_max_tokens { "max_tokens" } else { "max_completion_tokens" };
    if sampling.stop.len() > MAX_STOPS {
        notes.unsupported("stop", format!("the provider takes {MAX_STOPS} stop texts: the others are not sent"));
    }
    let stop: Vec<_> = sampling.stop.iter().take(MAX_STOPS).collect();
    if sampling.top_k.is_some() && !quirks.top_k {
        notes.unsupported("top_k", "the provider has no such parameter: not sent");
    }
    // OpenAI refuses the second of these without the first.
    let logprobs = sampling.logprobs.or_else(|| sampling.top_logprobs.map(|_| true));
    [
        (max_tokens, bounds::max_tokens(sampling, quirks, notes).map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("top_p", sampling.top_p.map(Value::from)),
        ("top_k", sampling.top_k.filter(|_| quirks.top_k).map(Value::from)),
        ("stop", (!stop.is_empty()).then(|| json!(stop))),
        ("seed", sampling.seed.map(Value::from)),
        ("presence_penalty", sampling.presence_penalty.map(Value::from)),
        ("frequency_penalty", sampling.frequency_penalty.map(Value::from)),
        ("reasoning_effort", effort(sampling, quirks, notes).map(Value::from)),
        ("logprobs", logprobs.map(Value::from)),
        ("top_logprobs", sampling.top_logprobs.map(Value::from)),
    ]
}

/// The effort that is asked for, or that stands for the tokens that are. A wish for no reasoning at all has no word
/// that every model takes.
fn effort<'a>(sampling: &'a Sampling, quirks: &Quirks, notes: &mut Notes) -> Option<&'a str> {
    if !bounds::takes_effort(sampling, quirks, notes) {
        return None;
    }
    let effort = sampling.reasoning_effort.as_deref();
    let Some(budget) = sampling.reasoning_budget else { return effort };
    let stand_in = EFFORTS.iter().find(|(most, _)| budget > 0 && budget <= *most).map(|(_, word)| *word);
    let told = match effort.or(stand_in) {
        Some(word) => format!("the provider takes no number of tokens to reason with: the effort `{word}` is sent"),
        None => "the provider cannot be told not to reason: not sent".to_owned(),
    };
    notes.unsupported("reasoning_budget", told);
    effort.or(stand_in)
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
}

//! The body that asks a provider.

use serde_json::{Map, Value, json};

use super::encode_message::{self, Conversation};
use super::reasoning::{self, Obstacles, Plan};
use super::{NAME, tools};
use crate::catalog::Quirks;
use crate::chat::{ChatRequest, Extra, Sampling};
use crate::dialect::carry::{Notes, fill};
use crate::warning::Warning;

/// The body that asks a provider for `request` under its own name of the model, and what the provider will not see.
#[must_use]
pub fn encode_request(request: &ChatRequest, upstream_model: &str, quirks: &Quirks) -> (Value, Vec<Warning>) {
    let mut notes = Notes::default();
    let conversation = encode_message::encode_all(&request.messages, &mut notes);
    let (tools, choice) = tools::encode(request, &mut notes);
    let plan = plan(request, quirks, &conversation, choice.as_ref(), &mut notes);
    let (system, messages) = conversation.into_values();
    let config = reasoning::output_config(request, quirks, &mut notes);
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    put("model", Some(json!(upstream_model)));
    put("max_tokens", Some(json!(plan.max_tokens)));
    put("system", system);
    put("messages", Some(messages));
    put("tools", (!tools.is_empty()).then_some(Value::Array(tools)));
    put("tool_choice", choice);
    put("thinking", plan.thinking);
    put("output_config", (!config.is_empty()).then_some(Value::Object(config)));
    for (name, value) in sampling(request, quirks, plan.thinks, &mut notes) {
        put(name, value);
    }
    put("metadata", request.user.as_ref().map(|user| json!({"user_id": user})));
    put("stream", request.stream.then_some(Value::Bool(true)));
    carried(request, &mut body, &mut notes);
    (Value::Object(body), notes.warnings)
}

fn plan(
    request: &ChatRequest,
    quirks: &Quirks,
    conversation: &Conversation,
    choice: Option<&Value>,
    notes: &mut Notes,
) -> Plan {
    let forced_tool = choice.is_some_and(|choice| choice["type"] == "any" || choice["type"] == "tool");
    let obstacles = Obstacles { forced_tool, unsigned_calls: conversation.has_unsigned_calls() };
    reasoning::plan(request, quirks, obstacles, notes)
}

fn sampling(
    request: &ChatRequest,
    quirks: &Quirks,
    thinks: bool,
    notes: &mut Notes,
) -> [(&'static str, Option<Value>); 4] {
    let own = &request.sampling;
    warn_of_unknown(own, notes);
    let is_native = request.extra.contains_key(NAME);
    let temperature = temperature(own, quirks, thinks, notes);
    let top_p = top_p(own, quirks, thinks, temperature.is_some() && !is_native, notes);
    let top_k = own.top_k.filter(|_| {
        let refused = thinks || quirks.no_sampling;
        if refused {
            notes.unsupported("top_k", "the provider does not take it here: not sent");
        }
        !refused
    });
    // The API refuses blank ones.
    let stop: Vec<_> = own.stop.iter().filter(|text| !text.trim().is_empty()).collect();
    if stop.len() < own.stop.len() {
        notes.unsupported("stop", "the provider takes no stop text of blanks: not sent");
    }
    [
        ("stop_sequences", (!stop.is_empty()).then(|| json!(stop))),
        ("temperature", temperature.map(Value::from)),
        ("top_p", top_p.map(Value::from)),
        ("top_k", top_k.map(Value::from)),
    ]
}

fn temperature(own: &Sampling, quirks: &Quirks, thinks: bool, notes: &mut Notes) -> Option<f64> {
    let asked = own.temperature?;
    if asked > 1.0 {
        notes.warn("clamped_field", "temperature", "the provider's highest is 1: sent instead");
    }
    let temperature = asked.min(1.0);
    if (thinks || quirks.no_sampling) && temperature < 1.0 {
        notes.unsupported("temperature", "the provider does not take it here: not sent");
        return None;
    }
    Some(temperature)
}

/// `is_second`: newer models refuse it beside a temperature. All mass is the same as none said.
fn top_p(own: &Sampling, quirks: &Quirks, thinks: bool, is_second: bool, notes: &mut Notes) -> Option<f64> {
    let top_p = own.top_p?;
    let refused = is_second || quirks.no_sampling || (thinks && top_p < 0.95);
    if refused && top_p < 1.0 {
        notes.unsupported("top_p", "the provider does not take it here: not sent");
    }
    Some(top_p).filter(|_| !refused)
}

/// Warns of what the API has no field for.
fn warn_of_unknown(own: &Sampling, notes: &mut Notes) {
    let penalty = |value: Option<f64>| value.is_some_and(|value| value != 0.0);
    let unknown = [
        ("seed", own.seed.is_some()),
        ("presence_penalty", penalty(own.presence_penalty)),
        ("frequency_penalty", penalty(own.frequency_penalty)),
        ("logprobs", own.logprobs == Some(true)),
        ("top_logprobs", own.top_logprobs.is_some_and(|count| count > 0)),
    ];
    for (name, _) in unknown.into_iter().filter(|(_, is_set)| *is_set) {
        notes.unsupported(name, "the provider has no such parameter: not sent");
    }
}

/// Adds what this dialect carries, also within an object that is partly known, and warns of what others do.
fn carried(request: &ChatRequest, body: &mut Map<String, Value>, notes: &mut Notes) {
    for (dialect, fields) in &request.extra {
        if dialect != NAME {
            notes.foreign(&Extra::from_iter([(dialect.clone(), Value::Object(fields.clone()))]), NAME, "");
            continue;
        }
        for (name, value) in fields.iter().filter(|(name, _)| *name != "thinking") {
            match (body.get_mut(name), value) {
                (Some(Value::Object(known)), Value::Object(rest)) => fill(known, rest),
                (Some(_), _) => {}
                (None, _) => drop(body.insert(name.clone(), value.clone())),
            }
        }
    }
}

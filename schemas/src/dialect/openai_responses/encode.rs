//! The body that asks a provider.

use serde_json::{Map, Value, json};

use super::settings::{ENCRYPTED, LOGPROBS, effort_of, reasons};
use super::write::{Audience, Writer};
use super::{NAME, tools};
use crate::catalog::Quirks;
use crate::chat::{Block, ChatRequest, Extra, Message, ResponseFormat, Role, Sampling};
use crate::dialect::bounds;
use crate::dialect::carry::{Notes, fill};
use crate::warning::Warning;

/// The least `max_output_tokens`.
const LEAST_OUTPUT: u32 = 16;

/// The body that asks a provider for `request` under its own name of the model, and what the provider will not see.
#[must_use]
pub fn encode_request(request: &ChatRequest, upstream_model: &str, quirks: &Quirks) -> (Value, Vec<Warning>) {
    let mut notes = Notes::default();
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
    put("model", Some(json!(upstream_model)));
    // Instructions alone are no input.
    let first = request.messages.split_first().filter(|(_, rest)| !rest.is_empty());
    let instructions = first.and_then(|(first, _)| plain_instructions(first));
    let said = request.messages.get(usize::from(instructions.is_some())..).unwrap_or_default();
    put("instructions", instructions.map(Value::from));
    put("input", Some(input(request, said, quirks, &mut notes)));
    let tools: Vec<_> = request.tools.iter().filter_map(|tool| tools::encode(tool, &mut notes)).collect();
    if !tools.is_empty() {
        put("tools", Some(Value::Array(tools)));
        put("tool_choice", request.tool_choice.as_ref().map(tools::encode_choice));
        put("parallel_tool_calls", request.parallel_tool_calls.map(Value::from));
    }
    let sampling = &request.sampling;
    put("max_output_tokens", max_output_tokens(sampling, quirks, &mut notes).map(Value::from));
    put("temperature", sampling.temperature.map(Value::from));
    put("top_p", sampling.top_p.map(Value::from));
    put("top_logprobs", sampling.top_logprobs.map(Value::from));
    let takes_effort = bounds::takes_effort(sampling, quirks, &mut notes);
    put("reasoning", if takes_effort { reasoning(request, &mut notes) } else { None });
    put("text", text(request));
    put("include", include(request, quirks));
    put("user", user(request));
    put("stream", request.stream.then_some(Value::Bool(true)));
    // What a provider keeps, nobody here would ever ask for.
    put("store", (!quirks.no_store).then_some(Value::Bool(false)));
    unsupported(request, &mut notes);
    carried(request, &mut body, &mut notes);
    if !takes_effort && body.remove("reasoning").is_some() {
        notes.unsupported("reasoning", "the model does not reason: not sent");
    }
    (Value::Object(body), notes.warnings)
}

/// The API refuses a limit below its least.
fn max_output_tokens(sampling: &Sampling, quirks: &Quirks, notes: &mut Notes) -> Option<u32> {
    let limit = bounds::max_tokens(sampling, quirks, notes)?;
    if limit < LEAST_OUTPUT {
        notes.warn("clamped_field", "max_tokens", format!("the provider's least is {LEAST_OUTPUT}: sent instead"));
    }
    Some(limit.max(LEAST_OUTPUT))
}

/// The text of a message that `instructions` says in full.
fn plain_instructions(message: &Message) -> Option<&str> {
    let plain = message.role == Role::System && message.extra.is_empty() && message.name.is_none();
    match message.content.as_slice() {
        [Block::Text { text, extra }] if plain && extra.is_empty() && !text.is_empty() => Some(text),
        _ => None,
    }
}

fn input(request: &ChatRequest, said: &[Message], quirks: &Quirks, notes: &mut Notes) -> Value {
    let mut writer = Writer::new(Audience::Provider(quirks), &request.tools, notes);
    let first = request.messages.len() - said.len();
    for (index, message) in said.iter().enumerate() {
        writer.message(message, first + index);
    }
    Value::Array(writer.into_items())
}

/// Own fields of an object that the neutral form says in part.
fn own(request: &ChatRequest, name: &str) -> Map<String, Value> {
    let own = request.extra.get(NAME).and_then(|own| own.get(name)).and_then(Value::as_object);
    own.cloned().unwrap_or_default()
}

fn not_empty(body: Map<String, Value>) -> Option<Value> {
    Some(body).filter(|body| !body.is_empty()).map(Value::Object)
}

fn reasoning(request: &ChatRequest, notes: &mut Notes) -> Option<Value> {
    let sampling = &request.sampling;
    let mut effort = sampling.reasoning_effort.clone();
    if let Some(budget) = sampling.reasoning_budget {
        let stands = effort.is_none().then(|| effort_of(budget).to_owned());
        let message = "the provider knows an effort and no budget of reasoning tokens";
        if budget > 0 || stands.is_none() {
            notes.unsupported("reasoning_budget", message);
        }
        effort = effort.or(stands);
    }
    let mut body = Map::new();
    body.extend(effort.map(|effort| ("effort".to_owned(), json!(effort))));
    body.extend(own(request, "reasoning"));
    not_empty(body)
}

fn text(request: &ChatRequest) -> Option<Value> {
    let mut body = Map::new();
    body.extend(request.response_format.as_ref().map(|form| ("format".to_owned(), format(form))));
    fill(&mut body, &own(request, "text"));
    not_empty(body)
}

fn format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::Text => json!({"type": "text"}),
        ResponseFormat::JsonObject => json!({"type": "json_object"}),
        ResponseFormat::JsonSchema { name, description, schema, strict } => {
            // Other APIs have schemas without a name.
            let name = if name.is_empty() { "response" } else { name };
            let mut body =
                Map::from_iter([("type".to_owned(), json!("json_schema")), ("name".to_owned(), json!(name))]);
            body.extend(description.as_ref().map(|text| ("description".to_owned(), json!(text))));
            body.insert("schema".to_owned(), schema.clone());
            body.extend(strict.map(|strict| ("strict".to_owned(), Value::Bool(strict))));
            Value::Object(body)
        }
    }
}

fn include(request: &ChatRequest, quirks: &Quirks) -> Option<Value> {
    let carried = request.extra.get(NAME).and_then(|own| own.get("include")).and_then(Value::as_array);
    let mut words = carried.cloned().unwrap_or_default();
    let mut add = |wanted: bool, word: &str| {
        if wanted && !words.iter().any(|known| known == word) {
            words.push(json!(word));
        }
    };
    add(request.sampling.logprobs == Some(true), LOGPROBS);
    add(reasons(request) && !quirks.no_encrypted_reasoning && !quirks.no_reasoning_effort, ENCRYPTED);
    Some(words).filter(|words| !words.is_empty()).map(Value::Array)
}

/// Not where `safety_identifier` says the same already.
fn user(request: &ChatRequest) -> Option<Value> {
    let user = request.user.as_deref()?;
    let identifier = request.extra.get(NAME).and_then(|own| own.get("safety_identifier"));
    (identifier.is_none_or(|identifier| identifier != user)).then(|| json!(user))
}

/// Warns of the sampling that this API does not have.
fn unsupported(request: &ChatRequest, notes: &mut Notes) {
    let sampling = &request.sampling;
    for (name, is_set) in [
        ("stop", !sampling.stop.is_empty()),
        ("seed", sampling.seed.is_some()),
        ("presence_penalty", sampling.presence_penalty.is_some()),
        ("frequency_penalty", sampling.frequency_penalty.is_some()),
        ("top_k", sampling.top_k.is_some()),
    ] {
        if is_set {
            notes.unsupported(name, "the provider's API has no such field: not sent");
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

//! A client's request body, taken apart.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::tools::{self, Offer};
use super::{ClientOptions, Decoded, NAME, message};
use crate::chat::{ChatRequest, ResponseFormat, Sampling};
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path, array, string};
use crate::error::Failure;
use crate::job::Lane;

/// Most stop texts of a request.
pub(super) const MAX_STOPS: usize = 4;

/// Every top-level field that this dialect knows, for routes that refuse the others and name the nearest.
pub const KNOWN_FIELDS: &[&str] = &[
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
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
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
];

/// Takes a client's request body apart. It is consumed, so that large texts move and are not copied.
///
/// # Errors
/// `invalid_request` whose `param` is the path of the field at fault.
pub fn decode_request(body: Value) -> Result<Decoded, Failure> {
    decode(body).map_err(Mismatch::of_client)
}

fn decode(body: Value) -> Result<Decoded, Mismatch> {
    let mut notes = Notes::default();
    let mut fields = Fields::of(body, &Path::Root)?;
    refuse_many_answers(&mut fields)?;
    let model = fields.required_text("model")?;
    let messages = message::decode_all(&mut fields, &mut notes)?;
    let offer = tools::decode(&mut fields, &mut notes)?;
    let sampling = sampling(&mut fields, &mut notes)?;
    let response_format = response_format(&mut fields, &mut notes)?;
    let stream = fields.boolean("stream")?.unwrap_or(false);
    let include_usage = include_usage(&mut fields, &mut notes)?;
    let user = fields.string("user")?;
    let lane = lane(&mut fields)?;
    check_carried(&mut fields)?;
    let rest = notes.rest(fields, KNOWN_FIELDS);
    let Offer { tools, choice, parallel, legacy_functions } = offer;
    let request = ChatRequest {
        model,
        messages,
        tools,
        tool_choice: choice,
        parallel_tool_calls: parallel,
        sampling,
        response_format,
        stream,
        user,
        extra: if rest.is_empty() { BTreeMap::new() } else { [(NAME.to_owned(), rest)].into() },
    };
    let logprobs = request.sampling.logprobs == Some(true);
    let options = ClientOptions { include_usage, legacy_functions, logprobs, lane };
    Ok(Decoded { request, options, warnings: notes.warnings, unknown: notes.unknown })
}

/// Every job has one answer, and every attempt one price.
fn refuse_many_answers(fields: &mut Fields<'_>) -> Result<(), Mismatch> {
    match fields.integer("n", 1..=128)? {
        None | Some(1) => Ok(()),
        Some(_) => Err(Mismatch::at(&fields.at("n"), "only one answer a request is supported: send n requests")),
    }
}

fn sampling(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Sampling, Mismatch> {
    Ok(Sampling {
        temperature: fields.number("temperature", 0.0..=2.0)?,
        top_p: fields.number("top_p", 0.0..=1.0)?,
        max_tokens: max_tokens(fields, notes)?,
        stop: stop(fields)?,
        seed: fields.integer("seed", i64::MIN..=i64::MAX)?,
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?,
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?,
        reasoning_effort: fields.string("reasoning_effort")?,
        logprobs: fields.boolean("logprobs")?,
        top_logprobs: fields.count("top_logprobs", 0..=20)?,
        ..Sampling::default()
    })
}

fn max_tokens(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Option<u32>, Mismatch> {
    let old = fields.natural("max_tokens", 1)?;
    let new = fields.natural("max_completion_tokens", 1)?;
    if new.is_some() && old.is_some() && old != new {
        notes.warn("superseded_field", "max_tokens", "max_completion_tokens is set too and counts instead");
    }
    Ok(new.or(old))
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, Mismatch> {
    let path = fields.at("stop");
    match fields.take("stop") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(texts)) if texts.len() <= MAX_STOPS => {
            texts.into_iter().enumerate().map(|(index, text)| string(text, &Path::Index(&path, index))).collect()
        }
        Some(Value::Array(texts)) => {
            Err(Mismatch::at(&path, format!("expected at most {MAX_STOPS} stop texts, found {}", texts.len())))
        }
        Some(other) => Err(Mismatch::expected(&path, "a string or an array of strings", &other)),
    }
}

fn response_format(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Option<ResponseFormat>, Mismatch> {
    let path = fields.at("response_format");
    let Some(value) = fields.take("response_format") else { return Ok(None) };
    let mut format = Fields::of(value, &path)?;
    let kind = format.required_text("type")?;
    match kind.as_str() {
        "text" => Ok(Some(ResponseFormat::Text)),
        "json_object" => Ok(Some(ResponseFormat::JsonObject)),
        "json_schema" => json_schema(format.require("json_schema")?, &format.at("json_schema")).map(Some),
        _ => {
            // Some compatible servers have more of them (`grammar`, `regex`).
            notes.unknown(format.at("type"));
            format.put("type", kind);
            fields.put("response_format", format.into_value());
            Ok(None)
        }
    }
}

fn json_schema(value: Value, path: &Path<'_>) -> Result<ResponseFormat, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    Ok(ResponseFormat::JsonSchema {
        name: fields.required_text("name")?,
        description: fields.string("description")?,
        schema: match fields.take("schema") {
            None => Value::Object(Map::new()),
            Some(schema @ Value::Object(_)) => schema,
            Some(other) => return Err(Mismatch::expected(&fields.at("schema"), "an object", &other)),
        },
        strict: fields.boolean("strict")?,
    })
}

fn include_usage(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<bool, Mismatch> {
    let path = fields.at("stream_options");
    let Some(value) = fields.take("stream_options") else { return Ok(false) };
    let mut options = Fields::of(value, &path)?;
    if options.boolean("include_obfuscation")? == Some(true) {
        notes.unsupported("stream_options.include_obfuscation", "chunks are never padded");
    }
    let wanted = options.boolean("include_usage")?.unwrap_or(false);
    for name in options.rest().keys() {
        notes.unknown(Path::Field(&path, name));
        notes.unsupported(Path::Field(&path, name).to_string(), "no such option is known: ignored");
    }
    Ok(wanted)
}

/// The lane that `service_tier` asks for. The tier itself goes on to the provider.
fn lane(fields: &mut Fields<'_>) -> Result<Option<Lane>, Mismatch> {
    let tier = fields.string("service_tier")?;
    let lane = match tier.as_deref() {
        Some("priority" | "fast") => Some(Lane::High),
        Some("flex") => Some(Lane::Low),
        _ => None,
    };
    fields.put_some("service_tier", tier);
    Ok(lane)
}

/// Checks the types of the known fields that are carried, so that a client hears of its mistake at once.
fn check_carried(fields: &mut Fields<'_>) -> Result<(), Mismatch> {
    let objects =
        ["audio", "logit_bias", "metadata", "moderation", "prediction", "prompt_cache_options", "web_search_options"];
    for name in objects {
        keep(fields, name, |value, path| Fields::of(value, path).map(Fields::into_value))?;
    }
    for name in ["prompt_cache_key", "prompt_cache_retention", "safety_identifier", "verbosity"] {
        keep(fields, name, |value, path| string(value, path).map(Value::from))?;
    }
    keep(fields, "modalities", |value, path| array(value, path).map(Value::from))?;
    let store = fields.boolean("store")?;
    fields.put_some("store", store);
    Ok(())
}

fn keep<'p>(
    fields: &mut Fields<'p>,
    name: &'p str,
    check: impl FnOnce(Value, &Path<'_>) -> Result<Value, Mismatch>,
) -> Result<(), Mismatch> {
    let path = fields.at(name);
    let value = fields.take(name).map(|value| check(value, &path)).transpose()?;
    fields.put_some(name, value);
    Ok(())
}

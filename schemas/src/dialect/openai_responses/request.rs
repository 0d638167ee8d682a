//! A client's request body, taken apart.

use std::collections::BTreeMap;

use serde_json::Value;

use super::content::Seen;
use super::settings::{self, unsaid};
use super::tools::{self, Offer};
use super::{ClientOptions, Decoded, NAME, input};
use crate::chat::{ChatRequest, Message, Role};
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path, string};
use crate::error::Failure;

/// Every top-level field that this dialect knows, for routes that refuse the others and name the nearest.
pub const KNOWN_FIELDS: &[&str] = &[
    "access_programs",
    "background",
    "context_management",
    "conversation",
    "image",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
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

/// Takes a client's request body apart. It is consumed, so that large texts move and are not copied.
///
/// # Errors
/// `invalid_request` whose `param` is the path of the field at fault.
pub fn decode_request(body: Value) -> Result<Decoded, Failure> {
    decode(body).map_err(Mismatch::of_client)
}

fn decode(body: Value) -> Result<Decoded, Mismatch> {
    let mut seen = Seen { of_client: true, ..Seen::default() };
    let echo = ClientOptions::echo_of(&body);
    let mut fields = Fields::of(body, &Path::Root)?;
    let model = fields.required_text("model")?;
    let mut options = options(&mut fields)?;
    let messages = messages(&mut fields, &options, &mut seen)?;
    let Offer { tools, choice, parallel } = tools::decode(&mut fields, &mut seen.notes)?;
    let sampling = settings::sampling(&mut fields, &options.include)?;
    let response_format = settings::text_format(&mut fields, &mut seen.notes)?;
    let stream = fields.boolean("stream")?.unwrap_or(false);
    stream_options(&mut fields, &mut seen.notes)?;
    check_carried(&mut fields)?;
    let user = user(&mut fields)?;
    options.service_tier = fields.string("service_tier")?;
    fields.put_some("service_tier", options.service_tier.clone());
    let mut request = ChatRequest {
        model,
        messages,
        tools,
        tool_choice: choice,
        parallel_tool_calls: parallel,
        sampling,
        response_format,
        stream,
        user,
        extra: BTreeMap::new(),
    };
    carry_rest(fields, &options.include, &mut request, &mut seen.notes);
    options.echo = echo;
    Ok(Decoded { request, options, warnings: seen.notes.warnings, unknown: seen.notes.unknown })
}

/// What concerns our state and the answer's form.
fn options(fields: &mut Fields<'_>) -> Result<ClientOptions, Mismatch> {
    let options = ClientOptions {
        background: fields.boolean("background")?.unwrap_or(false),
        store: fields.boolean("store")?.unwrap_or(true),
        previous_response_id: fields.string("previous_response_id")?,
        conversation: conversation(fields)?,
        truncate: truncate(fields)?,
        include: settings::include(fields)?,
        metadata: metadata(fields)?,
        instructions: fields.string("instructions")?.filter(|text| !text.is_empty()),
        ..ClientOptions::default()
    };
    if options.background && !options.store {
        return Err(Mismatch::at(&fields.at("store"), "a background answer is kept to be fetched: must not be false"));
    }
    if options.previous_response_id.is_some() && options.conversation.is_some() {
        return Err(Mismatch::at(&fields.at("conversation"), "cannot stand beside previous_response_id"));
    }
    Ok(options)
}

fn conversation(fields: &mut Fields<'_>) -> Result<Option<String>, Mismatch> {
    let path = fields.at("conversation");
    match fields.take("conversation") {
        None => Ok(None),
        Some(Value::String(id)) => Ok(Some(id)),
        Some(other) => Fields::of(other, &path)?.required_text("id").map(Some),
    }
}

fn truncate(fields: &mut Fields<'_>) -> Result<bool, Mismatch> {
    match fields.string("truncation")?.as_deref() {
        None | Some("disabled") => Ok(false),
        Some("auto") => Ok(true),
        Some(other) => Err(Mismatch::word(&fields.at("truncation"), "`auto` or `disabled`", other)),
    }
}

fn metadata(fields: &mut Fields<'_>) -> Result<BTreeMap<String, String>, Mismatch> {
    let path = fields.at("metadata");
    let Some(value) = fields.take("metadata") else { return Ok(BTreeMap::new()) };
    let labels = Fields::of(value, &path)?.rest();
    labels.into_iter().map(|(name, value)| Ok((name.clone(), string(value, &Path::Field(&path, &name))?))).collect()
}

/// The instructions and the input. Only what goes on from elsewhere may leave the input out.
fn messages(fields: &mut Fields<'_>, options: &ClientOptions, seen: &mut Seen) -> Result<Vec<Message>, Mismatch> {
    let instructions = options.instructions.as_ref().map(|text| Message::text(Role::System, text));
    let mut messages: Vec<_> = instructions.into_iter().collect();
    let goes_on = options.previous_response_id.is_some() || options.conversation.is_some() || fields.has("prompt");
    let path = fields.at("input");
    match fields.take("input") {
        Some(Value::Array(items)) if items.is_empty() && !goes_on => {
            return Err(Mismatch::at(&path, "expected at least one item, found none"));
        }
        Some(value) => messages.extend(input::decode(value, &path, seen)?),
        None if goes_on => {}
        None => return Err(Mismatch::at(&path, "required, but absent or null")),
    }
    Ok(messages)
}

/// Padding of a stream's pieces against eavesdroppers that measure them: nothing here pads.
fn stream_options(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<(), Mismatch> {
    let path = fields.at("stream_options");
    let Some(value) = fields.take("stream_options") else { return Ok(()) };
    let mut inner = Fields::of(value, &path)?;
    if inner.boolean("include_obfuscation")? == Some(true) {
        notes.unsupported("stream_options.include_obfuscation", "the events of a stream are not padded");
    }
    for name in inner.rest().keys() {
        let field = Path::Field(&path, name);
        notes.unknown(field);
        notes.unsupported(field.to_string(), "no such option: without effect");
    }
    Ok(())
}

/// Who asks the client. `safety_identifier` says the same and stays for providers of this dialect.
fn user(fields: &mut Fields<'_>) -> Result<Option<String>, Mismatch> {
    let identifier = fields.string("safety_identifier")?;
    fields.put_some("safety_identifier", identifier.clone());
    Ok(fields.string("user")?.or(identifier))
}

/// Checks the types of the known fields that are carried, so that a client hears of its mistake at once.
fn check_carried(fields: &mut Fields<'_>) -> Result<(), Mismatch> {
    for name in ["access_programs", "image", "moderation", "prompt", "prompt_cache_options"] {
        let path = fields.at(name);
        let value = fields.take(name).map(|value| Fields::of(value, &path).map(Fields::into_value)).transpose()?;
        fields.put_some(name, value);
    }
    for name in ["prompt_cache_key", "prompt_cache_retention"] {
        let value = fields.string(name)?;
        fields.put_some(name, value);
    }
    let path = fields.at("context_management");
    let value = fields.take("context_management").map(|value| crate::dialect::read::array(value, &path)).transpose()?;
    fields.put_some("context_management", value);
    let value = fields.natural("max_tool_calls", 1)?;
    fields.put_some("max_tool_calls", value);
    Ok(())
}

fn carry_rest(fields: Fields<'_>, include: &[String], request: &mut ChatRequest, notes: &mut Notes) {
    let mut rest = notes.rest(fields, KNOWN_FIELDS);
    if !rest.is_empty() {
        request.extra.insert(NAME.to_owned(), rest.clone());
    }
    let include = unsaid(include, request);
    if !include.is_empty() {
        rest.insert("include".to_owned(), Value::from(include));
        request.extra.insert(NAME.to_owned(), rest);
    }
}

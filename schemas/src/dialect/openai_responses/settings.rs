//! What a request says of the answer's making: sampling, reasoning, the text's form, and what to include.

use serde_json::Value;

use super::NAME;
use crate::chat::{Block, ChatRequest, ResponseFormat, Sampling};
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path, array, string};

/// Asks for the proofs of reasoning.
pub(super) const ENCRYPTED: &str = "reasoning.encrypted_content";

/// Asks for log probabilities.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Takes the sampling out of a request; what `include` asks for and `sampling` cannot say stays there.
pub(super) fn sampling(fields: &mut Fields<'_>, include: &[String]) -> Result<Sampling, Mismatch> {
    Ok(Sampling {
        temperature: fields.number("temperature", 0.0..=2.0)?,
        top_p: fields.number("top_p", 0.0..=1.0)?,
        max_tokens: fields.natural("max_output_tokens", 1)?,
        reasoning_effort: reasoning_effort(fields)?,
        logprobs: include.iter().any(|word| word == LOGPROBS).then_some(true),
        top_logprobs: fields.count("top_logprobs", 0..=20)?,
        ..Sampling::default()
    })
}

/// `reasoning.effort`; the rest of the object stays.
fn reasoning_effort(fields: &mut Fields<'_>) -> Result<Option<String>, Mismatch> {
    let path = fields.at("reasoning");
    let Some(value) = fields.take("reasoning") else { return Ok(None) };
    let mut reasoning = Fields::of(value, &path)?;
    let effort = reasoning.string("effort")?;
    fields.put_rest("reasoning", reasoning.rest());
    Ok(effort)
}

/// `text.format`; the rest of the object stays.
pub(super) fn text_format(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Option<ResponseFormat>, Mismatch> {
    let path = fields.at("text");
    let Some(value) = fields.take("text") else { return Ok(None) };
    let mut text = Fields::of(value, &path)?;
    let at = text.at("format");
    let (format, unknown) = match text.take("format") {
        None => (None, None),
        Some(value) => self::format(value, &at, notes)?,
    };
    text.put_some("format", unknown);
    fields.put_rest("text", text.rest());
    Ok(format)
}

/// A format, or one of a kind that we do not know, as it came.
fn format(
    value: Value,
    path: &Path<'_>,
    notes: &mut Notes,
) -> Result<(Option<ResponseFormat>, Option<Value>), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_text("type")?;
    let format = match kind.as_str() {
        "text" => ResponseFormat::Text,
        "json_object" => ResponseFormat::JsonObject,
        "json_schema" => ResponseFormat::JsonSchema {
            name: fields.required_text("name")?,
            description: fields.string("description")?,
            schema: match fields.require("schema")? {
                schema @ Value::Object(_) => schema,
                other => return Err(Mismatch::expected(&fields.at("schema"), "an object", &other)),
            },
            strict: fields.boolean("strict")?,
        },
        _ => {
            notes.unknown(fields.at("type"));
            fields.put("type", kind);
            return Ok((None, Some(fields.into_value())));
        }
    };
    for name in fields.rest().keys() {
        let field = Path::Field(path, name);
        notes.unknown(field);
        notes.unsupported(field.to_string(), "a format has no such field: not sent");
    }
    Ok((Some(format), None))
}

/// The words of `include`.
pub(super) fn include(fields: &mut Fields<'_>) -> Result<Vec<String>, Mismatch> {
    let path = fields.at("include");
    let items = fields.take("include").map_or(Ok(Vec::new()), |value| array(value, &path))?;
    items.into_iter().enumerate().map(|(index, item)| string(item, &Path::Index(&path, index))).collect()
}

/// Those of `include` that the neutral form of `request` does not say.
pub(super) fn unsaid<'i>(include: &'i [String], request: &ChatRequest) -> Vec<&'i str> {
    let said = |word: &str| word == LOGPROBS || (word == ENCRYPTED && reasons(request));
    include.iter().map(String::as_str).filter(|word| !said(word)).collect()
}

/// Whether `request` asks its model to reason, or sends back what it reasoned. Only then are proofs asked for: models
/// that do not reason refuse that.
pub(super) fn reasons(request: &ChatRequest) -> bool {
    let effort = request.sampling.reasoning_effort.as_deref();
    let own = request.extra.get(NAME).is_some_and(|own| own.contains_key("reasoning"));
    let is_proof = |block: &Block| match block {
        Block::Reasoning(reasoning) => reasoning.signature.is_some() && reasoning.dialect.as_deref() == Some(NAME),
        _ => false,
    };
    effort.is_some_and(|effort| effort != "none")
        || request.sampling.reasoning_budget.is_some_and(|budget| budget > 0)
        || own
        || request.messages.iter().flat_map(|message| &message.content).any(is_proof)
}

/// The effort that a budget of reasoning tokens stands for, where only an effort can be said.
pub(super) const fn effort_of(budget: u32) -> &'static str {
    match budget {
        0 => "none",
        1..4096 => "low",
        4096..16384 => "medium",
        _ => "high",
    }
}

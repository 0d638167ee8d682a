//! Finish reasons and token counts, in both directions.

use serde_json::{Map, Value, json};

use crate::chat::{FinishReason, Usage};
use crate::dialect::read::{Fields, Mismatch, Path};

/// What a provider's finish reason means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// One that the neutral form has.
    Known(FinishReason),
    /// The provider failed half way (Mistral and OpenRouter say `error`).
    Error,
    /// A word we do not know: the answer is whole, whyever.
    Unknown,
}

impl Finish {
    /// Reads the word.
    pub(super) fn of(word: &str) -> Self {
        match word {
            "stop" => Self::Known(FinishReason::Stop),
            "length" | "model_length" | "max_tokens" => Self::Known(FinishReason::Length),
            "tool_calls" | "function_call" => Self::Known(FinishReason::ToolCalls),
            "content_filter" => Self::Known(FinishReason::ContentFilter),
            "error" => Self::Error,
            _ => Self::Unknown,
        }
    }
}

/// The word for a client.
pub(super) const fn finish_word(reason: FinishReason, legacy_functions: bool) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls if legacy_functions => "function_call",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
    }
}

/// A provider's counts.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) usage: Usage,
    /// What it tells beside them.
    pub(super) beside: Map<String, Value>,
}

/// Reads a provider's counts, and what they tell beside those that the neutral form has; an empty object tells nothing.
pub(super) fn decode_usage(value: Value, path: &Path<'_>) -> Result<Option<Told>, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let input = count(&mut fields, "prompt_tokens")?;
    let output = count(&mut fields, "completion_tokens")?;
    let total = count(&mut fields, "total_tokens")?;
    // DeepSeek's own name.
    let hits = count(&mut fields, "prompt_cache_hit_tokens")?;
    let [cached, cache_write] = details(&mut fields, INPUT_DETAILS, ["cached_tokens", "cache_write_tokens"])?;
    let [reasoning] = details(&mut fields, OUTPUT_DETAILS, ["reasoning_tokens"])?;
    if input.is_none() && output.is_none() {
        return Ok(None);
    }
    let (input_tokens, output) = (input.unwrap_or(0), output.unwrap_or(0));
    // xAI and Gemini leave reasoning out of completion_tokens, but not out of the total.
    let output_tokens = output.max(total.unwrap_or(0).saturating_sub(input_tokens));
    let usage = Usage {
        input_tokens,
        output_tokens,
        cached_tokens: cached.or(hits).unwrap_or(0),
        reasoning_tokens: reasoning.unwrap_or(0),
        cache_write_tokens: cache_write.unwrap_or(0),
    };
    Ok(Some(Told { usage, beside: fields.rest() }))
}

const INPUT_DETAILS: &str = "prompt_tokens_details";
const OUTPUT_DETAILS: &str = "completion_tokens_details";

fn count<'p>(fields: &mut Fields<'p>, name: &'p str) -> Result<Option<u64>, Mismatch> {
    Ok(fields.integer(name, 0..=i64::MAX)?.and_then(|count| u64::try_from(count).ok()))
}

/// Takes the counts `names` out of the object `object`; what it tells beside them, zeros apart, is left in its place.
fn details<const N: usize>(
    fields: &mut Fields<'_>,
    object: &str,
    names: [&str; N],
) -> Result<[Option<u64>; N], Mismatch> {
    let path = Path::Field(fields.path, object);
    let Some(value) = fields.take(object) else { return Ok([None; N]) };
    let mut inner = Fields::of(value, &path)?;
    let mut counts = [None; N];
    for (found, name) in counts.iter_mut().zip(names) {
        *found = count(&mut inner, name)?;
    }
    let mut rest = inner.rest();
    rest.retain(|_, value| *value != 0);
    fields.put_some(object, (!rest.is_empty()).then_some(rest));
    Ok(counts)
}

/// The counts for a client; `beside` is what the provider told beside them.
pub(super) fn encode_usage(usage: &Usage, beside: Option<&Map<String, Value>>) -> Value {
    let mut body = counts(usage);
    for (name, value) in beside.into_iter().flatten() {
        match (&mut body[name], value) {
            (Value::Object(known), Value::Object(more)) => known.extend(more.clone()),
            (place @ Value::Null, more) => *place = more.clone(),
            _ => {}
        }
    }
    body
}

fn counts(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        INPUT_DETAILS: {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": 0,
        },
        OUTPUT_DETAILS: {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

//! Finish reasons and token counts, in both directions.

use serde_json::{Value, json};

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

/// Reads a provider's counts; an empty object tells nothing.
pub(super) fn decode_usage(value: Value, path: &Path<'_>) -> Result<Option<Usage>, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let input = count(&mut fields, "prompt_tokens")?;
    let output = count(&mut fields, "completion_tokens")?;
    let total = count(&mut fields, "total_tokens")?;
    let cached = detail(&mut fields, "prompt_tokens_details", "cached_tokens")?;
    // DeepSeek's own name.
    let hits = count(&mut fields, "prompt_cache_hit_tokens")?;
    let reasoning_tokens = detail(&mut fields, "completion_tokens_details", "reasoning_tokens")?.unwrap_or(0);
    if input.is_none() && output.is_none() {
        return Ok(None);
    }
    let (input_tokens, output) = (input.unwrap_or(0), output.unwrap_or(0));
    // xAI and Gemini leave reasoning out of completion_tokens, but not out of the total.
    let output_tokens = output.max(total.unwrap_or(0).saturating_sub(input_tokens));
    Ok(Some(Usage {
        input_tokens,
        output_tokens,
        cached_tokens: cached.or(hits).unwrap_or(0),
        reasoning_tokens,
        cache_write_tokens: 0,
    }))
}

fn count<'p>(fields: &mut Fields<'p>, name: &'p str) -> Result<Option<u64>, Mismatch> {
    Ok(fields.integer(name, 0..=i64::MAX)?.and_then(|count| u64::try_from(count).ok()))
}

fn detail(fields: &mut Fields<'_>, object: &str, name: &str) -> Result<Option<u64>, Mismatch> {
    let path = Path::Field(fields.path, object);
    let Some(value) = fields.take(object) else { return Ok(None) };
    count(&mut Fields::of(value, &path)?, name)
}

/// The counts for a client.
pub(super) fn encode_usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

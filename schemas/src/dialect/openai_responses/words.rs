//! Statuses, the words for errors, and token counts, in both directions.

use serde_json::{Map, Value, json};

use crate::chat::{FinishReason, Usage};
use crate::dialect::carry::fill;
use crate::dialect::read::{Fields, Mismatch, Path};
use crate::error::{CONTEXT_LENGTH_EXCEEDED, ErrorCode, Failure};

/// `status` and `incomplete_details.reason` of an answer that ended for `reason`.
pub(super) const fn ended(reason: FinishReason) -> (&'static str, Option<&'static str>) {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => ("completed", None),
        FinishReason::Length => ("incomplete", Some("max_output_tokens")),
        FinishReason::ContentFilter => ("incomplete", Some("content_filter")),
    }
}

/// What a provider's `incomplete_details.reason` means. A word we do not know is a limit of some kind.
pub(super) fn incomplete(reason: &str) -> FinishReason {
    if reason == "content_filter" { FinishReason::ContentFilter } else { FinishReason::Length }
}

/// The `error` of a failed answer, in the words that this API has for it.
pub(super) fn failure(failure: &Failure) -> Value {
    use ErrorCode as E;
    let code = match failure.code {
        _ if failure.about_length().is_some() => CONTEXT_LENGTH_EXCEEDED,
        E::BudgetExceeded => "insufficient_quota",
        E::RateLimited | E::ProviderRateLimited => "rate_limit_exceeded",
        E::InvalidRequest | E::ProviderRejected | E::ContentFiltered | E::PayloadTooLarge => "invalid_prompt",
        _ => "server_error",
    };
    json!({"code": code, "message": failure.message})
}

/// Reads a provider's counts, and what they tell beyond ours; an empty object tells nothing.
pub(super) fn decode_usage(value: Value, path: &Path<'_>) -> Result<(Option<Usage>, Map<String, Value>), Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let input = count(&mut fields, "input_tokens")?;
    let output = count(&mut fields, "output_tokens")?;
    fields.take("total_tokens");
    let cached_tokens = detail(&mut fields, "input_tokens_details", "cached_tokens")?;
    let cache_write_tokens = detail(&mut fields, "input_tokens_details", "cache_write_tokens")?;
    let reasoning_tokens = detail(&mut fields, "output_tokens_details", "reasoning_tokens")?;
    let mut rest = fields.rest();
    rest.retain(|_, value| value.as_object().is_none_or(|inner| !inner.is_empty()));
    if input.is_none() && output.is_none() {
        return Ok((None, rest));
    }
    let (input_tokens, output_tokens) = (input.unwrap_or(0), output.unwrap_or(0));
    Ok((Some(Usage { input_tokens, output_tokens, cached_tokens, reasoning_tokens, cache_write_tokens }), rest))
}

fn count<'p>(fields: &mut Fields<'p>, name: &'p str) -> Result<Option<u64>, Mismatch> {
    Ok(fields.integer(name, 0..=i64::MAX)?.and_then(|count| u64::try_from(count).ok()))
}

/// Takes a count out of an inner object and leaves the others there.
fn detail<'p>(fields: &mut Fields<'p>, object: &'p str, name: &str) -> Result<u64, Mismatch> {
    let path = fields.at(object);
    let Some(value) = fields.take(object) else { return Ok(0) };
    let mut inner = Fields::of(value, &path)?;
    let found = inner.integer(name, 0..=i64::MAX)?;
    fields.put(object, inner.rest());
    Ok(found.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

/// The counts for a client, with what a provider of this dialect told beyond them.
pub(super) fn encode_usage(usage: &Usage, more: Option<&Map<String, Value>>) -> Value {
    let mut body = json!({
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total(),
    });
    for (name, value) in more.into_iter().flatten() {
        match (body.get_mut(name), value) {
            (Some(Value::Object(own)), Value::Object(more)) => fill(own, more),
            (Some(_), _) => {}
            (None, value) => body[name] = value.clone(),
        }
    }
    body
}

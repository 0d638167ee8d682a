//! Token counts, in both directions. This API counts the tokens of its prompt cache apart from `input_tokens`; the
//! neutral form counts them in.

use serde_json::{Map, Value, json};

use crate::chat::Usage;
use crate::dialect::read::{Fields, Mismatch, Path};

/// Where an answer carries the counts that the neutral form lacks.
pub(super) const USAGE: &str = "usage";

/// Reads a provider's counts; those beyond the neutral form are put into `own`. An empty object tells nothing.
pub(super) fn decode(value: Value, path: &Path<'_>, own: &mut Map<String, Value>) -> Result<Option<Usage>, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let input = count(&mut fields, "input_tokens")?;
    let output = count(&mut fields, "output_tokens")?;
    let cached = count(&mut fields, "cache_read_input_tokens")?.unwrap_or(0);
    let written = count(&mut fields, "cache_creation_input_tokens")?.unwrap_or(0);
    let reasoning = reasoning(&mut fields)?;
    let rest = fields.rest();
    if !rest.is_empty() {
        own.insert(USAGE.to_owned(), Value::Object(rest));
    }
    if input.is_none() && output.is_none() {
        return Ok(None);
    }
    Ok(Some(Usage {
        input_tokens: input.unwrap_or(0).saturating_add(cached).saturating_add(written),
        output_tokens: output.unwrap_or(0),
        cached_tokens: cached,
        reasoning_tokens: reasoning,
        cache_write_tokens: written,
    }))
}

fn count<'p>(fields: &mut Fields<'p>, name: &'p str) -> Result<Option<u64>, Mismatch> {
    Ok(fields.integer(name, 0..=i64::MAX)?.and_then(|count| u64::try_from(count).ok()))
}

fn reasoning(fields: &mut Fields<'_>) -> Result<u64, Mismatch> {
    let path = fields.at("output_tokens_details");
    let Some(value) = fields.take("output_tokens_details") else { return Ok(0) };
    let mut details = Fields::of(value, &path)?;
    let thinking = count(&mut details, "thinking_tokens")?;
    fields.put_rest("output_tokens_details", details.rest());
    Ok(thinking.unwrap_or(0))
}

/// The counts for a client, `own` being what the answer carries. Zeros when the provider told none: libraries need some.
pub(super) fn encode(usage: Option<&Usage>, own: Option<&Map<String, Value>>) -> Value {
    let usage = usage.copied().unwrap_or_default();
    let cache = usage.cached_tokens.saturating_add(usage.cache_write_tokens);
    let mut body = json!({
        "input_tokens": usage.input_tokens.saturating_sub(cache),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    });
    if usage.reasoning_tokens > 0 {
        body["output_tokens_details"] = json!({"thinking_tokens": usage.reasoning_tokens});
    }
    for (name, value) in own.and_then(|own| own.get(USAGE)?.as_object()).into_iter().flatten() {
        match (body.get_mut(name), value) {
            (Some(Value::Object(known)), Value::Object(rest)) => known.extend(rest.clone()),
            (Some(_), _) => {}
            (None, _) => body[name] = value.clone(),
        }
    }
    body
}

/// Takes a stream's next counts in: each is the sum so far, and what is not told again stands.
pub(super) fn merge(sum: &mut Map<String, Value>, value: Value, path: &Path<'_>) -> Result<(), Mismatch> {
    sum.extend(Fields::of(value, path)?.rest());
    Ok(())
}

//! How hard to think and in what form to answer, in both directions: `thinking`, `output_config`, `output_format`.
//! [`FIELDS`](super::FIELDS) tells which effort is which budget.

use serde_json::{Map, Value, json};

use super::NAME;
use crate::catalog::Quirks;
use crate::chat::{ChatRequest, ResponseFormat};
use crate::dialect::bounds;
use crate::dialect::carry::{Notes, carried, fill};
use crate::dialect::read::{Fields, Mismatch, Path};

/// The name of a schema that came without one; OpenAI's APIs need one.
const FORMAT_NAME: &str = "response";

/// The least budget that the API takes.
const MIN_BUDGET: u32 = 1024;

/// The limit of an answer when neither the request nor the catalogue names one.
const DEFAULT_MAX_TOKENS: u32 = 4096;

/// What a request asks of the thinking before its answer, and of the answer's form.
#[derive(Debug, Default)]
pub(super) struct Demand {
    pub(super) budget: Option<u32>,
    pub(super) effort: Option<String>,
    pub(super) response_format: Option<ResponseFormat>,
}

/// Takes the fields about thinking and the answer's form out of a request.
pub(super) fn decode(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Demand, Mismatch> {
    let budget = thinking(fields, notes)?;
    let old = format(fields, "output_format", notes)?;
    let path = fields.at("output_config");
    let (mut effort, mut new) = (None, None);
    if let Some(value) = fields.take("output_config") {
        let mut config = Fields::of(value, &path)?;
        effort = config.string("effort")?;
        new = format(&mut config, "format", notes)?;
        fields.put_rest("output_config", config.rest());
    }
    if new.is_some() && old.is_some() && new != old {
        notes.warn("superseded_field", "output_format", "output_config.format is set too and counts instead");
    }
    Ok(Demand { budget, effort, response_format: new.or(old) })
}

/// The budget; what only this API says of thinking is left in its place.
fn thinking(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Option<u32>, Mismatch> {
    let path = fields.at("thinking");
    let Some(value) = fields.take("thinking") else { return Ok(None) };
    let mut own = Fields::of(value, &path)?;
    let kind = own.required_text("type")?;
    let budget = match kind.as_str() {
        "disabled" => Some(0),
        "enabled" => {
            own.require("budget_tokens").map(|budget| own.put("budget_tokens", budget))?;
            own.natural("budget_tokens", MIN_BUDGET)?
        }
        _ => {
            if !matches!(kind.as_str(), "adaptive" | "between_tools") {
                notes.unknown(own.at("type"));
            }
            own.put("type", kind);
            None
        }
    };
    fields.put_rest("thinking", own.rest());
    Ok(budget)
}

fn format<'p>(fields: &mut Fields<'p>, name: &'p str, notes: &mut Notes) -> Result<Option<ResponseFormat>, Mismatch> {
    let path = fields.at(name);
    let Some(value) = fields.take(name) else { return Ok(None) };
    let mut own = Fields::of(value, &path)?;
    let kind = own.required_text("type")?;
    if kind != "json_schema" {
        notes.unknown(own.at("type"));
        own.put("type", kind);
        fields.put(name, own.into_value());
        return Ok(None);
    }
    let at = own.at("schema");
    let schema = Fields::of(own.require("schema")?, &at)?.into_value();
    for name in own.rest().keys() {
        let field = Path::Field(&path, name);
        notes.unknown(field);
        notes.unsupported(field.to_string(), "a format has no such field: not sent");
    }
    // This API holds every answer to its schema.
    Ok(Some(ResponseFormat::JsonSchema { name: FORMAT_NAME.to_owned(), description: None, schema, strict: Some(true) }))
}

/// What a provider is asked of thinking.
#[derive(Debug)]
pub(super) struct Plan {
    /// `thinking`, when anything is said of it.
    pub(super) thinking: Option<Value>,
    /// `max_tokens`, which the API requires.
    pub(super) max_tokens: u32,
    /// The model is asked to think, which the API does not let go with everything.
    pub(super) thinks: bool,
}

/// What of the request stands against thinking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Obstacles {
    /// A tool must be called.
    pub(super) forced_tool: bool,
    /// The last assistant message calls tools, and does not begin with its thinking.
    pub(super) unsigned_calls: bool,
}

/// Plans the thinking of `request`.
pub(super) fn plan(request: &ChatRequest, quirks: &Quirks, obstacles: Obstacles, notes: &mut Notes) -> Plan {
    let asked = bounds::max_tokens(&request.sampling, quirks, notes);
    let most = quirks.max_output.unwrap_or(u32::MAX);
    let usual = quirks.default_max_tokens.or(quirks.max_output).unwrap_or(DEFAULT_MAX_TOKENS);
    // Where nobody names a limit, thinking leaves half of the largest answer.
    let wanted = wanted(request, quirks, asked.or_else(|| quirks.max_output.map(|most| most / 2)), notes);
    let budget = wanted.as_ref().and_then(|own| own.get("budget_tokens")).and_then(Value::as_u64);
    let kind = wanted.as_ref().and_then(|own| own.get("type")).and_then(Value::as_str);
    let thinks = matches!(kind, Some("enabled" | "adaptive"));
    let obstacle = if thinks && obstacles.forced_tool {
        Some("the API lets no tool be forced while the model thinks: it does not think")
    } else if kind == Some("enabled") && obstacles.unsigned_calls {
        Some("the last tool calls come without their thinking, which the API then requires: the model does not think")
    } else {
        None
    };
    if let Some(message) = obstacle {
        notes.unsupported("thinking", message);
        return Plan { thinking: None, max_tokens: asked.unwrap_or(usual.min(most)), thinks: false };
    }
    let budget = budget.and_then(|budget| u32::try_from(budget).ok()).unwrap_or(0);
    // The budget is part of the limit: ours leaves as much for the answer as without thinking.
    let max_tokens = asked.unwrap_or_else(|| usual.saturating_add(budget).min(most));
    Plan { thinking: wanted.map(Value::Object), max_tokens, thinks }
}

fn wanted(
    request: &ChatRequest,
    quirks: &Quirks,
    max_tokens: Option<u32>,
    notes: &mut Notes,
) -> Option<Map<String, Value>> {
    let extra = request.extra.get(NAME);
    let own = extra.and_then(|own| carried(own, "thinking"));
    if let Some(own) = own.filter(|own| own.contains_key("type")) {
        return Some(own.clone());
    }
    let sampling = &request.sampling;
    let effort = sampling.reasoning_effort.as_deref();
    let mut body = match (sampling.reasoning_budget, effort) {
        (Some(0), _) | (None, Some("none")) => simple("disabled"),
        (Some(budget), _) => {
            // It has to stay below a limit that is lower than the one it was made for.
            let lower = max_tokens.filter(|limit| request.sampling.max_tokens.is_none_or(|asked| asked > *limit));
            enabled(lower.map_or(budget, |limit| budget.min(limit.saturating_sub(1))), notes)
        }
        (None, None) => return None,
        (None, Some(effort)) if quirks.thinking_budget => effort_budget(effort, max_tokens, notes)?,
        // Its own client would have said so.
        (None, Some(_)) if extra.is_some() => return None,
        (None, Some(_)) => simple("adaptive"),
    };
    if let Some(own) = own {
        fill(&mut body, own);
    }
    Some(body)
}

/// Whether the request says more of thinking than an effort.
fn says_how_to_think(request: &ChatRequest) -> bool {
    let own = request.extra.get(NAME).and_then(|own| carried(own, "thinking"));
    request.sampling.reasoning_budget.is_some() || own.is_some_and(|own| own.contains_key("type"))
}

fn simple(kind: &str) -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!(kind))])
}

fn enabled(budget: u32, notes: &mut Notes) -> Map<String, Value> {
    if budget < MIN_BUDGET {
        notes.warn("clamped_field", "reasoning_budget", format!("the provider's least is {MIN_BUDGET}: sent instead"));
    }
    let mut body = simple("enabled");
    body.insert("budget_tokens".to_owned(), json!(budget.max(MIN_BUDGET)));
    body
}

/// The budget for an effort; it must stay below the limit of the answer.
fn effort_budget(effort: &str, max_tokens: Option<u32>, notes: &mut Notes) -> Option<Map<String, Value>> {
    let budget = match effort {
        "minimal" => MIN_BUDGET,
        "low" => 2048,
        "high" => 16_384,
        "xhigh" | "max" => 32_768,
        _ => 8192,
    };
    let budget = max_tokens.map_or(budget, |limit| budget.min(limit.saturating_sub(1)));
    if budget < MIN_BUDGET {
        let message = format!("max_tokens leaves less than the {MIN_BUDGET} tokens that thinking takes: not sent");
        notes.unsupported("reasoning_effort", message);
        return None;
    }
    Some(enabled(budget, notes))
}

/// What stands in `output_config`.
pub(super) fn output_config(request: &ChatRequest, quirks: &Quirks, notes: &mut Notes) -> Map<String, Value> {
    let mut config = Map::new();
    if quirks.thinking_budget && request.sampling.reasoning_effort.is_some() && says_how_to_think(request) {
        notes.unsupported("reasoning_effort", "the provider has no word for it, and what is said of thinking counts");
    }
    let effort = request.sampling.reasoning_effort.as_deref().filter(|_| !quirks.thinking_budget);
    let effort = effort.and_then(|word| match word {
        "none" => None,
        "minimal" => Some("low"),
        other => Some(other),
    });
    config.extend(effort.map(|word| ("effort".to_owned(), json!(word))));
    match &request.response_format {
        None | Some(ResponseFormat::Text) => {}
        Some(ResponseFormat::JsonObject) => {
            notes.unsupported("response_format", "the provider takes no JSON without a schema: the prompt has to ask");
        }
        Some(ResponseFormat::JsonSchema { description, schema, .. }) => {
            if description.is_some() {
                notes.unsupported("response_format", "the provider takes no description of the schema: not sent");
            }
            config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
        }
    }
    config
}

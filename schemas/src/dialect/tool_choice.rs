//! The choice among tools, as both of OpenAI's APIs have it. They differ in how a function is named.

use serde_json::{Value, json};

use super::carry::Notes;
use super::read::{Fields, Mismatch, Path};
use crate::chat::{Tool, ToolChoice};

/// Takes the choice out of a request. `named` reads the function that one names; choices of the kinds in `known` are
/// carried as they are, others too, with a note.
pub(super) fn decode(
    fields: &mut Fields<'_>,
    known: &[&str],
    named: fn(&mut Fields<'_>) -> Result<String, Mismatch>,
    notes: &mut Notes,
) -> Result<Option<ToolChoice>, Mismatch> {
    let path = fields.at("tool_choice");
    let expected = "`auto`, `none`, `required` or an object";
    let value = match fields.take("tool_choice") {
        None => return Ok(None),
        Some(Value::String(word)) => {
            return match word.as_str() {
                "auto" => Ok(Some(ToolChoice::Auto)),
                "none" => Ok(Some(ToolChoice::None)),
                "required" => Ok(Some(ToolChoice::Required)),
                other => Err(Mismatch::word(&path, expected, other)),
            };
        }
        Some(object @ Value::Object(_)) => object,
        Some(other) => return Err(Mismatch::expected(&path, expected, &other)),
    };
    let mut choice = Fields::of(value, &path)?;
    let kind = choice.required_text("type")?;
    if kind == "function" {
        return named(&mut choice).map(|name| Some(ToolChoice::Named(name)));
    }
    if !known.contains(&kind.as_str()) {
        notes.unknown(choice.at("type"));
    }
    choice.put("type", kind);
    fields.put("tool_choice", choice.into_value());
    Ok(None)
}

/// The choice, if `tools` allow it. Providers refuse a choice without tools, though `auto` and `none` mean nothing then.
pub(super) fn possible(
    choice: Option<ToolChoice>,
    tools: &[Tool],
    path: &Path<'_>,
) -> Result<Option<ToolChoice>, Mismatch> {
    match &choice {
        Some(ToolChoice::Required) if tools.is_empty() => {
            Err(Mismatch::at(path, "requires a tool, but tools is empty"))
        }
        Some(ToolChoice::Named(name)) if tools.iter().all(|tool| tool.name != *name) => {
            Err(Mismatch::at(path, "names a function that is not among the request's tools"))
        }
        _ => Ok(choice.filter(|_| !tools.is_empty())),
    }
}

/// The wire form of a choice; `named` writes one that names a function.
pub(super) fn encode(choice: &ToolChoice, named: fn(&str) -> Value) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) => named(name),
    }
}

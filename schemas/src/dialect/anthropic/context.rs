//! `context_management`: edits that clear tool uses are carried out here, whoever the provider is, so that they happen
//! once. Others stay for a provider of this API; to another one no thinking of earlier turns is sent anyway.

use serde_json::{Map, Value, json};

use super::NAME;
use crate::chat::Extra;
use crate::context::{ClearOptions, ClearToolResults, ContextOptions, LONGEST_TOOL, MOST_TOOLS};
use crate::dialect::carry::{Notes, carried, carry};
use crate::dialect::read::{Fields, Mismatch, Path, array, string};
use crate::state::ContextReport;

const MANAGEMENT: &str = "context_management";
const EDITS: &str = "edits";
const CLEAR_TOOL_USES: &str = "clear_tool_uses_20250919";
const INPUT_TOKENS: &str = "input_tokens";
const TOOL_USES: &str = "tool_uses";
const APPLIED: &str = "applied_edits";
/// Input tokens above which this API clears tool uses, and the newest of them that it keeps, when nobody says.
const TRIGGER: u32 = 100_000;
const KEEP: u32 = 3;

/// Takes the edits that clear tool uses out of a request, and leaves the others in their place.
pub(super) fn decode(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<ContextOptions, Mismatch> {
    let path = fields.at(MANAGEMENT);
    let Some(value) = fields.take(MANAGEMENT) else { return Ok(ContextOptions::default()) };
    let mut own = Fields::of(value, &path)?;
    let at = own.at(EDITS);
    let edits = own.take(EDITS).map_or(Ok(Vec::new()), |value| array(value, &at))?;
    let (mut clear, mut others) = (None, Vec::new());
    for (index, edit) in edits.into_iter().enumerate() {
        let at = Path::Index(&at, index);
        let mut edit = Fields::of(edit, &at)?;
        let kind = edit.required_text("type")?;
        if kind == CLEAR_TOOL_USES {
            clear = Some(clear_tool_uses(edit, notes)?);
        } else {
            edit.put("type", kind);
            others.push(edit.into_value());
        }
    }
    if !others.is_empty() {
        own.put(EDITS, others);
    }
    fields.put_rest(MANAGEMENT, own.rest());
    Ok(ContextOptions { clear_tool_results: clear.map(ClearToolResults::With), ..ContextOptions::default() })
}

fn clear_tool_uses(mut edit: Fields<'_>, notes: &mut Notes) -> Result<ClearOptions, Mismatch> {
    let trigger = measure(&mut edit, "trigger", &[INPUT_TOKENS, TOOL_USES], notes)?;
    let keep = measure(&mut edit, "keep", &[TOOL_USES], notes)?;
    let at_least = measure(&mut edit, "clear_at_least", &[INPUT_TOKENS], notes)?;
    let options = ClearOptions {
        keep: keep.map(|(_, count)| count).or(Some(KEEP)),
        exclude_tools: names(&mut edit, "exclude_tools")?,
        clear_inputs: inputs(&mut edit, notes)?,
        at_least: at_least.map(|(_, tokens)| tokens),
        trigger: match trigger {
            None => Some(TRIGGER),
            Some((INPUT_TOKENS, tokens)) => Some(tokens),
            Some(_) => {
                let message = "tool uses are not counted: results are cleared when the conversation does not fit";
                notes.unsupported(edit.at("trigger").to_string(), message);
                None
            }
        },
    };
    let path = edit.path;
    for name in edit.rest().keys() {
        let field = Path::Field(path, name);
        notes.unknown(field);
        notes.unsupported(field.to_string(), "the edit is carried out here, without this field");
    }
    Ok(options)
}

/// A number of what its type says, one of `kinds`.
fn measure<'p>(
    edit: &mut Fields<'p>,
    name: &'p str,
    kinds: &[&'static str],
    notes: &mut Notes,
) -> Result<Option<(&'static str, u32)>, Mismatch> {
    let path = edit.at(name);
    let Some(value) = edit.take(name) else { return Ok(None) };
    let mut own = Fields::of(value, &path)?;
    let word = own.required_text("type")?;
    let Some(kind) = kinds.iter().find(|kind| **kind == word) else {
        let expected = kinds.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" or ");
        return Err(Mismatch::word(&own.at("type"), &expected, &word));
    };
    let count = own.natural("value", 0)?;
    let count = count.ok_or_else(|| Mismatch::at(&own.at("value"), "required, but absent or null"))?;
    own.rest().keys().for_each(|name| notes.unknown(Path::Field(&path, name)));
    Ok(Some((kind, count)))
}

fn names<'p>(edit: &mut Fields<'p>, name: &'p str) -> Result<Option<Vec<String>>, Mismatch> {
    let path = edit.at(name);
    let Some(value) = edit.take(name) else { return Ok(None) };
    let names = array(value, &path)?;
    if names.len() > MOST_TOOLS {
        return Err(Mismatch::at(&path, format!("expected at most {MOST_TOOLS} tools, found {}", names.len())));
    }
    names
        .into_iter()
        .enumerate()
        .map(|(index, name)| tool(name, &Path::Index(&path, index)))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn tool(name: Value, path: &Path<'_>) -> Result<String, Mismatch> {
    let name = string(name, path)?;
    if name.chars().count() > LONGEST_TOOL {
        return Err(Mismatch::at(path, format!("expected at most {LONGEST_TOOL} characters")));
    }
    Ok(name)
}

/// All inputs or none: a list of tools is more than can be said.
fn inputs(edit: &mut Fields<'_>, notes: &mut Notes) -> Result<Option<bool>, Mismatch> {
    let name = "clear_tool_inputs";
    match edit.take(name) {
        None => Ok(None),
        Some(Value::Bool(clear)) => Ok(Some(clear)),
        Some(Value::Array(_)) => {
            notes.unsupported(edit.at(name).to_string(), "inputs of some tools alone are not cleared: all are kept");
            Ok(Some(false))
        }
        Some(other) => Err(Mismatch::expected(&edit.at(name), "a boolean or an array of strings", &other)),
    }
}

/// Adds to what an answer carries for a client of this API which tool uses were cleared, if any were.
pub fn tell_cleared(extra: &mut Extra, report: &ContextReport) {
    if report.tool_results_cleared == 0 {
        return;
    }
    let edit = json!({
        "type": CLEAR_TOOL_USES,
        "cleared_tool_uses": report.tool_results_cleared,
        "cleared_input_tokens": report.tokens_cleared,
    });
    let mut own = carried(extra, NAME).cloned().unwrap_or_default();
    let told = own.get(MANAGEMENT).and_then(|own| own.get(APPLIED)).and_then(Value::as_array);
    let edits: Vec<_> = told.into_iter().flatten().cloned().chain([edit]).collect();
    own.insert(MANAGEMENT.to_owned(), Value::Object(Map::from_iter([(APPLIED.to_owned(), Value::Array(edits))])));
    carry(extra, NAME, own);
}

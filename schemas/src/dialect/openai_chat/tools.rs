//! Tools and the choice among them, in both directions; with the `functions` that came before them.

use serde_json::{Map, Value, json};

use super::NAME;
use super::extras::{CACHE_MARK, carry_own, take_own};
use crate::catalog::Quirks;
use crate::chat::{Extra, Tool, ToolChoice};
use crate::dialect::carry::{Notes, carried, carry, fill};
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::tool_choice;

/// Kinds of tools and of choices that this dialect knows and only carries.
const CARRIED_KINDS: [&str; 2] = ["custom", "allowed_tools"];

/// What a request offers its model to call.
#[derive(Debug, Default)]
pub(super) struct Offer {
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Option<ToolChoice>,
    pub(super) parallel: Option<bool>,
    pub(super) legacy_functions: bool,
}

/// Takes the fields about tools out of a request.
pub(super) fn decode(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Offer, Mismatch> {
    let parallel = fields.boolean("parallel_tool_calls")?;
    let functions = list(fields, "functions", |value, path| function(value, path, Extra::new(), notes))?;
    let tools = list(fields, "tools", |value, path| tool(value, path, notes))?;
    if !functions.is_empty() && !tools.is_empty() {
        return Err(Mismatch::at(&fields.at("functions"), "cannot stand beside tools"));
    }
    let legacy_functions = !functions.is_empty();
    let tools = if legacy_functions { functions } else { tools };
    let choice = match function_call(fields)? {
        Some(choice) if legacy_functions => Some(choice),
        Some(ToolChoice::Named(_)) => {
            return Err(Mismatch::at(&fields.at("function_call"), "names a function, but functions is empty"));
        }
        _ => tool_choice::decode(fields, &CARRIED_KINDS, named, notes)?,
    };
    let path = fields.at(if legacy_functions { "function_call" } else { "tool_choice" });
    let choice = tool_choice::possible(choice, &tools, &path)?;
    // A client of `functions` can read one call only.
    let parallel = if legacy_functions { Some(false) } else { parallel.filter(|_| !tools.is_empty()) };
    Ok(Offer { tools, choice, parallel, legacy_functions })
}

fn list<'p>(
    fields: &mut Fields<'p>,
    name: &'p str,
    mut read: impl FnMut(Value, &Path<'_>) -> Result<Tool, Mismatch>,
) -> Result<Vec<Tool>, Mismatch> {
    let path = fields.at(name);
    let items = fields.take(name).map_or(Ok(Vec::new()), |value| array(value, &path))?;
    items.into_iter().enumerate().map(|(index, item)| read(item, &Path::Index(&path, index))).collect()
}

fn tool(value: Value, path: &Path<'_>, notes: &mut Notes) -> Result<Tool, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.string("type")?.unwrap_or_else(|| "function".to_owned());
    if kind == "function" {
        let (inner, at) = (fields.require("function")?, fields.at("function"));
        let outer = fields.rest();
        outer.keys().filter(|name| *name != CACHE_MARK).for_each(|name| notes.unknown(Path::Field(path, name)));
        return function(inner, &at, outer, notes);
    }
    if !CARRIED_KINDS.contains(&kind.as_str()) {
        notes.unknown(fields.at("type"));
    }
    fields.put("type", kind.as_str());
    let Value::Object(whole) = fields.into_value() else { return Ok(Tool::default()) };
    let name = whole.get(&kind).and_then(|inner| inner.get("name")).and_then(Value::as_str).unwrap_or(&kind).to_owned();
    let mut extra = Extra::new();
    carry(&mut extra, NAME, whole);
    Ok(Tool { name, extra, ..Tool::default() })
}

/// A function, `outer` being what stood beside it.
fn function(value: Value, path: &Path<'_>, mut outer: Extra, notes: &mut Notes) -> Result<Tool, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let name = fields.required_text("name")?;
    let description = fields.string("description")?;
    let strict = fields.boolean("strict")?;
    let parameters = match fields.take("parameters") {
        Some(other) if !other.is_object() => {
            return Err(Mismatch::expected(&fields.at("parameters"), "a JSON schema object", &other));
        }
        parameters => parameters,
    };
    let inner = fields.rest();
    inner.keys().for_each(|name| notes.unknown(Path::Field(path, name)));
    carry(&mut outer, "function", inner);
    let mut extra = Extra::new();
    carry_own(&mut extra, outer);
    Ok(Tool { name, description, parameters, strict, extra })
}

fn function_call(fields: &mut Fields<'_>) -> Result<Option<ToolChoice>, Mismatch> {
    let path = fields.at("function_call");
    let expected = "`auto`, `none` or an object with a name";
    match fields.take("function_call") {
        None => Ok(None),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            other => Err(Mismatch::word(&path, expected, other)),
        },
        Some(object @ Value::Object(_)) => {
            Ok(Some(ToolChoice::Named(Fields::of(object, &path)?.required_text("name")?)))
        }
        Some(other) => Err(Mismatch::expected(&path, expected, &other)),
    }
}

/// The function that a choice names.
fn named(choice: &mut Fields<'_>) -> Result<String, Mismatch> {
    let at = choice.at("function");
    Fields::of(choice.require("function")?, &at)?.required_text("name")
}

/// The wire form of a tool, and warnings of what it carries for others.
pub(super) fn encode(tool: &Tool, quirks: &Quirks, notes: &mut Notes) -> Value {
    let own = take_own(&tool.extra, "tools", quirks, notes);
    if own.contains_key("type") {
        return Value::Object(own);
    }
    let mut function = Map::from_iter([("name".to_owned(), json!(tool.name))]);
    let description = tool.description.as_ref().map(|text| json!(text));
    let strict = tool.strict.map(Value::from);
    for (name, value) in [("description", description), ("parameters", tool.parameters.clone()), ("strict", strict)] {
        function.extend(value.map(|value| (name.to_owned(), value)));
    }
    if let Some(inner) = carried(&own, "function") {
        fill(&mut function, inner);
    }
    let mut outer =
        Map::from_iter([("type".to_owned(), json!("function")), ("function".to_owned(), Value::Object(function))]);
    fill(&mut outer, &own);
    Value::Object(outer)
}

/// The wire form of a choice.
pub(super) fn encode_choice(choice: &ToolChoice) -> Value {
    tool_choice::encode(choice, |name| json!({"type": "function", "function": {"name": name}}))
}

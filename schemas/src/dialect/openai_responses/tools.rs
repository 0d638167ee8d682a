//! Tools and the choice among them, in both directions.

use serde_json::{Map, Value, json};

use super::NAME;
use crate::chat::{Extra, Tool, ToolChoice};
use crate::dialect::carry::{Notes, carried, carry, fill};
use crate::dialect::read::{Fields, Mismatch, Path, array};
use crate::dialect::tool_choice;

/// Kinds of tools that this dialect knows and only carries.
const CARRIED: [&str; 20] = [
    "apply_patch",
    "code_interpreter",
    "computer",
    "computer_use",
    "computer_use_preview",
    "custom",
    "file_search",
    "image_generation",
    "local_shell",
    "mcp",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "web_search",
    "web_search_2025_08_26",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "allowed_tools",
    "function",
];

/// Fields of a function that this dialect knows and only carries.
const OF_FUNCTIONS: [&str; 5] = ["allowed_callers", "async", "defer_loading", "output_schema", STRICT];

/// Carried as null where the client left it out, which neither `true` nor `false` says.
const STRICT: &str = "strict";

/// What a request offers its model to call.
#[derive(Debug, Default)]
pub(super) struct Offer {
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Option<ToolChoice>,
    pub(super) parallel: Option<bool>,
}

/// Takes the fields about tools out of a request.
pub(super) fn decode(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Offer, Mismatch> {
    let parallel = fields.boolean("parallel_tool_calls")?;
    let path = fields.at("tools");
    let items = fields.take("tools").map_or(Ok(Vec::new()), |value| array(value, &path))?;
    let read = |(index, item)| tool(item, &Path::Index(&path, index), notes);
    let tools: Vec<_> = items.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
    let choice = tool_choice::decode(fields, &CARRIED, |choice| choice.required_text("name"), notes)?;
    // A template may bring tools of its own.
    let choice =
        if fields.has("prompt") { choice } else { tool_choice::possible(choice, &tools, &fields.at("tool_choice"))? };
    Ok(Offer { choice, parallel: parallel.filter(|_| !tools.is_empty()), tools })
}

fn tool(value: Value, path: &Path<'_>, notes: &mut Notes) -> Result<Tool, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_text("type")?;
    if kind == "function" {
        return function(fields, notes);
    }
    if !CARRIED.contains(&kind.as_str()) {
        notes.unknown(fields.at("type"));
    }
    fields.put("type", kind.as_str());
    let whole = fields.rest();
    let name = whole.get("name").and_then(Value::as_str).unwrap_or(&kind).to_owned();
    let mut extra = Extra::new();
    carry(&mut extra, NAME, whole);
    Ok(Tool { name, extra, ..Tool::default() })
}

/// A function. Strict is this API's default, but only as far as the schema allows: where it was left out, it is told to
/// others when the schema is fit for it, and left out again to a provider of this dialect.
fn function(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Tool, Mismatch> {
    let name = fields.required_text("name")?;
    let description = fields.string("description")?;
    let strict = fields.boolean(STRICT)?;
    let parameters = match fields.take("parameters") {
        Some(other) if !other.is_object() => {
            return Err(Mismatch::expected(&fields.at("parameters"), "a JSON schema object", &other));
        }
        parameters => parameters,
    };
    let path = fields.path;
    let mut own = fields.rest();
    for name in own.keys().filter(|name| !OF_FUNCTIONS.contains(&name.as_str())) {
        notes.unknown(Path::Field(path, name));
    }
    let fit = parameters.as_ref().is_some_and(is_strict);
    if strict.is_none() && !fit {
        own.insert(STRICT.to_owned(), Value::Null);
    }
    let mut extra = Extra::new();
    carry(&mut extra, NAME, own);
    Ok(Tool { name, description, parameters, strict: strict.or(fit.then_some(true)), extra })
}

/// Whether every object in `schema` is closed and requires all that it has, as strict schemas must.
fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => is_closed(fields) && fields.values().all(is_strict),
        Value::Array(items) => items.iter().all(is_strict),
        _ => true,
    }
}

fn is_closed(schema: &Map<String, Value>) -> bool {
    if schema.get("type").is_none_or(|kind| kind != "object") {
        return true;
    }
    let required = schema.get("required").and_then(Value::as_array);
    let has = |name: &String| required.is_some_and(|required| required.iter().any(|it| it == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    closed && properties.is_none_or(|properties| properties.keys().all(has))
}

/// Whether `tool` takes free text: its calls are written another way.
pub(super) fn is_custom(tool: &Tool) -> bool {
    carried(&tool.extra, NAME).and_then(|own| own.get("type")).is_some_and(|kind| kind == "custom")
}

/// The wire form of a tool, `None` for another dialect's own kinds; with warnings of what it carries for others.
pub(super) fn encode(tool: &Tool, notes: &mut Notes) -> Option<Value> {
    notes.foreign(&tool.extra, NAME, "tools");
    let own = carried(&tool.extra, NAME);
    if let Some(whole) = own.filter(|own| own.contains_key("type")) {
        return Some(Value::Object(whole.clone()));
    }
    let is_foreign = |(dialect, fields): (&String, &Value)| dialect != NAME && fields.get("type").is_some();
    if tool.parameters.is_none() && tool.description.is_none() && tool.extra.iter().any(is_foreign) {
        notes.unsupported("tools", "the provider does not know this kind of tool: not sent");
        return None;
    }
    let mut body = Map::from_iter([("type".to_owned(), json!("function")), ("name".to_owned(), json!(tool.name))]);
    body.extend(tool.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
    // Null is a function without parameters; left out, it is refused.
    body.insert("parameters".to_owned(), json!(tool.parameters));
    // Left out, it would mean strict; in other dialects it means the contrary.
    let left_out = own.is_some_and(|own| own.contains_key(STRICT)) && tool.strict.is_none();
    body.extend((!left_out).then(|| (STRICT.to_owned(), json!(tool.strict.unwrap_or(false)))));
    fill(&mut body, own.unwrap_or(&Map::new()));
    body.retain(|name, value| name != STRICT || !value.is_null());
    Some(Value::Object(body))
}

/// The wire form of a choice.
pub(super) fn encode_choice(choice: &ToolChoice) -> Value {
    tool_choice::encode(choice, |name| json!({"type": "function", "name": name}))
}

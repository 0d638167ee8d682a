//! Tools and the choice among them, in both directions. Tools that run at the provider, and those whose form Anthropic
//! fixed, are carried whole.

use serde_json::{Map, Value, json};

use super::NAME;
use crate::chat::{ChatRequest, Extra, Tool, ToolChoice};
use crate::dialect::carry::{Notes, carried, carry, fill};
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// Fields of a tool that this dialect knows and only carries.
const CARRIED: [&str; 5] =
    ["allowed_callers", "cache_control", "defer_loading", "eager_input_streaming", "input_examples"];

/// What a request offers its model to call.
#[derive(Debug, Default)]
pub(super) struct Offer {
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Option<ToolChoice>,
    pub(super) parallel: Option<bool>,
}

/// Takes the fields about tools out of a request.
pub(super) fn decode(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<Offer, Mismatch> {
    let path = fields.at("tools");
    let items = fields.take("tools").map_or(Ok(Vec::new()), |value| array(value, &path))?;
    let items = items.into_iter().enumerate();
    let tools = items.map(|(index, item)| tool(item, &Path::Index(&path, index), notes));
    let tools = tools.collect::<Result<Vec<_>, _>>()?;
    let (choice, parallel) = tool_choice(fields, notes)?;
    let has_servers = fields.has("mcp_servers");
    let path = fields.at("tool_choice");
    // The names of a server's tools are not known here.
    let is_closed = !has_servers && tools.iter().all(|tool| !is_whole(&tool.extra, NAME));
    match &choice {
        Some(ToolChoice::Required) if tools.is_empty() && !has_servers => {
            Err(Mismatch::at(&path, "requires a tool, but tools is empty"))
        }
        Some(ToolChoice::Named(name)) if is_closed && tools.iter().all(|tool| tool.name != *name) => {
            Err(Mismatch::at(&Path::Field(&path, "name"), "names a tool that is not among the request's tools"))
        }
        _ => {
            let has_tools = has_servers || !tools.is_empty();
            Ok(Offer { tools, choice: choice.filter(|_| has_tools), parallel: parallel.filter(|_| has_tools) })
        }
    }
}

fn tool(value: Value, path: &Path<'_>, notes: &mut Notes) -> Result<Tool, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    match fields.string("type")?.filter(|kind| kind != "custom") {
        Some(kind) => Ok(whole(fields, kind)),
        None => function(fields, notes),
    }
}

/// A tool whose type tells its form.
fn whole(mut fields: Fields<'_>, kind: String) -> Tool {
    let mut extra = Extra::new();
    fields.put("type", kind.as_str());
    let rest = fields.rest();
    let name = rest.get("name").and_then(Value::as_str).map_or(kind, str::to_owned);
    carry(&mut extra, NAME, rest);
    Tool { name, extra, ..Tool::default() }
}

fn function(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Tool, Mismatch> {
    let name = fields.required_text("name")?;
    let description = fields.string("description")?;
    let path = fields.at("input_schema");
    let schema = Fields::of(fields.require("input_schema")?, &path)?.into_value();
    let strict = fields.boolean("strict")?;
    let path = fields.path;
    let rest = fields.rest();
    for name in rest.keys().filter(|name| !CARRIED.contains(&name.as_str())) {
        notes.unknown(Path::Field(path, name));
    }
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    Ok(Tool { name, description, parameters: Some(schema), strict, extra })
}

fn tool_choice(fields: &mut Fields<'_>, notes: &mut Notes) -> Result<(Option<ToolChoice>, Option<bool>), Mismatch> {
    let path = fields.at("tool_choice");
    let Some(value) = fields.take("tool_choice") else { return Ok((None, None)) };
    let mut own = Fields::of(value, &path)?;
    let kind = own.required_text("type")?;
    let choice = match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(own.required_text("name")?),
        _ => return Err(Mismatch::word(&own.at("type"), "`auto`, `any`, `tool` or `none`", &kind)),
    };
    let parallel = own.boolean("disable_parallel_tool_use")?.map(|disabled| !disabled);
    for name in own.rest().keys() {
        let field = Path::Field(&path, name);
        notes.unknown(field);
        notes.unsupported(field.to_string(), "a choice has no such field: not sent");
    }
    Ok((Some(choice), parallel))
}

/// Whether `dialect` carries a tool whole.
fn is_whole(extra: &Extra, dialect: &str) -> bool {
    carried(extra, dialect).is_some_and(|own| own.contains_key("type"))
}

/// The tools and the choice that a provider is sent.
pub(super) fn encode(request: &ChatRequest, notes: &mut Notes) -> (Vec<Value>, Option<Value>) {
    let mut bodies = Vec::with_capacity(request.tools.len());
    let mut names = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let other = tool.extra.keys().find(|dialect| *dialect != NAME && is_whole(&tool.extra, dialect));
        if let Some(dialect) = other {
            notes.unsupported(format!("tools[{index}]"), format!("a tool that only {dialect} has: not sent"));
            continue;
        }
        bodies.push(encode_tool(tool, index, notes));
        names.push(tool.name.as_str());
    }
    let own = request.extra.get(NAME);
    let has_servers = own.is_some_and(|own| own.contains_key("mcp_servers"));
    let is_closed = !has_servers && request.tools.iter().all(|tool| !is_whole(&tool.extra, NAME));
    let choice = match &request.tool_choice {
        Some(ToolChoice::Named(name)) if is_closed && !names.contains(&name.as_str()) => None,
        choice if names.is_empty() && !has_servers => choice.as_ref().filter(|choice| **choice == ToolChoice::None),
        choice => choice.as_ref(),
    };
    if choice.is_none() && matches!(request.tool_choice, Some(ToolChoice::Named(_) | ToolChoice::Required)) {
        notes.unsupported("tool_choice", "the tool that it asks for is not sent");
    }
    let has_tools = has_servers || !names.is_empty();
    (bodies, encode_choice(choice, request.parallel_tool_calls).filter(|_| has_tools))
}

fn encode_tool(tool: &Tool, index: usize, notes: &mut Notes) -> Value {
    if let Some(own) = carried(&tool.extra, NAME).filter(|own| own.contains_key("type")) {
        return Value::Object(own.clone());
    }
    notes.foreign(&tool.extra, NAME, &format!("tools[{index}]"));
    let mut body = Map::from_iter([("name".to_owned(), json!(tool.name))]);
    body.extend(tool.description.as_ref().map(|text| ("description".to_owned(), json!(text))));
    body.insert("input_schema".to_owned(), schema(tool.parameters.as_ref()));
    body.extend(tool.strict.map(|strict| ("strict".to_owned(), json!(strict))));
    if let Some(own) = carried(&tool.extra, NAME) {
        fill(&mut body, own);
    }
    Value::Object(body)
}

/// The API requires a schema, and an object at its root.
fn schema(parameters: Option<&Value>) -> Value {
    let Some(schema) = parameters.and_then(Value::as_object) else {
        return json!({"type": "object", "properties": {}});
    };
    let mut schema = schema.clone();
    schema.entry("type").or_insert_with(|| json!("object"));
    Value::Object(schema)
}

fn encode_choice(choice: Option<&ToolChoice>, parallel: Option<bool>) -> Option<Value> {
    let mut body = match choice {
        None if parallel == Some(false) => json!({"type": "auto"}),
        None => return None,
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if let Some(parallel) = parallel {
        body["disable_parallel_tool_use"] = json!(!parallel);
    }
    Some(body)
}

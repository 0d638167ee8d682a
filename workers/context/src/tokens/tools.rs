//! What tools and the answer's form cost.

use schemas::chat::{ResponseFormat, Tool};
use serde_json::{Map, Value, json};

use super::tokenizer::{Tokenizer, ToolRule};

/// Costs in OpenAI's cookbook, `num_tokens_for_tools`: after all functions, ...
const FUNCTIONS_END: u64 = 12;
/// ... before the properties of an object, ...
const PROPERTIES: u64 = 3;
/// ... for each of them that has no enumeration (to open one is given -3), ...
const PROPERTY: u64 = 3;
/// ... and for each value of an enumeration.
const ENUM_VALUE: u64 = 3;
/// Schemas nested deeper than this are counted as text.
const MAX_DEPTH: u32 = 16;
/// Keywords of a schema that the formula counts one by one or not at all.
const COUNTED: [&str; 7] = ["type", "description", "enum", "properties", "items", "required", "$schema"];

/// Tokens of the tools of one request.
pub(super) fn count(tokenizer: &Tokenizer, tools: &[Tool]) -> u64 {
    match tokenizer.tools {
        ToolRule::Cookbook { function } => {
            tools.iter().map(|tool| u64::from(function) + cookbook(tokenizer, tool)).sum::<u64>() + FUNCTIONS_END
        }
        ToolRule::Json { base } => tools.iter().map(|tool| as_json(tokenizer, tool)).sum::<u64>() + u64::from(base),
    }
}

/// Tokens of the form an answer must have: a schema's JSON text. OpenAI documents no formula.
pub(super) fn format(tokenizer: &Tokenizer, format: &ResponseFormat) -> u64 {
    match format {
        ResponseFormat::Text | ResponseFormat::JsonObject => 0,
        ResponseFormat::JsonSchema { name, description, schema, .. } => {
            let description = description.as_deref().map_or(0, |text| tokenizer.text(text));
            FUNCTIONS_END + tokenizer.text(name) + description + tokenizer.text(&schema.to_string())
        }
    }
}

fn as_json(tokenizer: &Tokenizer, tool: &Tool) -> u64 {
    let function = json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
    tokenizer.text(&json!({ "type": "function", "function": function }).to_string())
}

fn cookbook(tokenizer: &Tokenizer, tool: &Tool) -> u64 {
    let description = tool.description.as_deref().unwrap_or_default();
    let line = format!("{}:{}", tool.name, without_full_stop(description));
    let parameters = tool.parameters.as_ref().map_or(0, |schema| properties(tokenizer, schema, 0));
    tokenizer.text(&line) + parameters
}

/// The properties of an object's schema. The cookbook counts one level; deeper ones are counted in the same way, and
/// keywords that it does not know as their text.
fn properties(tokenizer: &Tokenizer, schema: &Value, depth: u32) -> u64 {
    let Value::Object(schema) = schema else { return 0 };
    let named = match schema.get("properties") {
        Some(Value::Object(fields)) if !fields.is_empty() => {
            PROPERTIES + fields.iter().map(|(name, field)| property(tokenizer, name, field, depth)).sum::<u64>()
        }
        _ => 0,
    };
    named + others(tokenizer, schema)
}

fn property(tokenizer: &Tokenizer, name: &str, schema: &Value, depth: u32) -> u64 {
    let (Value::Object(fields), 0..MAX_DEPTH) = (schema, depth) else {
        return PROPERTY + tokenizer.text(name) + tokenizer.text(&schema.to_string());
    };
    let kind = fields.get("type").map(plain).unwrap_or_default();
    let description = fields.get("description").and_then(Value::as_str).unwrap_or_default();
    let line = tokenizer.text(&format!("{name}:{kind}:{}", without_full_stop(description)));
    let values = fields.get("enum").map_or(PROPERTY, |values| enumeration(tokenizer, values));
    let items = fields.get("items").map_or(0, |items| property(tokenizer, "", items, depth + 1));
    line + values + items + properties(tokenizer, schema, depth + 1)
}

fn enumeration(tokenizer: &Tokenizer, values: &Value) -> u64 {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().map(|value| ENUM_VALUE + tokenizer.text(&plain(value))).sum()
}

fn others(tokenizer: &Tokenizer, schema: &Map<String, Value>) -> u64 {
    let free = |keyword: &str, value: &Value| {
        COUNTED.contains(&keyword) || (keyword == "additionalProperties" && value.is_boolean())
    };
    let others = schema.iter().filter(|(keyword, value)| !free(keyword, value));
    others.map(|(keyword, value)| PROPERTY + tokenizer.text(&format!("{keyword}:{}", plain(value)))).sum()
}

/// A text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn without_full_stop(text: &str) -> &str {
    text.strip_suffix('.').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use schemas::chat::{ChatRequest, Message, Role};

    use super::*;
    use crate::tokens::Counter;

    fn weather() -> Tool {
        Tool {
            name: "get_current_weather".to_owned(),
            description: Some("Get the current weather in a given location".to_owned()),
            parameters: Some(json!({
                "type": "object",
                "properties": {
                    "location": { "type": "string", "description": "The city and state, e.g. San Francisco, CA" },
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"],
                    },
                },
                "required": ["location"],
            })),
            ..Tool::default()
        }
    }

    fn with_parameters(parameters: Value) -> u64 {
        let tool = Tool { parameters: Some(parameters), ..weather() };
        count(&Tokenizer::of_name("gpt-4o"), &[tool])
    }

    #[test]
    fn tools_count_as_in_openais_cookbook() {
        // The cookbook's example, and what OpenAI's API counted for it.
        let system = "You are a helpful assistant that can answer to questions about the weather.";
        let messages = vec![
            Message::text(Role::System, system),
            Message::text(Role::User, "What's the weather like in San Francisco?"),
        ];
        let request = ChatRequest { messages, tools: vec![weather()], ..ChatRequest::default() };
        let counter = Counter::new(16);
        for (model, tokens) in [("gpt-4o", 101), ("gpt-4o-mini", 101), ("gpt-4", 105), ("gpt-3.5-turbo", 105)] {
            assert_eq!(counter.meter(Tokenizer::of_name(model)).request(&request), tokens, "{model}");
        }
    }

    #[test]
    fn what_the_cookbook_does_not_know_is_counted_too() {
        let flat = with_parameters(json!({ "type": "object", "properties": { "a": { "type": "string" } } }));
        for richer in [
            json!({ "properties": { "a": { "type": "string", "format": "date-time" } } }),
            json!({ "properties": { "a": { "type": "array", "items": { "type": "string" } } } }),
            json!({ "properties": { "a": { "type": "object", "properties": { "b": { "type": "string" } } } } }),
            json!({ "properties": { "a": { "anyOf": [{ "type": "string" }, { "type": "null" }] } } }),
            json!({ "properties": { "a": { "type": "string" } }, "$defs": { "d": { "type": "string" } } }),
            json!({ "properties": { "a": { "type": "string" } }, "additionalProperties": { "type": "string" } }),
        ] {
            assert!(with_parameters(richer.clone()) > flat, "{richer}");
        }
    }

    #[test]
    fn a_deep_schema_is_counted_to_its_end() {
        let deep = |levels: u32, end: Value| {
            (0..levels).fold(end, |inner, _| json!({ "type": "object", "properties": { "p": inner } }))
        };
        let (short, long) = (json!({ "enum": ["x"] }), json!({ "enum": ["x", "y", "z"] }));
        assert!(with_parameters(deep(60, long)) > with_parameters(deep(60, short)));
    }

    #[test]
    fn schemas_that_are_none_do_no_harm() {
        for parameters in [json!(null), json!(7), json!({ "properties": 7 }), json!({ "properties": { "a": 7 } })] {
            assert!(with_parameters(parameters.clone()) > FUNCTIONS_END, "{parameters}");
        }
    }

    #[test]
    fn a_form_costs_its_schema() {
        let tokenizer = Tokenizer::of_name("gpt-4o");
        let form =
            |schema: Value| ResponseFormat::JsonSchema { name: "f".into(), description: None, schema, strict: None };
        assert_eq!(format(&tokenizer, &ResponseFormat::JsonObject), 0);
        assert!(format(&tokenizer, &form(json!({ "type": "string" }))) > format(&tokenizer, &form(json!({}))));
    }
}

//! A value that follows a JSON schema, always the same one. Pure, bounded in depth; of a schema's words it knows those
//! that tools and structured outputs use.

use serde_json::{Map, Value};

const DEEPEST: u8 = 8;

/// A value that follows `schema`; texts in it are `text`.
pub(super) fn sample(schema: &Value, text: &str) -> Value {
    of(schema, schema, text, DEEPEST)
}

fn of(schema: &Value, root: &Value, text: &str, depth: u8) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    if let Some(reference) = schema["$ref"].as_str() {
        let target = reference.strip_prefix('#').and_then(|path| root.pointer(path));
        return target.map_or(Value::Null, |target| of(target, root, text, depth));
    }
    let first = |name: &str| schema[name].as_array().and_then(|values| values.first());
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")).or_else(|| first("enum")) {
        return value.clone();
    }
    if let Some(choice) = first("anyOf").or_else(|| first("oneOf")).or_else(|| first("allOf")) {
        return of(choice, root, text, depth);
    }
    match schema["type"].as_str().or_else(|| first("type").and_then(Value::as_str)) {
        Some("string") => text.into(),
        Some("integer") => schema["minimum"].as_i64().unwrap_or(0).into(),
        Some("number") => schema["minimum"].as_f64().unwrap_or(0.0).into(),
        Some("boolean") => true.into(),
        Some("null") => Value::Null,
        Some("array") => Value::Array(vec![of(&schema["items"], root, text, depth)]),
        _ => object(schema, root, text, depth),
    }
}

fn object(schema: &Value, root: &Value, text: &str, depth: u8) -> Value {
    let properties = schema["properties"].as_object().into_iter().flatten();
    Value::Object(properties.map(|(name, schema)| (name.clone(), of(schema, root, text, depth))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_value_follows_its_schema() {
        let schema = json!({
            "type": "object",
            "$defs": { "day": { "enum": ["monday", "tuesday"] } },
            "properties": {
                "city": { "type": "string" }, "days": { "type": "array", "items": { "$ref": "#/$defs/day" } },
                "count": { "type": "integer", "minimum": 3 }, "share": { "type": "number" },
                "sure": { "type": "boolean" }, "maybe": { "type": ["null", "string"] },
                "either": { "anyOf": [{ "type": "string" }, { "type": "null" }] }, "kind": { "const": "k" },
            },
        });
        let expected = json!({
            "city": "Oslo", "days": ["monday"], "count": 3, "share": 0.0, "sure": true, "maybe": null,
            "either": "Oslo", "kind": "k",
        });
        assert_eq!(sample(&schema, "Oslo"), expected);
    }

    #[test]
    fn a_schema_within_itself_ends() {
        let schema = json!({ "type": "object", "properties": { "next": { "$ref": "#" } } });
        assert!(sample(&schema, "x").is_object());
        assert_eq!(sample(&json!({ "$ref": "#" }), "x"), Value::Null);
    }
}

//! JSON values, as error texts speak of them.

use serde_json::Value;

/// What a value is, without telling what is in it.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The same, but a number is told: it is no secret, and often what is wrong.
#[must_use]
pub fn kind_or_number(value: &Value) -> String {
    value.as_number().map_or_else(|| kind(value).to_owned(), ToString::to_string)
}

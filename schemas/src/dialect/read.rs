//! Takes JSON apart, knowing at every moment where it is, so that a wrong type is reported by its path. `null` counts
//! as absent, as every client library sends it for a field that nobody set.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::{ErrorCode, Failure};
use crate::json::{kind, kind_or_number};

/// A place in a document; prints like `messages[2].content[0].image_url.url`, and as nothing at the root.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'a> {
    /// The document itself.
    Root,
    /// A field of an object.
    Field(&'a Path<'a>, &'a str),
    /// An element of an array.
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Something is not as its API has it. Whose fault that is, the caller knows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// Where.
    pub(super) path: String,
    /// What was expected, and what was found.
    pub(super) message: String,
}

impl Mismatch {
    /// `found` at `path` is not what was `expected`.
    pub(super) fn expected(path: &Path<'_>, expected: impl fmt::Display, found: &Value) -> Self {
        Self::at(path, format!("expected {expected}, found {}", kind(found)))
    }

    /// The word `found` at `path` is not one of those `expected`. Only for fields that hold such words, never for texts:
    /// a short plain word is repeated.
    pub(super) fn word(path: &Path<'_>, expected: impl fmt::Display, found: &str) -> Self {
        let found = if is_word(found) { format!("`{found}`") } else { "another word".to_owned() };
        Self::at(path, format!("expected {expected}, found {found}"))
    }

    /// Any other fault at `path`.
    pub(super) fn at(path: &Path<'_>, message: impl Into<String>) -> Self {
        Self { path: path.to_string(), message: message.into() }
    }

    /// The client's fault.
    pub(super) fn of_client(self) -> Failure {
        if self.path.is_empty() {
            return Failure::new(ErrorCode::InvalidRequest, format!("the body: {}", self.message));
        }
        Failure::invalid(self.path, self.message)
    }

    /// The provider's fault.
    pub(super) fn of_provider(self) -> Failure {
        let place = if self.path.is_empty() { "its body" } else { &self.path };
        let message = format!("the provider's answer breaks its protocol: {place}: {}", self.message);
        Failure::new(ErrorCode::ProviderInvalidResponse, message)
    }
}

fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// A string.
pub(super) fn string(value: Value, path: &Path<'_>) -> Result<String, Mismatch> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Mismatch::expected(path, "a string", &other)),
    }
}

/// An array.
pub(super) fn array(value: Value, path: &Path<'_>) -> Result<Vec<Value>, Mismatch> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(Mismatch::expected(path, "an array", &other)),
    }
}

/// One object being taken apart, field by field; what nobody took is left in [`Fields::rest`].
#[derive(Debug)]
pub(super) struct Fields<'p> {
    /// Where the object is.
    pub(super) path: &'p Path<'p>,
    map: Map<String, Value>,
}

impl<'p> Fields<'p> {
    /// The fields of `value`, which must be an object.
    pub(super) fn of(value: Value, path: &'p Path<'p>) -> Result<Self, Mismatch> {
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            other => Err(Mismatch::expected(path, "an object", &other)),
        }
    }

    /// The path of the field `name`.
    pub(super) fn at(&self, name: &'p str) -> Path<'p> {
        Path::Field(self.path, name)
    }

    /// Whether the field is there and not null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// The field's value, `None` when absent or null.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        // Null is left in its place: removing would either reorder the other fields or move them all.
        self.map.get_mut(name).map(Value::take).filter(|value| !value.is_null())
    }

    /// The field's value, which must be there.
    pub(super) fn require(&mut self, name: &'p str) -> Result<Value, Mismatch> {
        self.take(name).ok_or_else(|| Mismatch::at(&self.at(name), "required, but absent or null"))
    }

    /// A string.
    pub(super) fn string(&mut self, name: &'p str) -> Result<Option<String>, Mismatch> {
        self.take(name).map(|value| string(value, &self.at(name))).transpose()
    }

    /// A string that must be there, perhaps empty.
    pub(super) fn required_string(&mut self, name: &'p str) -> Result<String, Mismatch> {
        string(self.require(name)?, &self.at(name))
    }

    /// A string that must be there and not be empty.
    pub(super) fn required_text(&mut self, name: &'p str) -> Result<String, Mismatch> {
        let text = self.required_string(name)?;
        if text.is_empty() { Err(Mismatch::at(&self.at(name), "must not be empty")) } else { Ok(text) }
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, name: &'p str) -> Result<Option<bool>, Mismatch> {
        let Some(value) = self.take(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| Mismatch::expected(&self.at(name), "a boolean", &value))
    }

    /// An integer of `range`.
    pub(super) fn integer(&mut self, name: &'p str, range: RangeInclusive<i64>) -> Result<Option<i64>, Mismatch> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = value.as_i64().filter(|number| range.contains(number));
        found.map(Some).ok_or_else(|| {
            let expected = format!("an integer from {} to {}", range.start(), range.end());
            Mismatch::at(&self.at(name), format!("expected {expected}, found {}", kind_or_number(&value)))
        })
    }

    /// An integer from `least` that is no larger than a count may be.
    pub(super) fn natural(&mut self, name: &'p str, least: u32) -> Result<Option<u32>, Mismatch> {
        self.count(name, least..=u32::MAX)
    }

    /// A count of `range`.
    pub(super) fn count(&mut self, name: &'p str, range: RangeInclusive<u32>) -> Result<Option<u32>, Mismatch> {
        let number = self.integer(name, i64::from(*range.start())..=i64::from(*range.end()))?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    }

    /// A number of `range`.
    pub(super) fn number(&mut self, name: &'p str, range: RangeInclusive<f64>) -> Result<Option<f64>, Mismatch> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let found = value.as_f64().filter(|number| range.contains(number));
        found.map(Some).ok_or_else(|| {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            Mismatch::at(&self.at(name), format!("expected {expected}, found {}", kind_or_number(&value)))
        })
    }

    /// Puts a value (back) in its place.
    pub(super) fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.map.insert(name.to_owned(), value.into());
    }

    /// Puts a value back when there is one.
    pub(super) fn put_some(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Puts what nobody took of the object `name` back, to be carried.
    pub(super) fn put_rest(&mut self, name: &str, rest: Map<String, Value>) {
        self.put_some(name, Some(rest).filter(|rest| !rest.is_empty()));
    }

    /// What nobody took, without nulls.
    pub(super) fn rest(self) -> Map<String, Value> {
        self.map.into_iter().filter(|(_, value)| !value.is_null()).collect()
    }

    /// The whole object as it is now.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mismatch_names_its_place_and_both_sides() {
        let outer = Path::Field(&Path::Root, "messages");
        let item = Path::Index(&outer, 2);
        let mut fields = Fields::of(json!({"a": [1], "b": null, "n": 3.5, "e": ""}), &item).unwrap();
        let fault = fields.string("a").unwrap_err().of_client();
        assert_eq!(fault.to_string(), "invalid_request: messages[2].a: expected a string, found an array");
        assert_eq!(fault.param.as_deref(), Some("messages[2].a"));
        assert_eq!(fields.string("b"), Ok(None));
        assert_eq!(fields.integer("n", 0..=9).unwrap_err().message, "expected an integer from 0 to 9, found 3.5");
        assert_eq!(fields.required_text("e").unwrap_err().message, "must not be empty");
        assert!(fields.rest().is_empty());
    }

    #[test]
    fn a_text_is_never_repeated_in_an_error() {
        let fault = Mismatch::expected(&Path::Root, "an object", &json!("secret")).of_client();
        assert_eq!(fault.message, "the body: expected an object, found a string");
        assert_eq!(fault.param, None);
        assert_eq!(Mismatch::word(&Path::Root, "`a`", "b").message, "expected `a`, found `b`");
        assert_eq!(Mismatch::word(&Path::Root, "`a`", "My Secret").message, "expected `a`, found another word");
    }
}

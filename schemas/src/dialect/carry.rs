//! Fields that one dialect knows and the neutral form does not: put away under the dialect's name, taken out by it
//! alone, and reported when the request goes to a provider that speaks another.

use serde_json::{Map, Value};

use super::read::Fields;
use crate::chat::Extra;
use crate::warning::Warning;

/// Most notes of one kind kept for a request, so that a hostile body cannot make its report larger than itself.
const MAX_NOTES: usize = 32;

/// Puts `fields` into `extra` for `dialect`; nothing when there are none.
pub(super) fn carry(extra: &mut Extra, dialect: &str, fields: Map<String, Value>) {
    if !fields.is_empty() {
        extra.insert(dialect.to_owned(), Value::Object(fields));
    }
}

/// What `extra` carries for `dialect`.
pub(super) fn carried<'a>(extra: &'a Extra, dialect: &str) -> Option<&'a Map<String, Value>> {
    extra.get(dialect).and_then(Value::as_object)
}

/// Adds `fields` to `body`, never in place of what is already there.
pub(super) fn fill(body: &mut Map<String, Value>, fields: &Map<String, Value>) {
    for (name, value) in fields {
        if !body.contains_key(name) {
            body.insert(name.clone(), value.clone());
        }
    }
}

/// What a codec noticed on its way.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// For the client.
    pub(super) warnings: Vec<Warning>,
    /// Paths of what the dialect does not know.
    pub(super) unknown: Vec<String>,
}

impl Notes {
    /// `param` will have no effect, because of `message`.
    pub(super) fn unsupported(&mut self, param: impl Into<String>, message: impl Into<String>) {
        self.warn("unsupported_field", param, message);
    }

    /// Something the client should know.
    pub(super) fn warn(&mut self, code: &str, param: impl Into<String>, message: impl Into<String>) {
        if self.warnings.len() < MAX_NOTES {
            self.warnings.push(Warning { code: code.to_owned(), param: Some(param.into()), message: message.into() });
        }
    }

    /// The dialect does not know what is at `path`.
    pub(super) fn unknown(&mut self, path: impl ToString) {
        if self.unknown.len() < MAX_NOTES {
            self.unknown.push(path.to_string());
        }
    }

    /// What of the body nobody took, to be carried. Names that are not among those `known` are noted.
    pub(super) fn rest(&mut self, fields: Fields<'_>, known: &[&str]) -> Extra {
        let rest = fields.rest();
        rest.keys().filter(|name| !known.contains(&name.as_str())).for_each(|name| self.unknown(name));
        rest
    }

    /// Warns of every field that `extra`, found at `place`, carries for another dialect than `dialect`; but not of one
    /// that it carries under the same name for both, as marks of a kind that several dialects have.
    pub(super) fn foreign(&mut self, extra: &Extra, dialect: &str, place: &str) {
        let shared = |name: &&String| carried(extra, dialect).is_some_and(|own| own.contains_key(name.as_str()));
        for (other, fields) in extra.iter().filter(|(other, _)| *other != dialect) {
            for name in fields.as_object().into_iter().flat_map(Map::keys).filter(|name| !shared(name)) {
                let param = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                self.unsupported(param, format!("the provider does not speak {other}: not sent"));
            }
        }
    }
}

//! Settings from a file: TOML, or JSON when its name ends in `.json`.

use std::path::Path;

use serde_json::Value;

use super::error::ConfigError;
use super::show;
use super::tree::{Known, Setting, join, nearest};

/// The settings of `file`; what is none goes to `errors`.
pub(super) fn read(file: &Path, known: &Known, errors: &mut Vec<ConfigError>) -> Vec<Setting> {
    let mut settings = Vec::new();
    match parse(file) {
        Ok(tree) => Walk { file, known, settings: &mut settings, errors }.table("", &tree, &known.tree),
        Err(error) => errors.push(error),
    }
    settings
}

fn parse(file: &Path) -> Result<Value, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    let syntax = |(line, column), problem: &str| ConfigError::Syntax {
        file: file.to_owned(),
        line,
        column,
        problem: problem.replace('\n', "; "),
    };
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        // The parser's text ends with the place, which is told already.
        let problem = |error: &serde_json::Error| error.to_string().split(" at line").next().map(str::to_owned);
        serde_json::from_str(&text)
            .map_err(|error| syntax((error.line(), error.column()), &problem(&error).unwrap_or_default()))
    } else {
        // Only the message: the error's whole text quotes the line, which may hold a secret.
        toml::from_str(&text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            syntax(place(&text, start), error.message())
        })
    }
}

/// Line and column of a byte, from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    (line, before.chars().rev().take_while(|letter| *letter != '\n').count() + 1)
}

struct Walk<'a> {
    file: &'a Path,
    known: &'a Known,
    settings: &'a mut Vec<Setting>,
    errors: &'a mut Vec<ConfigError>,
}

impl Walk<'_> {
    fn table(&mut self, path: &str, found: &Value, default: &Value) {
        match (found, default) {
            (Value::Object(found), Value::Object(default)) => {
                for (name, value) in found {
                    let path = join(path, name);
                    match default.get(name) {
                        Some(default) => self.table(&path, value, default),
                        None => self.unknown(path, value),
                    }
                }
            }
            (found, Value::Object(_)) => self.errors.push(ConfigError::Invalid {
                field: if path.is_empty() { "the whole file".to_owned() } else { path.to_owned() },
                found: show::value(path, found),
                instead: "write a table of settings".to_owned(),
            }),
            (found, _) => self.settings.push(Setting { path: path.to_owned(), value: found.clone() }),
        }
    }

    fn unknown(&mut self, path: String, value: &Value) {
        let candidates: Vec<String> = match (value, &self.known.tree) {
            (Value::Object(_), Value::Object(sections)) => sections.keys().cloned().collect(),
            _ => self.known.settings.keys().cloned().collect(),
        };
        let nearest = nearest(&path, candidates);
        self.errors.push(ConfigError::UnknownField { file: self.file.to_owned(), path, nearest });
    }
}

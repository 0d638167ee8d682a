//! The layers: the embedded defaults, a file, the environment. Whatever is wrong in any of them is told at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::error::{Actual, Kind};
use serde_json::Value;

use super::error::{ConfigError, ConfigErrors};
use super::spelling::example_array;
use super::tree::{Known, Setting};
use super::{Config, environment, file, show, validate};

/// Where a configuration comes from, to read it again. Without `Debug`: the environment holds secrets.
#[derive(Clone)]
pub struct Source {
    file: Option<PathBuf>,
    environment: BTreeMap<String, String>,
}

impl Source {
    /// This file, if there is one, and this environment.
    #[must_use]
    pub const fn new(file: Option<PathBuf>, environment: BTreeMap<String, String>) -> Self {
        Self { file, environment }
    }

    /// The file that may change.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// As [`load`].
    ///
    /// # Errors
    /// Everything that is wrong now.
    pub fn load(&self) -> Result<Config, ConfigErrors> {
        load(self.file(), &self.environment)
    }
}

/// The defaults, then `file`, then every `PORTBROKER_` variable of `environment`, validated.
///
/// # Errors
/// Everything that is wrong with any of them.
pub fn load(file: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Config, ConfigErrors> {
    let known = Known::embedded().map_err(|error| ConfigErrors(vec![error]))?;
    let mut errors = Vec::new();
    let mut settings = file.map(|file| file::read(file, &known, &mut errors)).unwrap_or_default();
    settings.extend(environment::read(environment, &known, &mut errors));
    settings.retain(|setting| is_accepted(setting, &known, &mut errors));
    match known.with(&settings).extract::<Config>() {
        Ok(config) => {
            // A setting that could not be read is judged once.
            let failed = validate::check(&config).into_iter().filter(|error| !mentions(&errors, error));
            errors.extend(failed.collect::<Vec<_>>());
            if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
        }
        Err(error) => {
            errors.push(ConfigError::Embedded(Box::new(error)));
            Err(ConfigErrors(errors))
        }
    }
}

fn mentions(errors: &[ConfigError], other: &ConfigError) -> bool {
    let field = |error: &ConfigError| match error {
        ConfigError::Invalid { field, .. } => Some(field.clone()),
        _ => None,
    };
    errors.iter().any(|error| field(error).is_some() && field(error) == field(other))
}

/// Tries one setting alone over the defaults, and an array's entries one by one, so that each wrong one is told.
fn is_accepted(setting: &Setting, known: &Known, errors: &mut Vec<ConfigError>) -> bool {
    let Err(error) = attempt(setting, known) else { return true };
    let before = errors.len();
    for (index, value) in setting.value.as_array().into_iter().flatten().enumerate() {
        let entry = Setting { path: setting.path.clone(), value: Value::from(vec![value.clone()]) };
        if let Err(error) = attempt(&entry, known) {
            errors.push(explain(&format!("{}[{index}]", setting.path), setting, known, &error));
        }
    }
    if errors.len() == before {
        errors.push(explain(&setting.path, setting, known, &error));
    }
    false
}

fn attempt(setting: &Setting, known: &Known) -> Result<Config, Box<figment::Error>> {
    known.with([setting]).extract::<Config>().map_err(Box::new)
}

fn explain(field: &str, setting: &Setting, known: &Known, error: &figment::Error) -> ConfigError {
    let default = known.settings.get(&setting.path).unwrap_or(&Value::Null);
    let (found, instead) = match &error.kind {
        Kind::MissingField(name) => (format!("no {name}"), format!("add {name}, {}", example_array(&setting.path))),
        Kind::UnknownField(name, names) => {
            (format!("the unknown {name}"), format!("write any of {}", names.join(", ")))
        }
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            (describe(setting, actual), format!("write {}{}", expectation(expected, &setting.path), example(default)))
        }
        Kind::Message(said) if !show::is_secret(&setting.path) => {
            (show::value(&setting.path, &setting.value), said.clone())
        }
        _ => (show::value(&setting.path, &setting.value), format!("write another value{}", example(default))),
    };
    // Within an entry of an array the field that failed says more than the array.
    let field = match error.path.last() {
        Some(last) if field.ends_with(']') && last.parse::<usize>().is_err() => format!("{field}.{last}"),
        _ => field.to_owned(),
    };
    ConfigError::Invalid { field, found, instead }
}

/// What was found; of a secret only what kind of thing it is.
fn describe(setting: &Setting, actual: &Actual) -> String {
    if !show::is_secret(&setting.path) {
        return show::value(&setting.path, &setting.value);
    }
    let kind = match actual {
        Actual::Bool(_) => "a flag",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "a text",
        Actual::Seq => "an array",
        Actual::Map => "a table",
        _ => "something else",
    };
    kind.to_owned()
}

/// What serde expected, in the words of the person who writes the file.
fn expectation(expected: &str, path: &str) -> String {
    match expected {
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" => "a whole number from 0".to_owned(),
        "i64" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "f64" => "a number".to_owned(),
        "a duration" => "a duration with its unit".to_owned(),
        "a sequence" => format!("an array, {}", example_array(path)),
        "path string" | "a string" => "a text in quotes".to_owned(),
        other => other.to_owned(),
    }
}

fn example(default: &Value) -> String {
    match default {
        Value::String(text) if text.is_empty() => String::new(),
        Value::Array(_) | Value::Null => String::new(),
        default => format!(", for example {default}"),
    }
}

#[cfg(test)]
mod tests;

//! Settings from `PORTBROKER_<SECTION>__<FIELD>`. The default at that path decides what the text means: a text stays the
//! text it is, so that `42` as a chat and `0123` as a password survive.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::ConfigError;
use super::show;
use super::spelling::{PREFIX, example_array, variable};
use super::tree::{Known, Setting, nearest};

/// Names of ours that are no settings: the configuration file's path, and what scripts and tests are steered by.
const OTHERS: [&str; 3] = ["PORTBROKER_CONFIG", "PORTBROKER_LOG", "PORTBROKER_NATS_SERVER"];

/// The settings that `variables` make; those that make none go to `errors`.
pub(super) fn read(variables: &BTreeMap<String, String>, known: &Known, errors: &mut Vec<ConfigError>) -> Vec<Setting> {
    let paths: BTreeMap<String, &String> = known.settings.keys().map(|path| (variable(path), path)).collect();
    let ours = variables.iter().filter(|(name, text)| name.starts_with(PREFIX) && !is_other(name, text));
    let mut settings = Vec::new();
    for (name, text) in ours {
        match paths.get(name) {
            Some(path) => match parse(text, &known.settings[*path]) {
                Some(value) => settings.push(Setting { path: (*path).clone(), value }),
                None => errors.push(unparsable(path, text, &known.settings[*path])),
            },
            None => errors.push(ConfigError::UnknownVariable { name: name.clone(), nearest: like(name, paths.keys()) }),
        }
    }
    settings
}

/// The variable most like `name`, by what follows the prefix that all share.
fn like<'a>(name: &str, variables: impl Iterator<Item = &'a String>) -> Option<String> {
    let rest = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    nearest(&rest(name), variables.map(|variable| rest(variable))).map(|rest| format!("{PREFIX}{rest}"))
}

/// Not a setting: one of the few others, or what Kubernetes tells of services whose name begins with `portbroker`
/// (`PORTBROKER_SERVICE_HOST=10.0.0.1`, `PORTBROKER_INGRESS_PORT=tcp://10.0.0.1:8080`, ...).
fn is_other(name: &str, text: &str) -> bool {
    let host = ["_SERVICE_HOST", "_SERVICE_PORT"].iter().any(|end| name.ends_with(end));
    let port = ["_SERVICE_PORT_", "_TCP", "_UDP", "_SCTP"].iter().any(|part| name.contains(part));
    let link = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| text.starts_with(scheme));
    OTHERS.contains(&name) || ((host || port || link) && !name.contains("__"))
}

/// `text` as a value of the same type as `default`.
fn parse(text: &str, default: &Value) -> Option<Value> {
    let trimmed = text.trim();
    match default {
        Value::String(_) => Some(Value::from(text)),
        Value::Bool(_) => trimmed.parse::<bool>().ok().map(Value::from),
        Value::Number(number) if number.is_f64() => trimmed.parse::<f64>().ok().map(Value::from),
        Value::Number(_) => trimmed.replace('_', "").parse::<i64>().ok().map(Value::from),
        _ => array(trimmed),
    }
}

/// An array as TOML or JSON has it.
fn array(text: &str) -> Option<Value> {
    let toml = || Value::deserialize(toml::de::ValueDeserializer::new(text)).ok();
    let value = serde_json::from_str(text).ok().or_else(toml)?;
    Value::is_array(&value).then_some(value)
}

fn unparsable(path: &str, text: &str, default: &Value) -> ConfigError {
    let instead = match default {
        Value::Bool(_) => "write true or false".to_owned(),
        Value::Number(number) if number.is_f64() => format!("write a number, for example {number}"),
        Value::Number(number) => format!("write a whole number, for example {number}"),
        _ => format!("write a TOML or JSON array, {}", example_array(path)),
    };
    let found = if show::is_secret(path) { "something else".to_owned() } else { Value::from(text).to_string() };
    ConfigError::Invalid { field: path.to_owned(), found, instead }
}

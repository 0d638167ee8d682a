//! Unknown, missing and wrongly typed fields. Each field is decoded alone, in a table that is otherwise valid, so that
//! one fault does not hide the next.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::catalog::{Model, Provider, Quirks};
use crate::context::{self, ClearOptions, ContextOptions};

/// Fields whose values are not to be shown in a message.
const SECRET: [&str; 3] = ["credential", "headers", "query"];

/// Every field at fault in the file.
pub(super) fn faults(file: &Table) -> Vec<String> {
    let unknown = file.keys().filter(|key| *key != "provider").map(|key| format!("unknown field `{key}`"));
    let mut faults: Vec<_> = unknown.collect();
    match file.get("provider") {
        None => faults.push("there is no [[provider]] in the file".to_owned()),
        Some(providers) => match tables(providers) {
            None => faults.push("`provider`: expected [[provider]] tables".to_owned()),
            Some(providers) => {
                faults.extend(providers.iter().enumerate().flat_map(|(index, table)| provider(index, table)));
            }
        },
    }
    faults
}

fn provider(index: usize, table: &Table) -> Vec<String> {
    let label = label("provider", index, table);
    let valid = valid(&[("name", "x"), ("dialect", "echo")]);
    let mut faults = of_table::<Provider>(&label, table, &valid, &["model", "quirks"]);
    match table.get("quirks") {
        None => {}
        Some(Value::Table(quirks)) => {
            faults.extend(of_table::<Quirks>(&format!("{label}, quirks"), quirks, &Table::new(), &[]));
        }
        Some(_) => faults.push(format!("{label}: `quirks`: expected a table")),
    }
    match table.get("model").map(tables) {
        None => {}
        Some(Some(models)) => faults.extend(models.iter().enumerate().flat_map(|(index, table)| {
            let label = format!("{label}, {}", self::label("model", index, table));
            model(&label, table)
        })),
        Some(None) => faults.push(format!("{label}: `model`: expected [[provider.model]] tables")),
    }
    faults
}

fn model(label: &str, table: &Table) -> Vec<String> {
    let mut faults = of_table::<Model>(label, table, &valid(&[("name", "x")]), &["context"]);
    match table.get("context") {
        None => {}
        Some(Value::Table(options)) => faults.extend(context(&format!("{label}, context"), options)),
        Some(_) => faults.push(format!("{label}: `context`: expected a table")),
    }
    faults
}

/// These are stored with jobs too, where unknown fields are a later release's: here they are typing errors.
fn context(label: &str, table: &Table) -> Vec<String> {
    let clear = table.get("clear_tool_results").and_then(Value::as_table);
    let skip: &[&str] = if clear.is_some() { &["clear_tool_results"] } else { &[] };
    let mut faults = unknown(label, table, &context::FIELDS);
    faults.extend(of_table::<ContextOptions>(label, table, &Table::new(), skip));
    if let Some(clear) = clear {
        let label = format!("{label}, clear_tool_results");
        faults.extend(unknown(&label, clear, &context::CLEAR_FIELDS));
        faults.extend(of_table::<ClearOptions>(&label, clear, &Table::new(), &[]));
    }
    faults
}

fn unknown(label: &str, table: &Table, fields: &[&str]) -> Vec<String> {
    let unknown = table.keys().filter(|key| !fields.contains(&key.as_str()));
    unknown.map(|key| format!("{label}: unknown field `{key}`")).collect()
}

/// The faults of one table that is a `T`; `valid` holds a value for each field that must be there.
fn of_table<T: DeserializeOwned>(label: &str, table: &Table, valid: &Table, skip: &[&str]) -> Vec<String> {
    let missing = valid.keys().filter(|key| !table.contains_key(*key)).map(|key| format!("`{key}` is missing"));
    let wrong = table.iter().filter(|(key, _)| !skip.contains(&key.as_str())).filter_map(|(key, value)| {
        let mut alone = valid.clone();
        alone.insert(key.clone(), value.clone());
        Value::Table(alone).try_into::<T>().err().map(|error| describe(key, error.message()))
    });
    missing.chain(wrong).map(|fault| format!("{label}: {fault}")).collect()
}

/// serde's message shows the value it found: keep what it expected.
fn describe(key: &str, message: &str) -> String {
    let message = message.trim_end();
    if SECRET.contains(&key) {
        return format!("`{key}`: expected {}", if key == "credential" { "text" } else { "a table of texts" });
    }
    match message.split_once(", expected ") {
        Some((unknown, _)) if unknown.starts_with("unknown field") => format!("unknown field `{key}`"),
        Some((_, expected)) => format!("`{key}`: expected {expected}"),
        None => format!("`{key}`: not a valid value"),
    }
}

fn tables(value: &Value) -> Option<Vec<&Table>> {
    value.as_array()?.iter().map(Value::as_table).collect()
}

fn label(kind: &str, index: usize, table: &Table) -> String {
    match table.get("name").and_then(Value::as_str) {
        Some(name) => format!("{kind} {name}"),
        None => format!("{kind} {}", index + 1),
    }
}

fn valid(fields: &[(&str, &str)]) -> Table {
    fields.iter().map(|(key, value)| ((*key).to_owned(), Value::from(*value))).collect()
}

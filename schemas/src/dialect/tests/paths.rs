//! Paths as the tables of fields write them (`messages[].name`), in JSON.

use std::collections::BTreeSet;

use serde_json::Value;

/// Where `path` is in `value`: a JSON pointer for each of its occurrences, null or not.
pub(in crate::dialect) fn occurrences(value: &Value, path: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for step in path.split('.').flat_map(steps) {
        found = found.iter().flat_map(|pointer| next(value, pointer, step)).collect();
    }
    found
}

/// A field's name, and `[]` for each list that it is.
fn steps(segment: &str) -> Vec<&str> {
    let name = segment.trim_end_matches("[]");
    let lists = (segment.len() - name.len()) / 2;
    std::iter::once(name).chain(std::iter::repeat_n("[]", lists)).collect()
}

fn next(value: &Value, pointer: &str, step: &str) -> Vec<String> {
    match value.pointer(pointer) {
        Some(Value::Array(items)) if step == "[]" => {
            (0..items.len()).map(|index| format!("{pointer}/{index}")).collect()
        }
        Some(Value::Object(fields)) if fields.contains_key(step) => vec![format!("{pointer}/{step}")],
        _ => Vec::new(),
    }
}

/// The values of `path` in `value`, nulls left out.
pub(in crate::dialect) fn values<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let places = occurrences(value, path);
    places.iter().filter_map(|pointer| value.pointer(pointer)).filter(|value| !value.is_null()).collect()
}

/// `value` without the field at `pointer`.
pub(in crate::dialect) fn without(value: &Value, pointer: &str) -> Value {
    let mut value = value.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent) {
        Some(Value::Object(fields)) => drop(fields.shift_remove(name)),
        Some(Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
        _ => panic!("nothing at {pointer}"),
    }
    value
}

/// The paths of all that is in `value` and is neither an object, a list nor null.
pub(in crate::dialect) fn leaves(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect(value: &Value, path: String, found: &mut BTreeSet<String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            fields.iter().for_each(|(name, value)| collect(value, format!("{path}{dot}{name}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, format!("{path}[]"), found)),
        _ => drop(found.insert(path)),
    }
}

/// Whether `path` is in `table`: itself, or within a field that the table speaks of as one whole.
pub(in crate::dialect) fn covered(path: &str, table: &[&str]) -> bool {
    let below = |field: &str, path: &str| path.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '[']));
    let is_whole = |field: &str| !table.iter().any(|other| below(field, other));
    table.iter().any(|field| *field == path || below(field, path) && is_whole(field))
}

#[test]
fn paths_are_found_and_covered() {
    let body = serde_json::json!({"a": [{"b": 1}, {"b": null, "c": [2, 3]}], "d": {"e": 4}});
    assert_eq!(occurrences(&body, "a[].b"), ["/a/0/b", "/a/1/b"]);
    assert_eq!(values(&body, "a[].b"), [1]);
    assert_eq!(values(&body, "a[].c[]"), [2, 3]);
    assert_eq!(leaves(&body), BTreeSet::from(["a[].b", "a[].c[]", "d.e"].map(str::to_owned)));
    assert_eq!(without(&body, "/a/0"), serde_json::json!({"a": [{"b": null, "c": [2, 3]}], "d": {"e": 4}}));
    assert!(covered("d.e", &["d"]) && covered("a[].c[]", &["a[].c"]));
    assert!(!covered("d.e", &["d", "d.f"]) && !covered("de", &["d"]));
}

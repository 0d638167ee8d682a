//! Citations of other dialects, as this one has them: those that name a web page are told as `url_citation`.

use serde_json::{Value, json};

/// A citation of another dialect for a client of this one, and whether its end is that of the text that it stands
/// behind, `length` characters so far. `None` for what names no web page.
pub(super) fn of_foreign(value: &Value, length: usize) -> Option<(Value, bool)> {
    // Chat completions have the same one object deeper.
    let own = value.get("url_citation").unwrap_or(value);
    let url = own.get("url").and_then(Value::as_str)?;
    let place = |name: &str| own.get(name).and_then(Value::as_u64);
    let end = place("end_index");
    let citation = json!({
        "type": "url_citation",
        "start_index": place("start_index").unwrap_or(0),
        "end_index": end.map_or_else(|| json!(length), Value::from),
        "title": own.get("title").and_then(Value::as_str).unwrap_or_default(),
        "url": url,
    });
    Some((citation, end.is_none()))
}

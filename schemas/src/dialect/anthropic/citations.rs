//! Citations of other dialects, as a client of this one reads them: of a web page, without the index by which Anthropic
//! finds it again. They come back in the client's next request, and are known by that.

use serde_json::{Value, json};

use super::NAME;

const WEB: &str = "web_search_result_location";

/// The citation that a client is told. One of another dialect that names no web page cannot be told.
pub(super) fn for_client(dialect: &str, value: &Value) -> Option<Value> {
    if dialect == NAME {
        return Some(value.clone());
    }
    let own = value.get("url_citation").unwrap_or(value);
    let text = |name: &str| own.get(name).and_then(Value::as_str);
    let url = text("url")?;
    Some(json!({"type": WEB, "cited_text": "", "encrypted_index": "", "title": text("title"), "url": url}))
}

/// Whether a client was told this one by us: Anthropic would refuse it.
pub(super) fn is_ours(citation: &Value) -> bool {
    citation.get("type").is_some_and(|kind| kind == WEB)
        && citation.get("encrypted_index").is_some_and(|index| index == "")
}

//! What a message says, for a provider: a text, or a list of parts.

use serde_json::{Map, Value, json};

use super::NAME;
use super::extras::take_own;
use crate::catalog::Quirks;
use crate::chat::{Block, DocumentSource, Extra, ImageSource};
use crate::delta::ANNOTATIONS;
use crate::dialect::carry::{Notes, carried, fill};

/// The wire form of what `blocks` say: a text when that is all, else parts. What stands elsewhere in a message (calls,
/// results, reasoning) is passed over; what cannot be said is noted under `place`.
pub(super) fn encode(blocks: &[&Block], place: &str, quirks: &Quirks, notes: &mut Notes) -> Value {
    let mut parts = parts(blocks, place, quirks, notes);
    match parts.as_mut_slice() {
        [] => json!(""),
        [Value::Object(only)] if only.len() == 2 && only.get("type").is_some_and(|kind| kind == "text") => {
            only.remove("text").unwrap_or_default()
        }
        _ => Value::Array(parts),
    }
}

/// The same as parts.
pub(super) fn parts(blocks: &[&Block], place: &str, quirks: &Quirks, notes: &mut Notes) -> Vec<Value> {
    blocks.iter().filter_map(|block| part(block, place, quirks, notes)).collect()
}

fn part(block: &Block, place: &str, quirks: &Quirks, notes: &mut Notes) -> Option<Value> {
    match block {
        Block::Text { text, extra } => {
            let mut own = take_own(extra, place, quirks, notes);
            // A provider's own remarks on its answer are nothing that it reads.
            own.remove(ANNOTATIONS);
            Some(text_part(text, &own))
        }
        Block::Image { source, detail, extra } => {
            let url = match source {
                ImageSource::Url { url } => url.clone(),
                ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
            };
            let mut image = Map::from_iter([("url".to_owned(), json!(url))]);
            image.extend(detail.as_ref().map(|detail| ("detail".to_owned(), json!(detail))));
            Some(rich_part("image_url", image, &take_own(extra, place, quirks, notes)))
        }
        Block::Document { source, title, extra } => document(source, title.as_deref(), extra, place, quirks, notes),
        Block::Refusal { text } => Some(json!({"type": "refusal", "refusal": text})),
        Block::Opaque { dialect, value } if dialect == NAME => Some(value.clone()),
        Block::Opaque { dialect, .. } => {
            notes.unsupported(place, format!("the provider does not speak {dialect}: the block is not sent"));
            None
        }
        Block::ToolCall(_) | Block::ToolResult(_) | Block::Reasoning(_) => None,
    }
}

fn text_part(text: &str, own: &Map<String, Value>) -> Value {
    let mut body = Map::from_iter([("type".to_owned(), json!("text")), ("text".to_owned(), json!(text))]);
    fill(&mut body, own);
    Value::Object(body)
}

/// A part whose content is an object under its type's name.
fn rich_part(kind: &str, mut inner: Map<String, Value>, own: &Map<String, Value>) -> Value {
    if let Some(within) = carried(own, kind) {
        fill(&mut inner, within);
    }
    let mut body = Map::from_iter([("type".to_owned(), json!(kind)), (kind.to_owned(), Value::Object(inner))]);
    fill(&mut body, own);
    Value::Object(body)
}

fn document(
    source: &DocumentSource,
    title: Option<&str>,
    extra: &Extra,
    place: &str,
    quirks: &Quirks,
    notes: &mut Notes,
) -> Option<Value> {
    let (data, name) = match source {
        DocumentSource::Base64 { media_type, data } => {
            let name = if media_type == "application/pdf" { "document.pdf" } else { "document" };
            // OpenAI refuses a file without a name.
            (format!("data:{media_type};base64,{data}"), Some(title.unwrap_or(name)))
        }
        DocumentSource::Url { url } if quirks.document_urls => (url.clone(), title),
        DocumentSource::Url { .. } => {
            notes.unsupported(place, "the provider takes no document by its address: not sent");
            return None;
        }
        DocumentSource::Text { text } => {
            let text = title.map_or_else(|| text.clone(), |title| format!("{title}\n\n{text}"));
            return Some(text_part(&text, &take_own(extra, place, quirks, notes)));
        }
    };
    let mut file = Map::new();
    file.extend(name.map(|name| ("filename".to_owned(), json!(name))));
    file.insert("file_data".to_owned(), json!(data));
    Some(rich_part("file", file, &take_own(extra, place, quirks, notes)))
}

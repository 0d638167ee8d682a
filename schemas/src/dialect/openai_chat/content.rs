//! What a message says: a text, or a list of parts.

use serde_json::{Map, Value, json};

use super::NAME;
use crate::chat::{Block, Extra, ImageSource, Reasoning, Role};
use crate::dialect::carry::{Notes, carried, carry, fill};
use crate::dialect::read::{Fields, Mismatch, Path};

/// Reads the content of a `role`'s message. An empty text is no block: no API takes empty ones.
pub(super) fn decode(value: Value, path: &Path<'_>, role: Role, notes: &mut Notes) -> Result<Vec<Block>, Mismatch> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Block::text(text)]),
        Value::Array(parts) => {
            let parts = parts.into_iter().enumerate();
            parts.map(|(index, value)| part(value, &Path::Index(path, index), role, notes)).collect()
        }
        other => Err(Mismatch::expected(path, "a string or an array of parts", &other)),
    }
}

fn part(value: Value, path: &Path<'_>, role: Role, notes: &mut Notes) -> Result<Block, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_text("type")?;
    match (kind.as_str(), role) {
        ("text", _) => text(fields, notes),
        ("image_url", Role::User | Role::Tool) => image(fields, notes),
        ("refusal", Role::Assistant) => Ok(Block::Refusal { text: fields.required_string("refusal")? }),
        ("thinking", Role::Assistant) => thinking(fields.require("thinking")?, &fields.at("thinking")),
        ("input_audio" | "file", Role::User) => {
            let (inner, at) = (fields.require(&kind)?, fields.at(&kind));
            let inner = Fields::of(inner, &at)?.into_value();
            fields.put(&kind, inner);
            Ok(opaque(fields, &kind))
        }
        ("image_url" | "refusal" | "input_audio" | "file", _) => {
            let message = format!("a part of type `{kind}` cannot stand in a message of this role");
            Err(Mismatch::at(&fields.at("type"), message))
        }
        _ => {
            notes.unknown(fields.at("type"));
            Ok(opaque(fields, &kind))
        }
    }
}

/// Mistral's form of reasoning: a text, or a list of text parts.
fn thinking(value: Value, path: &Path<'_>) -> Result<Block, Mismatch> {
    let text = match value {
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        other => return Err(Mismatch::expected(path, "a string or an array of parts", &other)),
    };
    Ok(Block::Reasoning(Reasoning::text(text)))
}

fn opaque(mut fields: Fields<'_>, kind: &str) -> Block {
    fields.put("type", kind);
    Block::Opaque { dialect: NAME.to_owned(), value: fields.into_value() }
}

fn text(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let text = fields.required_string("text")?;
    let path = fields.path;
    let rest = fields.rest();
    rest.keys().for_each(|name| notes.unknown(Path::Field(path, name)));
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    Ok(Block::Text { text, extra })
}

fn image(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let at = fields.at("image_url");
    let mut inner = Fields::of(fields.require("image_url")?, &at)?;
    let source = image_source(&inner.required_text("url")?, &inner.at("url"))?;
    let detail = inner.string("detail")?;
    let path = fields.path;
    for (name, parent) in inner.rest().keys().map(|name| (name, &at)).chain(fields.rest().keys().map(|n| (n, path))) {
        let field = Path::Field(parent, name);
        notes.unknown(field);
        notes.unsupported(field.to_string(), "an image has no such field: not sent");
    }
    Ok(Block::Image { source, detail, extra: Extra::new() })
}

fn image_source(url: &str, path: &Path<'_>) -> Result<ImageSource, Mismatch> {
    if let Some(rest) = url.strip_prefix("data:") {
        let expected = || Mismatch::at(path, "expected a URL like `data:image/png;base64,...`");
        let (media_type, data) = rest.split_once(";base64,").ok_or_else(expected)?;
        return if media_type.starts_with("image/") && !data.is_empty() {
            Ok(ImageSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
        } else {
            Err(expected())
        };
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(ImageSource::Url { url: url.to_owned() });
    }
    Err(Mismatch::at(path, "expected an http, https or data URL"))
}

/// The wire form of what `blocks` say: a text when it is one plain text, else parts. What stands elsewhere in a message
/// (calls, results, reasoning) is passed over; what cannot be said is noted under `place`.
pub(super) fn encode(blocks: &[&Block], place: &str, notes: &mut Notes) -> Value {
    if let [Block::Text { text, extra }] = blocks
        && extra.is_empty()
    {
        return json!(text);
    }
    let parts: Vec<_> = blocks.iter().filter_map(|block| encode_part(block, place, notes)).collect();
    if parts.is_empty() { json!("") } else { Value::Array(parts) }
}

fn encode_part(block: &Block, place: &str, notes: &mut Notes) -> Option<Value> {
    match block {
        Block::Text { text, extra } => {
            notes.foreign(extra, NAME, place);
            let mut body = Map::from_iter([("type".to_owned(), json!("text")), ("text".to_owned(), json!(text))]);
            fill(&mut body, carried(extra, NAME).unwrap_or(&Map::new()));
            Some(Value::Object(body))
        }
        Block::Image { source, detail, extra } => {
            notes.foreign(extra, NAME, place);
            let url = match source {
                ImageSource::Url { url } => url.clone(),
                ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
            };
            let mut image = Map::from_iter([("url".to_owned(), json!(url))]);
            image.extend(detail.as_ref().map(|detail| ("detail".to_owned(), json!(detail))));
            Some(json!({"type": "image_url", "image_url": image}))
        }
        Block::Refusal { text } => Some(json!({"type": "refusal", "refusal": text})),
        Block::Opaque { dialect, value } if dialect == NAME => Some(value.clone()),
        Block::Opaque { dialect, .. } => {
            notes.unsupported(place, format!("the provider does not speak {dialect}: the block is not sent"));
            None
        }
        Block::Document { .. } => {
            notes.unsupported(place, "the provider takes no documents: not sent");
            None
        }
        Block::ToolCall(_) | Block::ToolResult(_) | Block::Reasoning(_) => None,
    }
}

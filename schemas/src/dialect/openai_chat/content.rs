//! What a message of a request or an answer says, taken apart: a text, or a list of parts.

use serde_json::{Map, Value};

use super::NAME;
use super::extras::{CACHE_MARK, carry_own};
use crate::chat::{Block, DocumentSource, Extra, ImageSource, Reasoning, Role};
use crate::dialect::carry::{Notes, carry};
use crate::dialect::read::{Fields, Mismatch, Path};

/// What any part may have beside its content: both mark the end of a prefix to cache.
const MARKS: [&str; 2] = [CACHE_MARK, "prompt_cache_breakpoint"];

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
        ("file", Role::User | Role::Tool) => file(fields, notes),
        ("refusal", Role::Assistant) => Ok(Block::Refusal { text: fields.required_string("refusal")? }),
        ("thinking", Role::Assistant) => thinking(fields.require("thinking")?, &fields.at("thinking")),
        ("input_audio", Role::User) => {
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
    Ok(Block::Text { text, extra: beside(fields, Map::new(), notes) })
}

fn image(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let at = fields.at("image_url");
    let mut inner = Fields::of(fields.require("image_url")?, &at)?;
    let source = image_source(&inner.required_text("url")?, &inner.at("url"))?;
    let detail = inner.string("detail")?;
    let within = within("image_url", inner, notes);
    Ok(Block::Image { source, detail, extra: beside(fields, within, notes) })
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
    if is_web(url) {
        return Ok(ImageSource::Url { url: url.to_owned() });
    }
    Err(Mismatch::at(path, "expected an http, https or data URL"))
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// A file that travels with the request is a document. One that the provider keeps, or bare base64 whose type nobody
/// tells, only this dialect can read.
fn file(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let at = fields.at("file");
    let mut inner = Fields::of(fields.require("file")?, &at)?;
    let data = inner.string("file_data")?;
    let kept = inner.string("file_id")?;
    let source = match (&data, &kept) {
        (None, None) => return Err(Mismatch::at(&at, "expected a `file_data` or a `file_id`")),
        (Some(data), None) => document_source(data),
        _ => None,
    };
    let Some(source) = source else {
        inner.put_some("file_data", data);
        inner.put_some("file_id", kept);
        let inner = inner.into_value();
        fields.put("file", inner);
        return Ok(opaque(fields, "file"));
    };
    let title = inner.string("filename")?;
    let within = within("file", inner, notes);
    Ok(Block::Document { source, title, extra: beside(fields, within, notes) })
}

/// A data URL as OpenAI has it, or the address of the document as OpenRouter does.
fn document_source(data: &str) -> Option<DocumentSource> {
    if is_web(data) {
        return Some(DocumentSource::Url { url: data.to_owned() });
    }
    let (media_type, data) = data.strip_prefix("data:")?.split_once(";base64,")?;
    let whole = !media_type.is_empty() && !data.is_empty();
    whole.then(|| DocumentSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
}

/// What is left of the object `name` within a part.
fn within(name: &str, inner: Fields<'_>, notes: &mut Notes) -> Map<String, Value> {
    let path = inner.path;
    let rest = inner.rest();
    rest.keys().for_each(|name| notes.unknown(Path::Field(path, name)));
    let mut fields = Map::new();
    carry(&mut fields, name, rest);
    fields
}

/// What is left of a part, and `within` it, as its block carries it.
fn beside(fields: Fields<'_>, within: Map<String, Value>, notes: &mut Notes) -> Extra {
    let path = fields.path;
    let mut rest = fields.rest();
    for name in rest.keys().filter(|name| !MARKS.contains(&name.as_str())) {
        notes.unknown(Path::Field(path, name));
    }
    rest.extend(within);
    let mut extra = Extra::new();
    carry_own(&mut extra, rest);
    extra
}

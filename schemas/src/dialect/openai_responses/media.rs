//! Images and files, in both directions. By `file_id` they are the provider's own, and opaque to us.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::NAME;
use crate::chat::{Block, DocumentSource, Extra, ImageSource};
use crate::dialect::carry::{Notes, carried, carry, fill};
use crate::dialect::read::{Fields, Mismatch, Path};

/// What kinds of files a bare base64 text may be, by the end of the file's name.
const MEDIA_TYPES: [(&str, &str); 8] = [
    ("pdf", "application/pdf"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("html", "text/html"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
];

/// `input_image`.
pub(super) fn image(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    if !fields.has("image_url") && fields.has("file_id") {
        return Ok(opaque(fields, "input_image"));
    }
    let (url, at) = (fields.required_text("image_url")?, fields.at("image_url"));
    let source = match data_url(&url, &at)? {
        Some((media_type, data)) if media_type.starts_with("image/") => {
            ImageSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() }
        }
        Some(_) => return Err(Mismatch::at(&at, "expected a URL like `data:image/png;base64,...`")),
        None => ImageSource::Url { url },
    };
    let detail = fields.string("detail")?;
    Ok(Block::Image { source, detail, extra: rest(fields, notes) })
}

/// `input_file`.
pub(super) fn file(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    if fields.has("file_id") {
        return Ok(opaque(fields, "input_file"));
    }
    let title = fields.string("filename")?;
    let (data, url) = (fields.string("file_data")?, fields.string("file_url")?);
    let source = match (data, url) {
        (Some(data), None) => file_data(data, title.as_deref(), &fields.at("file_data"))?,
        (None, Some(url)) => match data_url(&url, &fields.at("file_url"))? {
            Some((media_type, data)) => document(media_type, data),
            None => DocumentSource::Url { url },
        },
        _ => return Err(Mismatch::at(fields.path, "expected one of `file_data`, `file_url` and `file_id`")),
    };
    Ok(Block::Document { source, title, extra: rest(fields, notes) })
}

fn opaque(mut fields: Fields<'_>, kind: &str) -> Block {
    fields.put("type", kind);
    Block::Opaque { dialect: NAME.to_owned(), value: Value::Object(fields.rest()) }
}

/// Carries what is left; `prompt_cache_breakpoint` and a file's `detail` are known.
fn rest(fields: Fields<'_>, notes: &mut Notes) -> Extra {
    let path = fields.path;
    let rest = fields.rest();
    for name in rest.keys().filter(|name| !["prompt_cache_breakpoint", "detail"].contains(&name.as_str())) {
        notes.unknown(Path::Field(path, name));
    }
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    extra
}

/// The parts of a data URL, `None` for an http or https URL.
fn data_url<'u>(url: &'u str, path: &Path<'_>) -> Result<Option<(&'u str, &'u str)>, Mismatch> {
    if let Some(rest) = url.strip_prefix("data:") {
        let found = rest.split_once(";base64,").filter(|(_, data)| !data.is_empty());
        return found.map(Some).ok_or_else(|| Mismatch::at(path, "expected a URL like `data:image/png;base64,...`"));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(None);
    }
    Err(Mismatch::at(path, "expected an http, https or data URL"))
}

/// A data URL, or bare base64 as older clients send it.
fn file_data(data: String, title: Option<&str>, path: &Path<'_>) -> Result<DocumentSource, Mismatch> {
    if data.starts_with("data:") {
        let found = data_url(&data, path)?.map(|(media_type, data)| document(media_type, data));
        return found.ok_or_else(|| Mismatch::at(path, "expected base64"));
    }
    if data.is_empty() {
        return Err(Mismatch::at(path, "must not be empty"));
    }
    let end = title.and_then(|title| title.rsplit_once('.')).map_or("pdf", |(_, end)| end);
    let known = MEDIA_TYPES.iter().find(|(known, _)| end.eq_ignore_ascii_case(known));
    Ok(document(known.map_or("application/octet-stream", |(_, media_type)| media_type), &data))
}

/// A document; plain text is told as such, so that a provider without files can still be sent it.
fn document(media_type: &str, data: &str) -> DocumentSource {
    let text = || String::from_utf8(STANDARD.decode(data).ok()?).ok();
    match if media_type == "text/plain" { text() } else { None } {
        Some(text) => DocumentSource::Text { text },
        None => DocumentSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() },
    }
}

/// The wire form of an image.
pub(super) fn encode_image(source: &ImageSource, detail: Option<&str>, extra: &Extra) -> Value {
    let url = match source {
        ImageSource::Url { url } => url.clone(),
        ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
    };
    let mut body = Map::from_iter([("type".to_owned(), json!("input_image")), ("image_url".to_owned(), json!(url))]);
    body.extend(detail.map(|detail| ("detail".to_owned(), json!(detail))));
    fill(&mut body, carried(extra, NAME).unwrap_or(&Map::new()));
    Value::Object(body)
}

/// The wire form of a document. Data needs a name: OpenAI refuses it without.
pub(super) fn encode_file(source: &DocumentSource, title: Option<&str>, extra: &Extra) -> Value {
    let (name, value, default) = match source {
        DocumentSource::Url { url } => ("file_url", url.clone(), None),
        DocumentSource::Base64 { media_type, data } => {
            let known = MEDIA_TYPES.iter().find(|(_, known)| known == media_type);
            let default = format!("document.{}", known.map_or("bin", |(end, _)| end));
            ("file_data", format!("data:{media_type};base64,{data}"), Some(default))
        }
        DocumentSource::Text { text } => {
            let data = format!("data:text/plain;base64,{}", STANDARD.encode(text));
            ("file_data", data, Some("document.txt".to_owned()))
        }
    };
    let mut body = Map::from_iter([("type".to_owned(), json!("input_file")), (name.to_owned(), json!(value))]);
    body.extend(title.map(str::to_owned).or(default).map(|title| ("filename".to_owned(), json!(title))));
    fill(&mut body, carried(extra, NAME).unwrap_or(&Map::new()));
    Value::Object(body)
}

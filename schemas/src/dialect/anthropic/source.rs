//! Where pictures and documents are, in both directions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::chat::{DocumentSource, ImageSource};
use crate::dialect::carry::Notes;
use crate::dialect::read::{Fields, Mismatch, Path};

/// The only kind of document that travels as base64.
const PDF: &str = "application/pdf";

/// Whether the neutral form cannot say the source of a picture or document: a file at the provider, blocks as content,
/// and whatever comes later. What has no readable source is not foreign but at fault.
pub(super) fn is_foreign(block: &Value) -> bool {
    let kind = block.get("source").and_then(|source| source.get("type")).and_then(Value::as_str);
    let is_document = block.get("type").is_some_and(|kind| kind == "document");
    kind.is_some_and(|kind| !(matches!(kind, "base64" | "url") || (is_document && kind == "text")))
}

/// Reads a picture's source.
pub(super) fn image(value: Value, path: &Path<'_>, notes: &mut Notes) -> Result<ImageSource, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let source = if fields.required_text("type")? == "url" {
        ImageSource::Url { url: url(&mut fields)? }
    } else {
        let media_type = fields.required_text("media_type")?;
        if !media_type.starts_with("image/") {
            return Err(Mismatch::at(&fields.at("media_type"), "expected a media type like `image/png`"));
        }
        ImageSource::Base64 { media_type, data: fields.required_text("data")? }
    };
    warn_of_rest(fields, notes);
    Ok(source)
}

/// Reads a document's source.
pub(super) fn document(value: Value, path: &Path<'_>, notes: &mut Notes) -> Result<DocumentSource, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let source = match fields.required_text("type")?.as_str() {
        "url" => DocumentSource::Url { url: url(&mut fields)? },
        "text" => {
            media_type(&mut fields, "text/plain")?;
            DocumentSource::Text { text: fields.required_string("data")? }
        }
        _ => {
            media_type(&mut fields, PDF)?;
            DocumentSource::Base64 { media_type: PDF.to_owned(), data: fields.required_text("data")? }
        }
    };
    warn_of_rest(fields, notes);
    Ok(source)
}

fn url(fields: &mut Fields<'_>) -> Result<String, Mismatch> {
    let url = fields.required_text("url")?;
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(url);
    }
    Err(Mismatch::at(&fields.at("url"), "expected an http or https URL"))
}

fn media_type(fields: &mut Fields<'_>, expected: &str) -> Result<(), Mismatch> {
    if fields.required_text("media_type")? == expected {
        return Ok(());
    }
    Err(Mismatch::at(&fields.at("media_type"), format!("expected `{expected}`")))
}

fn warn_of_rest(fields: Fields<'_>, notes: &mut Notes) {
    let path = fields.path;
    for name in fields.rest().keys() {
        let field = Path::Field(path, name);
        notes.unknown(field);
        notes.unsupported(field.to_string(), "a source has no such field: not sent");
    }
}

/// The wire form of a picture's source.
pub(super) fn encode_image(source: &ImageSource) -> Value {
    match source {
        ImageSource::Url { url } => json!({"type": "url", "url": url}),
        ImageSource::Base64 { media_type, data } => json!({"type": "base64", "media_type": media_type, "data": data}),
    }
}

/// The wire form of a document's source. `None` for a kind that the API does not take.
pub(super) fn encode_document(source: &DocumentSource) -> Option<Value> {
    let text = |text: &str| json!({"type": "text", "media_type": "text/plain", "data": text});
    match source {
        DocumentSource::Url { url } => Some(json!({"type": "url", "url": url})),
        DocumentSource::Text { text: own } => Some(text(own)),
        DocumentSource::Base64 { media_type, data } if media_type == PDF => {
            Some(json!({"type": "base64", "media_type": PDF, "data": data}))
        }
        DocumentSource::Base64 { media_type, data } if media_type.starts_with("text/") => {
            String::from_utf8(STANDARD.decode(data).ok()?).ok().map(|own| text(&own))
        }
        DocumentSource::Base64 { .. } => None,
    }
}

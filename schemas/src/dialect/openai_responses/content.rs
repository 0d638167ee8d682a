//! The parts of messages and of tool outputs, in both directions.

use serde_json::{Map, Value, json};

use super::{NAME, media};
use crate::chat::{Block, Extra, Role};
use crate::delta::ANNOTATIONS;
use crate::dialect::carry::{Notes, carried, carry, fill};
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// The `type` of the annotation that holds a text's phase.
const PHASE: &str = "phase";

/// What reading finds beside the blocks.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// It is a client that is read, whose proofs may be another dialect's, wrapped.
    pub(super) of_client: bool,
    /// What the client should know.
    pub(super) notes: Notes,
    /// The log probabilities of all texts.
    pub(super) logprobs: Vec<Value>,
}

/// Reads the content of a `role`'s message or of a tool's output: a text, or a list of parts. An empty text is no block.
pub(super) fn decode(value: Value, path: &Path<'_>, role: Role, seen: &mut Seen) -> Result<Vec<Block>, Mismatch> {
    match value {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Block::text(text)]),
        Value::Array(parts) => {
            let mut blocks = Vec::with_capacity(parts.len());
            for (index, value) in parts.into_iter().enumerate() {
                blocks.extend(part(value, &Path::Index(path, index), role, seen)?);
            }
            Ok(blocks)
        }
        other => Err(Mismatch::expected(path, "a string or an array of parts", &other)),
    }
}

/// Reads one part, which may say nothing.
pub(super) fn part(value: Value, path: &Path<'_>, role: Role, seen: &mut Seen) -> Result<Option<Block>, Mismatch> {
    let mut fields = Fields::of(value, path)?;
    let kind = fields.required_text("type")?;
    match (kind.as_str(), role) {
        ("input_text", _) => input_text(fields, &mut seen.notes).map(Some),
        ("output_text", Role::Assistant) => output_text(fields, seen),
        ("refusal", Role::Assistant) => Ok(Some(Block::Refusal { text: fields.required_string("refusal")? })),
        (_, Role::Assistant) => Ok(Some(unknown(fields, kind, &mut seen.notes))),
        ("input_image", _) => media::image(fields, &mut seen.notes).map(Some),
        ("input_file", _) => media::file(fields, &mut seen.notes).map(Some),
        (kind, _) if kind.starts_with("input_") => {
            if kind != "input_audio" {
                seen.notes.unknown(fields.at("type"));
            }
            fields.put("type", kind);
            Ok(Some(Block::Opaque { dialect: NAME.to_owned(), value: Value::Object(fields.rest()) }))
        }
        (kind, _) => {
            let expected = "`input_text`, `input_image` or `input_file`";
            Err(Mismatch::word(&fields.at("type"), expected, kind))
        }
    }
}

/// A part of an assistant's message that we do not know, as a message of its own.
fn unknown(mut fields: Fields<'_>, kind: String, notes: &mut Notes) -> Block {
    notes.unknown(fields.at("type"));
    fields.put("type", kind);
    let value = json!({"type": "message", "role": "assistant", "status": "completed", "content": [fields.rest()]});
    Block::Opaque { dialect: NAME.to_owned(), value }
}

fn input_text(mut fields: Fields<'_>, notes: &mut Notes) -> Result<Block, Mismatch> {
    let text = fields.required_string("text")?;
    let path = fields.path;
    let rest = fields.rest();
    for name in rest.keys().filter(|name| *name != "prompt_cache_breakpoint") {
        notes.unknown(Path::Field(path, name));
    }
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    Ok(Block::Text { text, extra })
}

fn output_text(mut fields: Fields<'_>, seen: &mut Seen) -> Result<Option<Block>, Mismatch> {
    let text = fields.required_string("text")?;
    for (name, all) in [(ANNOTATIONS, None), ("logprobs", Some(&mut seen.logprobs))] {
        let path = fields.at(name);
        let list = fields.take(name).map_or(Ok(Vec::new()), |value| array(value, &path))?;
        match all {
            Some(all) => all.extend(list),
            None if list.is_empty() => {}
            None => fields.put(name, list),
        }
    }
    let path = fields.path;
    let rest = fields.rest();
    for name in rest.keys().filter(|name| *name != ANNOTATIONS) {
        seen.notes.unknown(Path::Field(path, name));
    }
    let empty = text.is_empty() && rest.is_empty();
    let mut extra = Extra::new();
    carry(&mut extra, NAME, rest);
    Ok((!empty).then_some(Block::Text { text, extra }))
}

/// The annotation that holds `phase`, the state of the work that a message is about (`commentary`, `final_answer`).
pub(super) fn phase_annotation(phase: &str) -> Value {
    json!({"type": PHASE, "phase": phase})
}

/// The phase that `annotation` holds, if it is such a one.
pub(super) fn phase(annotation: &Value) -> Option<&str> {
    let kind = annotation.get("type").and_then(Value::as_str);
    kind.filter(|kind| *kind == PHASE).and_then(|_| annotation.get(PHASE)?.as_str())
}

/// Puts `phase` on every text of `blocks`.
pub(super) fn set_phase(blocks: &mut [Block], phase: &str) {
    for block in blocks {
        let Block::Text { extra, .. } = block else { continue };
        let own = extra.entry(NAME).or_insert_with(|| json!({}));
        let list = own.as_object_mut().map(|own| own.entry(ANNOTATIONS).or_insert_with(|| json!([])));
        if let Some(Value::Array(list)) = list {
            list.insert(0, phase_annotation(phase));
        }
    }
}

/// The annotations of a text that this dialect carries: its phase, and the others.
pub(super) fn annotations(extra: &Extra) -> (Option<&str>, Vec<&Value>) {
    let list = carried(extra, NAME).and_then(|own| own.get(ANNOTATIONS)).and_then(Value::as_array);
    let found = list.and_then(|list| list.iter().find_map(phase));
    (found, list.into_iter().flatten().filter(|annotation| phase(annotation).is_none()).collect())
}

/// Whether an opaque value of this dialect is a part of a message, and not an item.
pub(super) fn is_part(value: &Value) -> bool {
    value.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("input_"))
}

/// The wire form of what a user, an operator or a tool says; `None` for what they cannot.
pub(super) fn encode_input(block: &Block, place: &str, notes: &mut Notes) -> Option<Value> {
    match block {
        Block::Text { text, extra } => {
            notes.foreign(extra, NAME, place);
            let mut body = Map::from_iter([("type".to_owned(), json!("input_text")), ("text".to_owned(), json!(text))]);
            fill(&mut body, carried(extra, NAME).unwrap_or(&Map::new()));
            Some(Value::Object(body))
        }
        Block::Image { source, detail, extra } => {
            notes.foreign(extra, NAME, place);
            Some(media::encode_image(source, detail.as_deref(), extra))
        }
        Block::Document { source, title, extra } => {
            notes.foreign(extra, NAME, place);
            Some(media::encode_file(source, title.as_deref(), extra))
        }
        Block::Refusal { text } => Some(json!({"type": "input_text", "text": text})),
        Block::Opaque { dialect, value } if dialect == NAME => Some(value.clone()),
        Block::Opaque { dialect, .. } => {
            notes.unsupported(place, format!("the provider does not speak {dialect}: the block is not sent"));
            None
        }
        Block::ToolCall(_) | Block::ToolResult(_) | Block::Reasoning(_) => None,
    }
}

/// The wire form of what an assistant says; `None` for what it cannot.
pub(super) fn encode_output(block: &Block, place: &str, notes: &mut Notes) -> Option<Value> {
    match block {
        Block::Text { text, extra } => {
            notes.foreign(extra, NAME, place);
            let mut body = Map::from_iter([
                ("type".to_owned(), json!("output_text")),
                ("text".to_owned(), json!(text)),
                (ANNOTATIONS.to_owned(), json!(annotations(extra).1)),
            ]);
            fill(&mut body, carried(extra, NAME).unwrap_or(&Map::new()));
            Some(Value::Object(body))
        }
        Block::Refusal { text } => Some(json!({"type": "refusal", "refusal": text})),
        Block::Image { .. } | Block::Document { .. } => {
            notes.unsupported(place, "an assistant's message holds neither images nor documents: not sent");
            None
        }
        other => encode_input(other, place, notes),
    }
}

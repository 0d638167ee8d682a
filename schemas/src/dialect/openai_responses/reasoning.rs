//! Reasoning items, in both directions: each part of the summary is a block, and the last block holds the proof.

use serde_json::{Map, Value, json};

use super::content::Seen;
use super::{NAME, ids};
use crate::chat::{Block, Extra, Reasoning};
use crate::dialect::carry::{Notes, carry};
use crate::dialect::proof;
use crate::dialect::read::{Fields, Mismatch, Path, array};

/// Takes a reasoning item apart. One that tells and proves nothing is no block.
pub(super) fn decode(mut fields: Fields<'_>, seen: &mut Seen) -> Result<Vec<Block>, Mismatch> {
    let mut texts = Vec::new();
    for name in ["content", "summary"] {
        texts.extend(parts(&mut fields, name)?.into_iter().filter(|text| !text.is_empty()));
    }
    let signed = signed(&mut fields, texts.is_empty(), seen.of_client)?;
    let path = fields.path;
    let rest = fields.rest();
    rest.keys().for_each(|name| seen.notes.unknown(Path::Field(path, name)));
    let mut blocks: Vec<_> = texts.into_iter().map(Reasoning::text).collect();
    if let Some(proof) = signed {
        let text = blocks.pop().map(|last| last.text).unwrap_or_default();
        blocks.push(Reasoning { text, ..proof });
    }
    if let Some(first) = blocks.first_mut() {
        carry(&mut first.extra, NAME, rest);
    }
    Ok(blocks.into_iter().map(Block::Reasoning).collect())
}

/// The proof, without a text. The id of an item without one would name what nobody has kept. What a provider sends is its
/// own whatever it looks like: the provider may be a PortBroker, which alone can unwrap it.
pub(super) fn signed(fields: &mut Fields<'_>, hidden: bool, of_client: bool) -> Result<Option<Reasoning>, Mismatch> {
    let id = fields.string("id")?.and_then(ids::foreign);
    fields.take("status");
    let Some(slot) = fields.string("encrypted_content")? else { return Ok(None) };
    let own = |slot| Reasoning { signature: Some(slot), dialect: Some(NAME.to_owned()), ..Reasoning::default() };
    let mut found = if of_client { proof::unwrap(slot, NAME) } else { own(slot) };
    if found.dialect.as_deref() == Some(NAME) {
        (found.id, found.redacted) = (id, hidden);
    }
    Ok(Some(found).filter(|found| found.signature.as_ref().is_some_and(|proof| !proof.is_empty())))
}

/// The texts of `summary` or of `content`.
pub(super) fn parts<'p>(fields: &mut Fields<'p>, name: &'p str) -> Result<Vec<String>, Mismatch> {
    let path = fields.at(name);
    let items = fields.take(name).map_or(Ok(Vec::new()), |value| array(value, &path))?;
    let read = |(index, item)| Fields::of(item, &Path::Index(&path, index))?.required_string("text");
    items.into_iter().enumerate().map(read).collect()
}

/// The reasoning items of neighbouring blocks, up to and with each proof.
pub(super) fn groups<'b>(blocks: &[&'b Reasoning]) -> Vec<Vec<&'b Reasoning>> {
    let mut groups: Vec<Vec<&Reasoning>> = Vec::new();
    for block in blocks {
        let goes_on = groups.last().and_then(|group| group.last()).is_some_and(|last| last.signature.is_none());
        match groups.last_mut() {
            Some(group) if goes_on && !block.redacted => group.push(block),
            _ => groups.push(vec![block]),
        }
    }
    groups
}

/// The item of `group` for a provider: with a proof of this dialect as it came; without, as plain text to those that
/// read it, else not at all.
pub(super) fn encode(group: &[&Reasoning], reads_text: bool, place: &str, notes: &mut Notes) -> Option<Value> {
    group.iter().for_each(|block| notes.foreign(&block.extra, NAME, place));
    let texts = |kind: &str| -> Vec<Value> {
        let texts = group.iter().filter(|block| !block.text.is_empty());
        texts.map(|block| json!({"type": kind, "text": block.text})).collect()
    };
    let last = group.last().filter(|last| last.signature.is_some());
    let mut body = Map::from_iter([("type".to_owned(), json!("reasoning"))]);
    match last.filter(|last| last.dialect.as_deref() == Some(NAME)) {
        Some(proof) => {
            body.extend(proof.id.as_ref().map(|id| ("id".to_owned(), json!(id))));
            body.insert("summary".to_owned(), Value::Array(texts("summary_text")));
            body.insert("encrypted_content".to_owned(), json!(proof.signature));
        }
        None => {
            if let Some(dialect) = last.and_then(|last| last.dialect.as_deref()) {
                notes.unsupported(place, format!("the provider cannot read a proof of {dialect}: not sent"));
            }
            let content = texts("reasoning_text");
            if content.is_empty() {
                return None;
            }
            if !reads_text {
                notes.unsupported(place, "the provider does not read earlier reasoning: not sent");
                return None;
            }
            body.insert("summary".to_owned(), json!([]));
            body.insert("content".to_owned(), Value::Array(content));
        }
    }
    fill_own(&mut body, group);
    Some(Value::Object(body))
}

fn fill_own(body: &mut Map<String, Value>, group: &[&Reasoning]) {
    let own = |extra: &Extra| extra.get(NAME).and_then(Value::as_object).cloned();
    for fields in group.iter().filter_map(|block| own(&block.extra)) {
        crate::dialect::carry::fill(body, &fields);
    }
}

/// The item of `group` for a client that looks at what it asked: without the proof, as it is shown unless asked for.
pub(super) fn show(group: &[&Reasoning]) -> Value {
    let texts = group.iter().filter(|block| !block.text.is_empty());
    let summary: Vec<_> = texts.map(|block| json!({"type": "summary_text", "text": block.text})).collect();
    json!({"type": "reasoning", "summary": summary})
}

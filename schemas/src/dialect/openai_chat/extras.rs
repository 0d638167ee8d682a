//! What parts, calls and tools have beyond the neutral form: put away on the way in, taken out on the way out. The mark
//! `cache_control`, which compatible servers took over from Anthropic, is put away for Anthropic's dialect too.

use serde_json::{Map, Value};

use super::NAME;
use crate::catalog::Quirks;
use crate::chat::{Block, Extra};
use crate::dialect::carry::{Notes, carried, carry};

/// Marks the end of a prompt prefix that is worth caching.
pub(super) const CACHE_MARK: &str = "cache_control";

/// The dialect that the mark comes from.
const ANTHROPIC: &str = "anthropic";

/// Puts `fields` away for this dialect; the cache mark among them, if it is one, for Anthropic's too.
pub(super) fn carry_own(extra: &mut Extra, fields: Map<String, Value>) {
    if let Some(mark) = fields.get(CACHE_MARK).filter(|mark| is_mark(mark)) {
        carry(extra, ANTHROPIC, Map::from_iter([(CACHE_MARK.to_owned(), mark.clone())]));
    }
    carry(extra, NAME, fields);
}

fn is_mark(value: &Value) -> bool {
    value.get("type").is_some_and(|kind| kind == "ephemeral")
}

/// What `extra`, found at `place`, holds for a provider of this dialect. Notes what it holds for others.
pub(super) fn take_own(extra: &Extra, place: &str, quirks: &Quirks, notes: &mut Notes) -> Map<String, Value> {
    if extra.is_empty() {
        return Map::new();
    }
    let mut own = carried(extra, NAME).cloned().unwrap_or_default();
    let mark = carried(extra, ANTHROPIC).and_then(|theirs| theirs.get(CACHE_MARK));
    if let Some(mark) = mark.filter(|_| quirks.cache_control && !own.contains_key(CACHE_MARK)) {
        own.insert(CACHE_MARK.to_owned(), mark.clone());
    }
    let mut seen = extra.clone();
    carry(&mut seen, NAME, own.clone());
    notes.foreign(&seen, NAME, place);
    own
}

/// Puts the cache mark of a whole message on the last block that can bear it. Gives it back when there is none.
pub(super) fn mark_last(content: &mut [Block], mark: Value) -> Option<Value> {
    let extra = content.iter_mut().rev().find_map(|block| match block {
        Block::Text { extra, .. } | Block::Image { extra, .. } | Block::Document { extra, .. } => Some(extra),
        Block::ToolResult(result) => Some(&mut result.extra),
        _ => None,
    });
    let Some(extra) = extra else { return Some(mark) };
    let mut own = carried(extra, NAME).cloned().unwrap_or_default();
    own.entry(CACHE_MARK).or_insert(mark);
    carry_own(extra, own);
    None
}

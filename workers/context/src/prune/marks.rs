//! Marks of prompt caches (`cache_control`), each the end of a prefix that a client wants kept. Pruning takes those away
//! that stand on what it leaves out. When that was every mark of the history, the last of them moves to the end of what
//! is kept of it, before the newest turn, where the next request has its prefix: none is added, so no limit is passed.

use schemas::chat::{Block, Extra, Message};
use serde_json::{Map, Value};

use super::turn::begins_turn;

const MARK: &str = "cache_control";

/// Moves `mark`, the last of the history, into `sent` if that has none left. Without a block that can bear it (a text, a
/// picture, a document, a call or a result) there is nothing whose prefix is worth keeping, and it goes.
pub(super) fn rescue(mark: &Extra, sent: &mut [Message]) {
    if last(sent).is_some() {
        return;
    }
    let newest = sent.iter().rposition(begins_turn).unwrap_or(sent.len());
    let (older, newest) = sent.split_at_mut(newest);
    let bearers = older.iter_mut().rev().chain(newest.iter_mut().take(1));
    let mut blocks =
        bearers.filter(|message| !message.role.is_system()).flat_map(|message| message.content.iter_mut().rev());
    if let Some(extra) = blocks.find_map(extra_of) {
        add(extra, mark.clone());
    }
}

/// The last mark of the conversation, system messages aside.
pub(super) fn last(messages: &[Message]) -> Option<Extra> {
    messages.iter().rev().filter(|message| !message.role.is_system()).find_map(of_message)
}

/// Whether the message bears a mark.
pub(super) fn is_marked(message: &Message) -> bool {
    of_message(message).is_some()
}

fn of_message(message: &Message) -> Option<Extra> {
    message.content.iter().rev().find_map(of_block).or_else(|| of_extra(&message.extra))
}

/// The mark that `block` bears, by the dialects that know it.
pub(super) fn of_block(block: &Block) -> Option<Extra> {
    match block {
        Block::Text { extra, .. } | Block::Image { extra, .. } | Block::Document { extra, .. } => of_extra(extra),
        Block::ToolCall(call) => of_extra(&call.extra),
        Block::ToolResult(result) => of_extra(&result.extra).or_else(|| result.content.iter().rev().find_map(of_block)),
        Block::Opaque { dialect, value } => of_extra(&Extra::from_iter([(dialect.clone(), value.clone())])),
        Block::Reasoning(_) | Block::Refusal { .. } => None,
    }
}

fn of_extra(extra: &Extra) -> Option<Extra> {
    if !extra.values().any(|fields| fields.get(MARK).is_some()) {
        return None;
    }
    let mark = |(dialect, fields): (&String, &Value)| {
        let mark = fields.get(MARK).filter(|mark| !mark.is_null())?;
        Some((dialect.clone(), Value::Object(Map::from_iter([(MARK.to_owned(), mark.clone())]))))
    };
    Some(extra.iter().filter_map(mark).collect::<Extra>()).filter(|mark| !mark.is_empty())
}

/// Where `block` bears a mark, if it can.
fn extra_of(block: &mut Block) -> Option<&mut Extra> {
    match block {
        Block::Text { text, .. } if text.trim().is_empty() => None,
        Block::Text { extra, .. } | Block::Image { extra, .. } | Block::Document { extra, .. } => Some(extra),
        Block::ToolCall(call) => Some(&mut call.extra),
        Block::ToolResult(result) => Some(&mut result.extra),
        Block::Reasoning(_) | Block::Refusal { .. } | Block::Opaque { .. } => None,
    }
}

fn add(extra: &mut Extra, mark: Extra) {
    for (dialect, fields) in mark {
        match (extra.get_mut(&dialect), fields) {
            (Some(Value::Object(own)), Value::Object(fields)) => own.extend(fields),
            (_, fields) => drop(extra.insert(dialect, fields)),
        }
    }
}

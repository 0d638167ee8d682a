//! What a stream's chunks tell beside text and calls, added up as the official libraries add it up, to be told at the
//! end: fields of the whole answer, of its choice, and of its message.

use serde_json::{Map, Value};

use super::NAME;
use super::response::{CHOICE, FINISH_REASON, IDLE, LOGPROBS, USAGE, message_block};
use crate::chat::Extra;
use crate::delta::Delta;
use crate::dialect::carry::carry;
use crate::dialect::read::Fields;

/// The fields so far.
#[derive(Debug, Default)]
pub(super) struct Rest {
    answer: Map<String, Value>,
    choice: Map<String, Value>,
    logprobs: Map<String, Value>,
    message: Map<String, Value>,
    usage: Map<String, Value>,
}

impl Rest {
    /// What is left of a chunk. The last word counts.
    pub(super) fn answer(&mut self, chunk: Fields<'_>) {
        self.answer.extend(chunk.rest().into_iter().filter(|(name, _)| !IDLE.contains(&name.as_str())));
    }

    /// What is left of a chunk's choice. The last word counts.
    pub(super) fn choice(&mut self, choice: Fields<'_>) {
        self.choice.extend(choice.rest().into_iter().filter(|(name, _)| name != "index"));
    }

    /// Log probabilities other than those of the text.
    pub(super) fn logprobs(&mut self, more: Map<String, Value>) {
        more.into_iter().for_each(|(name, piece)| add(&mut self.logprobs, name, piece));
    }

    /// What is left of a chunk's delta.
    pub(super) fn message(&mut self, delta: Fields<'_>) {
        let pieces = delta.rest().into_iter().filter(|(name, _)| name != "role");
        pieces.for_each(|(name, piece)| add(&mut self.message, name, piece));
    }

    /// Counts beyond the neutral ones. The last ones count.
    pub(super) fn usage(&mut self, beside: Map<String, Value>) {
        self.usage = beside;
    }

    /// The end of the answer: the message's fields as a block, and everything else. `word` is the one for the end, when
    /// nobody knows it.
    pub(super) fn end(self, word: Option<String>) -> (Option<Delta>, Extra) {
        let Self { answer: mut own, choice, logprobs, message, usage } = self;
        let block = message_block(message).map(|value| Delta::Opaque { dialect: NAME.to_owned(), value });
        own.extend(word.map(|word| (FINISH_REASON.to_owned(), Value::String(word))));
        carry(&mut own, CHOICE, choice);
        carry(&mut own, LOGPROBS, logprobs);
        carry(&mut own, USAGE, usage);
        let mut extra = Extra::new();
        carry(&mut extra, NAME, own);
        (block, extra)
    }
}

/// Adds a piece to the field `name`: texts and lists grow, the fields of objects each for itself; of anything else, and
/// of a `type`, the last one counts. Elements with an `index` grow in their place.
fn add(fields: &mut Map<String, Value>, name: String, piece: Value) {
    match (fields.get_mut(&name), piece) {
        (Some(Value::String(text)), Value::String(more)) if name != "type" => text.push_str(&more),
        (Some(Value::Object(known)), Value::Object(more)) => {
            more.into_iter().for_each(|(name, piece)| add(known, name, piece));
        }
        (Some(Value::Array(items)), Value::Array(more)) => more.into_iter().for_each(|item| add_item(items, item)),
        (None, Value::Array(more)) => {
            let mut items = Vec::new();
            more.into_iter().for_each(|item| add_item(&mut items, item));
            fields.insert(name, Value::Array(items));
        }
        (_, piece) => {
            fields.insert(name, piece);
        }
    }
}

fn add_item(items: &mut Vec<Value>, item: Value) {
    let index = item.get("index").and_then(Value::as_u64);
    let known = items.iter_mut().find(|known| index.is_some() && known.get("index").and_then(Value::as_u64) == index);
    match (known, item) {
        (Some(Value::Object(known)), Value::Object(more)) => {
            more.into_iter().for_each(|(name, piece)| add(known, name, piece));
        }
        (_, item) => items.push(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pieces_add_up_as_libraries_add_them() {
        let mut fields = Map::new();
        for piece in [
            json!({"audio": {"id": "a", "data": "AA", "transcript": "he"}}),
            json!({"audio": {"data": "BB", "transcript": "llo"}, "list": [1]}),
            json!({"audio": {"expires_at": 7}, "list": [2]}),
            json!({"details": [{"index": 0, "type": "t", "text": "a"}]}),
            json!({"details": [{"index": 0, "type": "t", "text": "b"}, {"index": 1, "text": "c"}]}),
        ] {
            let Value::Object(piece) = piece else { continue };
            piece.into_iter().for_each(|(name, piece)| add(&mut fields, name, piece));
        }
        let expected = json!({
            "audio": {"id": "a", "data": "AABB", "transcript": "hello", "expires_at": 7},
            "list": [1, 2],
            "details": [{"index": 0, "type": "t", "text": "ab"}, {"index": 1, "text": "c"}],
        });
        assert_eq!(Value::Object(fields), expected);
    }
}

//! Citations, which this dialect tells of a message and the neutral form of a text block: `annotations`. Those of other
//! dialects that name a web page are told as its own `url_citation`.

use serde_json::{Value, json};

use super::NAME;
use crate::chat::Block;
use crate::delta::{ANNOTATIONS, Delta, annotations};
use crate::dialect::carry::{carried, carry};

/// Puts the annotations of an answer on its last text. Gives them back when it has none.
pub(super) fn attach(list: Vec<Value>, content: &mut [Block]) -> Option<Vec<Value>> {
    let Some(Block::Text { extra, .. }) = content.iter_mut().rev().find(|block| block.as_text().is_some()) else {
        return Some(list);
    };
    let mut own = carried(extra, NAME).cloned().unwrap_or_default();
    own.insert(ANNOTATIONS.to_owned(), Value::Array(list));
    carry(extra, NAME, own);
    None
}

/// The annotations of a whole answer.
pub(super) fn of_message(content: &[Block]) -> Vec<Value> {
    let mut notes = Annotations::default();
    for block in content {
        let Block::Text { text, extra } = block else { continue };
        notes.text(text);
        for delta in annotations(extra) {
            if let Delta::Annotation { dialect, value } = delta {
                notes.add(&dialect, &value);
            }
        }
        notes.end_block();
    }
    notes.take()
}

/// The annotations of a running answer, counted in characters of all of its text.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    /// Of the text so far.
    length: usize,
    /// Where the block that runs began.
    start: usize,
    told: Vec<Value>,
    /// Those of `told` whose text is the block that runs, wherever it will end.
    open: Vec<usize>,
}

impl Annotations {
    /// More text.
    pub(super) fn text(&mut self, piece: &str) {
        self.length += piece.chars().count();
    }

    /// An annotation of the block that runs. One of another dialect that names no web page cannot be told.
    pub(super) fn add(&mut self, dialect: &str, value: &Value) {
        if dialect == NAME {
            self.told.push(value.clone());
            return;
        }
        let Some(url) = value.get("url").and_then(Value::as_str) else { return };
        let place = |name: &str| usize::try_from(value.get(name)?.as_u64()?).ok();
        let (first, last) = (place("start_index").unwrap_or(0), place("end_index"));
        if last.is_none() {
            self.open.push(self.told.len());
        }
        let title = value.get("title").and_then(Value::as_str).unwrap_or_default();
        self.told.push(json!({"type": "url_citation", "url_citation": {
            "start_index": self.start.saturating_add(first),
            "end_index": last.map_or(self.length, |last| self.start.saturating_add(last)),
            "title": title,
            "url": url,
        }}));
    }

    /// The block that runs has ended.
    pub(super) fn end_block(&mut self) {
        for index in self.open.drain(..) {
            self.told[index]["url_citation"]["end_index"] = json!(self.length);
        }
        self.start = self.length;
    }

    /// All of them, once.
    pub(super) fn take(&mut self) -> Vec<Value> {
        self.end_block();
        std::mem::take(&mut self.told)
    }
}

//! Tool calls on their way to a client. This API streams one block after the other; other providers give the pieces of
//! parallel calls in turns. So what is not of the call that runs waits until that call's arguments are whole.

use std::collections::VecDeque;

use crate::chat::Extra;
use crate::delta::Delta;

/// Most bytes that wait. A stream is bounded as a whole by whoever reads it; this holds if nobody does.
const MAX_WAITING: usize = 16 << 20;

/// What waits behind the call that runs.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: VecDeque<Item>,
    bytes: usize,
}

/// One thing that waits.
#[derive(Debug)]
pub(super) enum Item {
    /// A call, with as much of its arguments as has come.
    Call {
        /// Which call of the answer.
        index: u32,
        /// Its id.
        id: String,
        /// The tool.
        name: String,
        /// What is carried of it.
        extra: Extra,
        /// The pieces so far.
        arguments: String,
    },
    /// Anything else.
    Other(Delta),
}

impl Waiting {
    /// Puts `delta` where it belongs. `false` when there is no room for it.
    pub(super) fn push(&mut self, delta: &Delta) -> bool {
        self.bytes = self.bytes.saturating_add(size(delta));
        match delta {
            Delta::ToolCallStart { index, id, name, extra } => {
                let (id, name, extra) = (id.clone(), name.clone(), extra.clone());
                self.queue.push_back(Item::Call { index: *index, id, name, extra, arguments: String::new() });
            }
            Delta::ToolCallArguments { index: of, text } => {
                let calls = self.queue.iter_mut().rev().filter_map(|item| match item {
                    Item::Call { index, arguments, .. } if index == of => Some(arguments),
                    _ => None,
                });
                // Of a call that is over, only blanks can be left.
                if let Some(arguments) = calls.into_iter().next() {
                    arguments.push_str(text);
                }
            }
            other => self.queue.push_back(Item::Other(other.clone())),
        }
        self.bytes <= MAX_WAITING
    }

    /// What is next.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.queue.pop_front();
        if self.queue.is_empty() {
            self.bytes = 0;
        }
        item
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

/// About what a delta takes.
fn size(delta: &Delta) -> usize {
    const OVERHEAD: usize = 64;
    OVERHEAD
        + match delta {
            Delta::Text { text }
            | Delta::Reasoning { text }
            | Delta::Refusal { text }
            | Delta::ToolCallArguments { text, .. } => text.len(),
            Delta::ReasoningSignature { signature, .. } => signature.len(),
            Delta::ToolCallStart { id, name, .. } => id.len() + name.len(),
            Delta::Annotation { value, .. } | Delta::Opaque { value, .. } => value.to_string().len(),
            _ => 0,
        }
}

/// Follows JSON text piece by piece, to tell when an object is whole. It checks no more than that.
#[derive(Debug, Default)]
pub(super) struct Scan {
    depth: u64,
    in_string: bool,
    escaped: bool,
    whole: bool,
}

impl Scan {
    /// Takes the next piece in.
    pub(super) fn feed(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.byte(byte));
    }

    /// Whether the outermost object or list has ended.
    pub(super) const fn is_whole(&self) -> bool {
        self.whole
    }

    fn byte(&mut self, byte: u8) {
        if self.in_string {
            let escaped = std::mem::take(&mut self.escaped);
            match byte {
                b'\\' => self.escaped = !escaped,
                b'"' => self.in_string = escaped,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.whole = self.depth == 0;
            }
            _ => {}
        }
    }
}

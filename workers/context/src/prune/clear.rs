//! What clearing does to a message: the content of tool results gives way to a placeholder, and the arguments of calls
//! to an empty object if that is asked for. Calls and results stay, so that whoever reads them finds the pairs.

use schemas::chat::{Block, Message, Role, ToolResult};

use super::marks;
use super::pairs::{Asked, Pairs};
use crate::budget::Clearing;

/// Stands in for what a tool said.
pub(super) const PLACEHOLDER: &str = "[cleared to save context]";
/// Stands in for what a tool was asked.
const NO_ARGUMENTS: &str = "{}";

/// What clearing does to a message.
#[derive(Debug)]
pub(super) struct Cleared {
    /// The message, where it is not what [`all`] makes of it.
    copy: Option<Box<Message>>,
    /// Tool results cleared in it.
    pub(super) results: u32,
    /// It is cleared when so many of the conversation's tool uses may be.
    pub(super) uses: usize,
    /// Its tokens then.
    pub(super) cost: u64,
}

impl Cleared {
    /// `message` cleared.
    pub(super) fn of(self, message: &Message) -> Message {
        self.copy.map_or_else(|| all(message), |copy| *copy)
    }
}

/// Clears messages, and tells what they cost then.
pub(super) struct Clearer<'a, P> {
    clearing: &'a Clearing,
    price: P,
    /// What a message of so many cleared results and nothing else costs: ids are not counted.
    plain: Vec<Option<u64>>,
}

impl<'a, P: Fn(usize, &Message) -> u64> Clearer<'a, P> {
    /// `price` tells the tokens of a message, cleared, at an index.
    pub(super) const fn new(clearing: &'a Clearing, price: P) -> Self {
        Self { clearing, price, plain: Vec::new() }
    }

    /// What becomes of the message at `index`; `None` when nothing in it can be cleared. `pairs` has read it, and
    /// `first_call` is the number of its first call.
    pub(super) fn clear(
        &mut self,
        index: usize,
        message: &Message,
        pairs: &Pairs<'_>,
        first_call: usize,
    ) -> Option<Cleared> {
        if !message.content.iter().any(|block| is_clearable(block, self.clearing)) {
            return None;
        }
        if message.role == Role::Tool
            && message.name.is_none()
            && let Some(uses) = self.uses_of_all(message, pairs)
        {
            let results = message.content.len();
            let cost = self.plain(index, message);
            return Some(Cleared { copy: None, results: u32::try_from(results).unwrap_or(u32::MAX), uses, cost });
        }
        let copy = copy(message, self.clearing, pairs, first_call)?;
        Some(Cleared {
            cost: (self.price)(index, &copy.0),
            copy: Some(Box::new(copy.0)),
            results: copy.1,
            uses: copy.2,
        })
    }

    /// The tool uses that the message is part of, if it is all results that can be cleared.
    fn uses_of_all(&self, message: &Message, pairs: &Pairs<'_>) -> Option<usize> {
        let mut uses = message.content.iter().enumerate().map(|(nth, block)| match block {
            Block::ToolResult(result) => clearable(result, self.clearing, pairs.asked(nth)),
            _ => None,
        });
        uses.try_fold(0, |most, uses| Some(most.max(uses?)))
    }

    fn plain(&mut self, index: usize, message: &Message) -> u64 {
        let results = message.content.len();
        if self.plain.len() <= results {
            self.plain.resize(results + 1, None);
        }
        *self.plain[results].get_or_insert_with(|| (self.price)(index, &all(message)))
    }
}

/// The number of tool uses that the result of what was asked is within, if it can be cleared.
fn clearable(result: &ToolResult, clearing: &Clearing, asked: Option<Asked<'_>>) -> Option<usize> {
    let asked = asked?;
    let may = !clearing.exclude_tools.contains(asked.name);
    (may && !is_cleared(result)).then_some(asked.number + 1)
}

/// `message` with every result cleared.
fn all(message: &Message) -> Message {
    let clear = |block: &Block| match block {
        Block::ToolResult(result) => Block::ToolResult(without_content(result)),
        _ => block.clone(),
    };
    with_content(message, message.content.iter().map(clear).collect())
}

/// `message` with what can be cleared, the results cleared in it, and the tool uses that those are within.
fn copy(message: &Message, clearing: &Clearing, pairs: &Pairs<'_>, first_call: usize) -> Option<(Message, u32, usize)> {
    let (mut results, mut uses, mut calls) = (0, 0, first_call);
    let mut asked = (0..).map(|nth| pairs.asked(nth));
    let content = message.content.iter().map(|block| match block {
        Block::ToolResult(result) => match clearable(result, clearing, asked.next().flatten()) {
            Some(within) => {
                results += 1;
                uses = uses.max(within);
                Block::ToolResult(without_content(result))
            }
            None => block.clone(),
        },
        Block::ToolCall(call) => {
            calls += 1;
            if !clearing.inputs || clearing.exclude_tools.contains(&call.name) {
                return block.clone();
            }
            uses = uses.max(calls);
            let mut call = call.clone();
            NO_ARGUMENTS.clone_into(&mut call.arguments);
            Block::ToolCall(call)
        }
        _ => block.clone(),
    });
    let content = content.collect();
    (uses > 0).then(|| (with_content(message, content), results, uses))
}

fn with_content(message: &Message, content: Vec<Block>) -> Message {
    Message { role: message.role, content, name: message.name.clone(), extra: message.extra.clone() }
}

const fn is_clearable(block: &Block, clearing: &Clearing) -> bool {
    matches!(block, Block::ToolResult(_)) || (clearing.inputs && matches!(block, Block::ToolCall(_)))
}

fn is_cleared(result: &ToolResult) -> bool {
    matches!(result.content.as_slice(), [only] if only.as_text() == Some(PLACEHOLDER))
}

/// A mark of the prompt cache within it is kept.
fn without_content(result: &ToolResult) -> ToolResult {
    let extra = result.content.iter().rev().find_map(marks::of_block).unwrap_or_default();
    ToolResult {
        tool_call_id: result.tool_call_id.clone(),
        content: vec![Block::Text { text: PLACEHOLDER.to_owned(), extra }],
        is_error: result.is_error,
        extra: result.extra.clone(),
    }
}

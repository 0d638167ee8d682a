//! What clearing does to a message: the content of tool results gives way to a placeholder, and the arguments of calls
//! to an empty object if that is asked for. Calls and results stay, so that whoever reads them finds the pairs.

use schemas::chat::{Block, Message, ToolResult};

use super::marks;
use super::pairs::Pairs;
use crate::budget::Clearing;

/// Stands in for what a tool said.
pub(super) const PLACEHOLDER: &str = "[cleared to save context]";
/// Stands in for what a tool was asked.
const NO_ARGUMENTS: &str = "{}";

/// A message with what can be cleared of it cleared.
#[derive(Debug)]
pub(super) struct Cleared {
    /// The message.
    pub(super) message: Message,
    /// Tool results cleared in it.
    pub(super) results: u32,
    /// It is cleared when so many of the conversation's tool uses may be.
    pub(super) uses: usize,
    /// Its tokens.
    pub(super) cost: u64,
}

/// `message` cleared, at no cost yet; `None` when nothing in it can be. `pairs` has read it, and `first_call` is the
/// number of its first call.
pub(super) fn copy(message: &Message, clearing: &Clearing, pairs: &Pairs<'_>, first_call: usize) -> Option<Cleared> {
    if !message.content.iter().any(|block| is_clearable(block, clearing)) {
        return None;
    }
    let may = |name: &str| !clearing.exclude_tools.iter().any(|kept| kept == name);
    let (mut results, mut uses, mut calls) = (0, 0, first_call);
    let content = message.content.iter().map(|block| match block {
        Block::ToolResult(result) => match pairs.asked(&result.tool_call_id) {
            Some(asked) if may(asked.name) && !is_cleared(result) => {
                results += 1;
                uses = uses.max(asked.number + 1);
                Block::ToolResult(without_content(result))
            }
            _ => block.clone(),
        },
        Block::ToolCall(call) => {
            calls += 1;
            if !clearing.inputs || !may(&call.name) {
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
    let message = Message { role: message.role, content, name: message.name.clone(), extra: message.extra.clone() };
    (uses > 0).then_some(Cleared { message, results, uses, cost: 0 })
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

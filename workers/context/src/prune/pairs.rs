//! Whether every tool call of a turn has its result in it, and every result its call. Results may come in one message
//! or several, in any order, several for one call, and calls may be made while others wait.

use std::collections::HashMap;

use schemas::chat::{Block, Message};

/// A tool call or result without its counterpart, and the index of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A result that answers no call before it in its turn.
    #[error("the tool result in messages[{0}] answers no tool call before it in its turn")]
    Orphan(usize),
    /// A call that nothing answers in its turn.
    #[error("a tool call in messages[{0}] has no result in its turn")]
    Unanswered(usize),
}

impl Fault {
    /// The index of the message at fault.
    #[must_use]
    pub const fn message(self) -> usize {
        match self {
            Self::Orphan(index) | Self::Unanswered(index) => index,
        }
    }
}

/// The calls of one turn.
#[derive(Default)]
pub(super) struct Pairs<'a> {
    /// For each id, the messages whose calls wait for a result, oldest first; empty when all are answered.
    waiting: HashMap<&'a str, Vec<usize>>,
    orphan: Option<usize>,
}

impl<'a> Pairs<'a> {
    /// Takes the next message of the turn.
    pub(super) fn read(&mut self, index: usize, message: &'a Message) {
        for block in &message.content {
            match block {
                Block::ToolCall(call) => self.waiting.entry(&call.id).or_default().push(index),
                Block::ToolResult(result) => match self.waiting.get_mut(result.tool_call_id.as_str()) {
                    Some(calls) => drop(calls.pop()),
                    None => self.orphan = self.orphan.or(Some(index)),
                },
                _ => {}
            }
        }
    }

    /// What is wrong, once the turn has been read.
    pub(super) fn fault(&self) -> Option<Fault> {
        let unanswered = || self.waiting.values().flatten().min().copied().map(Fault::Unanswered);
        self.orphan.map(Fault::Orphan).or_else(unanswered)
    }
}

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

/// A call, as far as its results want to know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The tool.
    pub(super) name: &'a str,
    /// Which call of the conversation it is, counted from 0.
    pub(super) number: usize,
    message: usize,
}

/// The calls of one turn.
#[derive(Default)]
pub(super) struct Pairs<'a> {
    calls: HashMap<&'a str, Calls<'a>>,
    /// Calls that wait for a result.
    waiting: usize,
    orphan: Option<usize>,
}

/// The calls that share an id.
#[derive(Default)]
struct Calls<'a> {
    /// Those that wait for a result, oldest first.
    waiting: Vec<Asked<'a>>,
    /// The one that the last result answered.
    answered: Option<Asked<'a>>,
}

impl<'a> Pairs<'a> {
    /// Takes the next message of the turn; `number` is that of the next call, and moves on.
    pub(super) fn read(&mut self, index: usize, message: &'a Message, number: &mut usize) {
        for block in &message.content {
            match block {
                Block::ToolCall(call) => {
                    let asked = Asked { name: &call.name, number: *number, message: index };
                    self.calls.entry(&call.id).or_default().waiting.push(asked);
                    self.waiting += 1;
                    *number += 1;
                }
                Block::ToolResult(result) => self.answer(index, &result.tool_call_id),
                _ => {}
            }
        }
    }

    fn answer(&mut self, index: usize, id: &str) {
        let Some(calls) = self.calls.get_mut(id) else {
            self.orphan = self.orphan.or(Some(index));
            return;
        };
        if let Some(call) = calls.waiting.pop() {
            calls.answered = Some(call);
            self.waiting -= 1;
        }
    }

    /// The call that the last result with this id answered.
    pub(super) fn asked(&self, id: &str) -> Option<Asked<'a>> {
        self.calls.get(id).and_then(|calls| calls.answered)
    }

    /// Whether the turn could be sent as it is so far.
    pub(super) const fn is_settled(&self) -> bool {
        self.waiting == 0 && self.orphan.is_none()
    }

    /// What is wrong, once the turn has been read.
    pub(super) fn fault(&self) -> Option<Fault> {
        let waiting = || self.calls.values().flat_map(|calls| &calls.waiting).map(|call| call.message).min();
        self.orphan.map(Fault::Orphan).or_else(|| waiting().map(Fault::Unanswered))
    }
}

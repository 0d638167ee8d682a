//! Whether every tool call of a turn has its result in it, and every result its call. Results may come in one message
//! or several, in any order, several for one call, and calls may be made while others wait.

use std::collections::HashMap;

use ahash::RandomState;
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
}

/// The calls of a conversation, turn by turn: those of earlier turns are forgotten where their ids come again.
#[derive(Default)]
pub(super) struct Pairs<'a> {
    ids: HashMap<&'a str, Id, RandomState>,
    /// Those of this turn.
    calls: Vec<Call<'a>>,
    /// The call that each result of the last message answers, by its place in `calls`.
    answered: Vec<Option<usize>>,
    turn: usize,
    /// Calls that wait for a result.
    waiting: usize,
    orphan: Option<usize>,
}

/// The calls of a turn that share an id, by their places.
#[derive(Default)]
struct Id {
    turn: usize,
    /// The youngest that waits for a result.
    waiting: Option<usize>,
    /// The one that the last result answered.
    answered: Option<usize>,
}

struct Call<'a> {
    asked: Asked<'a>,
    message: usize,
    is_answered: bool,
    /// The next younger one with its id that waits.
    next: Option<usize>,
}

impl<'a> Pairs<'a> {
    /// Goes on to the next turn.
    pub(super) fn begin(&mut self) {
        self.turn += 1;
        self.calls.clear();
        (self.waiting, self.orphan) = (0, None);
    }

    /// Takes the next message of the turn; `number` is that of the next call, and moves on.
    pub(super) fn read(&mut self, index: usize, message: &'a Message, number: &mut usize) {
        self.answered.clear();
        for block in &message.content {
            match block {
                Block::ToolCall(call) => {
                    self.call(&call.id, index, Asked { name: &call.name, number: *number });
                    *number += 1;
                }
                Block::ToolResult(result) => self.answer(index, &result.tool_call_id),
                _ => {}
            }
        }
    }

    fn call(&mut self, id: &'a str, message: usize, asked: Asked<'a>) {
        let id = self.ids.entry(id).or_default();
        if id.turn != self.turn {
            *id = Id { turn: self.turn, ..Id::default() };
        }
        let next = id.waiting.replace(self.calls.len());
        self.calls.push(Call { asked, message, is_answered: false, next });
        self.waiting += 1;
    }

    /// One result more than calls is taken for another of the last.
    fn answer(&mut self, index: usize, id: &str) {
        let Some(id) = self.ids.get_mut(id).filter(|id| id.turn == self.turn) else {
            self.orphan = self.orphan.or(Some(index));
            self.answered.push(None);
            return;
        };
        if let Some(place) = id.waiting {
            let call = &mut self.calls[place];
            call.is_answered = true;
            (id.waiting, id.answered) = (call.next, Some(place));
            self.waiting -= 1;
        }
        self.answered.push(id.answered);
    }

    /// The call that a result of the last message, counted from 0, answers.
    pub(super) fn asked(&self, result: usize) -> Option<Asked<'a>> {
        let place = self.answered.get(result).copied().flatten()?;
        Some(self.calls[place].asked)
    }

    /// Whether the turn could be sent as it is so far.
    pub(super) const fn is_settled(&self) -> bool {
        self.waiting == 0 && self.orphan.is_none()
    }

    /// What is wrong, once the turn has been read.
    pub(super) fn fault(&self) -> Option<Fault> {
        let waiting = || self.calls.iter().find(|call| !call.is_answered).map(|call| call.message);
        self.orphan.map(Fault::Orphan).or_else(|| waiting().map(Fault::Unanswered))
    }
}

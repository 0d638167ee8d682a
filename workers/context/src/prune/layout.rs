//! A conversation as turns.

use std::ops::Range;

use schemas::chat::{Block, Message, Role};
use schemas::state::Warning;

use super::pairs::{Fault, Pairs};

/// A conversation: what stays in any case, and what comes and goes whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Tokens of all system and developer messages, wherever they stand.
    pub(super) pinned: u64,
    /// What stands before the first user's message, system messages aside.
    pub(super) preamble: Option<Turn>,
    /// The turns before the newest, oldest first.
    pub(super) older: Vec<Turn>,
    /// From the newest user's message on.
    pub(super) newest: Option<Turn>,
}

/// A run of messages that are sent together or not at all. System messages within it are not part of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Where it stands.
    pub(super) messages: Range<usize>,
    /// Its tokens, system messages aside.
    pub(super) cost: u64,
    /// Why it cannot be sent.
    pub(super) fault: Option<Fault>,
    /// It begins with a user's message.
    pub(super) has_user: bool,
}

impl Layout {
    /// Lays out `messages`, of which each costs what stands at its place in `costs`.
    pub(super) fn of(messages: &[Message], costs: &[u64]) -> Self {
        let mut pinned = 0;
        let mut older = Vec::new();
        let mut open: Option<Open<'_>> = None;
        for (index, (message, cost)) in messages.iter().zip(costs).enumerate() {
            if message.role.is_system() {
                pinned += cost;
                continue;
            }
            if begins_turn(message) {
                older.extend(open.take().map(|turn| turn.close(index)));
            }
            open.get_or_insert_with(|| Open::at(index, message)).push(index, message, *cost);
        }
        older.extend(open.map(|turn| turn.close(messages.len())));
        let preamble = older.first().is_some_and(|turn| !turn.has_user).then(|| older.remove(0));
        let newest = older.pop();
        Self { pinned, preamble, older, newest }
    }

    /// All of it in order.
    pub(super) fn turns(&self) -> impl Iterator<Item = &Turn> {
        self.preamble.iter().chain(&self.older).chain(&self.newest)
    }
}

impl Turn {
    /// What to tell a client whose turn was left out although it fitted.
    pub(super) fn warning(&self) -> Option<Warning> {
        let reason = match self.fault {
            Some(fault) => fault.to_string(),
            None if self.has_user => return None,
            None => "it comes before the first user message".to_owned(),
        };
        Some(Warning {
            code: "context_repaired".to_owned(),
            param: Some(format!("messages[{}]", self.messages.start)),
            message: format!(
                "messages {} to {} were left out: {reason}",
                self.messages.start,
                self.messages.end.saturating_sub(1)
            ),
        })
    }
}

/// A user's message begins a turn, unless it only carries tool results, as it does in some dialects.
fn begins_turn(message: &Message) -> bool {
    message.role == Role::User && !message.content.iter().any(|block| matches!(block, Block::ToolResult(_)))
}

/// A turn that is being read.
struct Open<'a> {
    start: usize,
    cost: u64,
    has_user: bool,
    pairs: Pairs<'a>,
}

impl<'a> Open<'a> {
    fn at(start: usize, first: &Message) -> Self {
        Self { start, cost: 0, has_user: begins_turn(first), pairs: Pairs::default() }
    }

    fn push(&mut self, index: usize, message: &'a Message, cost: u64) {
        self.cost += cost;
        self.pairs.read(index, message);
    }

    fn close(self, end: usize) -> Turn {
        let fault = self.pairs.fault();
        Turn { messages: self.start..end, cost: self.cost, fault, has_user: self.has_user }
    }
}

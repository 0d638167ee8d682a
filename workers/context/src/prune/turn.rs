//! Turns of a conversation: what begins one, and whether it can be sent.

use std::ops::Range;

use schemas::chat::{Block, Message, Role};
use schemas::warning::Warning;

use super::pairs::Fault;

/// A run of messages that are sent together or not at all. System messages within it are not part of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Where it stands.
    pub(super) messages: Range<usize>,
    /// Why it cannot be sent.
    pub(super) fault: Option<Fault>,
    /// It begins with a user's message.
    pub(super) has_user: bool,
}

impl Turn {
    /// Whether it can be sent.
    pub(super) const fn is_sound(&self) -> bool {
        self.fault.is_none() && self.has_user
    }

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
pub(super) fn begins_turn(message: &Message) -> bool {
    message.role == Role::User && !message.content.iter().any(|block| matches!(block, Block::ToolResult(_)))
}

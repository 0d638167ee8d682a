//! The summary that stands in for the beginning of a conversation.

use schemas::chat::{Message, Role};

/// Says what the text is. The model must not take it for its instructions.
const TITLE: &str = "Summary of the conversation before what follows:";

/// The summary of a conversation's beginning, as its session has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What was said.
    pub text: String,
    /// It stands for so many leading messages of the conversation, system messages aside.
    pub covers: usize,
    /// It also tells of messages before the first of the conversation, which are kept nowhere: it is sent in any case.
    pub covers_lost: bool,
}

/// A summary as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StandIn {
    /// The message that says it.
    pub(super) message: Message,
    /// It is sent though nothing is dropped.
    pub(super) always: bool,
}

impl Summary {
    /// It as it is sent.
    pub(super) fn stand_in(&self) -> StandIn {
        let message = Message::text(Role::System, format!("{TITLE}\n{}", self.text));
        StandIn { message, always: self.covers_lost }
    }

    /// Whether it says anything of what was left out.
    pub(super) const fn is_of_use(&self) -> bool {
        (self.covers > 0 || self.covers_lost) && !self.text.is_empty()
    }
}

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
}

impl Summary {
    /// The message that says it.
    pub(super) fn message(&self) -> Message {
        Message::text(Role::System, format!("{TITLE}\n{}", self.text))
    }

    /// Whether it says anything of what was left out.
    pub(super) const fn is_of_use(&self) -> bool {
        self.covers > 0 && !self.text.is_empty()
    }
}

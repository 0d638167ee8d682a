//! One turn of a session: what its request added and what was answered, and the prompt that a turn becomes.

use serde::{Deserialize, Serialize};

use crate::chat::{Block, ChatRequest, Message, Role};
use crate::envelope::{self, EnvelopeError};
use crate::id::JobId;
use crate::timestamp::Timestamp;

/// What a turn takes beside its messages, at most.
const FRAME: u64 = 160;

/// One turn, or some messages that a client put there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The job that it was, or an id of its own.
    pub id: JobId,
    /// Its number in the session, from 1; `None` for messages that no job made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// What was said.
    #[serde(default)]
    pub messages: Vec<Message>,
    /// What that takes of a prompt.
    #[serde(default)]
    pub tokens: u64,
    /// What it takes of the stored history.
    #[serde(default)]
    pub bytes: u64,
    /// When it was added.
    pub at: Timestamp,
}

/// Why messages cannot be a turn.
#[derive(Debug, thiserror::Error)]
pub enum TurnFault {
    /// A block stands in a message of a role that cannot have it.
    #[error("messages[{0}]: its role cannot have what it holds")]
    Role(usize),
    /// Nothing would be left of them.
    #[error("the messages alone take {bytes} bytes and {tokens} tokens, more than a session may")]
    TooLarge {
        /// What they take of a history.
        bytes: u64,
        /// What they take of a prompt.
        tokens: u64,
    },
    /// They cannot be stored.
    #[error("the messages cannot be stored")]
    Encode(#[from] EnvelopeError),
}

impl Turn {
    /// A turn of these messages, which nobody has counted yet.
    ///
    /// # Errors
    /// [`TurnFault`] when calls stand outside an assistant's message, or results within one.
    pub fn new(id: JobId, messages: Vec<Message>, at: Timestamp) -> Result<Self, TurnFault> {
        if let Some(index) = messages.iter().position(|message| !is_fit(message)) {
            return Err(TurnFault::Role(index));
        }
        let bytes = envelope::encode(&messages)?.len() as u64 + FRAME;
        Ok(Self { id, number: None, messages, tokens: 0, bytes, at })
    }

    /// A turn of which nothing is kept but that it was.
    #[must_use]
    pub const fn empty(id: JobId, at: Timestamp) -> Self {
        Self { id, number: None, messages: Vec::new(), tokens: 0, bytes: FRAME, at }
    }

    /// Whether it goes on with what the turn before it began: it answers calls that were made there, which only a
    /// dialect may know.
    pub(super) fn goes_on(&self) -> bool {
        let result = |block: &Block| matches!(block, Block::ToolResult(_));
        let answers = |message: &Message| message.role == Role::Tool || message.content.iter().any(result);
        self.messages.first().is_some_and(answers)
    }
}

/// Calls and reasoning are a model's, results are not.
fn is_fit(message: &Message) -> bool {
    let assistant = message.role == Role::Assistant;
    message.content.iter().all(|block| match block {
        Block::ToolCall(_) | Block::Reasoning(_) => assistant,
        Block::ToolResult(_) => matches!(message.role, Role::Tool | Role::User),
        _ => true,
    })
}

/// What a request and its answer add to their session. Standing instructions are those of one request alone; an answer
/// that says nothing is none.
#[must_use]
pub fn said(request: ChatRequest, answer: Option<Message>) -> Vec<Message> {
    let asked = request.messages.into_iter().filter(|message| !message.role.is_system());
    asked.chain(answer.filter(|answer| !answer.content.is_empty())).collect()
}

/// The messages that a model is asked in a turn: the request's standing instructions, the history, what is new.
#[must_use]
pub fn prompt<'m>(history: impl Iterator<Item = &'m Message>, asked: Vec<Message>) -> Vec<Message> {
    let (standing, new): (Vec<_>, Vec<_>) = asked.into_iter().partition(|message| message.role.is_system());
    standing.into_iter().chain(history.cloned()).chain(new).collect()
}

/// How many messages of each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleCounts {
    /// Standing instructions.
    pub system: u64,
    /// Standing instructions of a developer.
    pub developer: u64,
    /// Of whoever asks.
    pub user: u64,
    /// Of the model.
    pub assistant: u64,
    /// Of tools.
    pub tool: u64,
}

impl RoleCounts {
    /// Counts `messages`.
    #[must_use]
    pub fn of<'m>(messages: impl Iterator<Item = &'m Message>) -> Self {
        let mut counts = Self::default();
        for message in messages {
            *match message.role {
                Role::System => &mut counts.system,
                Role::Developer => &mut counts.developer,
                Role::User => &mut counts.user,
                Role::Assistant => &mut counts.assistant,
                Role::Tool => &mut counts.tool,
            } += 1;
        }
        counts
    }
}

//! Conversations that cannot be sent.

use schemas::error::{CONTEXT_LENGTH_EXCEEDED, ErrorCode, Failure};

pub use super::pairs::Fault;
use crate::budget::Room;

/// Why a conversation cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What must be sent is more than the budget.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A tool call or result that must be sent lacks its counterpart.
    #[error("{0}")]
    Unpaired(Fault),
    /// There are answers, and no user's message before them.
    #[error("the conversation has no user message")]
    NoUser,
}

/// What must be sent is more than the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the conversation needs {needed} input tokens{}, and {} are allowed: a window of {} less {} kept for the answer{}",
    self.what(), room.limit(), room.window, room.reserve_output, self.cap()
)]
pub struct TooLarge {
    /// Tokens of what must be sent.
    pub needed: u64,
    /// What there is room for.
    pub room: Room,
}

impl TooLarge {
    const fn what(&self) -> &'static str {
        match self.room.strategy {
            schemas::context::ContextStrategy::Auto => " for its system prompts, tools and newest turn alone",
            schemas::context::ContextStrategy::Disabled => ", pruning is disabled",
        }
    }

    fn cap(&self) -> String {
        self.room.cap.map_or_else(String::new, |cap| format!(", and at most {cap} asked for"))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let param = match refusal {
            Refusal::TooLarge(_) | Refusal::NoUser => "messages".to_owned(),
            Refusal::Unpaired(fault) => format!("messages[{}]", fault.message()),
        };
        match refusal {
            Refusal::TooLarge(fault) => {
                let message = format!("{CONTEXT_LENGTH_EXCEEDED}: {fault}");
                Self { param: Some(param), ..Self::new(ErrorCode::InvalidRequest, message) }
            }
            _ => Self::invalid(param, refusal),
        }
    }
}

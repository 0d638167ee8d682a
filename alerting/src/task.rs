//! One call to Telegram, before it is made: what it says, where, and what it tells. Plain data.

use schemas::alert::{AlertState, Severity};
use serde::{Deserialize, Serialize};

use crate::button::Keyboard;
use crate::rich::Rich;

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Action {
    /// A new message.
    Send,
    /// A message is brought up to date.
    Edit {
        /// Its number.
        message: i32,
    },
    /// A new message that alerts ended, in reply to the one that told them, if it is one.
    Notice {
        /// Its number.
        reply_to: Option<i32>,
    },
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) chat: String,
    pub(crate) action: Action,
    pub(crate) severity: Severity,
    /// Without markup, since Telegram refused it.
    pub(crate) plain: bool,
    pub(crate) text: Rich,
    pub(crate) members: Vec<Member>,
    /// The topic of a new message, in a chat that has topics.
    pub(crate) topic: Option<i32>,
    pub(crate) keyboard: Keyboard,
    /// What it is about when it tells no alert.
    pub(crate) own: Option<Own>,
}

impl Task {
    /// A call that tells no alert yet.
    pub(crate) fn new(chat: &str, action: Action, text: Rich) -> Self {
        Self {
            chat: chat.to_owned(),
            action,
            severity: Severity::Info,
            plain: false,
            text,
            members: Vec::new(),
            topic: None,
            keyboard: Keyboard::new(),
            own: None,
        }
    }
}

/// An episode that a call tells, as it was when the text was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) number: u32,
    pub(crate) version: u64,
    pub(crate) state: AlertState,
    pub(crate) severity: Severity,
}

/// A call of ours that tells no alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// An answer to an operator.
    Reply,
    /// The digest of all days up to this one.
    Daily(i64),
}

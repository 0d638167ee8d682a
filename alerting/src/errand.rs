//! What whoever receives has the desk do in Telegram, where every call keeps one pace; and what the desk lets them know.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::rich::Rich;

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) chat: String,
    pub(crate) topic: Option<i32>,
    /// The message that is answered.
    pub(crate) reply_to: Option<i32>,
}

/// Something to do in Telegram.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Tell this.
    Say {
        place: Place,
        texts: Vec<Rich>,
        /// Hears whether it will be told: not when too much waits already.
        taken: oneshot::Sender<bool>,
    },
    /// Telegram said to come back later: it means all of us.
    Hold(Duration),
}

/// What the desk lets its receiver know.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The chats that are ours, wherever they moved.
    pub(crate) chats: BTreeSet<String>,
    /// Until when Telegram wants no calls.
    pub(crate) held_until: Option<Instant>,
}

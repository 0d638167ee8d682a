//! One thing that somebody did, let in.

use std::collections::BTreeSet;

use crate::rich::cut;
use crate::telegram::{Person, Spot};

/// Longest name of a person, as it is kept and shown.
const NAME: usize = 64;

/// One thing that somebody did, let in.
pub(super) struct Visit<'a> {
    pub(super) person: &'a Person,
    pub(super) spot: &'a Spot,
    pub(super) update: u32,
    pub(super) actor: Actor,
}

/// Whoever acts, and where their press finds what a message tells.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) name: String,
    pub(super) chat: String,
    pub(super) message: i32,
    /// Names what they did: the same for the same press or text, so that it is done once.
    pub(super) deed: String,
}

impl<'a> Visit<'a> {
    /// `chats` are ours: one is known by the name that the configuration gives it, so that it has one pace.
    pub(super) fn new(person: &'a Person, spot: &'a Spot, update: u32, chats: &BTreeSet<String>) -> Self {
        let named = |chat: &&String| spot.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(chat));
        let chat = chats.iter().find(named).cloned().unwrap_or_else(|| spot.chat.to_string());
        let (name, message) = (cut(&person.name, NAME), spot.message);
        Self { person, spot, update, actor: Actor { name, chat, message, deed: format!("s{update}") } }
    }
}

//! Which chat an alert goes to: by severity, else the general one; followed when a group moved, and left out for a
//! while when it refuses us.

use std::collections::BTreeMap;

use runtime::config::TelegramConfig;
use schemas::alert::Severity;
use schemas::envelope::{self, EnvelopeError};
use serde::{Deserialize, Serialize};

/// The configured chats, and where they moved to.
#[derive(Debug, Clone)]
pub(crate) struct Chats {
    general: String,
    by_severity: BTreeMap<Severity, String>,
    moved: Moved,
}

/// Groups that became supergroups: the old chat and the new one. Kept in the bucket, since the old one stays configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Moved(BTreeMap<String, String>);

impl Chats {
    /// The chats of the configuration.
    pub(crate) fn new(config: &TelegramConfig) -> Self {
        let own = [
            (Severity::Critical, &config.chat_id_critical),
            (Severity::Warning, &config.chat_id_warning),
            (Severity::Info, &config.chat_id_info),
        ];
        let by_severity = own.into_iter().filter(|(_, chat)| !chat.is_empty());
        Self {
            general: config.chat_id.clone(),
            by_severity: by_severity.map(|(severity, chat)| (severity, chat.clone())).collect(),
            moved: Moved::default(),
        }
    }

    /// One chat for everything.
    pub(crate) fn only(chat: &str) -> Self {
        Self { general: chat.to_owned(), by_severity: BTreeMap::new(), moved: Moved::default() }
    }

    /// The chat for `severity`, or the general one when that is not `usable`; nothing when neither is.
    pub(crate) fn route(&self, severity: Severity, usable: impl Fn(&str) -> bool) -> Option<&str> {
        let own = self.by_severity.get(&severity);
        own.into_iter().chain([&self.general]).map(|chat| self.follow(chat)).find(|chat| usable(chat))
    }

    /// Where `chat` is now.
    pub(crate) fn follow<'a>(&'a self, chat: &'a str) -> &'a str {
        self.moved.0.get(chat).map_or(chat, String::as_str)
    }

    /// `from` became `to`; whatever led to `from` leads there too.
    pub(crate) fn moved(&mut self, from: &str, to: &str) {
        if from == to {
            return;
        }
        self.moved.0.values_mut().filter(|target| *target == from).for_each(|target| to.clone_into(target));
        self.moved.0.insert(from.to_owned(), to.to_owned());
        self.moved.0.remove(to);
    }

    /// The moves, to be kept.
    pub(crate) fn encode_moves(&self) -> Result<Vec<u8>, EnvelopeError> {
        Ok(envelope::encode(&self.moved)?.to_vec())
    }

    /// Takes up the moves that were kept.
    pub(crate) fn decode_moves(&mut self, bytes: &[u8]) -> Result<(), EnvelopeError> {
        self.moved = envelope::decode(bytes)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn chats() -> Chats {
        let mut config = fixture::telegram();
        config.chat_id = "-1".to_owned();
        config.chat_id_critical = "@night".to_owned();
        Chats::new(&config)
    }

    #[test]
    fn a_severity_without_a_chat_takes_the_general_one() {
        assert_eq!(chats().route(Severity::Critical, |_| true), Some("@night"));
        assert_eq!(chats().route(Severity::Warning, |_| true), Some("-1"));
    }

    #[test]
    fn a_chat_that_refuses_us_is_replaced_by_the_general_one() {
        assert_eq!(chats().route(Severity::Critical, |chat| chat != "@night"), Some("-1"));
        assert_eq!(chats().route(Severity::Info, |chat| chat != "-1"), None);
    }

    #[test]
    fn moves_are_followed_and_kept() {
        let mut chats = chats();
        chats.moved("-1", "-1001");
        chats.moved("-1001", "-1002");
        let mut restarted = super::tests::chats();
        restarted.decode_moves(&chats.encode_moves().unwrap()).unwrap();
        assert_eq!(restarted.route(Severity::Info, |_| true), Some("-1002"));
        assert_eq!(restarted.follow("-1001"), "-1002");
    }

    #[test]
    fn moving_back_makes_no_circle() {
        let mut chats = chats();
        chats.moved("-1", "-2");
        chats.moved("-2", "-1");
        assert_eq!(chats.follow("-1"), "-1");
        assert_eq!(chats.follow("-2"), "-1");
    }
}

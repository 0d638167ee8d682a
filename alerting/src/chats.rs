//! Which chat an alert goes to: by its route, else by severity, else the general one; followed when a group moved, and
//! left out for a while when it refuses us.

use std::collections::{BTreeMap, BTreeSet};

use runtime::config::TelegramConfig;
use schemas::alert::Severity;
use schemas::envelope::{self, EnvelopeError};
use schemas::matcher::Facts;
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

use crate::routes::Routes;

/// The configured chats, and where they moved to.
#[derive(Debug, Clone)]
pub(crate) struct Chats {
    general: String,
    by_severity: BTreeMap<Severity, String>,
    routes: Routes,
    moved: Moved,
    /// Topics that there are not, or that are closed.
    closed: BTreeSet<(String, i32)>,
}

/// A chat, and a topic in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place<'a> {
    pub(crate) chat: &'a str,
    pub(crate) topic: Option<i32>,
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
            routes: Routes::new(config),
            moved: Moved::default(),
            closed: BTreeSet::new(),
        }
    }

    /// One chat for everything.
    pub(crate) fn only(chat: &str) -> Self {
        Self {
            general: chat.to_owned(),
            by_severity: BTreeMap::new(),
            routes: Routes::default(),
            moved: Moved::default(),
            closed: BTreeSet::new(),
        }
    }

    /// Where an alert goes: to its route's chat and topic, or where its severity goes when that chat is not `usable`.
    pub(crate) fn place(&self, facts: &Facts<'_>, usable: impl Fn(&str) -> bool) -> Option<Place<'_>> {
        let own = self.routes.find(facts).and_then(|route| {
            let configured = route.chat.as_deref()?;
            let chat = self.follow(configured);
            // A group has no topics: what it moved to numbers its own.
            let topic = route.topic.filter(|topic| chat == configured && !self.is_closed(chat, *topic));
            usable(chat).then_some(Place { chat, topic })
        });
        own.or_else(|| self.route(facts.severity, usable).map(|chat| Place { chat, topic: None }))
    }

    /// Whether an alert waits at `moment`, since it is quiet where it goes.
    pub(crate) fn is_quiet(&self, facts: &Facts<'_>, moment: Timestamp) -> bool {
        self.routes.find(facts).is_some_and(|route| route.is_quiet(facts.severity, moment))
    }

    /// Every chat that is ours, under its name in the configuration and wherever it moved.
    pub(crate) fn all(&self) -> BTreeSet<String> {
        let configured =
            self.by_severity.values().map(String::as_str).chain([&*self.general]).chain(self.routes.chats());
        let configured = configured.filter(|chat| !chat.is_empty());
        configured.flat_map(|chat| [chat, self.follow(chat)]).map(str::to_owned).collect()
    }

    /// `topic` cannot be written to: what goes there goes to its chat.
    pub(crate) fn close_topic(&mut self, chat: &str, topic: i32) {
        self.closed.insert((chat.to_owned(), topic));
    }

    /// Whether this topic cannot be written to.
    pub(crate) fn is_closed(&self, chat: &str, topic: i32) -> bool {
        self.closed.iter().any(|(closed, number)| closed == chat && *number == topic)
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
    use schemas::alert::AlertKind;

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
    fn a_route_goes_before_severity_and_falls_back_to_it() {
        let mut config = fixture::telegram();
        config.chat_id = "-1".to_owned();
        config.routes = vec![runtime::config::RouteConfig {
            matchers: vec!["kind=disk".parse().unwrap()],
            chat: "-7".to_owned(),
            topic: Some(42),
            ..runtime::config::RouteConfig::default()
        }];
        let mut chats = Chats::new(&config);
        let labels = BTreeMap::new();
        let facts = |kind| Facts { kind, severity: Severity::Warning, fingerprint: "", labels: &labels };
        let place = |chats: &Chats, kind, refusing: &str| {
            chats.place(&facts(kind), |chat| chat != refusing).map(|place| (place.chat.to_owned(), place.topic))
        };
        assert_eq!(place(&chats, AlertKind::Disk, ""), Some(("-7".to_owned(), Some(42))));
        assert_eq!(place(&chats, AlertKind::Memory, ""), Some(("-1".to_owned(), None)));
        assert_eq!(place(&chats, AlertKind::Disk, "-7"), Some(("-1".to_owned(), None)));
        chats.close_topic("-7", 42);
        assert_eq!(place(&chats, AlertKind::Disk, ""), Some(("-7".to_owned(), None)));
        chats.moved("-7", "-1007");
        assert_eq!(place(&chats, AlertKind::Disk, ""), Some(("-1007".to_owned(), None)));
        assert_eq!(chats.all(), BTreeSet::from(["-1", "-7", "-1007"].map(str::to_owned)));
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

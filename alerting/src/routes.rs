//! Routes by what an alert is about, in the order of the configuration; and when they are quiet. Pure.

use runtime::config::TelegramConfig;
use runtime::config::hours::{Hours, UtcOffset};
use schemas::alert::Severity;
use schemas::matcher::{Facts, Matcher, all_match};
use schemas::timestamp::Timestamp;

/// The configured routes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Routes(Vec<Route>);

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    matchers: Vec<Matcher>,
    /// Its own chat, if it has one.
    pub(crate) chat: Option<String>,
    /// The topic in that chat.
    pub(crate) topic: Option<i32>,
    quiet: Option<Hours>,
    offset: UtcOffset,
}

impl Routes {
    /// The routes of the configuration.
    pub(crate) fn new(config: &TelegramConfig) -> Self {
        let routes = config.routes.iter().map(|route| Route {
            matchers: route.matchers.clone(),
            chat: Some(route.chat.clone()).filter(|chat| !chat.is_empty()),
            topic: route.topic,
            quiet: route.quiet,
            offset: route.utc_offset.unwrap_or(config.utc_offset),
        });
        Self(routes.collect())
    }

    /// The first that matches.
    pub(crate) fn find(&self, facts: &Facts<'_>) -> Option<&Route> {
        self.0.iter().find(|route| all_match(&route.matchers, facts))
    }

    /// Every chat that a route names.
    pub(crate) fn chats(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|route| route.chat.as_deref())
    }
}

impl Route {
    /// Whether an alert of this severity waits at `moment`.
    pub(crate) fn is_quiet(&self, severity: Severity, moment: Timestamp) -> bool {
        severity < Severity::Critical && self.quiet.is_some_and(|hours| hours.contain(moment, self.offset))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use runtime::config::RouteConfig;
    use schemas::alert::AlertKind;

    use super::*;
    use crate::fixture::{self, NOON};

    fn routes() -> Routes {
        let mut config = fixture::telegram();
        config.utc_offset = "+02:00".parse().unwrap();
        let matchers = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        config.routes = vec![
            RouteConfig {
                matchers: matchers(&["kind=~breaker_open|provider_auth", "provider=openai"]),
                chat: "-7".to_owned(),
                topic: Some(42),
                ..RouteConfig::default()
            },
            RouteConfig { quiet: Some("22:00-07:00".parse().unwrap()), ..RouteConfig::default() },
        ];
        Routes::new(&config)
    }

    #[test]
    fn the_first_match_decides() {
        let routes = routes();
        let labels = |provider: &str| BTreeMap::from([("provider".to_owned(), provider.to_owned())]);
        let chat = |kind, provider: &str| {
            let labels = labels(provider);
            let facts = Facts { kind, severity: Severity::Warning, fingerprint: "", labels: &labels };
            routes.find(&facts).and_then(|route| route.chat.clone().zip(route.topic))
        };
        assert_eq!(chat(AlertKind::BreakerOpen, "openai"), Some(("-7".to_owned(), 42)));
        assert_eq!(chat(AlertKind::BreakerOpen, "other"), None);
        assert_eq!(chat(AlertKind::Disk, "openai"), None);
        assert_eq!(routes.chats().collect::<Vec<_>>(), ["-7"]);
    }

    #[test]
    fn only_what_is_critical_is_told_at_night() {
        let routes = routes();
        let night = NOON.after(Duration::from_secs(9 * 3600));
        let waits = |severity, moment| routes.0[1].is_quiet(severity, moment);
        assert!(waits(Severity::Warning, night) && waits(Severity::Info, night));
        assert!(!waits(Severity::Critical, night) && !waits(Severity::Warning, NOON));
        assert!(!routes.0[0].is_quiet(Severity::Info, night));
    }
}

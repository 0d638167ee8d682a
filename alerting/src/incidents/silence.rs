//! Silences: for a while nobody is told of alerts that match. Their messages, where they have one, stay up to date, since
//! an edit rings no bell. When a silence ends, what fires still is told. Pure: time is an argument.

use std::collections::BTreeMap;

use schemas::matcher::{Facts, Matcher, all_match};
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

use super::episode::Cause;
use super::incident::{Incident, Silenced};

/// Most matchers of one silence.
pub(crate) const MAX_MATCHERS: usize = 16;
/// Most bytes of its id, of its author and of its comment.
pub(crate) const MAX_TEXT: usize = 256;
/// What the keys of silences in the bucket begin with.
pub(crate) const SILENCE_PREFIX: &str = "silence.";

/// For a while nobody is told of alerts that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Silence {
    /// Letters, digits, `-` and `_`. Another one of the same id replaces it.
    pub(crate) id: String,
    /// All of them hold.
    pub(crate) matchers: Vec<Matcher>,
    /// From when.
    pub(crate) starts: Timestamp,
    /// Until when.
    pub(crate) until: Timestamp,
    /// Who wants it so.
    pub(crate) by: String,
    /// Why.
    #[serde(default)]
    pub(crate) comment: String,
}

impl Silence {
    /// Whether it is in force and speaks of this.
    fn covers(&self, facts: &Facts<'_>, now: Timestamp) -> bool {
        self.starts <= now && now < self.until && all_match(&self.matchers, facts)
    }
}

impl Incident {
    /// Brings it under the silence that covers it for longest, or out of silence; tells whether that changed anything.
    pub(super) fn match_silences(&mut self, key: &str, silences: &BTreeMap<String, Silence>, now: Timestamp) -> bool {
        let facts = self.facts(key);
        let covering = silences.values().filter(|silence| silence.covers(&facts, now));
        let covering = covering.max_by_key(|silence| (silence.until, &silence.id));
        let since = self.silenced.as_ref().map_or(now, |silenced| silenced.since);
        let silenced = covering.map(|silence| Silenced {
            id: silence.id.clone(),
            by: silence.by.clone(),
            since,
            until: silence.until,
        });
        if silenced == self.silenced {
            return false;
        }
        match std::mem::replace(&mut self.silenced, silenced) {
            Some(before) if self.silenced.is_none() => self.leave_silence(&before, now),
            _ => {
                self.hush();
            }
        }
        let firing = self.is_firing();
        if let Some(episode) = self.episodes.last_mut().filter(|episode| firing && episode.posted.is_some()) {
            episode.restate(now);
        }
        true
    }

    /// What is not told yet is told unseen, when it ends like that.
    pub(super) fn hush(&mut self) -> bool {
        let unseen = self.episodes.last_mut().filter(|episode| episode.posted.is_none() && !episode.hushed);
        unseen.map(|episode| episode.hushed = true).is_some()
    }

    /// What fires still is told: what happened meanwhile, or that it goes on. Of moments only those that happened meanwhile.
    fn leave_silence(&mut self, silenced: &Silenced, now: Timestamp) {
        let lasting = !self.is_moment() || self.touched >= silenced.since;
        if self.is_firing() && lasting && self.acknowledged.is_none() {
            self.tell_anew(Cause::SilenceEnded, now);
        }
    }
}

/// The key under which a silence is kept in the bucket.
pub(crate) fn kept_as(id: &str) -> String {
    format!("{SILENCE_PREFIX}{id}")
}

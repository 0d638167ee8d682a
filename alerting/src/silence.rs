//! Silences: for a while nobody is told of alerts that match. Their messages, where they have one, stay up to date, since
//! an edit rings no bell. When a silence ends, what fires still is told. Pure: time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use schemas::matcher::{Facts, Matcher, all_match};
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fold::{Book, Policy};
use crate::incident::{Cause, Incident, Silenced};
use crate::operate::Refused;

/// Most matchers of one silence.
pub(crate) const MAX_MATCHERS: usize = 16;
/// Most bytes of its id, of its author and of its comment.
pub(crate) const MAX_TEXT: usize = 256;

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
    /// Whether it may be taken up.
    pub(crate) fn check(&self, policy: &Policy, now: Timestamp) -> Result<(), Refused> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let text = |text: &str| text.len() <= MAX_TEXT;
        if self.id.is_empty() || !text(&self.id) || !self.id.bytes().all(plain) {
            return Err(Refused::SilenceId);
        }
        if !text(&self.by) || !text(&self.comment) {
            return Err(Refused::SilenceText);
        }
        if self.matchers.len() > MAX_MATCHERS || self.matchers.iter().all(Matcher::matches_nothing) {
            return Err(Refused::SilenceMatchers);
        }
        if self.until <= now || self.until <= self.starts {
            return Err(Refused::SilenceOver);
        }
        if self.until.since(now.max(self.starts)) > policy.longest_silence {
            return Err(Refused::SilenceTooLong(policy.longest_silence));
        }
        Ok(())
    }

    /// Whether it is in force and speaks of this.
    fn covers(&self, facts: &Facts<'_>, now: Timestamp) -> bool {
        self.starts <= now && now < self.until && all_match(&self.matchers, facts)
    }
}

impl Book {
    /// Forgets silences that are over, and brings every incident under those in force or out of them. Names what changed.
    pub(crate) fn apply_silences(&mut self, now: Timestamp) -> BTreeSet<String> {
        let over = self.silences.extract_if(.., |_, silence| silence.until <= now);
        let mut changed: BTreeSet<String> = over.map(|(id, _)| kept_as(&id)).collect();
        let moments = self.silences.values().flat_map(|silence| [silence.starts, silence.until]);
        let next = moments.filter(|moment| *moment > now).min();
        self.silences_due = next.unwrap_or(Timestamp::from_millis(i64::MAX));
        for (key, incident) in &mut self.incidents {
            if incident.match_silences(key, &self.silences, now) {
                changed.insert(key.clone());
            }
        }
        changed
    }
}

impl Incident {
    /// Brings it under the silence that covers it for longest, or out of silence; tells whether that changed anything.
    pub(crate) fn match_silences(&mut self, key: &str, silences: &BTreeMap<String, Silence>, now: Timestamp) -> bool {
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
    pub(crate) fn hush(&mut self) -> bool {
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
    format!("{PREFIX}{id}")
}

/// What the keys of silences in the bucket begin with.
pub(crate) const PREFIX: &str = "silence.";

#[cfg(test)]
mod tests;

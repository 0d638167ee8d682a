//! What operators do about alerts. Each operation answers what changed, or why it is refused. Pure: time and the one who
//! acts are arguments.

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::matcher::Matcher;
use schemas::timestamp::Timestamp;

use super::book::{Book, Policy};
use super::incident::{Acknowledged, Incident};
use super::silence::{MAX_MATCHERS, MAX_TEXT, Silence, kept_as};
use crate::rich::cut;

/// The keys under which what changed is kept.
pub(crate) type Changed = BTreeSet<String>;

/// Something that an operator does.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Operation {
    /// They see to it: it is not told again before [`crate::incidents::Policy::acknowledge_timeout`] or higher severity.
    Acknowledge {
        /// The alert.
        key: String,
    },
    /// They do not after all.
    Unacknowledge {
        /// The alert.
        key: String,
    },
    /// It is over.
    Resolve {
        /// The alert.
        key: String,
    },
    /// Nobody wants to hear of what matches.
    Silence(Silence),
    /// They do again.
    Unsilence {
        /// The silence.
        id: String,
    },
}

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Refused {
    /// It was never raised, or is forgotten.
    #[error("there is no such alert")]
    UnknownAlert,
    /// It is over.
    #[error("the alert is over already")]
    NotFiring,
    /// Somebody sees to it.
    #[error("{0} has acknowledged it already")]
    Acknowledged(String),
    /// Nobody does.
    #[error("nobody has acknowledged it")]
    NotAcknowledged,
    /// It never was, or is over.
    #[error("there is no such silence")]
    UnknownSilence,
    /// Its id cannot be kept.
    #[error("the id of a silence is made of letters, digits, - and _")]
    SilenceId,
    /// It says too much.
    #[error("the author and the comment of a silence have at most {MAX_TEXT} bytes")]
    SilenceText,
    /// It would match everything, or is too long.
    #[error("a silence needs 1 to {MAX_MATCHERS} matchers, one of which names what must be there")]
    SilenceMatchers,
    /// It would never be in force.
    #[error("a silence ends after it begins, and in the future")]
    SilenceOver,
    /// It would last for too long.
    #[error("a silence lasts at most {} h", .0.as_secs() / 3600)]
    SilenceTooLong(Duration),
    /// There are too many.
    #[error("there are {0} silences already: remove one first")]
    TooManySilences(usize),
}

impl Operation {
    /// What it is about: an alert's fingerprint or a silence's id.
    pub(crate) fn about(&self) -> &str {
        match self {
            Self::Acknowledge { key } | Self::Unacknowledge { key } | Self::Resolve { key } => key,
            Self::Silence(silence) => &silence.id,
            Self::Unsilence { id } => id,
        }
    }
}

impl Book {
    /// Does what `by` wants done.
    pub(crate) fn operate(&mut self, operation: Operation, by: &str, now: Timestamp) -> Result<Changed, Refused> {
        match operation {
            Operation::Acknowledge { key } => self.acknowledge(&key, by, now),
            Operation::Unacknowledge { key } => self.unacknowledge(&key, now),
            Operation::Resolve { key } => self.resolve(&key, by, now),
            Operation::Silence(silence) => self.silence(silence, now),
            Operation::Unsilence { id } => self.unsilence(&id, now),
        }
    }

    /// `by` sees to the alert.
    pub(crate) fn acknowledge(&mut self, key: &str, by: &str, now: Timestamp) -> Result<Changed, Refused> {
        let incident = self.firing_alert(key)?;
        if let Some(acknowledged) = &incident.acknowledged {
            return Err(Refused::Acknowledged(acknowledged.by.clone()));
        }
        incident.acknowledged = Some(Acknowledged { by: cut(by, MAX_TEXT), at: now });
        Ok(incident.restated(key, now))
    }

    /// Nobody sees to the alert any more.
    pub(crate) fn unacknowledge(&mut self, key: &str, now: Timestamp) -> Result<Changed, Refused> {
        let incident = self.firing_alert(key)?;
        incident.acknowledged.take().ok_or(Refused::NotAcknowledged)?;
        Ok(incident.restated(key, now))
    }

    /// `by` declares the alert over. Heard of again, it is a new one. The one who acts needs no notice of that.
    pub(crate) fn resolve(&mut self, key: &str, by: &str, now: Timestamp) -> Result<Changed, Refused> {
        let incident = self.firing_alert(key)?;
        incident.acknowledged = None;
        if let Some(episode) = incident.episodes.last_mut() {
            episode.resolved_by = Some(cut(by, MAX_TEXT));
            episode.end(now, now);
        }
        Ok(incident.restated(key, now))
    }

    /// Takes up a silence, or another version of it.
    pub(crate) fn silence(&mut self, silence: Silence, now: Timestamp) -> Result<Changed, Refused> {
        silence.check(&self.policy, now)?;
        let most = self.policy.max_silences;
        if !self.silences.contains_key(&silence.id) && self.silences.len() >= most {
            return Err(Refused::TooManySilences(most));
        }
        let key = kept_as(&silence.id);
        self.silences.insert(silence.id.clone(), silence);
        let mut changed = self.apply_silences(now);
        changed.insert(key);
        Ok(changed)
    }

    /// Removes a silence: what fires still is told.
    pub(crate) fn unsilence(&mut self, id: &str, now: Timestamp) -> Result<Changed, Refused> {
        self.silences.remove(id).ok_or(Refused::UnknownSilence)?;
        let mut changed = self.apply_silences(now);
        changed.insert(kept_as(id));
        Ok(changed)
    }

    fn firing_alert(&mut self, key: &str) -> Result<&mut Incident, Refused> {
        let incident = self.incidents.get_mut(key).ok_or(Refused::UnknownAlert)?;
        if incident.is_firing() { Ok(incident) } else { Err(Refused::NotFiring) }
    }
}

impl Incident {
    /// Its message is to show that an operator acted on it.
    fn restated(&mut self, key: &str, now: Timestamp) -> Changed {
        if let Some(episode) =
            self.episodes.last_mut().filter(|episode| episode.untold_since.is_some() || episode.posted.is_some())
        {
            episode.restate(now);
        }
        BTreeSet::from([key.to_owned()])
    }
}

impl Silence {
    /// Whether it may be taken up.
    fn check(&self, policy: &Policy, now: Timestamp) -> Result<(), Refused> {
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
}

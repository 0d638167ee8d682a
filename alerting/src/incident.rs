//! One alert as it is kept in the bucket INCIDENTS: what happened, and what people have been told of it. A stretch of
//! events told in one message is an episode; the last episode is the live one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::matcher::Facts;
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Most episodes of one alert. An older one is kept only while a digest that shows it may still be edited; at this
/// many, the live one goes on instead of a new one beginning.
pub(crate) const MAX_EPISODES: usize = 16;

/// Most sequences remembered as folded in, the highest ones. What was folded in and is delivered again, because its
/// acknowledgement was lost or we died before it, is among them: far fewer are ever in hand at once.
pub(crate) const MAX_FOLDED: usize = 1024;

/// Most measured values remembered, the newest ones.
pub(crate) const MAX_VALUES: usize = 32;

/// Label of the alert that stands for all of its kind for which there was no room.
pub(crate) const MORE: &str = "more";

/// One alert, known by the fingerprint of its kind and labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Incident {
    /// What happened.
    pub(crate) kind: AlertKind,
    /// What it concerns.
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Highest sequence of ALERTS folded in: an older event still counts, but changes no state.
    #[serde(default)]
    pub(crate) last_sequence: u64,
    /// Sequences folded in lately: delivered again, they count once. The highest alone does not tell, since after a crash
    /// events that were never folded in come again behind newer ones.
    #[serde(default)]
    pub(crate) folded: BTreeSet<u64>,
    /// When an event was last folded in, by our clock.
    #[serde(default)]
    pub(crate) touched: Timestamp,
    /// The number that the next episode gets.
    #[serde(default)]
    pub(crate) next_number: u32,
    /// Oldest first; the last one is live.
    #[serde(default)]
    pub(crate) episodes: Vec<Episode>,
    /// Who has taken it up; while it fires.
    #[serde(default)]
    pub(crate) acknowledged: Option<Acknowledged>,
    /// The silence that it is under, whether it fires or not.
    #[serde(default)]
    pub(crate) silenced: Option<Silenced>,
    /// What was measured lately, newest last.
    #[serde(default)]
    pub(crate) values: VecDeque<f64>,
}

/// What an operator sees of it at a glance. That a cause inhibits it is another matter, and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Standing {
    /// It is so, and nobody has taken it up.
    Firing,
    /// It is so, and somebody sees to it.
    Acknowledged,
    /// It is so, and nobody wants to hear of it for a while.
    Silenced,
    /// It is over.
    Resolved,
}

/// Somebody sees to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Acknowledged {
    /// Who.
    pub(crate) by: String,
    /// Since when.
    pub(crate) at: Timestamp,
}

/// The silence it is under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Silenced {
    /// Which.
    pub(crate) id: String,
    /// Who wants it so.
    #[serde(default)]
    pub(crate) by: String,
    /// Since when it has been under one.
    pub(crate) since: Timestamp,
    /// When this one ends.
    pub(crate) until: Timestamp,
}

/// Why an episode has a message of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Cause {
    /// It is the first of its alert.
    #[default]
    First,
    /// It fires again after it was over.
    Refired,
    /// It was heard of again after some quiet.
    Again,
    /// It became more severe.
    Escalated,
    /// It fires on.
    Repeated,
    /// It fires on although somebody acknowledged it.
    AcknowledgeTimeout,
    /// It fires still after its silence.
    SilenceEnded,
}

/// What one message tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Episode {
    /// Which episode of its incident.
    pub(crate) number: u32,
    /// The highest severity seen in it.
    pub(crate) severity: Severity,
    /// Whether it is still so.
    #[serde(default)]
    pub(crate) state: AlertState,
    /// The last event's sentence.
    #[serde(default)]
    pub(crate) summary: String,
    /// The last measured value.
    #[serde(default)]
    pub(crate) value: Option<f64>,
    /// The limit it crossed.
    #[serde(default)]
    pub(crate) threshold: Option<f64>,
    /// Firing events in it.
    #[serde(default)]
    pub(crate) count: u64,
    /// The earliest of them, by its sender's clock.
    #[serde(default)]
    pub(crate) first_seen: Timestamp,
    /// The latest of them.
    #[serde(default)]
    pub(crate) last_seen: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub(crate) resolved_at: Option<Timestamp>,
    /// The message that tells it.
    #[serde(default)]
    pub(crate) posted: Option<Posted>,
    /// Counts changes, so that a call knows whether it told the newest state.
    #[serde(default)]
    pub(crate) version: u64,
    /// Since when there has been something to tell.
    #[serde(default)]
    pub(crate) untold_since: Option<Timestamp>,
    /// It ended after it was told, and the short notice of that is still to be sent.
    #[serde(default)]
    pub(crate) notice: bool,
    /// A newer episode of the same alert goes on in a message of its own.
    #[serde(default)]
    pub(crate) superseded: bool,
    /// Telegram refused its HTML: it goes out as plain text.
    #[serde(default)]
    pub(crate) plain: bool,
    /// Why it has a message of its own.
    #[serde(default)]
    pub(crate) cause: Cause,
    /// Firing events of the same stretch that earlier messages tell.
    #[serde(default)]
    pub(crate) earlier: u64,
    /// It is not sent earlier, since another message about the same alert went out lately or its cause was just over.
    #[serde(default)]
    pub(crate) not_before: Timestamp,
    /// When its message was last brought up to date.
    #[serde(default)]
    pub(crate) edited_at: Timestamp,
    /// An operator acted on it: its message is brought up to date at once.
    #[serde(default)]
    pub(crate) restated: bool,
    /// It was to be kept quiet before it was ever told: when it ends like that nobody needs to hear of it.
    #[serde(default)]
    pub(crate) hushed: bool,
    /// Who declared it over, if it was an operator.
    #[serde(default)]
    pub(crate) resolved_by: Option<String>,
}

/// A message in a chat.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Posted {
    /// The chat, as configured or as it moved.
    pub(crate) chat: String,
    /// The message's number in it.
    pub(crate) message: i32,
    /// When it was sent, by our clock.
    #[serde(default)]
    pub(crate) at: Timestamp,
}

impl Incident {
    /// Nothing told and nothing counted yet.
    pub(crate) fn new(event: &AlertEvent) -> Self {
        Self {
            kind: event.kind,
            labels: event.labels.clone(),
            last_sequence: 0,
            folded: BTreeSet::new(),
            touched: event.at,
            next_number: 0,
            episodes: Vec::new(),
            acknowledged: None,
            silenced: None,
            values: VecDeque::new(),
        }
    }

    /// What matchers see of it, under this fingerprint.
    pub(crate) fn facts<'a>(&'a self, fingerprint: &'a str) -> Facts<'a> {
        let severity = self.live().map_or(Severity::Info, |episode| episode.severity);
        Facts { kind: self.kind, severity, fingerprint, labels: &self.labels }
    }

    /// What an operator sees of it at a glance.
    pub(crate) fn standing(&self) -> Standing {
        match (self.is_firing(), &self.silenced, &self.acknowledged) {
            (false, ..) => Standing::Resolved,
            (true, Some(_), _) => Standing::Silenced,
            (true, None, Some(_)) => Standing::Acknowledged,
            (true, None, None) => Standing::Firing,
        }
    }

    /// The episode that new events go to.
    pub(crate) fn live(&self) -> Option<&Episode> {
        self.episodes.last()
    }

    /// The episode of this number.
    pub(crate) fn episode_mut(&mut self, number: u32) -> Option<&mut Episode> {
        self.episodes.iter_mut().find(|episode| episode.number == number)
    }

    /// Whether it is so right now.
    pub(crate) fn is_firing(&self) -> bool {
        self.live().is_some_and(|episode| episode.state == AlertState::Firing)
    }

    /// Some kinds are moments that nothing resolves.
    pub(crate) fn is_moment(&self) -> bool {
        matches!(self.kind, AlertKind::DeadLetter | AlertKind::Test) || self.labels.contains_key(MORE)
    }
}

impl Episode {
    /// Begins with `event`.
    pub(crate) fn new(number: u32, event: &AlertEvent, now: Timestamp) -> Self {
        Self {
            number,
            severity: event.severity,
            state: AlertState::Firing,
            summary: event.summary.clone(),
            value: event.value,
            threshold: event.threshold,
            count: 1,
            first_seen: event.at,
            last_seen: event.at,
            resolved_at: None,
            posted: None,
            version: 1,
            untold_since: Some(now),
            notice: false,
            superseded: false,
            plain: false,
            cause: Cause::First,
            earlier: 0,
            not_before: Timestamp::default(),
            edited_at: Timestamp::default(),
            restated: false,
            hushed: false,
            resolved_by: None,
        }
    }

    /// Goes on in another message, with no event yet.
    pub(crate) fn next(&self, number: u32, cause: Cause, now: Timestamp) -> Self {
        Self {
            number,
            cause,
            earlier: self.earlier + self.count,
            count: 0,
            posted: None,
            version: 1,
            untold_since: Some(now),
            notice: false,
            superseded: false,
            not_before: Timestamp::default(),
            edited_at: Timestamp::default(),
            restated: false,
            hushed: false,
            ..self.clone()
        }
    }

    /// Marks that there is something to tell.
    pub(crate) fn changed(&mut self, now: Timestamp) {
        self.version += 1;
        self.untold_since.get_or_insert(now);
    }

    /// Marks that an operator changed it.
    pub(crate) fn restate(&mut self, now: Timestamp) {
        self.restated = true;
        self.changed(now);
    }

    /// When it was last seen to in its chat.
    pub(crate) fn told_at(&self) -> Timestamp {
        self.edited_at.max(self.posted.as_ref().map_or(Timestamp::default(), |posted| posted.at))
    }

    /// Whether everything about it has been said.
    pub(crate) const fn is_told(&self) -> bool {
        self.untold_since.is_none() && !self.notice
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn what_an_earlier_release_wrote_can_be_read() {
        #[derive(Serialize)]
        struct Oldest {
            kind: AlertKind,
            episodes: Vec<OldestEpisode>,
        }
        #[derive(Serialize)]
        struct OldestEpisode {
            number: u32,
            severity: Severity,
        }
        let oldest =
            Oldest { kind: AlertKind::Disk, episodes: vec![OldestEpisode { number: 3, severity: Severity::Critical }] };
        let bytes = schemas::envelope::encode(&oldest).unwrap();
        let incident: Incident = schemas::envelope::decode(&bytes).unwrap();
        assert_eq!(incident.standing(), Standing::Firing);
        assert_eq!(incident.episodes[0].number, 3);
    }

    #[test]
    fn survives_its_envelope() {
        let event = fixture::firing(AlertKind::Disk, "a");
        let mut incident = Incident::new(&event);
        incident.folded.extend([4, 9]);
        incident.episodes.push(Episode::new(0, &event, event.at));
        incident.acknowledged = Some(Acknowledged { by: "telegram:7".into(), at: event.at });
        incident.silenced =
            Some(Silenced { id: "a".into(), by: "telegram:7".into(), since: event.at, until: event.at });
        incident.values.push_back(0.5);
        incident.episodes[0].cause = Cause::SilenceEnded;
        incident.episodes[0].posted = Some(Posted { chat: "-100".into(), message: 7, at: event.at });
        let bytes = schemas::envelope::encode(&incident).unwrap();
        assert_eq!(schemas::envelope::decode::<Incident>(&bytes).unwrap(), incident);
    }
}

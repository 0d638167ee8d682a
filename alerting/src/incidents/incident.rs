//! One alert as it is kept in the bucket INCIDENTS: what happened, and what people have been told of it. A stretch of
//! events told in one message is an episode; the last episode is the live one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::matcher::Facts;
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

use super::episode::{Cause, Episode};
use super::tally::Days;

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
    /// What the daily digest tells, by day.
    #[serde(default)]
    pub(crate) days: Days,
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
            days: Days::new(),
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

    /// The number of its next episode.
    pub(super) fn number(&mut self) -> u32 {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        number
    }

    /// Goes on in a new message, for this reason and with no event. What waits to be told anyway goes on waiting.
    pub(super) fn tell_anew(&mut self, cause: Cause, now: Timestamp) {
        let full = self.episodes.len() >= MAX_EPISODES;
        let number = self.number();
        let Some(last) = self.episodes.last_mut() else { return };
        if last.posted.is_none() {
            last.untold_since.get_or_insert(now);
        } else if full {
            last.tell_again(cause, now);
        } else {
            let next = last.next(number, cause, now);
            last.supersede(now);
            self.episodes.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::episode::Posted;
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
        incident.episodes[0].posted = Some(Posted { chat: "-100".into(), message: 7, topic: Some(42), at: event.at });
        let bytes = schemas::envelope::encode(&incident).unwrap();
        assert_eq!(schemas::envelope::decode::<Incident>(&bytes).unwrap(), incident);
    }
}

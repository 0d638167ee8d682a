//! One alert as it is kept in the bucket INCIDENTS: what happened, and what people have been told of it. A stretch of
//! events told in one message is an episode; the last episode is the live one.

use std::collections::{BTreeMap, BTreeSet};

use schemas::alert::{AlertEvent, AlertKind, AlertState, Severity};
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

/// Most episodes of one alert. An older one is kept only while a digest that shows it may still be edited; at this
/// many, the live one goes on instead of a new one beginning.
pub(crate) const MAX_EPISODES: usize = 16;

/// Most sequences remembered as folded in, the highest ones. What was folded in and is delivered again, because its
/// acknowledgement was lost or we died before it, is among them: far fewer are ever in hand at once.
pub(crate) const MAX_FOLDED: usize = 1024;

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
        }
    }

    /// Marks that there is something to tell.
    pub(crate) fn changed(&mut self, now: Timestamp) {
        self.version += 1;
        self.untold_since.get_or_insert(now);
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
        assert!(incident.is_firing());
        assert_eq!(incident.episodes[0].number, 3);
    }

    #[test]
    fn survives_its_envelope() {
        let event = fixture::firing(AlertKind::Disk, "a");
        let mut incident = Incident::new(&event);
        incident.folded.extend([4, 9]);
        incident.episodes.push(Episode::new(0, &event, event.at));
        incident.episodes[0].posted = Some(Posted { chat: "-100".into(), message: 7, at: event.at });
        let bytes = schemas::envelope::encode(&incident).unwrap();
        assert_eq!(schemas::envelope::decode::<Incident>(&bytes).unwrap(), incident);
    }
}

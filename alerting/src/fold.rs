//! Folds events into incidents: repeats are counted into the message that tells the alert; a re-fire after its end,
//! after the cool-down or with higher severity begins a new one. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::alert::{AlertEvent, AlertState, Severity};
use schemas::timestamp::Timestamp;

use crate::incident::{Episode, Incident, MAX_EPISODES, MAX_FOLDED, MORE};

/// Most alerts kept at once. Further ones are folded into one of their kind, labelled [`MORE`].
pub(crate) const MAX_INCIDENTS: usize = 10_000;

/// How events are folded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// Repeats within this time of a message are folded into it.
    pub(crate) cooldown: Duration,
    /// Changes are gathered for this long before they are told.
    pub(crate) group_wait: Duration,
    /// A firing alert of which nothing was heard for this long is forgotten.
    pub(crate) max_age: Duration,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Folded {
    /// It begins an alert, or tells it anew.
    Opened,
    /// It is counted into the alert's episode.
    Repeated,
    /// It ends the alert.
    Resolved,
    /// It ends what was not so; nobody is told.
    Idle,
    /// It had been folded in before.
    Duplicate,
}

/// All incidents, by fingerprint.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    pub(crate) policy: Policy,
    pub(crate) incidents: BTreeMap<String, Incident>,
}

impl Book {
    /// The incidents as they were kept.
    pub(crate) const fn new(policy: Policy, incidents: BTreeMap<String, Incident>) -> Self {
        Self { policy, incidents }
    }

    /// Folds in the event that ALERTS holds at `sequence`, and names the incident it went to.
    pub(crate) fn fold(&mut self, sequence: u64, event: &AlertEvent, now: Timestamp) -> (String, Folded) {
        let (key, event) = self.place(event);
        let incident = self.incidents.entry(key.clone()).or_insert_with(|| Incident::new(&event));
        let folded = incident.fold(sequence, &event, self.policy.cooldown, now);
        (key, folded)
    }

    /// Firing alerts of one severity.
    pub(crate) fn firing(&self, severity: Severity) -> usize {
        let live = self.incidents.values().filter(|incident| incident.is_firing());
        live.filter(|incident| incident.live().is_some_and(|episode| episode.severity == severity)).count()
    }

    /// Since when something has been waiting to be told.
    pub(crate) fn untold_since(&self) -> Option<Timestamp> {
        let episodes = self.incidents.values().flat_map(|incident| &incident.episodes);
        episodes.filter_map(|episode| episode.untold_since).min()
    }

    fn place(&self, event: &AlertEvent) -> (String, AlertEvent) {
        let key = event.fingerprint();
        if self.incidents.contains_key(&key) || self.incidents.len() < MAX_INCIDENTS {
            return (key, event.clone());
        }
        let labels = BTreeMap::from([(MORE.to_owned(), "true".to_owned())]);
        let overflow = AlertEvent { labels, ..event.clone() };
        (overflow.fingerprint(), overflow)
    }
}

impl Incident {
    fn fold(&mut self, sequence: u64, event: &AlertEvent, cooldown: Duration, now: Timestamp) -> Folded {
        if !self.folded.insert(sequence) {
            return Folded::Duplicate;
        }
        while self.folded.len() > MAX_FOLDED {
            self.folded.pop_first();
        }
        let late = sequence < self.last_sequence;
        self.last_sequence = self.last_sequence.max(sequence);
        self.touched = now;
        match event.state {
            AlertState::Firing if late => self.fire_late(event, now),
            AlertState::Firing => self.fire(event, cooldown, now),
            AlertState::Resolved if late => Folded::Idle,
            AlertState::Resolved => self.resolve(event, now),
        }
    }

    fn fire(&mut self, event: &AlertEvent, cooldown: Duration, now: Timestamp) -> Folded {
        let full = self.episodes.len() >= MAX_EPISODES;
        match self.episodes.last_mut() {
            Some(episode) if full || !episode.is_outgrown_by(event, cooldown, now) => {
                episode.repeat(event, now);
                Folded::Repeated
            }
            Some(episode) => {
                episode.supersede(now);
                self.open(event, now);
                Folded::Opened
            }
            None => {
                self.open(event, now);
                Folded::Opened
            }
        }
    }

    /// An event that a newer one overtook, as after a crash: it counts, and the newer one says how things are.
    fn fire_late(&mut self, event: &AlertEvent, now: Timestamp) -> Folded {
        if let Some(episode) = self.episodes.last_mut() {
            episode.count_in(event);
            episode.changed(now);
            return Folded::Repeated;
        }
        let episode = self.open(event, now);
        episode.state = AlertState::Resolved;
        episode.resolved_at = Some(event.at);
        Folded::Opened
    }

    fn resolve(&mut self, event: &AlertEvent, now: Timestamp) -> Folded {
        let overflow = self.labels.contains_key(MORE);
        let Some(episode) = self.episodes.last_mut().filter(|episode| episode.state == AlertState::Firing && !overflow)
        else {
            return Folded::Idle;
        };
        episode.state = AlertState::Resolved;
        episode.resolved_at = Some(event.at);
        if !event.summary.is_empty() {
            episode.summary.clone_from(&event.summary);
        }
        episode.notice = episode.posted.is_some();
        episode.changed(now);
        Folded::Resolved
    }

    fn open(&mut self, event: &AlertEvent, now: Timestamp) -> &mut Episode {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        self.episodes.push(Episode::new(number, event, now));
        let last = self.episodes.len() - 1;
        &mut self.episodes[last]
    }
}

impl Episode {
    /// Whether `event` is worth a message of its own. What nobody has been told yet is never outgrown.
    fn is_outgrown_by(&self, event: &AlertEvent, cooldown: Duration, now: Timestamp) -> bool {
        let Some(posted) = &self.posted else { return false };
        let ended = self.state == AlertState::Resolved;
        ended || event.severity > self.severity || now.since(posted.at) >= cooldown
    }

    fn repeat(&mut self, event: &AlertEvent, now: Timestamp) {
        self.count_in(event);
        self.state = AlertState::Firing;
        self.resolved_at = None;
        self.notice = false;
        self.severity = self.severity.max(event.severity);
        self.summary.clone_from(&event.summary);
        self.value = event.value;
        self.threshold = event.threshold;
        self.changed(now);
    }

    fn count_in(&mut self, event: &AlertEvent) {
        self.count += 1;
        self.first_seen = self.first_seen.min(event.at);
        self.last_seen = self.last_seen.max(event.at);
    }

    /// Its message says that another goes on, unless it already says that the alert ended.
    fn supersede(&mut self, now: Timestamp) {
        if self.state == AlertState::Firing {
            self.superseded = true;
            self.changed(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::alert::AlertKind;

    use super::*;
    use crate::fixture::{NOON, firing, resolved};
    use crate::incident::Posted;

    const KIND: AlertKind = AlertKind::BreakerOpen;

    struct Folding {
        book: Book,
        sequence: u64,
    }

    impl Folding {
        fn new() -> Self {
            let day = Duration::from_secs(86_400);
            let policy =
                Policy { cooldown: Duration::from_secs(300), group_wait: Duration::from_secs(2), max_age: day };
            Self { book: Book::new(policy, BTreeMap::new()), sequence: 0 }
        }

        fn fold(&mut self, event: &AlertEvent, second: u64) -> Folded {
            self.sequence += 1;
            self.book.fold(self.sequence, event, NOON.after(Duration::from_secs(second))).1
        }

        fn incident(&mut self) -> &mut Incident {
            self.book.incidents.values_mut().next().unwrap()
        }

        /// The live episode is told at noon.
        fn tell(&mut self) {
            let episode = self.incident().episodes.last_mut().unwrap();
            episode.posted = Some(Posted { chat: "-1".to_owned(), message: 1, at: NOON });
            episode.untold_since = None;
        }

        fn counts(&mut self) -> Vec<u64> {
            self.incident().episodes.iter().map(|episode| episode.count).collect()
        }
    }

    #[test]
    fn repeats_within_the_cooldown_are_counted() {
        let mut folding = Folding::new();
        assert_eq!(folding.fold(&firing(KIND, "a"), 0), Folded::Opened);
        folding.tell();
        assert_eq!(folding.fold(&firing(KIND, "a"), 299), Folded::Repeated);
        assert_eq!(folding.counts(), [2]);
        assert_eq!(folding.fold(&firing(KIND, "a"), 300), Folded::Opened);
        assert_eq!(folding.counts(), [2, 1]);
        assert!(folding.incident().episodes[0].superseded);
    }

    #[test]
    fn higher_severity_is_a_new_message_and_lower_is_not() {
        let mut folding = Folding::new();
        folding.fold(&firing(KIND, "a"), 0);
        folding.tell();
        let with = |severity| AlertEvent { severity, ..firing(KIND, "a") };
        assert_eq!(folding.fold(&with(Severity::Info), 1), Folded::Repeated);
        assert_eq!(folding.fold(&with(Severity::Critical), 2), Folded::Opened);
        assert_eq!(folding.counts(), [2, 1]);
    }

    #[test]
    fn what_nobody_was_told_stays_one_message() {
        let mut folding = Folding::new();
        folding.fold(&firing(KIND, "a"), 0);
        folding.fold(&resolved(KIND, "a"), 1);
        folding.fold(&AlertEvent { severity: Severity::Critical, ..firing(KIND, "a") }, 1000);
        assert_eq!(folding.counts(), [2]);
        let episode = &folding.incident().episodes[0];
        assert_eq!((episode.state, episode.severity, episode.notice), (AlertState::Firing, Severity::Critical, false));
    }

    #[test]
    fn an_end_is_noticed_once_and_a_refire_begins_anew() {
        let mut folding = Folding::new();
        folding.fold(&firing(KIND, "a"), 0);
        folding.tell();
        assert_eq!(folding.fold(&resolved(KIND, "a"), 5), Folded::Resolved);
        assert!(folding.incident().episodes[0].notice);
        assert_eq!(folding.fold(&resolved(KIND, "a"), 6), Folded::Idle);
        assert_eq!(folding.fold(&firing(KIND, "a"), 7), Folded::Opened);
        assert_eq!(folding.counts(), [1, 1]);
    }

    #[test]
    fn the_end_of_nothing_is_told_to_nobody() {
        let mut folding = Folding::new();
        assert_eq!(folding.fold(&resolved(KIND, "a"), 0), Folded::Idle);
        assert!(folding.incident().episodes.is_empty());
        assert_eq!(folding.book.prune(NOON.after(Duration::from_secs(900))).len(), 0);
        assert_eq!(folding.book.prune(NOON.after(Duration::from_secs(901))).len(), 1);
        assert!(folding.book.incidents.is_empty());
    }

    #[test]
    fn a_redelivery_counts_once_even_behind_newer_events() {
        let mut folding = Folding::new();
        let event = firing(KIND, "a");
        for (sequence, expected) in [
            (5, Folded::Opened),
            (7, Folded::Repeated),
            (5, Folded::Duplicate),
            (6, Folded::Repeated),
            (7, Folded::Duplicate),
        ] {
            assert_eq!(folding.book.fold(sequence, &event, NOON).1, expected, "{sequence}");
        }
        assert_eq!(folding.counts(), [3]);
    }

    #[test]
    fn an_event_overtaken_by_its_end_counts_but_fires_nothing() {
        let mut folding = Folding::new();
        assert_eq!(folding.book.fold(9, &resolved(KIND, "a"), NOON).1, Folded::Idle);
        assert_eq!(folding.book.fold(8, &firing(KIND, "a"), NOON).1, Folded::Opened);
        assert!(!folding.incident().is_firing());
        assert_eq!(folding.counts(), [1]);
    }

    #[test]
    fn sequences_and_episodes_are_bounded() {
        let mut folding = Folding::new();
        for _ in 0..2000 {
            folding.fold(&firing(KIND, "a"), 0);
            folding.tell();
            folding.fold(&resolved(KIND, "a"), 0);
        }
        assert_eq!(folding.incident().folded.len(), MAX_FOLDED);
        assert_eq!(folding.incident().episodes.len(), MAX_EPISODES);
        assert_eq!(folding.counts().iter().sum::<u64>(), 2000);
    }

    #[test]
    fn moments_are_forgotten_after_the_cooldown_and_lasting_alerts_are_not() {
        for (kind, kept) in [(AlertKind::DeadLetter, 0), (AlertKind::Disk, 1)] {
            let mut folding = Folding::new();
            folding.fold(&firing(kind, "a"), 0);
            folding.tell();
            folding.book.prune(NOON.after(Duration::from_secs(300)));
            assert_eq!(folding.counts(), [1]);
            folding.book.prune(NOON.after(Duration::from_secs(1000)));
            assert_eq!(folding.book.incidents.len(), kept);
        }
    }
}

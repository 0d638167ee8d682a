//! What becomes of events, one by one.

use schemas::alert::{AlertKind, Severity};

use super::*;
use crate::fixture::{self, NOON, firing, resolved};
use crate::incidents::Posted;

const KIND: AlertKind = AlertKind::BreakerOpen;

struct Folding {
    book: Book,
    sequence: u64,
}

impl Folding {
    fn new() -> Self {
        Self { book: Book::new(fixture::policy(), BTreeMap::new()), sequence: 0 }
    }

    fn fold(&mut self, event: &AlertEvent, second: u64) -> Folded {
        self.sequence += 1;
        self.book.fold(self.sequence, event, NOON.after(Duration::from_secs(second))).folded
    }

    fn incident(&mut self) -> &mut Incident {
        self.book.incidents.values_mut().next().unwrap()
    }

    /// The live episode is told at noon.
    fn tell(&mut self) {
        let episode = self.incident().episodes.last_mut().unwrap();
        episode.posted = Some(Posted { chat: "-1".to_owned(), message: 1, topic: None, at: NOON });
        episode.untold_since = None;
    }

    fn counts(&mut self) -> Vec<u64> {
        self.incident().episodes.iter().map(|episode| episode.count).collect()
    }
}

#[test]
fn repeats_are_counted_until_there_was_some_quiet() {
    let mut folding = Folding::new();
    assert_eq!(folding.fold(&firing(KIND, "a"), 0), Folded::Opened);
    folding.tell();
    assert_eq!(folding.fold(&firing(KIND, "a"), 299), Folded::Repeated);
    assert_eq!(folding.counts(), [2]);
    assert_eq!(folding.fold(&firing(KIND, "a"), 598), Folded::Repeated);
    assert_eq!(folding.fold(&firing(KIND, "a"), 898), Folded::Opened);
    assert_eq!(folding.counts(), [3, 1]);
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
        assert_eq!(folding.book.fold(sequence, &event, NOON).folded, expected, "{sequence}");
    }
    assert_eq!(folding.counts(), [3]);
}

#[test]
fn an_event_overtaken_by_its_end_counts_but_fires_nothing() {
    let mut folding = Folding::new();
    assert_eq!(folding.book.fold(9, &resolved(KIND, "a"), NOON).folded, Folded::Idle);
    assert_eq!(folding.book.fold(8, &firing(KIND, "a"), NOON).folded, Folded::Opened);
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
fn an_alert_that_came_and_went_too_often_still_rings() {
    let mut folding = Folding::new();
    folding.book.policy.group_interval = Duration::from_secs(60);
    for _ in 0..=MAX_EPISODES {
        folding.fold(&firing(KIND, "a"), 0);
        folding.tell();
        folding.fold(&resolved(KIND, "a"), 0);
    }
    folding.fold(&firing(KIND, "a"), 1);
    let live = folding.incident().episodes.last().unwrap();
    assert_eq!((live.posted.as_ref(), live.cause), (None, Cause::Refired));
    assert_eq!((live.untold_since.is_some(), live.not_before), (true, NOON.after(Duration::from_secs(60))));
}

#[test]
fn what_is_over_gives_way_though_an_older_message_is_still_shown() {
    let mut folding = Folding::new();
    folding.fold(&firing(KIND, "a"), 0);
    folding.tell();
    // Another alert that lasts is told in the same message.
    let mut lasting = folding.incident().clone();
    lasting.labels.clear();
    folding.book.incidents.insert("b".to_owned(), lasting);
    let key = firing(KIND, "a").fingerprint();
    for message in 2..10 {
        folding.fold(&resolved(KIND, "a"), 0);
        folding.fold(&firing(KIND, "a"), 0);
        for episode in &mut folding.book.incidents.get_mut(&key).unwrap().episodes {
            episode.posted.get_or_insert(Posted { chat: "-1".to_owned(), message, topic: None, at: NOON });
            (episode.untold_since, episode.notice) = (None, false);
        }
    }
    folding.book.prune(NOON);
    let left: Vec<u32> = folding.book.incidents[&key].episodes.iter().map(|episode| episode.number).collect();
    assert_eq!(left, [0, 8]);
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

//! What to call next: new alerts by severity, then notices, then edits. When more alerts wait in a chat than a few calls
//! can tell, one digest tells them all, so that a storm costs a handful of calls. Pure: time is an argument.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemas::alert::{AlertState, Severity};
use schemas::matcher::Facts;
use schemas::timestamp::Timestamp;
use tokio::time::Instant;

use crate::chats::{Chats, Place};
use crate::incidents::{Book, Episode, Incident, Posted};
use crate::pace::{Pacer, Urgency};
use crate::rich::Rich;
use crate::task::{Action, Member, Task};
use crate::text;

/// With this many alerts waiting for one chat, they share a message.
pub(crate) const DIGEST_FROM: usize = 4;

/// The moment on both clocks: wall time for what is kept, monotonic time for pacing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Instant,
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    key: &'a str,
    incident: &'a Incident,
    episode: &'a Episode,
}

impl Candidate<'_> {
    /// What routes look at.
    fn facts(&self) -> Facts<'_> {
        Facts { severity: self.episode.severity, ..self.incident.facts(self.key) }
    }
}

/// The most urgent call that may be made now.
pub(crate) fn next(book: &Book, chats: &Chats, pacer: &Pacer, now: Now) -> Option<Task> {
    if !pacer.held(now.monotonic).is_zero() || book.incidents.values().all(is_quiet) {
        return None;
    }
    sends(book, chats, pacer, now).or_else(|| notices(book, chats, pacer, now)).or_else(|| edits(book, pacer, now))
}

fn is_quiet(incident: &Incident) -> bool {
    incident.episodes.iter().all(Episode::is_told)
}

fn sends(book: &Book, chats: &Chats, pacer: &Pacer, now: Now) -> Option<Task> {
    let open = |chat: &str| pacer.is_open(chat, now.monotonic);
    // What is critical does not share its message with what is not.
    let mut waiting: BTreeMap<(Place<'_>, Urgency), Vec<Candidate<'_>>> = BTreeMap::new();
    for candidate in candidates(book).filter(|candidate| may_be_sent(book, *candidate, now.wall)) {
        let facts = candidate.facts();
        if !chats.is_quiet(&facts, now.wall)
            && let Some(place) = chats.place(&facts, open)
        {
            waiting.entry((place, urgency(facts.severity))).or_default().push(candidate);
        }
    }
    // Once one has waited for long enough, those that came meanwhile go along.
    let due = |candidate: &Candidate<'_>| has_waited(book, candidate.episode, now.wall);
    let mut groups: Vec<_> = waiting.into_iter().filter(|(_, candidates)| candidates.iter().any(due)).collect();
    groups.iter_mut().for_each(|(_, candidates)| candidates.sort_by_key(|candidate| rank(*candidate)));
    groups.sort_by_key(|(_, candidates)| candidates.first().map(|candidate| rank(*candidate)));
    let admitted = |(place, urgency): (Place<'_>, Urgency)| pacer.admits(place.chat, urgency, now.monotonic);
    let ((place, _), mut candidates) = groups.into_iter().find(|(group, _)| admitted(*group))?;
    // What waited through quiet hours is told as one.
    let slept = |candidate: &Candidate<'_>| {
        candidate.episode.untold_since.is_some_and(|since| chats.is_quiet(&candidate.facts(), since))
    };
    if candidates.len() < DIGEST_FROM && !candidates.iter().any(slept) {
        candidates.truncate(1);
    }
    Some(Task { topic: place.topic, ..task(place.chat, Action::Send, &candidates, text::message) })
}

fn notices(book: &Book, chats: &Chats, pacer: &Pacer, now: Now) -> Option<Task> {
    let mut waiting: BTreeMap<&str, Vec<Candidate<'_>>> = BTreeMap::new();
    for candidate in candidates(book).filter(|candidate| candidate.episode.notice && !book.is_muted(candidate.key)) {
        let ended = candidate.episode.untold_since.unwrap_or_default();
        if let Some(posted) = &candidate.episode.posted
            && now.wall.since(ended) >= book.policy.group_wait
            && !chats.is_quiet(&candidate.facts(), now.wall)
        {
            waiting.entry(chats.follow(&posted.chat)).or_default().push(candidate);
        }
    }
    let admitted = |chat: &str| pacer.admits(chat, Urgency::Upkeep, now.monotonic);
    let (chat, candidates) = waiting.into_iter().find(|(chat, _)| admitted(chat))?;
    let writable = |posted: &&Posted| {
        posted.chat == chat && posted.topic.is_none_or(|topic| !chats.is_closed(&posted.chat, topic))
    };
    let answered = match candidates.as_slice() {
        [only] => only.episode.posted.as_ref().filter(writable),
        _ => None,
    };
    // An answer is where the message is that it answers; anything else goes where that would go.
    let place = || chats.place(&candidates.first()?.facts(), |place| place == chat);
    let topic = answered.map_or_else(|| place()?.topic, |posted| posted.topic);
    let reply_to = answered.map(|posted| posted.message);
    Some(Task { topic, ..task(chat, Action::Notice { reply_to }, &candidates, text::notice) })
}

fn edits(book: &Book, pacer: &Pacer, now: Now) -> Option<Task> {
    // What an operator did is shown first, then what has waited for longest.
    let mut waiting: BTreeMap<(&str, i32), (Reverse<bool>, Timestamp)> = BTreeMap::new();
    for Candidate { episode, .. } in
        candidates(book).filter(|candidate| may_be_edited(book, candidate.episode, now.wall))
    {
        if let (Some(posted), Some(since)) = (&episode.posted, episode.untold_since) {
            let order = (Reverse(episode.restated), since);
            let entry = waiting.entry((&posted.chat, posted.message)).or_insert(order);
            *entry = order.min(*entry);
        }
    }
    let admitted = waiting.into_iter().filter(|((chat, _), (Reverse(restated), _))| {
        let urgency = if *restated { Urgency::News } else { Urgency::Upkeep };
        pacer.admits(chat, urgency, now.monotonic)
    });
    let ((chat, message), _) = admitted.min_by_key(|(_, order)| *order)?;
    let shown_there = |candidate: &Candidate<'_>| {
        candidate.episode.posted.as_ref().is_some_and(|posted| posted.chat == chat && posted.message == message)
    };
    let mut members: Vec<_> = candidates(book).filter(shown_there).collect();
    members.sort_by_key(|candidate| rank(*candidate));
    Some(task(chat, Action::Edit { message }, &members, text::message))
}

/// Since when something has been waiting that may be told, or shown by an edit: no new message tells what is muted, or
/// waits for its quiet hours to end.
pub(crate) fn untold_since(book: &Book, chats: &Chats, now: Timestamp) -> Option<Timestamp> {
    let waits = |candidate: &Candidate<'_>| {
        let kept_back = || book.is_muted(candidate.key) || chats.is_quiet(&candidate.facts(), now);
        candidate.episode.posted.is_some() || !kept_back()
    };
    candidates(book).filter(waits).filter_map(|candidate| candidate.episode.untold_since).min()
}

fn candidates(book: &Book) -> impl Iterator<Item = Candidate<'_>> {
    book.incidents
        .iter()
        .flat_map(|(key, incident)| incident.episodes.iter().map(move |episode| Candidate { key, incident, episode }))
}

/// Whether it is to be told in a message of its own, at once or with others.
fn may_be_sent(book: &Book, candidate: Candidate<'_>, now: Timestamp) -> bool {
    let Candidate { key, episode, .. } = candidate;
    episode.posted.is_none() && episode.untold_since.is_some() && episode.not_before <= now && !book.is_muted(key)
}

/// Whether its message is to be brought up to date: not too often, unless it ended or an operator waits for it.
fn may_be_edited(book: &Book, episode: &Episode, now: Timestamp) -> bool {
    let spaced = now.since(episode.told_at()) >= book.policy.group_interval;
    let ended = episode.state == AlertState::Resolved || episode.superseded;
    episode.restated || (has_waited(book, episode, now) && (spaced || ended))
}

fn has_waited(book: &Book, episode: &Episode, now: Timestamp) -> bool {
    episode.untold_since.is_some_and(|since| now.since(since) >= book.policy.group_wait)
}

/// The worst first, and the earliest of equals.
fn rank(candidate: Candidate<'_>) -> impl Ord + use<> {
    let ended = candidate.episode.state == AlertState::Resolved;
    (ended, Reverse(candidate.episode.severity), candidate.episode.first_seen, candidate.key.to_owned())
}

const fn urgency(severity: Severity) -> Urgency {
    match severity {
        Severity::Critical => Urgency::Critical,
        Severity::Warning | Severity::Info => Urgency::News,
    }
}

fn task(chat: &str, action: Action, told: &[Candidate<'_>], write: fn(&[text::Told<'_>]) -> Rich) -> Task {
    let texts: Vec<_> = told.iter().map(|candidate| (candidate.incident, candidate.episode)).collect();
    let member = |candidate: &Candidate<'_>| Member {
        key: candidate.key.to_owned(),
        number: candidate.episode.number,
        version: candidate.episode.version,
        state: candidate.episode.state,
        severity: candidate.episode.severity,
    };
    Task {
        severity: told.iter().map(|candidate| candidate.episode.severity).max().unwrap_or(Severity::Info),
        plain: told.iter().any(|candidate| candidate.episode.plain),
        members: told.iter().map(member).collect(),
        ..Task::new(chat, action, write(&texts))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::config::RouteConfig;
    use schemas::alert::{AlertEvent, AlertKind};

    use super::*;
    use crate::fixture::{self, NOON};
    use crate::incidents::Settled;

    /// Disks have a topic; everything else is quiet from 11 to 13 o'clock.
    fn chats() -> Chats {
        let mut config = fixture::telegram();
        let disks = RouteConfig {
            matchers: vec!["kind=disk".parse().unwrap()],
            chat: "-7".to_owned(),
            topic: Some(42),
            ..RouteConfig::default()
        };
        let rest = RouteConfig { quiet: Some("11:00-13:00".parse().unwrap()), ..RouteConfig::default() };
        config.routes = vec![disks, rest];
        Chats::new(&config)
    }

    fn book(events: &[AlertEvent]) -> Book {
        let mut book = Book::new(fixture::policy(), BTreeMap::new());
        for (sequence, event) in (1..).zip(events) {
            book.fold(sequence, event, NOON);
        }
        book
    }

    fn at(hours: u64) -> Now {
        Now { wall: NOON.after(Duration::from_secs(hours * 3600)), monotonic: Instant::now() }
    }

    fn planned(book: &Book, now: Now) -> Option<(String, Option<i32>, usize)> {
        let task = next(book, &chats(), &Pacer::new(20), now)?;
        Some((task.chat, task.topic, task.members.len()))
    }

    #[test]
    fn what_waits_through_quiet_hours_is_told_as_one() {
        let quiet = ["a", "b"].map(|concern| fixture::firing(AlertKind::Memory, concern));
        let book = book(&quiet);
        assert_eq!(planned(&book, at(0)), None);
        assert_eq!(untold_since(&book, &chats(), NOON), None, "it is not late");
        assert_eq!(planned(&book, at(1)), Some(("-1".to_owned(), None, 2)));
        assert_eq!(untold_since(&book, &chats(), at(1).wall), Some(NOON));
    }

    #[test]
    fn an_end_is_noticed_in_the_topic_of_its_message() {
        let mut book = book(&[fixture::firing(AlertKind::Disk, "a")]);
        let (mut chats, pacer) = (chats(), Pacer::new(20));
        let sent = next(&book, &chats, &pacer, at(0)).unwrap();
        book.settle(&sent, Settled::Told(7), NOON);
        book.fold(2, &fixture::resolved(AlertKind::Disk, "a"), NOON);
        let notice = next(&book, &chats, &pacer, at(0)).unwrap();
        assert_eq!((notice.action, notice.topic), (Action::Notice { reply_to: Some(7) }, Some(42)));
        chats.close_topic("-7", 42);
        let notice = next(&book, &chats, &pacer, at(0)).unwrap();
        assert_eq!((notice.action, notice.topic), (Action::Notice { reply_to: None }, None));
    }

    #[test]
    fn what_is_critical_wakes_and_routes_have_their_own_hours() {
        let critical = AlertEvent { severity: Severity::Critical, ..fixture::firing(AlertKind::Memory, "a") };
        assert_eq!(planned(&book(&[critical]), at(0)), Some(("-1".to_owned(), None, 1)));
        let disk = fixture::firing(AlertKind::Disk, "a");
        assert_eq!(planned(&book(&[disk]), at(0)), Some(("-7".to_owned(), Some(42), 1)));
    }
}

//! What to call next: new alerts by severity, then notices, then edits. When more alerts wait in a chat than a few calls
//! can tell, one digest tells them all, so that a storm costs a handful of calls. Pure: time is an argument.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemas::alert::{AlertState, Severity};
use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::chats::Chats;
use crate::fold::Book;
use crate::incident::{Episode, Incident};
use crate::pace::{Pacer, Urgency};
use crate::rich::Rich;
use crate::text;

/// With this many alerts waiting for one chat, they share a message.
pub(crate) const DIGEST_FROM: usize = 4;

/// The moment on both clocks: wall time for what is kept, monotonic time for pacing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) wall: Timestamp,
    pub(crate) monotonic: Instant,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Action {
    /// A new message.
    Send,
    /// A message is brought up to date.
    Edit {
        /// Its number.
        message: i32,
    },
    /// A new message that alerts ended, in reply to the one that told them, if it is one.
    Notice {
        /// Its number.
        reply_to: Option<i32>,
    },
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) chat: String,
    pub(crate) action: Action,
    pub(crate) severity: Severity,
    /// Without markup, since Telegram refused it.
    pub(crate) plain: bool,
    pub(crate) text: Rich,
    pub(crate) members: Vec<Member>,
}

/// An episode that a call tells, as it was when the text was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) number: u32,
    pub(crate) version: u64,
    pub(crate) state: AlertState,
    pub(crate) severity: Severity,
}

#[derive(Clone, Copy)]
struct Candidate<'a> {
    key: &'a str,
    incident: &'a Incident,
    episode: &'a Episode,
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
    let mut waiting: BTreeMap<(&str, Urgency), Vec<Candidate<'_>>> = BTreeMap::new();
    for candidate in candidates(book).filter(|candidate| may_be_sent(book, *candidate, now.wall)) {
        if let Some(chat) = chats.route(candidate.episode.severity, open) {
            waiting.entry((chat, urgency(candidate.episode.severity))).or_default().push(candidate);
        }
    }
    // Once one has waited for long enough, those that came meanwhile go along.
    let due = |candidate: &Candidate<'_>| has_waited(book, candidate.episode, now.wall);
    let mut groups: Vec<_> = waiting.into_iter().filter(|(_, candidates)| candidates.iter().any(due)).collect();
    groups.iter_mut().for_each(|(_, candidates)| candidates.sort_by_key(|candidate| rank(*candidate)));
    groups.sort_by_key(|(_, candidates)| candidates.first().map(|candidate| rank(*candidate)));
    let admitted = |(chat, urgency): (&str, Urgency)| pacer.admits(chat, urgency, now.monotonic);
    let ((chat, _), mut candidates) = groups.into_iter().find(|(group, _)| admitted(*group))?;
    if candidates.len() < DIGEST_FROM {
        candidates.truncate(1);
    }
    Some(task(chat, Action::Send, &candidates, text::message))
}

fn notices(book: &Book, chats: &Chats, pacer: &Pacer, now: Now) -> Option<Task> {
    let mut waiting: BTreeMap<&str, Vec<Candidate<'_>>> = BTreeMap::new();
    for candidate in candidates(book).filter(|candidate| candidate.episode.notice && !book.is_muted(candidate.key)) {
        let ended = candidate.episode.untold_since.unwrap_or_default();
        if let Some(posted) = &candidate.episode.posted
            && now.wall.since(ended) >= book.policy.group_wait
        {
            waiting.entry(chats.follow(&posted.chat)).or_default().push(candidate);
        }
    }
    let admitted = |chat: &str| pacer.admits(chat, Urgency::Ordinary, now.monotonic);
    let (chat, candidates) = waiting.into_iter().find(|(chat, _)| admitted(chat))?;
    let reply_to = match candidates.as_slice() {
        [only] => only.episode.posted.as_ref().filter(|posted| posted.chat == chat).map(|posted| posted.message),
        _ => None,
    };
    Some(task(chat, Action::Notice { reply_to }, &candidates, text::notice))
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
    let admitted = waiting.into_iter().filter(|((chat, _), _)| pacer.admits(chat, Urgency::Ordinary, now.monotonic));
    let ((chat, message), _) = admitted.min_by_key(|(_, order)| *order)?;
    let shown_there = |candidate: &Candidate<'_>| {
        candidate.episode.posted.as_ref().is_some_and(|posted| posted.chat == chat && posted.message == message)
    };
    let mut members: Vec<_> = candidates(book).filter(shown_there).collect();
    members.sort_by_key(|candidate| rank(*candidate));
    Some(task(chat, Action::Edit { message }, &members, text::message))
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
        Severity::Warning | Severity::Info => Urgency::Ordinary,
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
        chat: chat.to_owned(),
        action,
        severity: told.iter().map(|candidate| candidate.episode.severity).max().unwrap_or(Severity::Info),
        plain: told.iter().any(|candidate| candidate.episode.plain),
        text: write(&texts),
        members: told.iter().map(member).collect(),
    }
}

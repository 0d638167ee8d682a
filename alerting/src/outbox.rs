//! What is on record of calls: each before it is made, so that a successor knows what a crash may have cut short, and
//! the pace, since Telegram counts the calls of all of us. The record is fenced by its revision: whoever is no longer
//! the leader cannot write it, and so makes no call.

use std::collections::BTreeSet;

use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

use crate::fold::Book;
use crate::incident::{Episode, Posted};
use crate::pace::Paced;
use crate::plan::{Action, Member, Task};

/// The record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outbox {
    /// The pace.
    pub(crate) paced: Paced,
    /// The call that was to be made last, unless it is known that it told nothing.
    pub(crate) call: Option<Intent>,
    /// Messages that may have been sent twice, since nobody learnt whether they were sent at first.
    pub(crate) possible_duplicates: u64,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    chat: String,
    action: Action,
    at: Timestamp,
    members: Vec<Member>,
}

impl Outbox {
    /// `task` is about to be called.
    pub(crate) fn intend(&mut self, task: &Task, at: Timestamp) {
        let (chat, members) = (task.chat.clone(), task.members.clone());
        self.call = Some(Intent { chat, action: task.action, at, members });
    }

    /// The call was refused: it told nothing.
    pub(crate) fn refused(&mut self) {
        self.call = None;
    }

    /// Nobody knows what became of the call.
    pub(crate) fn lost(&mut self) {
        let rings = self.call.take().is_some_and(|intent| !matches!(intent.action, Action::Edit { .. }));
        self.possible_duplicates += u64::from(rings);
    }

    /// Takes in what a predecessor's last call came to, as far as its outcome was kept: of one of its members is of all.
    /// Where none was, it may have been made: it is counted, and made again. Names the incidents that changed.
    pub(crate) fn recover(&mut self, book: &mut Book) -> BTreeSet<String> {
        let Some(intent) = self.call.clone() else { return BTreeSet::new() };
        let kept = match intent.action {
            Action::Edit { .. } => None,
            Action::Send => intent.sent(book),
            Action::Notice { .. } => intent.noticed(book),
        };
        if kept.is_none() {
            self.lost();
        }
        self.call = None;
        kept.unwrap_or_default()
    }
}

impl Intent {
    /// Where one of its alerts is told by this call, all are.
    fn sent(&self, book: &mut Book) -> Option<BTreeSet<String>> {
        let told_by_this = |posted: &&Posted| posted.chat == self.chat && posted.at >= self.at;
        let mut told = self.members.iter().filter_map(|member| episode(book, member)?.posted.as_ref());
        let posted = told.find(told_by_this)?.clone();
        Some(self.amend(book, |episode, member| {
            let amended = episode.posted.is_none();
            if amended {
                episode.told(member.version, posted.at);
                episode.posted = Some(posted.clone());
            }
            amended
        }))
    }

    /// Where one of its ends is noticed, all are.
    fn noticed(&self, book: &mut Book) -> Option<BTreeSet<String>> {
        let known = self.members.iter().filter_map(|member| episode(book, member));
        let mut known = known.map(|episode| episode.notice).peekable();
        known.peek()?;
        if known.all(|waits| waits) {
            return None;
        }
        Some(self.amend(book, |episode, _| std::mem::take(&mut episode.notice)))
    }

    /// Names the incidents that changed.
    fn amend(&self, book: &mut Book, amend: impl Fn(&mut Episode, &Member) -> bool) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        for member in &self.members {
            let episode = book.incidents.get_mut(&member.key).and_then(|incident| incident.episode_mut(member.number));
            if episode.is_some_and(|episode| amend(episode, member)) {
                changed.insert(member.key.clone());
            }
        }
        changed
    }
}

fn episode<'a>(book: &'a Book, member: &Member) -> Option<&'a Episode> {
    book.incidents.get(&member.key)?.episodes.iter().find(|episode| episode.number == member.number)
}

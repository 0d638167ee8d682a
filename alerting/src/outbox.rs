//! What is on record of calls: each before it is made, so that a successor knows what a crash may have cut short, and
//! the pace, since Telegram counts the calls of all of us. The record is fenced by its revision: whoever is no longer
//! the leader cannot write it, and so makes no call.

use std::collections::BTreeSet;

use schemas::timestamp::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incidents::{Book, Episode, Posted};
use crate::pace::Paced;
use crate::task::{Action, Member, Task};

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
    /// The last day that a daily digest told.
    pub(crate) told_day: Option<i64>,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemas::alert::AlertKind;
    use schemas::envelope;
    use tokio::time::Instant;

    use super::*;
    use crate::chats::Chats;
    use crate::fixture::{self, NOON, firing, resolved};
    use crate::incidents::Settled;
    use crate::pace::Pacer;
    use crate::plan::{self, Now};

    /// A leader that crashes after it put its next call on record.
    struct Leader {
        book: Book,
        outbox: Outbox,
        task: Task,
    }

    impl Leader {
        fn about_to_call(mut book: Book) -> Self {
            let now = Now { wall: NOON, monotonic: Instant::now() };
            book.review(NOON);
            let task = plan::next(&book, &Chats::new(&fixture::telegram()), &Pacer::new(20), now).unwrap();
            let mut outbox = Outbox::default();
            outbox.intend(&task, NOON);
            Self { book, outbox, task }
        }

        /// What is told is kept for the first `kept` of those that changed; then it dies.
        fn crash(&self, kept: usize) -> (Book, Outbox) {
            let mut told = self.book.clone();
            let changed = told.settle(&self.task, Settled::Told(7), NOON);
            let mut book = self.book.clone();
            for key in changed.into_iter().take(kept) {
                book.incidents.insert(key.clone(), told.incidents[&key].clone());
            }
            let outbox = envelope::decode(&envelope::encode(&self.outbox).unwrap()).unwrap();
            (book, outbox)
        }
    }

    fn book(concerns: &[&str]) -> Book {
        let mut book = Book::new(fixture::policy(), BTreeMap::new());
        for (sequence, concern) in (1..).zip(concerns) {
            book.fold(sequence, &firing(AlertKind::Disk, concern), NOON);
        }
        book
    }

    fn told(book: &Book) -> usize {
        let episodes = book.incidents.values().flat_map(|incident| &incident.episodes);
        episodes.filter(|episode| episode.posted.is_some() && episode.is_told()).count()
    }

    #[test]
    fn a_message_of_which_nothing_was_kept_is_counted_and_sent_again() {
        let (mut book, mut outbox) = Leader::about_to_call(book(&["a"])).crash(0);
        assert!(outbox.recover(&mut book).is_empty());
        assert_eq!((told(&book), outbox.possible_duplicates, outbox.call), (0, 1, None));
    }

    #[test]
    fn a_message_that_was_kept_for_one_of_its_alerts_was_sent_for_all() {
        for kept in 1..=4 {
            let (mut book, mut outbox) = Leader::about_to_call(book(&["a", "b", "c", "d"])).crash(kept);
            assert_eq!(told(&book), kept);
            assert_eq!(outbox.recover(&mut book).len(), 4 - kept);
            assert_eq!((told(&book), outbox.possible_duplicates), (4, 0));
        }
    }

    #[test]
    fn an_end_is_noticed_once_if_that_is_known() {
        let Leader { mut book, task, .. } = Leader::about_to_call(book(&["a", "b", "c", "d"]));
        book.settle(&task, Settled::Told(7), NOON.before(std::time::Duration::from_secs(1)));
        for (sequence, concern) in (5..).zip(["a", "b"]) {
            book.fold(sequence, &resolved(AlertKind::Disk, concern), NOON);
        }
        let leader = Leader::about_to_call(book);
        assert_eq!(leader.task.action, Action::Notice { reply_to: None });
        for (kept, amended, duplicates) in [(0, 0, 1), (1, 1, 0), (2, 0, 0)] {
            let (mut book, mut outbox) = leader.crash(kept);
            assert_eq!((outbox.recover(&mut book).len(), outbox.possible_duplicates), (amended, duplicates), "{kept}");
        }
    }

    #[test]
    fn an_edit_may_be_made_twice_and_a_refused_call_was_not_made() {
        let Leader { mut book, task, .. } = Leader::about_to_call(book(&["a"]));
        book.settle(&task, Settled::Told(7), NOON);
        book.fold(9, &firing(AlertKind::Disk, "a"), NOON);
        let (mut book, mut outbox) = Leader::about_to_call(book).crash(0);
        outbox.recover(&mut book);
        assert_eq!(outbox.possible_duplicates, 0);
        outbox.intend(&task, NOON);
        outbox.refused();
        outbox.recover(&mut book);
        assert_eq!(outbox.possible_duplicates, 0);
        outbox.intend(&task, NOON);
        outbox.lost();
        assert_eq!((outbox.possible_duplicates, outbox.call), (1, None));
    }
}

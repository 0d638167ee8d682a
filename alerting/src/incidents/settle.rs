//! Takes into the book what became of a call.

use std::collections::BTreeSet;

use schemas::alert::AlertState;
use schemas::timestamp::Timestamp;

use super::book::Book;
use super::episode::{Cause, Episode, Posted};
use super::incident::Incident;
use crate::task::{Action, Task};

/// What became of a call, as far as the book is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The text stands in the chat, in the message of this number.
    Told(i32),
    /// The message to edit is no more, or its chat refuses us.
    Gone,
    /// Telegram cannot parse the markup.
    Unparsable,
}

impl Book {
    /// Takes in what became of `task`, and names the incidents that changed.
    pub(crate) fn settle(&mut self, task: &Task, settled: Settled, now: Timestamp) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        for member in &task.members {
            let Some(incident) = self.incidents.get_mut(&member.key) else { continue };
            let live = incident.live().is_some_and(|episode| episode.number == member.number);
            let Some(episode) = incident.episode_mut(member.number) else { continue };
            changed.insert(member.key.clone());
            match (settled, task.action) {
                (Settled::Unparsable, _) => episode.plain = true,
                (_, Action::Notice { .. }) => episode.notice = false,
                (Settled::Gone, _) => episode.lost(live, now),
                (Settled::Told(message), Action::Send) => {
                    episode.posted = Some(Posted::new(task, message, now));
                    episode.notice = member.state == AlertState::Firing && episode.state == AlertState::Resolved;
                    episode.told(member.version, now);
                    if live && episode.severity > member.severity {
                        // It got worse while the message was on its way, which an edit would hide.
                        incident.escalate(now);
                    }
                }
                (Settled::Told(_), Action::Edit { .. }) => episode.told(member.version, now),
            }
        }
        changed
    }

    /// `chat` cannot be reached any more: what is so there is told again elsewhere, and what ended when that has not been
    /// told. Names the incidents that changed.
    pub(crate) fn leave(&mut self, chat: &str, now: Timestamp) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        for (key, incident) in &mut self.incidents {
            let live = incident.live().map(|episode| episode.number);
            let posted_there =
                |episode: &&mut Episode| episode.posted.as_ref().is_some_and(|posted| posted.chat == chat);
            for episode in incident.episodes.iter_mut().filter(posted_there) {
                episode.lost(live == Some(episode.number), now);
                changed.insert(key.clone());
            }
        }
        changed
    }
}

impl Incident {
    fn escalate(&mut self, now: Timestamp) {
        if self.is_firing() {
            self.acknowledged = None;
            self.tell_anew(Cause::Escalated, now);
        }
    }
}

impl Episode {
    /// Its message says what was so at `version`.
    pub(crate) fn told(&mut self, version: u64, now: Timestamp) {
        let changed = self.version != version;
        self.untold_since = changed.then_some(now);
        self.restated &= changed;
        self.edited_at = now;
    }

    /// The live episode is told again in a new message, at once while it is so; of an older one nobody needs to hear again.
    fn lost(&mut self, live: bool, now: Timestamp) {
        if live {
            self.posted = None;
            self.notice = false;
            if self.state == AlertState::Firing {
                self.untold_since.get_or_insert(now);
            }
        } else {
            self.untold_since = None;
            self.notice = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use schemas::alert::{AlertEvent, AlertKind, Severity};
    use tokio::time::Instant;

    use super::*;
    use crate::chats::Chats;
    use crate::fixture::{self, NOON, firing, resolved};
    use crate::pace::Pacer;
    use crate::plan::{self, Now};

    struct Table {
        book: Book,
        start: Instant,
        sequence: u64,
    }

    impl Table {
        fn new() -> Self {
            Self { book: Book::new(fixture::policy(), BTreeMap::new()), start: Instant::now(), sequence: 0 }
        }

        fn fold(&mut self, event: &AlertEvent) {
            self.sequence += 1;
            self.book.fold(self.sequence, event, NOON);
        }

        /// The next call, with all the time in the world between calls.
        fn plan(&self) -> Option<Task> {
            let now = Now { wall: NOON, monotonic: self.start };
            plan::next(&self.book, &Chats::new(&fixture::telegram()), &Pacer::new(20), now)
        }

        fn play(&mut self, settled: Settled) -> Action {
            let task = self.plan().unwrap();
            self.book.settle(&task, settled, NOON);
            task.action
        }
    }

    #[test]
    fn an_alert_is_sent_edited_and_its_end_noticed() {
        let mut table = Table::new();
        table.fold(&firing(AlertKind::Disk, "a"));
        assert_eq!(table.play(Settled::Told(7)), Action::Send);
        assert!(table.plan().is_none());
        table.fold(&firing(AlertKind::Disk, "a"));
        assert_eq!(table.play(Settled::Told(7)), Action::Edit { message: 7 });
        table.fold(&resolved(AlertKind::Disk, "a"));
        assert_eq!(table.play(Settled::Told(8)), Action::Notice { reply_to: Some(7) });
        assert_eq!(table.play(Settled::Told(7)), Action::Edit { message: 7 });
        assert!(table.plan().is_none());
    }

    #[test]
    fn what_changed_during_a_call_is_told_after_it() {
        let mut table = Table::new();
        table.fold(&firing(AlertKind::Disk, "a"));
        let task = table.plan().unwrap();
        table.fold(&resolved(AlertKind::Disk, "a"));
        table.book.settle(&task, Settled::Told(7), NOON);
        assert_eq!(table.play(Settled::Told(8)), Action::Notice { reply_to: Some(7) });
        assert_eq!(table.play(Settled::Told(7)), Action::Edit { message: 7 });
    }

    #[test]
    fn what_got_worse_during_a_call_is_told_anew() {
        let mut table = Table::new();
        table.fold(&firing(AlertKind::Disk, "a"));
        let task = table.plan().unwrap();
        table.fold(&AlertEvent { severity: Severity::Critical, ..firing(AlertKind::Disk, "a") });
        table.book.settle(&task, Settled::Told(7), NOON);
        let task = table.plan().unwrap();
        assert_eq!((task.action, task.severity), (Action::Send, Severity::Critical));
        table.book.settle(&task, Settled::Told(8), NOON);
        assert_eq!(table.play(Settled::Told(7)), Action::Edit { message: 7 });
        assert!(table.plan().is_none());
    }

    #[test]
    fn a_message_that_is_gone_is_sent_anew() {
        let mut table = Table::new();
        table.fold(&firing(AlertKind::Disk, "a"));
        table.play(Settled::Told(7));
        table.fold(&firing(AlertKind::Disk, "a"));
        assert_eq!(table.play(Settled::Gone), Action::Edit { message: 7 });
        let task = table.plan().unwrap();
        assert_eq!(task.action, Action::Send);
        assert!(task.text.plain().contains("Count: 2"));
    }

    #[test]
    fn what_cannot_be_parsed_goes_out_plain() {
        let mut table = Table::new();
        table.fold(&firing(AlertKind::Disk, "a"));
        assert!(!table.plan().unwrap().plain);
        table.play(Settled::Unparsable);
        assert!(table.plan().unwrap().plain);
    }

    #[test]
    fn what_stands_in_a_chat_that_is_left_is_told_elsewhere_while_it_is_so() {
        let mut table = Table::new();
        table.fold(&firing(AlertKind::Disk, "a"));
        table.play(Settled::Told(7));
        assert_eq!(table.book.leave("-2", NOON).len(), 0);
        assert_eq!(table.book.leave("-1", NOON).len(), 1);
        assert_eq!(table.play(Settled::Told(1)), Action::Send);
        table.fold(&resolved(AlertKind::Disk, "a"));
        while table.plan().is_some() {
            table.play(Settled::Told(2));
        }
        table.book.leave("-1", NOON);
        assert!(table.plan().is_none(), "it is over, and that was told");
    }

    #[test]
    fn a_digest_keeps_its_lines_while_one_of_them_lasts() {
        let mut table = Table::new();
        for concern in ["a", "b", "c", "d"] {
            table.fold(&firing(AlertKind::Disk, concern));
        }
        table.play(Settled::Told(7));
        for concern in ["a", "b", "c"] {
            table.fold(&resolved(AlertKind::Disk, concern));
        }
        assert_eq!(table.play(Settled::Told(8)), Action::Notice { reply_to: None });
        let task = table.plan().unwrap();
        assert_eq!(task.members.len(), 4);
        table.book.settle(&task, Settled::Told(7), NOON);
        let later = NOON.after(Duration::from_secs(1200));
        assert_eq!(table.book.prune(later).len(), 0);
        table.fold(&resolved(AlertKind::Disk, "d"));
        while table.plan().is_some() {
            table.play(Settled::Told(7));
        }
        table.book.prune(later);
        table.book.prune(later);
        assert!(table.book.incidents.is_empty());
    }
}

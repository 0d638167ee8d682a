//! What the desk calls next: alerts, answers between them, and the daily digest; with buttons and links under what it
//! tells.

use schemas::alert::Severity;

use super::state::Desk;
use crate::button::{Keyboard, of_one, of_past, of_several};
use crate::chats::Chats;
use crate::pace::{Pacer, Urgency};
use crate::plan::{self, Now};
use crate::store::OUTBOX;
use crate::task::{Action, Own, Task};

impl Desk {
    /// The next call: what is critical first; else answers and alerts by turns, and last the digest.
    pub(super) fn next_task(&mut self, now: Now) -> Option<Task> {
        let planned = plan::next(&self.book, &self.chats, &self.pacer, now);
        let first = planned.as_ref().is_some_and(|task| self.surface.answered || is_urgent(task));
        let task = if first { planned } else { self.reply(now).or(planned) };
        let task = task.or_else(|| self.digest(now));
        self.surface.answered = task.as_ref().is_some_and(|task| task.own == Some(Own::Reply));
        task.map(|task| self.dressed(task))
    }

    fn reply(&mut self, now: Now) -> Option<Task> {
        let reply = self.surface.replies.next(&self.pacer, now.monotonic)?;
        let action = Action::Notice { reply_to: reply.place.reply_to };
        let task = Task {
            topic: reply.place.topic,
            plain: reply.plain,
            own: Some(Own::Reply),
            ..Task::new(&reply.place.chat, action, reply.text.clone())
        };
        self.surface.telling = Some(reply);
        Some(task)
    }

    /// The digest of the days that are over and not told. The first leader ever begins to count with today.
    fn digest(&mut self, now: Now) -> Option<Task> {
        let calendar = self.surface.calendar;
        let today = calendar.day(now.wall)?;
        let Some(told) = self.outbox.told_day else {
            self.outbox.told_day = Some(today - 1);
            self.work.unsaved.insert(OUTBOX.to_owned());
            return None;
        };
        let days = calendar.due(told, now.wall)?;
        let chat = info_chat(&self.chats, &self.pacer, now)?.to_owned();
        let text = calendar.digest(&days, &self.book.incidents);
        let (plain, own) = (self.surface.plain_digest, Some(Own::Daily(*days.end())));
        Some(Task { plain, own, ..Task::new(&chat, Action::Send, text) })
    }

    /// With buttons, and with a link to what did not fit.
    fn dressed(&self, mut task: Task) -> Task {
        let portal = &self.surface.portal;
        if task.text.is_cut() && !portal.is_empty() {
            let page = match task.members.as_slice() {
                [only] => format!("{portal}/incidents/{}", only.key),
                _ => format!("{portal}/incidents"),
            };
            task.text.text("\n").link("All of it", &page);
        }
        if self.surface.listens && !matches!(task.action, Action::Notice { .. }) {
            task.keyboard = self.keyboard(&task);
        }
        task
    }

    fn keyboard(&self, task: &Task) -> Keyboard {
        let live = |key: &str, number| {
            let incident = self.book.incidents.get(key)?;
            let live = incident.is_firing() && incident.live().is_some_and(|episode| episode.number == number);
            live.then_some(incident)
        };
        match task.members.as_slice() {
            [] => Keyboard::new(),
            [only] => match live(&only.key, only.number) {
                Some(incident) => of_one(&only.key, incident.acknowledged.is_some()),
                None => of_past(&only.key),
            },
            several if several.iter().any(|member| live(&member.key, member.number).is_some()) => of_several(),
            _ => Keyboard::new(),
        }
    }
}

/// Where the digest goes, when it may go there now: it waits for its chat rather than go to another.
fn info_chat<'a>(chats: &'a Chats, pacer: &Pacer, now: Now) -> Option<&'a str> {
    let chat = chats.route(Severity::Info, |chat| pacer.is_open(chat, now.monotonic))?;
    pacer.admits(chat, Urgency::Upkeep, now.monotonic).then_some(chat)
}

fn is_urgent(task: &Task) -> bool {
    task.action == Action::Send && task.severity == Severity::Critical
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::fixture::{self, NOON};

    #[test]
    fn the_digest_waits_for_its_chat_unless_that_refuses_us() {
        let mut config = fixture::telegram();
        config.chat_id_info = "-7".to_owned();
        let (chats, mut pacer) = (Chats::new(&config), Pacer::new(20));
        let now = Now { wall: NOON, monotonic: Instant::now() };
        assert_eq!(info_chat(&chats, &pacer, now), Some("-7"));
        pacer.began("-7", now.monotonic);
        assert_eq!(info_chat(&chats, &pacer, now), None);
        pacer.close("-7", Duration::from_secs(60), now.monotonic);
        assert_eq!(info_chat(&chats, &pacer, now), Some("-1"));
    }
}

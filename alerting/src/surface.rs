//! The desk's part in what operators see and ask: buttons and links under what it tells, answers between alerts, the
//! daily digest, and what whoever receives must know.

use runtime::clock;
use runtime::telemetry::Scrubber;
use schemas::alert::{AlertEvent, AlertState, Severity};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::button::{Keyboard, of_one, of_past, of_several};
use crate::daily::Calendar;
use crate::desk::Desk;
use crate::errand::{Errand, Known};
use crate::incidents::{Folded, Tally, count};
use crate::pace::Urgency;
use crate::plan::{self, Now};
use crate::replies::{Replies, Reply};
use crate::store::OUTBOX;
use crate::task::{Action, Own, Task};
use crate::telegram::Refusal;

/// What the desk holds for operators.
pub(crate) struct Surface {
    errands: mpsc::Receiver<Errand>,
    known: watch::Sender<Known>,
    pub(crate) scrubber: Scrubber,
    pub(crate) calendar: Calendar,
    /// Where the portal is; empty when there is none.
    portal: String,
    /// People may press buttons.
    listens: bool,
    replies: Replies,
    /// The answer that is being told.
    telling: Option<Reply>,
    /// An answer was told last: it is the alerts' turn.
    answered: bool,
    /// Telegram refused the digest's markup.
    plain_digest: bool,
}

impl Surface {
    /// Nothing asked yet.
    pub(crate) fn new(
        errands: mpsc::Receiver<Errand>,
        known: watch::Sender<Known>,
        scrubber: Scrubber,
        config: &runtime::config::TelegramConfig,
    ) -> Self {
        Self {
            errands,
            known,
            scrubber,
            calendar: Calendar::new(config),
            portal: config.portal_url.trim_end_matches('/').to_owned(),
            listens: !config.allowed_users.is_empty(),
            replies: Replies::default(),
            telling: None,
            answered: false,
            plain_digest: false,
        }
    }

    /// The next errand, for ever when nobody receives.
    pub(crate) async fn errand(&mut self) -> Errand {
        match self.errands.recv().await {
            Some(errand) => errand,
            None => std::future::pending().await,
        }
    }
}

impl Desk {
    /// Takes up an errand of the receiver.
    pub(crate) fn run_errand(&mut self, errand: Errand) {
        let now = Instant::now();
        match errand {
            // Whoever asked may be gone: the answer is told all the same.
            Errand::Say { place, texts, taken } => drop(taken.send(self.surface.replies.add(&place, texts, now))),
            Errand::Hold(retry_after) => {
                self.metrics.throttled.inc();
                self.pacer.hold(retry_after, now);
                self.record_pace(Now { wall: clock::now(), monotonic: now });
            }
        }
    }

    /// The next call: what is critical first; else answers and alerts by turns, and last the digest.
    pub(crate) fn next_task(&mut self, now: Now) -> Option<Task> {
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
        let usable = |chat: &str| self.pacer.admits(chat, Urgency::Ordinary, now.monotonic);
        let chat = self.chats.route(Severity::Info, usable)?.to_owned();
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

    /// Takes in what came of a call that told no alert.
    pub(crate) fn settle_own(&mut self, own: Own, task: &Task, outcome: Result<i32, Refusal>, now: Now) {
        match (own, outcome) {
            (Own::Reply, Ok(_)) => {
                self.surface.telling = None;
                self.pacer.reached();
            }
            (Own::Reply, Err(refusal)) => self.reply_refused(task, refusal, now),
            (Own::Daily(day), Ok(_)) => {
                self.pacer.reached();
                self.told_days(day);
            }
            (Own::Daily(_), Err(refusal)) => {
                self.surface.plain_digest |= matches!(refusal, Refusal::Unparsable(_));
                self.refused(task, refusal, now.monotonic);
            }
        }
        self.record_pace(now);
    }

    fn reply_refused(&mut self, task: &Task, refusal: Refusal, now: Now) {
        let Some(mut reply) = self.surface.telling.take() else { return };
        match &refusal {
            Refusal::Unparsable(_) if !reply.plain => reply.plain = true,
            Refusal::Throttled(_) | Refusal::Unreachable(_) | Refusal::Moved(_) | Refusal::Token => {}
            // The alert's own calls find out whether the chat wants us.
            Refusal::Unparsable(_) | Refusal::Chat(_) | Refusal::Topic(_) | Refusal::Gone => {
                return tracing::warn!(reason = %refusal, "an operator's answer cannot be told");
            }
        }
        self.surface.replies.put_back(reply);
        self.refused(task, refusal, now.monotonic);
    }

    /// Answers follow their chat.
    pub(crate) fn replies_moved(&mut self, from: &str, to: &str) {
        self.surface.replies.moved(from, to);
    }

    /// The days up to this one are told: what was counted in them is forgotten.
    fn told_days(&mut self, day: i64) {
        self.outbox.told_day = Some(day);
        self.outbox.refused();
        self.work.unsaved.insert(OUTBOX.to_owned());
        self.work.unsaved.extend(self.book.told_days(day));
    }

    /// Counts into the day what an event brought about, the alert having been `fired` before it or not.
    pub(crate) fn count_in(&mut self, key: &str, folded: Folded, event: &AlertEvent, fired: bool) {
        let fires = self.book.is_firing(key);
        let began = (fires && !fired).then_some(event.severity);
        let counts = folded != Folded::Duplicate && event.state == AlertState::Firing;
        self.tally(key, Tally::of(counts, began, fired && !fires));
    }

    /// Counts into the day what happened to an incident.
    pub(crate) fn tally(&mut self, key: &str, tally: Tally) {
        if let Some(day) = self.surface.calendar.day(clock::now())
            && let Some(incident) = self.book.incidents.get_mut(key)
        {
            count(&mut incident.days, day, tally);
        }
    }

    /// Lets whoever receives know what is so.
    pub(crate) fn publish_known(&self, now: Instant) {
        let held = self.pacer.held(now);
        let held_until = (!held.is_zero()).then(|| now + held);
        let chats = self.chats.all();
        self.surface.known.send_if_modified(|known| {
            let news = known.chats != chats || known.held_until != held_until;
            if news {
                *known = Known { chats, held_until };
            }
            news
        });
    }
}

fn is_urgent(task: &Task) -> bool {
    task.action == Action::Send && task.severity == Severity::Critical
}

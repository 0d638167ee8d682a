//! What the outcome of a call means for the pace, the chats and the book.

use std::time::Duration;

use runtime::clock;
use tokio::task::JoinError;
use tokio::time::Instant;

use super::state::Desk;
use crate::incidents::Settled;
use crate::store::{CHATS, OUTBOX};
use crate::task::{Action, Own, Task};
use crate::telegram::{Ended, Refusal};

/// How long a chat that refuses us is left out.
const CHAT_PAUSE: Duration = Duration::from_secs(300);
/// How long nothing is called after the token was refused: only a person can mend that.
const TOKEN_PAUSE: Duration = Duration::from_secs(60);

impl Desk {
    /// Takes in what came of a call.
    pub(super) fn take_in(&mut self, ended: Result<Ended, JoinError>) {
        let Ok(Ended { task, outcome, took }) = ended else { return };
        let now = Instant::now();
        self.pacer.ended(&task.chat, now);
        self.count(&task, &outcome, took);
        if let Err(refusal) = &outcome {
            if refusal.is_certain() { self.outbox.refused() } else { self.outbox.lost() }
        }
        if let Some(own) = task.own {
            return self.settle_own(own, &task, outcome, now);
        }
        match outcome {
            Ok(message) => {
                self.pacer.reached();
                // The record of the call stays: until what it told is kept, a successor must know of it.
                self.settle(&task, Settled::Told(message));
            }
            Err(refusal) => {
                self.refused(&task, refusal, now);
                self.record_pace(now);
            }
        }
    }

    /// What is not settled here is planned again.
    fn refused(&mut self, task: &Task, refusal: Refusal, now: Instant) {
        tracing::warn!(reason = %refusal, operation = <&str>::from(task.action), "telegram refused a call");
        match refusal {
            Refusal::Unreachable(_) => return self.pacer.failed(now),
            Refusal::Throttled(retry_after) => {
                self.metrics.throttled.inc();
                self.pacer.hold(retry_after, now);
            }
            Refusal::Moved(to) => self.moved(&task.chat, &to.to_string()),
            Refusal::Gone => self.settle(task, Settled::Gone),
            Refusal::Unparsable(_) if !task.plain => self.settle(task, Settled::Unparsable),
            Refusal::Unparsable(_) | Refusal::Chat(_) => self.close(task, now),
            Refusal::Topic(_) => self.leave_topic(task, now),
            Refusal::Token => self.pacer.hold(TOKEN_PAUSE, now),
        }
        self.pacer.reached();
    }

    fn settle(&mut self, task: &Task, settled: Settled) {
        self.work.unsaved.extend(self.book.settle(task, settled, clock::now()));
    }

    fn moved(&mut self, from: &str, to: &str) {
        self.metrics.chats_moved.inc();
        self.chats.moved(from, to);
        self.surface.replies.moved(from, to);
        self.work.unsaved.insert(CHATS.to_owned());
        self.work.unsaved.extend(self.book.leave(from, clock::now()));
    }

    fn close(&mut self, task: &Task, now: Instant) {
        self.metrics.chats_refused.inc();
        self.pacer.close(&task.chat, CHAT_PAUSE, now);
        self.work.unsaved.extend(self.book.leave(&task.chat, clock::now()));
    }

    fn leave_topic(&mut self, task: &Task, now: Instant) {
        match (task.action, task.topic) {
            // It cannot be brought up to date: what is so is told anew.
            (Action::Edit { .. }, _) => self.settle(task, Settled::Gone),
            (_, Some(topic)) => self.chats.close_topic(&task.chat, topic),
            // The chat's own part is closed.
            (_, None) => self.close(task, now),
        }
    }

    fn count(&self, task: &Task, outcome: &Result<i32, Refusal>, took: Duration) {
        let operation = <&str>::from(task.action);
        let outcome = outcome.as_ref().map_or_else(<&str>::from, |_| "ok");
        self.metrics.calls.with_label_values(&[operation, outcome]).inc();
        self.metrics.call_seconds.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    /// Takes in what came of a call that told no alert.
    fn settle_own(&mut self, own: Own, task: &Task, outcome: Result<i32, Refusal>, now: Instant) {
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
                self.refused(task, refusal, now);
            }
        }
        self.record_pace(now);
    }

    fn reply_refused(&mut self, task: &Task, refusal: Refusal, now: Instant) {
        let Some(mut reply) = self.surface.telling.take() else { return };
        match &refusal {
            Refusal::Unparsable(_) if !reply.plain => reply.plain = true,
            // It may have been told: once or not at all.
            Refusal::Unreachable(_) if !refusal.is_certain() => return self.refused(task, refusal, now),
            Refusal::Throttled(_) | Refusal::Unreachable(_) | Refusal::Moved(_) | Refusal::Token => {}
            // The alert's own calls find out whether the chat wants us.
            Refusal::Unparsable(_) | Refusal::Chat(_) | Refusal::Topic(_) | Refusal::Gone => {
                return tracing::warn!(reason = %refusal, "an operator's answer cannot be told");
            }
        }
        self.surface.replies.put_back(reply);
        self.refused(task, refusal, now);
    }

    /// The days up to this one are told: what was counted in them is forgotten.
    fn told_days(&mut self, day: i64) {
        self.outbox.told_day = Some(day);
        self.outbox.refused();
        self.work.unsaved.insert(OUTBOX.to_owned());
        self.work.unsaved.extend(self.book.told_days(day));
    }
}

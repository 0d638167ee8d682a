//! One call to Telegram, and what its outcome means for the pace, the chats and the book.

use std::sync::Arc;
use std::time::Duration;

use runtime::clock;
use tokio::task::JoinError;
use tokio::time::Instant;

use crate::desk::Desk;
use crate::incidents::Settled;
use crate::plan::Now;
use crate::store::CHATS;
use crate::task::Task;
use crate::telegram::{Outlet, Refusal};

/// How long a chat that refuses us is left out.
const CHAT_PAUSE: Duration = Duration::from_secs(300);
/// How long nothing is called after the token was refused: only a person can mend that.
const TOKEN_PAUSE: Duration = Duration::from_secs(60);

/// A call that has ended.
pub(crate) struct Ended {
    task: Task,
    outcome: Result<i32, Refusal>,
    took: Duration,
}

/// Makes the call.
pub(crate) async fn call(outlet: Arc<Outlet>, task: Task) -> Ended {
    let started = Instant::now();
    let outcome = outlet.call(&task).await;
    Ended { task, outcome, took: started.elapsed() }
}

impl Desk {
    /// Takes in what came of a call.
    pub(crate) fn take_in(&mut self, ended: Result<Ended, JoinError>) {
        let Ok(Ended { task, outcome, took }) = ended else { return };
        let now = Instant::now();
        self.pacer.ended(&task.chat, now);
        self.count(&task, &outcome, took);
        if let Some(own) = task.own {
            return self.settle_own(own, &task, outcome, Now { wall: clock::now(), monotonic: now });
        }
        match outcome {
            Ok(message) => {
                self.pacer.reached();
                // The record of the call stays: until what it told is kept, a successor must know of it.
                self.settle(&task, Settled::Told(message));
            }
            Err(refusal) => {
                if refusal.is_certain() {
                    self.outbox.refused()
                } else {
                    self.outbox.lost()
                }
                self.refused(&task, refusal, now);
                self.record_pace(Now { wall: clock::now(), monotonic: now });
            }
        }
    }

    /// What is not settled here is planned again.
    pub(crate) fn refused(&mut self, task: &Task, refusal: Refusal, now: Instant) {
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
            Refusal::Topic(_) => {
                if let Some(topic) = task.topic {
                    self.chats.close_topic(&task.chat, topic);
                }
            }
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
        self.replies_moved(from, to);
        self.work.unsaved.insert(CHATS.to_owned());
        self.work.unsaved.extend(self.book.leave(from));
    }

    fn close(&mut self, task: &Task, now: Instant) {
        self.metrics.chats_refused.inc();
        self.pacer.close(&task.chat, CHAT_PAUSE, now);
        self.work.unsaved.extend(self.book.leave(&task.chat));
    }

    fn count(&self, task: &Task, outcome: &Result<i32, Refusal>, took: Duration) {
        let operation = <&str>::from(task.action);
        let outcome = outcome.as_ref().map_or_else(<&str>::from, |_| "ok");
        self.metrics.calls.with_label_values(&[operation, outcome]).inc();
        self.metrics.call_seconds.with_label_values(&[operation]).observe(took.as_secs_f64());
    }
}
